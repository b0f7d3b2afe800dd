/*
 * How people write sizes, durations and times, and what a terminal may be shown
 */
#pragma once

#include <stdint.h>

#define SIZE_TEXT_MAX 48
#define SPAN_TEXT_MAX 32
#define TIME_TEXT_MAX 32

/* "512", "4K", "64MiB" (powers of 1024, either case): 0, or -EINVAL (also past INT64_MAX). */
int size_parse(const char *text, int64_t *ret);
/* "512 B", "1.5 MiB": one decimal where it says more, never rounded up to the next unit. */
void size_format(int64_t size, char ret[static SIZE_TEXT_MAX]);

/* Seconds: "90", "90s", "5m", "3h", "2d". Returns 0, or -EINVAL (also past UINT32_MAX). */
int span_parse(const char *text, int64_t *ret);
/* The largest unit only: "90s" is "1m". Negative is "0s": clocks are set back. */
void span_format(int64_t seconds, char ret[static SPAN_TEXT_MAX]);

/* "2026-01-31 12:00:00" in the local zone, of microseconds since 1970. */
void time_format(int64_t usec, char ret[static TIME_TEXT_MAX]);

/*
 * A copy of @text that is safe on a terminal: control characters (C0, DEL, C1) become "\u001b" and
 * so on, which JSON reads as the same character, and bytes that are no UTF-8 become '?'. NULL
 * without memory.
 */
char *text_escape(const char *text);
/* Columns of a text that has no control characters: its characters. */
int text_width(const char *text);
