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

/* Stores code and sentence, cut at ERROR_TEXT_MAX; returns code. @error may be NULL. A macro, so that
 * whoever reads the caller, compilers and analyzers among them, sees which code comes back. */
#define error_set(error, code, ...)                                                                \
    ({                                                                                             \
        int error_code_ = (code);                                                                  \
        error_format(error, error_code_, __VA_ARGS__);                                             \
        error_code_;                                                                               \
    })
void error_format(struct error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
