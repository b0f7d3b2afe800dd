/*
 * An error code and its sentence: see error.h.
 */
#include "proto/error.h"

#include "proto/utf8.h"

#include <stdarg.h>
#include <stdio.h>

void error_format(struct error *error, int code, const char *format, ...) {
    va_list arguments;

    if (!error)
        return;

    error->code = code;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
    utf8_trim(error->text);
}
