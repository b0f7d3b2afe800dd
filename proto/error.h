/*
 * An error code and its sentence
 *
 * Functions return 0 or a negative errno. Where the reason is worth a sentence (which name, which
 * limit, which right) they also take a struct error, which carries that sentence to whoever asked:
 * over the wire, in a Varlink error, or to the caller of the library.
 */
#pragma once

#define ERROR_TEXT_MAX 512

struct error {
    int code; /* negative errno, 0 while nothing failed */
    char text[ERROR_TEXT_MAX];
};

/* Stores code and sentence, cut at ERROR_TEXT_MAX; returns code. @error may be NULL. */
int error_set(struct error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
