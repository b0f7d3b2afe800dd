/*
 * Tables: see table.h.
 */
#include "client/ctl/table.h"

#include "client/ctl/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#define GAP 2 /* blanks between columns */

struct table {
    const struct column *columns;
    size_t n_columns;
    char **cells; /* row by row */
    size_t n_cells;
    size_t capacity;
    bool out_of_memory;
};

struct table *table_new(const struct column *columns, size_t n_columns) {
    struct table *table = calloc(1, sizeof(*table));

    if (table) {
        table->columns = columns;
        table->n_columns = n_columns;
    }
    return table;
}

void table_free(struct table *table) {
    for (size_t i = 0; i < table->n_cells; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table);
}

static bool make_room(struct table *table) {
    size_t capacity = table->capacity ? table->capacity * 2 : 64;
    char **cells;

    if (table->n_cells < table->capacity)
        return true;
    cells = reallocarray(table->cells, capacity, sizeof(*cells));
    if (!cells)
        return false;
    table->cells = cells;
    table->capacity = capacity;
    return true;
}

void table_add(struct table *table, const char *format, ...) {
    _cleanup_free_ char *text = NULL;
    char *cell = NULL;
    va_list arguments;
    int r;

    va_start(arguments, format);
    r = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (r < 0)
        text = NULL;
    else if (make_room(table))
        cell = text_escape(text);
    if (cell)
        table->cells[table->n_cells++] = cell;
    else
        table->out_of_memory = true;
}

static int column_width(const struct table *table, size_t column) {
    int width = text_width(table->columns[column].title);

    for (size_t i = column; i < table->n_cells; i += table->n_columns) {
        int cell = text_width(table->cells[i]);

        if (cell > width)
            width = cell;
    }
    return width;
}

static void print_cell(const struct table *table, FILE *file, size_t column, int width,
                       const char *text) {
    int padding = width - text_width(text);
    bool last = column + 1 == table->n_columns;

    if (table->columns[column].right)
        fprintf(file, "%*s%s%*s", padding, "", text, last ? 0 : GAP, "");
    else
        fprintf(file, "%s%*s", text, last ? 0 : padding + GAP, "");
    if (last)
        fputc('\n', file);
}

int table_print(const struct table *table, FILE *file, bool empty_titles, bool bold) {
    _cleanup_free_ int *widths = calloc(table->n_columns, sizeof(*widths));

    if (table->out_of_memory || !widths)
        return -ENOMEM;
    if (table->n_cells == 0 && !empty_titles)
        return 0;
    fputs(bold ? "\033[1m" : "", file);
    for (size_t i = 0; i < table->n_columns; i++) {
        widths[i] = column_width(table, i);
        print_cell(table, file, i, widths[i], table->columns[i].title);
    }
    fputs(bold ? "\033[0m" : "", file);
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t column = i % table->n_columns;

        print_cell(table, file, column, widths[column], table->cells[i]);
    }
    return 0;
}
