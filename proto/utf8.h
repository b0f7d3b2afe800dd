/*
 * UTF-8, as far as text is shown or cut
 *
 * Text that others wrote may be no text, or order a terminal about.
 */
#pragma once

#include <stddef.h>

/* Bytes of the character at @text, at most to its NUL; 0 if there is none (RFC 3629). */
size_t utf8_length(const char *text);

/* The number of the control character at @text, or -1. All of them are below U+00A0. */
int utf8_control(const char *text);

/* Takes off a last character that was cut in the middle. */
void utf8_trim(char *text);
