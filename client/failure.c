/*
 * The sentence of the last failure: see failure.h.
 */
#include "client/failure.h"

#include "client/shmreg.h"
#include "proto/error.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char last_error[ERROR_TEXT_MAX];

void keep_failure(const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(last_error, sizeof(last_error), format, arguments);
    va_end(arguments);
}

const char *shmreg_error_message(void) {
    return last_error;
}
