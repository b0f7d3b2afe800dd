/*
 * The sentence of the last failure, one for each thread: what shmreg_error_message() returns.
 */
#pragma once

/* Keeps the sentence for the calling thread and returns @code. */
int fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
