/*
 * Mapping options: each has the effect that it is for, which the kernel is asked about, and says
 * plainly when it cannot be had.
 */
#include "proto/cleanup.h"
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/smaps.h"
#include "tests/support/wait.h"

#include <fcntl.h>
#include <ftw.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define USER_ID 20001
#define PAGE 4096u
#define SIZE (64 * PAGE)
#define HUGE_SIZE (4u << 20)
#define THP_SETTING "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

static struct test_daemon daemon_;
static shmreg_conn *conn;

static void setup(void) {
    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
}

/* check(3) has no word for it. */
static void skip(const char *reason) {
    printf("skipped: %s\n", reason);
}

static void teardown(void) {
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}

static const struct {
    uint32_t option;
    const char *flag; /* of VmFlags in /proc/PID/smaps */
} marks[] = {
    {SHMREG_SEQUENTIAL, "sr"}, {SHMREG_RANDOM, "rr"},  {SHMREG_LOCK, "lo"},
    {SHMREG_NO_DUMP, "dd"},    {SHMREG_NO_FORK, "dc"},
};

START_TEST(test_an_option_marks_its_mapping_alone) {
    shmreg_region *plain, *marked, *created;

    create_region(conn, "region", SIZE, NULL);
    plain = open_region(conn, "region", SHMREG_READ);
    marked = open_region(conn, "region", SHMREG_READ | marks[_i].option);
    ck_assert_ptr_ne(shmreg_data(plain), shmreg_data(marked));
    ck_assert(!smaps_has_flag(shmreg_data(plain), marks[_i].flag));
    ck_assert(smaps_has_flag(shmreg_data(marked), marks[_i].flag));
    expect_ok(shmreg_create(conn, "created", SIZE, SHMREG_OPTIONS(.map_flags = marks[_i].option),
                            &created));
    ck_assert(smaps_has_flag(shmreg_data(created), marks[_i].flag));
    /* The same options share. */
    ck_assert_ptr_eq(shmreg_data(open_region(conn, "region", SHMREG_READ | marks[_i].option)),
                     shmreg_data(marked));
    ck_assert_uint_eq(count_readers(conn, "region"), 2);
}
END_TEST

START_TEST(test_populate_brings_every_page) {
    shmreg_region *region;

    expect_ok(shmreg_create(conn, "small", SIZE, SHMREG_OPTIONS(.max_size = 4 * SIZE), &region));
    ck_assert_uint_eq(smaps_number(shmreg_data(region), "Rss"), 0);
    shmreg_close(region);
    region = open_region(conn, "small", SHMREG_WRITE | SHMREG_POPULATE);
    ck_assert_uint_eq(smaps_number(shmreg_data(region), "Rss"), SIZE / 1024);
    shmreg_close(region);
    region = open_region(conn, "small", SHMREG_READ | SHMREG_POPULATE);
    ck_assert_uint_eq(smaps_number(shmreg_data(region), "Rss"), SIZE / 1024);
    shmreg_close(region);
    region = open_region(conn, "small", SHMREG_READ | SHMREG_PRIVATE | SHMREG_POPULATE);
    ck_assert_uint_eq(smaps_number(shmreg_data(region), "Rss"), SIZE / 1024);
    ck_assert_uint_eq(smaps_number(shmreg_data(region), "Anonymous"), 0);
}
END_TEST

static void lock_within_limit(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    shmreg_region *region;

    (void)channel;
    (void)data;
    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){SIZE, SIZE}), 0);
    region = open_region(own, "fits", SHMREG_READ | SHMREG_LOCK);
    ck_assert_uint_eq(smaps_number(shmreg_data(region), "Locked"), SIZE / 1024);
    expect_error(shmreg_open(own, "more", SHMREG_READ | SHMREG_LOCK, &region), -ENOMEM,
                 "RLIMIT_MEMLOCK is 262144 bytes");
    ck_assert_uint_eq(count_readers(own, "more"), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){0, 0}), 0);
    expect_error(shmreg_create(own, "own", SIZE, SHMREG_OPTIONS(.map_flags = SHMREG_LOCK), &region),
                 -EPERM, "RLIMIT_MEMLOCK is 0 bytes");
    ck_assert(!exists(own, "own"));
    shmreg_disconnect(own);
}

START_TEST(test_lock_has_a_limit) {
    create_region(conn, "fits", SIZE, SHMREG_OPTIONS(.mode = 0644));
    create_region(conn, "more", PAGE, SHMREG_OPTIONS(.mode = 0644));
    run_as(USER(USER_ID), lock_within_limit, NULL);
}
END_TEST

static void change_in_private(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    shmreg_region *private, *reader, *none;
    unsigned char *bytes;

    (void)channel;
    (void)data;
    expect_error(shmreg_open(own, "region", SHMREG_WRITE, &none), -EACCES, "right 'w'");
    private = open_region(own, "region", SHMREG_READ | SHMREG_PRIVATE);
    reader = open_region(own, "region", SHMREG_READ);
    ck_assert_int_eq(fcntl(shmreg_fd(private), F_GETFL) & O_ACCMODE, O_RDONLY);
    ck_assert(is_filled(shmreg_data(private), SIZE, 1));
    fill(shmreg_data(private), SIZE, 2);
    ck_assert(is_filled(shmreg_data(private), SIZE, 2));
    ck_assert(is_filled(shmreg_data(reader), SIZE, 1));
    bytes = shmreg_data(open_region(own, "region", SHMREG_READ | SHMREG_PRIVATE));
    ck_assert(is_filled(bytes, SIZE, 2));
    shmreg_disconnect(own);
}

START_TEST(test_private_changes_stay_private) {
    shmreg_region *region;
    pid_t pid;

    expect_ok(shmreg_create(conn, "region", SIZE,
                            SHMREG_OPTIONS(.mode = 0644, .backing = (uint32_t)_i), &region));
    fill(shmreg_data(region), SIZE, 1);
    run_as(USER(USER_ID), change_in_private, NULL);
    ck_assert(is_filled(shmreg_data(region), SIZE, 1));
    /* A forked worker has what its parent had changed, and keeps its own changes. */
    shmreg_close(region);
    region = open_region(conn, "region", SHMREG_READ | SHMREG_PRIVATE);
    *(char *)shmreg_data(region) = 'p';
    pid = fork();
    if (pid == 0) {
        bool inherited = *(char *)shmreg_data(region) == 'p';

        *(char *)shmreg_data(region) = 'c';
        _exit(inherited ? 0 : 1);
    }
    ck_assert_int_eq(wait_for_end(pid), 0);
    ck_assert_int_eq(*(char *)shmreg_data(region), 'p');
}
END_TEST

static int child_without(shmreg_region *region, void *address) {
    shmreg_region *again;
    char *trap;

    if (smaps_number(address, "Size") != 0 || shmreg_data(region) || shmreg_is_current(region))
        return 1;
    /* What comes to be at that address in the meantime is not the library's to unmap. */
    trap = mmap(address, SIZE, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (trap != address || shmreg_open(conn, "region", SHMREG_READ | SHMREG_NO_FORK, &again) != 0 ||
        *(char *)shmreg_data(again) != 'x')
        return 2;
    shmreg_close(again);
    if (shmreg_refresh(region) != 0 || *(char *)shmreg_data(region) != 'x' ||
        !shmreg_is_current(region))
        return 3;
    shmreg_drop_old(region);
    shmreg_disconnect(conn);
    *trap = 1;
    return 0;
}

START_TEST(test_no_fork_stays_with_the_parent) {
    shmreg_region *region;
    void *address;
    pid_t pid;

    create_region(conn, "region", SIZE, NULL);
    region = open_region(conn, "region", SHMREG_WRITE);
    *(char *)shmreg_data(region) = 'x';
    shmreg_close(region);
    region = open_region(conn, "region", SHMREG_READ | SHMREG_NO_FORK);
    address = shmreg_data(region);
    pid = fork();
    if (pid == 0)
        _exit(child_without(region, address));
    ck_assert_int_eq(wait_for_end(pid), 0);
    ck_assert_ptr_eq(shmreg_data(region), address);
    ck_assert(shmreg_is_current(region));
    ck_assert_uint_eq(count_readers(conn, "region"), 1);
}
END_TEST

/* Of the pages of this region's file, those in memory. */
static size_t resident_pages(shmreg_region *region) {
    unsigned char vector[SIZE / PAGE];
    size_t n = 0;

    ck_assert_int_eq(mincore(shmreg_data(region), SIZE, vector), 0);
    for (size_t i = 0; i < ARRAY_SIZE(vector); i++)
        n += vector[i] & 1;
    return n;
}

static bool is_resident(void *data) {
    return resident_pages(data) == SIZE / PAGE;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place) {
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

START_TEST(test_willneed_reads_a_file_in) {
    char state[] = "/var/tmp/shmreg-test-XXXXXX";
    shmreg_region *region;

    ck_assert_ptr_nonnull(mkdtemp(state));
    ck_assert_int_eq(chown(state, DAEMON_UID, DAEMON_UID), 0);
    daemon_prepare(&daemon_, "{}");
    ck_assert_int_eq(mount(state, daemon_.state, NULL, MS_BIND, NULL), 0);
    daemon_launch(&daemon_);
    conn = connect_to(&daemon_);
    expect_ok(shmreg_create(conn, "file", SIZE, SHMREG_OPTIONS(.backing = SHMREG_FILE), &region));
    fill(shmreg_data(region), SIZE, 1);
    ck_assert_int_eq(fsync(shmreg_fd(region)), 0);
    shmreg_close(region);
    region = open_region(conn, "file", SHMREG_READ | SHMREG_RANDOM);
    ck_assert_int_eq(posix_fadvise(shmreg_fd(region), 0, 0, POSIX_FADV_DONTNEED), 0);
    ck_assert_uint_eq(resident_pages(region), 0);
    open_region(conn, "file", SHMREG_READ | SHMREG_WILLNEED);
    wait_until(is_resident, region);
    expect_ok(shmreg_destroy(conn, "file"));
    expect_error(shmreg_create(conn, "file", SIZE,
                               SHMREG_OPTIONS(.backing = SHMREG_FILE, .map_flags = SHMREG_HUGE),
                               &region),
                 -EOPNOTSUPP, "a file on a disk");
    teardown();
    ck_assert_int_eq(umount(daemon_.state), 0);
    ck_assert_int_eq(nftw(state, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}
END_TEST

/* A daemon whose /dev/shm has the option huge=. */
static void start_with_huge(const char *option) {
    daemon_prepare(&daemon_, "{}");
    ck_assert_int_eq(mount("tmpfs", "/dev/shm", "tmpfs", 0, option), 0);
    daemon_launch(&daemon_);
    conn = connect_to(&daemon_);
}

START_TEST(test_huge_where_dev_shm_allows) {
    shmreg_region *region;

    if (access(THP_SETTING, F_OK) < 0) {
        skip("the kernel has no transparent huge pages");
        return;
    }
    start_with_huge("mode=1777,huge=advise");
    expect_ok(shmreg_create(conn, "huge", HUGE_SIZE,
                            SHMREG_OPTIONS(.map_flags = SHMREG_HUGE | SHMREG_POPULATE), &region));
    ck_assert(smaps_has_flag(shmreg_data(region), "hg"));
    ck_assert_uint_eq(smaps_number(shmreg_data(region), "THPeligible"), 1);
    ck_assert_uint_eq(smaps_number(shmreg_data(region), "Rss"), HUGE_SIZE / 1024);
    shmreg_close(region);
    region = open_region(conn, "huge", SHMREG_WRITE);
    ck_assert(!smaps_has_flag(shmreg_data(region), "hg"));
    teardown();
}
END_TEST

START_TEST(test_huge_where_dev_shm_forbids) {
    shmreg_region *region;

    start_with_huge("mode=1777,huge=never");
    expect_error(
        shmreg_create(conn, "huge", HUGE_SIZE, SHMREG_OPTIONS(.map_flags = SHMREG_HUGE), &region),
        -EOPNOTSUPP, "the tmpfs on /dev/shm is mounted without huge=advise");
    ck_assert(!exists(conn, "huge"));
    teardown();
}
END_TEST

START_TEST(test_huge_of_a_memfd_follows_the_host) {
    const struct shmreg_options *options =
        SHMREG_OPTIONS(.backing = SHMREG_MEMFD, .map_flags = SHMREG_HUGE);
    _cleanup_fclose_ FILE *file = fopen(THP_SETTING, "re");
    char setting[128] = "";
    shmreg_region *region;

    if (!file || !fgets(setting, sizeof(setting), file) || strstr(setting, "[never]") ||
        strstr(setting, "[deny]")) {
        expect_error(shmreg_create(conn, "huge", HUGE_SIZE, options, &region), -EOPNOTSUPP,
                     "no transparent huge pages");
        ck_assert(!exists(conn, "huge"));
        return;
    }
    expect_ok(shmreg_create(conn, "huge", HUGE_SIZE, options, &region));
    ck_assert(smaps_has_flag(shmreg_data(region), "hg"));
}
END_TEST

static int policy_at(const void *address, unsigned long *ret_nodes) {
    int policy;

    *ret_nodes = 0;
    ck_assert_int_eq(syscall(SYS_get_mempolicy, &policy, ret_nodes, 65, address, MPOL_F_ADDR), 0);
    return policy;
}

START_TEST(test_numa_policy_of_a_region) {
    shmreg_region *region, *reader;
    unsigned long nodes;

    expect_ok(
        shmreg_create(conn, "region", SIZE, SHMREG_OPTIONS(.backing = (uint32_t)_i), &region));
    expect_error(shmreg_numa(region, (enum shmreg_numa_policy)77, 1), -EINVAL, "77");
    expect_error(shmreg_numa(region, SHMREG_NUMA_BIND, 0), -EINVAL, "node");
    expect_error(shmreg_numa(region, SHMREG_NUMA_DEFAULT, 1), -EINVAL, "without nodes");
    if (syscall(SYS_get_mempolicy, NULL, NULL, 0, NULL, 0) < 0) {
        expect_error(shmreg_numa(region, SHMREG_NUMA_BIND, 1), -EOPNOTSUPP, "NUMA");
        skip("the kernel has no NUMA policies");
        return;
    }
    expect_error(shmreg_numa(region, SHMREG_NUMA_BIND, UINT64_C(1) << 63 | 1), -EINVAL,
                 "no memory on NUMA node 63");
    expect_ok(shmreg_numa(region, SHMREG_NUMA_BIND, 1));
    ck_assert_int_eq(policy_at(shmreg_data(region), &nodes), MPOL_BIND);
    ck_assert_uint_eq(nodes, 1);
    fill(shmreg_data(region), SIZE, 1);
    expect_ok(shmreg_numa(region, SHMREG_NUMA_INTERLEAVE, 1));
    reader = open_region(conn, "region", SHMREG_READ);
    ck_assert_int_eq(policy_at(shmreg_data(reader), &nodes), MPOL_INTERLEAVE);
    expect_ok(shmreg_numa(region, SHMREG_NUMA_DEFAULT, 0));
    ck_assert_int_eq(policy_at(shmreg_data(region), &nodes), MPOL_DEFAULT);
    ck_assert(is_filled(shmreg_data(region), SIZE, 1));
}
END_TEST

static const uint32_t contradictions[] = {
    0,
    SHMREG_READ | SHMREG_WRITE,
    SHMREG_PRIVATE,
    SHMREG_WRITE | SHMREG_PRIVATE,
    SHMREG_READ | SHMREG_SEQUENTIAL | SHMREG_RANDOM,
    SHMREG_READ | 4,
    SHMREG_READ | 0x80000000u,
};

START_TEST(test_what_does_not_go_together) {
    shmreg_region *region;

    create_region(conn, "region", SIZE, NULL);
    expect_error(shmreg_open(conn, "region", contradictions[_i], &region), -EINVAL, "");
    ck_assert_str_ne(shmreg_error_message(), "");
    expect_error(
        shmreg_create(conn, "new", SIZE, SHMREG_OPTIONS(.map_flags = SHMREG_PRIVATE), &region),
        -EINVAL, "SHMREG_PRIVATE");
    ck_assert_uint_eq(count_readers(conn, "region") + count_writers(conn, "region"), 0);
}
END_TEST

int main(void) {
    TCase *plain = tcase_create("plain"), *special = tcase_create("special");
    TCase *cases[] = {plain, special};

    tcase_add_checked_fixture(plain, setup, teardown);
    tcase_set_timeout(plain, 30);
    tcase_add_loop_test(plain, test_an_option_marks_its_mapping_alone, 0, (int)ARRAY_SIZE(marks));
    tcase_add_test(plain, test_populate_brings_every_page);
    tcase_add_test(plain, test_lock_has_a_limit);
    tcase_add_loop_test(plain, test_private_changes_stay_private, SHMREG_SHM, SHMREG_FILE + 1);
    tcase_add_test(plain, test_no_fork_stays_with_the_parent);
    tcase_add_test(plain, test_huge_of_a_memfd_follows_the_host);
    tcase_add_loop_test(plain, test_numa_policy_of_a_region, SHMREG_SHM, SHMREG_MEMFD + 1);
    tcase_add_loop_test(plain, test_what_does_not_go_together, 0, (int)ARRAY_SIZE(contradictions));
    tcase_set_timeout(special, 30);
    tcase_add_test(special, test_willneed_reads_a_file_in);
    tcase_add_test(special, test_huge_where_dev_shm_allows);
    tcase_add_test(special, test_huge_where_dev_shm_forbids);
    return sandbox_run("mapping-options", cases, ARRAY_SIZE(cases));
}
