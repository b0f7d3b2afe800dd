/*
 * Base64, as JSON carries bytes (RFC 4648, section 4: with padding, without line breaks)
 */
#pragma once

#include <stddef.h>

/* Bytes of text, without its NUL, that @size bytes of data make. */
#define BASE64_LENGTH(size) (((size) + 2) / 3 * 4)

/* Writes the text of @size bytes, and its NUL, into @ret of BASE64_LENGTH(size) + 1 bytes. */
void base64_encode(const void *data, size_t size, char *ret);

/*
 * Decodes @length bytes of text into @ret, which has room for length / 4 * 3 bytes; they may be the
 * text's own. Returns 0, or -EINVAL for anything but what base64_encode() writes.
 */
int base64_decode(const char *text, size_t length, void *ret, size_t *ret_size);
