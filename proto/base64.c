/*
 * Base64: see base64.h.
 */
#include "proto/base64.h"

#include <errno.h>
#include <stdint.h>

#define NO_DIGIT 64u

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *data, size_t size, char *ret) {
    const uint8_t *in = data;

    for (; size > 0; in += 3) {
        size_t n = size < 3 ? size : 3;
        uint32_t group = (uint32_t)in[0] << 16;

        if (n > 1)
            group |= (uint32_t)in[1] << 8;
        if (n > 2)
            group |= in[2];
        *ret++ = digits[group >> 18];
        *ret++ = digits[group >> 12 & 63];
        *ret++ = (char)(n > 1 ? digits[group >> 6 & 63] : '=');
        *ret++ = (char)(n > 2 ? digits[group & 63] : '=');
        size -= n;
    }
    *ret = '\0';
}

static uint32_t digit_value(char c) {
    if (c >= 'A' && c <= 'Z')
        return (uint32_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint32_t)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0') + 52;
    return c == '+' ? 62 : c == '/' ? 63 : NO_DIGIT;
}

/* Decodes the @n digits (2 to 4) of one group; the bits that no byte takes must be zero. */
static int decode_group(const char *text, size_t n, uint8_t ret[static 3]) {
    uint32_t group = 0;

    for (size_t i = 0; i < 4; i++) {
        uint32_t value = i < n ? digit_value(text[i]) : 0;

        if (value == NO_DIGIT)
            return -EINVAL;
        group = group << 6 | value;
    }
    if (group & (n == 2 ? 0xffffu : n == 3 ? 0xffu : 0))
        return -EINVAL;
    for (size_t i = 0; i + 1 < n; i++)
        ret[i] = (uint8_t)(group >> (16 - 8 * i));
    return 0;
}

int base64_decode(const char *text, size_t length, void *ret, size_t *ret_size) {
    uint8_t *out = ret;

    if (length % 4 != 0)
        return -EINVAL;
    for (size_t i = 0; i < length; i += 4) {
        size_t n = 4;

        if (i + 4 == length && text[i + 3] == '=')
            n = text[i + 2] == '=' ? 2 : 3;
        if (decode_group(text + i, n, out) < 0)
            return -EINVAL;
        out += n - 1;
    }
    *ret_size = (size_t)(out - (uint8_t *)ret);
    return 0;
}
