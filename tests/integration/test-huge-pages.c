/*
 * Huge pages: regions of hugetlb memfds, mapped in whole pages, and a sentence where the host has
 * none left. The pages are taken from the host for the time of the test.
 */
#include "proto/cleanup.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/smaps.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGES_FILE "/proc/sys/vm/nr_hugepages"
#define PAGES 4u
#define PAGE (UINT64_C(2) << 20)

static struct test_daemon daemon_;
static shmreg_conn *conn;
static unsigned pages_before;
static bool have_pages;

static unsigned read_pages(void) {
    _cleanup_fclose_ FILE *file = fopen(PAGES_FILE, "re");
    unsigned pages = 0;

    return file && fscanf(file, "%u", &pages) == 1 ? pages : 0;
}

static bool write_pages(unsigned pages) {
    FILE *file = fopen(PAGES_FILE, "we");

    return file && fprintf(file, "%u", pages) > 0 && fclose(file) == 0;
}

/* For all tests, in the process that outlives each: whatever happens, they are given back. */
static void take_pages(void) {
    pages_before = read_pages();
    have_pages = write_pages(pages_before + PAGES) && read_pages() == pages_before + PAGES;
    if (!have_pages)
        printf("skipped: the host has no %u huge pages of 2 MiB to give\n", PAGES);
}

static void give_pages_back(void) {
    write_pages(pages_before);
}

static void setup(void) {
    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
}

static void teardown(void) {
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}

START_TEST(test_a_region_of_huge_pages) {
    shmreg_region *region, *reader;

    if (!have_pages)
        return;
    expect_ok(
        shmreg_create(conn, "huge", PAGE + 1, SHMREG_OPTIONS(.flags = SHMREG_HUGE_2M), &region));
    ck_assert_uint_eq(shmreg_size(region), PAGE + 1);
    ck_assert_uint_eq(smaps_number(shmreg_data(region), "KernelPageSize"), 2048);
    ck_assert_uint_eq(smaps_number(shmreg_data(region), "Size"), 4096);
    fill(shmreg_data(region), PAGE + 1, 1);
    reader = open_region(conn, "huge", SHMREG_READ | SHMREG_POPULATE);
    ck_assert(is_filled(shmreg_data(reader), PAGE + 1, 1));
    ck_assert_uint_eq(smaps_number(shmreg_data(reader), "Shared_Hugetlb"), 4096);
    /* Sealed like any memfd, and advice to make it huge is nothing new. */
    ck_assert_int_eq(fcntl(shmreg_fd(region), F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_GROW),
                     F_SEAL_SHRINK | F_SEAL_GROW);
    ck_assert_int_eq(ftruncate(shmreg_fd(region), 0), -1);
    shmreg_close(reader);
    reader = open_region(conn, "huge", SHMREG_READ | SHMREG_HUGE | SHMREG_NO_DUMP);
    ck_assert(smaps_has_flag(shmreg_data(reader), "ht"));
    ck_assert(smaps_has_flag(shmreg_data(reader), "dd"));
}
END_TEST

START_TEST(test_what_is_charged_are_whole_pages) {
    struct shmreg_description *description;

    if (!have_pages)
        return;
    create_region(conn, "huge", 1, SHMREG_OPTIONS(.flags = SHMREG_HUGE_2M));
    expect_ok(shmreg_describe(conn, "huge", &description));
    ck_assert_uint_eq(description->size, 1);
    ck_assert_uint_eq(description->max_size, PAGE);
    ck_assert_uint_eq(description->backing, SHMREG_MEMFD);
    ck_assert_uint_eq(description->flags, SHMREG_HUGE_2M);
    shmreg_description_free(description);
}
END_TEST

START_TEST(test_it_grows_and_is_sealed) {
    shmreg_region *region;
    char *bytes;

    if (!have_pages)
        return;
    expect_ok(shmreg_create(
        conn, "huge", 1, SHMREG_OPTIONS(.flags = SHMREG_HUGE_2M, .max_size = 2 * PAGE), &region));
    bytes = shmreg_data(region);
    expect_ok(shmreg_resize(conn, "huge", 2 * PAGE));
    expect_ok(shmreg_refresh(region));
    ck_assert_ptr_eq(shmreg_data(region), bytes);
    bytes[shmreg_size(region) - 1] = 'x';
    expect_error(shmreg_seal(conn, "huge"), -EBUSY, "1 writer");
    shmreg_close(region);
    expect_ok(shmreg_seal(conn, "huge"));
    bytes = shmreg_data(open_region(conn, "huge", SHMREG_READ));
    ck_assert_int_eq(bytes[2 * PAGE - 1], 'x');
}
END_TEST

START_TEST(test_small_values_do_not_reach_huge_pages) {
    char value[16] = "value";
    size_t size;

    if (!have_pages)
        return;
    create_region(conn, "huge", 5, SHMREG_OPTIONS(.flags = SHMREG_HUGE_2M));
    expect_error(shmreg_put(conn, "huge", value, sizeof(value), 0600), -EOPNOTSUPP, "huge pages");
    expect_ok(shmreg_get(conn, "huge", value, sizeof(value), &size));
    ck_assert_uint_eq(size, 5);
    ck_assert_int_eq(value[0], 0);
}
END_TEST

START_TEST(test_more_than_the_host_has) {
    shmreg_region *first, *second;

    if (!have_pages)
        return;
    expect_ok(shmreg_create(conn, "first", PAGES * PAGE, SHMREG_OPTIONS(.flags = SHMREG_HUGE_2M),
                            &first));
    expect_error(
        shmreg_create(conn, "second", 3 * PAGE, SHMREG_OPTIONS(.flags = SHMREG_HUGE_2M), &second),
        -ENOMEM, "cannot map 3 huge pages of 2048 kB");
    ck_assert_ptr_nonnull(strstr(shmreg_error_message(), "are free"));
    ck_assert(!exists(conn, "second"));
    /* What was reserved at mapping is there: no SIGBUS. */
    memset(shmreg_data(first), 1, PAGES * PAGE);
    expect_ok(shmreg_destroy(conn, "first"));
    shmreg_close(first);
    create_region(conn, "second", 3 * PAGE, SHMREG_OPTIONS(.flags = SHMREG_HUGE_2M));
}
END_TEST

START_TEST(test_what_is_not_valid) {
    shmreg_region *region;

    expect_error(shmreg_create(conn, "huge", PAGE,
                               SHMREG_OPTIONS(.flags = SHMREG_HUGE_2M, .backing = SHMREG_SHM),
                               &region),
                 -EINVAL, "only a memfd");
    expect_error(shmreg_create(conn, "huge", PAGE,
                               SHMREG_OPTIONS(.flags = SHMREG_HUGE_2M | SHMREG_HUGE_1G), &region),
                 -EINVAL, "one size");
    if (access("/sys/kernel/mm/hugepages/hugepages-1048576kB", F_OK) < 0)
        expect_error(
            shmreg_create(conn, "huge", PAGE, SHMREG_OPTIONS(.flags = SHMREG_HUGE_1G), &region),
            -EOPNOTSUPP, "this host has no huge pages of 1G");
    ck_assert(!exists(conn, "huge"));
}
END_TEST

int main(void) {
    TCase *huge = tcase_create("huge");

    tcase_add_unchecked_fixture(huge, take_pages, give_pages_back);
    tcase_add_checked_fixture(huge, setup, teardown);
    tcase_set_timeout(huge, 30);
    tcase_add_test(huge, test_a_region_of_huge_pages);
    tcase_add_test(huge, test_what_is_charged_are_whole_pages);
    tcase_add_test(huge, test_it_grows_and_is_sealed);
    tcase_add_test(huge, test_small_values_do_not_reach_huge_pages);
    tcase_add_test(huge, test_more_than_the_host_has);
    tcase_add_test(huge, test_what_is_not_valid);
    return sandbox_run("huge-pages", &huge, 1);
}
