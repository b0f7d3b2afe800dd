/*
 * Tables: columns as wide as their content, at the right or the left, safe on a terminal.
 */
#include "client/ctl/table.h"
#include "tests/unit/suite.h"

#include <string.h>

static const struct column columns[] = {{"NAME"}, {"SIZE", true}, {"OWNER"}};

static char *print(const struct table *table, bool empty_titles, bool bold) {
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);

    ck_assert_int_eq(table_print(table, file, empty_titles, bold), 0);
    fclose(file);
    return text;
}

START_TEST(columns_line_up) {
    _cleanup_(cleanup_table_free) struct table *table = table_new(columns, ARRAY_SIZE(columns));
    _cleanup_free_ char *text = NULL;

    table_add(table, "a");
    table_add(table, "%d B", 512);
    table_add(table, "root");
    table_add(table, "feed/prices");
    table_add(table, "4 KiB");
    table_add(table, "j\xc3\xb6rg");
    text = print(table, false, false);
    ck_assert_str_eq(text, "NAME          SIZE  OWNER\n"
                           "a            512 B  root\n"
                           "feed/prices  4 KiB  j\xc3\xb6rg\n");
}
END_TEST

START_TEST(an_empty_table_has_titles_on_request) {
    _cleanup_(cleanup_table_free) struct table *table = table_new(columns, ARRAY_SIZE(columns));
    _cleanup_free_ char *nothing = print(table, false, true);
    _cleanup_free_ char *titles = print(table, true, false);

    ck_assert_str_eq(nothing, "");
    ck_assert_str_eq(titles, "NAME  SIZE  OWNER\n");
}
END_TEST

START_TEST(titles_are_bold_and_cells_are_safe) {
    _cleanup_(cleanup_table_free) struct table *table = table_new(columns, ARRAY_SIZE(columns));
    _cleanup_free_ char *text = NULL;

    for (int i = 0; i < 3; i++)
        table_add(table, "x\033");
    text = print(table, false, true);
    ck_assert_ptr_eq(strstr(text, "\033[1mNAME"), text);
    ck_assert_ptr_nonnull(strstr(text, "\033[0mx\\u001b  x\\u001b  x\\u001b\n"));
}
END_TEST

START_TEST(many_rows) {
    _cleanup_(cleanup_table_free) struct table *table = table_new(columns, ARRAY_SIZE(columns));
    _cleanup_free_ char *text = NULL;
    size_t lines = 0;

    for (int i = 0; i < 3 * 5000; i++)
        table_add(table, "%d", i);
    text = print(table, false, false);
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    ck_assert_uint_eq(lines, 5001);
    ck_assert_ptr_nonnull(strstr(text, "\n14997  14998  14999\n"));
}
END_TEST

SUITE_MAIN("ctl-table", columns_line_up, an_empty_table_has_titles_on_request,
           titles_are_bold_and_cells_are_safe, many_rows);
