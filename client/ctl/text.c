/*
 * Sizes, durations, times, terminals: see text.h.
 */
#include "client/ctl/text.h"

#include "proto/cleanup.h"
#include "proto/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define ESCAPE_LENGTH 6 /* of "\u001b" */

static const char size_units[] = "KMGTPE";

struct span_unit {
    char letter;
    int64_t seconds;
};

static const struct span_unit span_units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};

/* Digits only: strtoll() alone would take blanks and signs. */
static int number_parse(const char *text, int64_t *ret, const char **ret_end) {
    char *end;
    long long number;

    if (*text < '0' || *text > '9')
        return -EINVAL;
    errno = 0;
    number = strtoll(text, &end, 10);
    if (errno != 0)
        return -EINVAL;
    *ret = number;
    *ret_end = end;
    return 0;
}

int size_parse(const char *text, int64_t *ret) {
    int64_t number, factor = 1;
    const char *unit, *end;

    if (number_parse(text, &number, &end) < 0)
        return -EINVAL;
    unit = *end >= 'a' && *end <= 'z' ? strchr(size_units, *end - 'a' + 'A')
                                      : strchr(size_units, *end);
    if (*end && unit) {
        factor = INT64_C(1) << (10 * (unit - size_units + 1));
        end++;
        if (*end && strcasecmp(end, "i") != 0 && strcasecmp(end, "ib") != 0)
            return -EINVAL;
    } else if (*end && strcasecmp(end, "b") != 0) {
        return -EINVAL;
    }
    return __builtin_mul_overflow(number, factor, ret) ? -EINVAL : 0;
}

void size_format(int64_t size, char ret[static SIZE_TEXT_MAX]) {
    size_t unit = 0;
    int64_t divisor = 1024;
    int64_t tenths;

    if (size < 1024) {
        snprintf(ret, SIZE_TEXT_MAX, "%" PRId64 " B", size);
        return;
    }
    while (size / divisor >= 1024 && size_units[unit + 1]) {
        divisor *= 1024;
        unit++;
    }
    tenths = size % divisor / (divisor / 1024) * 10 / 1024;
    if (tenths > 0)
        snprintf(ret, SIZE_TEXT_MAX, "%" PRId64 ".%" PRId64 " %ciB", size / divisor, tenths,
                 size_units[unit]);
    else
        snprintf(ret, SIZE_TEXT_MAX, "%" PRId64 " %ciB", size / divisor, size_units[unit]);
}

int span_parse(const char *text, int64_t *ret) {
    int64_t number, factor = 1;
    const char *end;

    if (number_parse(text, &number, &end) < 0)
        return -EINVAL;
    if (*end) {
        const struct span_unit *unit = span_units;

        while (unit < span_units + ARRAY_SIZE(span_units) && unit->letter != *end)
            unit++;
        if (unit == span_units + ARRAY_SIZE(span_units) || end[1])
            return -EINVAL;
        factor = unit->seconds;
    }
    if (__builtin_mul_overflow(number, factor, &number) || number > UINT32_MAX)
        return -EINVAL;
    *ret = number;
    return 0;
}

void span_format(int64_t seconds, char ret[static SPAN_TEXT_MAX]) {
    for (size_t i = 0; i < ARRAY_SIZE(span_units); i++) {
        if (seconds < span_units[i].seconds)
            continue;
        snprintf(ret, SPAN_TEXT_MAX, "%" PRId64 "%c", seconds / span_units[i].seconds,
                 span_units[i].letter);
        return;
    }
    snprintf(ret, SPAN_TEXT_MAX, "0s");
}

void time_format(int64_t usec, char ret[static TIME_TEXT_MAX]) {
    time_t seconds = (time_t)(usec / 1000000);
    struct tm broken_down;

    if (!localtime_r(&seconds, &broken_down) ||
        strftime(ret, TIME_TEXT_MAX, "%Y-%m-%d %H:%M:%S", &broken_down) == 0)
        snprintf(ret, TIME_TEXT_MAX, "?");
}

char *text_escape(const char *text) {
    char *escaped = malloc(strlen(text) * ESCAPE_LENGTH + 1);
    char *out = escaped;

    if (!escaped)
        return NULL;
    while (*text) {
        size_t length = utf8_length(text);
        int control = utf8_control(text);

        if (control >= 0)
            out += sprintf(out, "\\u%04x", (unsigned)control);
        else if (length == 0)
            *out++ = '?';
        else
            out = mempcpy(out, text, length);
        text += length ? length : 1;
    }
    *out = '\0';
    return escaped;
}

int text_width(const char *text) {
    int width = 0;

    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}
