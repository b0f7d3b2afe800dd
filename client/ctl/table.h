/*
 * A table for people: columns as wide as what is in them
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "proto/cleanup.h"

struct column {
    const char *title;
    bool right; /* numbers line up at the right */
};

struct table;

/* @columns must outlive the table. NULL without memory. */
struct table *table_new(const struct column *columns, size_t n_columns);
void table_free(struct table *table);
DEFINE_CLEANUP(struct table *, table_free);

/*
 * Fills the next cell, row by row from the left; the text is made safe for a terminal. Only
 * table_print() tells that memory ran out.
 */
void table_add(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints titles and rows; a table without rows, its titles only if @empty_titles. @bold: titles in
 * bold. Returns 0 or -ENOMEM. */
int table_print(const struct table *table, FILE *file, bool empty_titles, bool bold);
