/*
 * The sentence of the last failure, one for each thread: what shmreg_error_message() returns.
 */
#pragma once

/* Keeps the sentence for the calling thread and returns @code; a macro as error_set() is one. */
#define fail(code, ...)                                                                            \
    ({                                                                                             \
        int fail_code_ = (code);                                                                   \
        keep_failure(__VA_ARGS__);                                                                 \
        fail_code_;                                                                                \
    })
void keep_failure(const char *format, ...) __attribute__((format(printf, 1, 2)));
