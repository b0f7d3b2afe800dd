/*
 * UTF-8: see utf8.h.
 */
#include "proto/utf8.h"

#include <stdbool.h>
#include <string.h>

/* Neither in more bytes than needed, nor half of a pair of UTF-16, nor above U+10FFFF. */
static bool is_allowed(unsigned char lead, unsigned char second) {
    switch (lead) {
    case 0xe0:
        return second >= 0xa0;
    case 0xed:
        return second < 0xa0;
    case 0xf0:
        return second >= 0x90;
    case 0xf4:
        return second < 0x90;
    }
    return lead >= 0xc2 && lead < 0xf4;
}

size_t utf8_length(const char *text) {
    unsigned char lead = (unsigned char)*text;
    size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

    if (lead < 0x80)
        return 1;
    if (!is_allowed(lead, (unsigned char)text[1]))
        return 0;
    for (size_t i = 1; i < length; i++)
        if (((unsigned char)text[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

int utf8_control(const char *text) {
    unsigned char first = (unsigned char)text[0], second;

    if (first < 0x20 || first == 0x7f)
        return first;
    if (first != 0xc2)
        return -1;
    second = (unsigned char)text[1];
    return second >= 0x80 && second < 0xa0 ? second : -1;
}

void utf8_trim(char *text) {
    size_t length = strlen(text), start = length;

    while (start > 0 && length - start < 4 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
        start--;
    if (start > 0 && (unsigned char)text[start - 1] >= 0xc0 && utf8_length(text + start - 1) == 0)
        text[start - 1] = '\0';
}
