/*
 * Segments of every backing in directories of the test's own: modes, names, seals, descriptors,
 * reading, writing, renaming, removing; nothing is left after any failure.
 */
#include "daemon/core/kept.h"
#include "tests/unit/world.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE 5000u
#define MAX_SIZE 20000u

/* /dev/shm and segments/ of these tests are two empty directories. */
static char directory[] = "/tmp/shmreg-segment-XXXXXX";
static struct kept nothing_kept;
static struct segment_places places = {.instance = "0123456789abcdef", .kept = &nothing_kept};
static struct config config;
static struct quota *quota;

static int open_directory(const char *name) {
    int fd;

    ck_assert_int_eq(mkdir(name, 0700), 0);
    fd = open(name, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static void setup(void) {
    unsetenv("NOTIFY_SOCKET");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(chdir(directory), 0);
    places.shm_directory = open_directory("shm");
    places.file_directory = open_directory("file");
    for (size_t i = 0; i < LIMIT_KIND_COUNT; i++)
        config.user.most[i] = config.total.most[i] = LIMIT_NONE;
    ck_assert_int_eq(quota_new(&config, &quota), 0);
}

/* Fails unless everything is removed, closed and given back. */
static void teardown(void) {
    ck_assert_uint_eq(quota_used(quota, LIMIT_BYTES), 0);
    quota_free(quota);
    close(places.shm_directory);
    close(places.file_directory);
    ck_assert_int_eq(rmdir("shm"), 0);
    ck_assert_int_eq(rmdir("file"), 0);
    ck_assert_int_eq(rmdir(directory), 0);
}

static int try_new(enum backing backing, uint64_t id, struct segment **ret, struct error *error) {
    struct charge *charge;

    ck_assert_int_eq(quota_charge(quota, &(struct payer){.uid = WORLD_UID}, LIMIT_BYTES, MAX_SIZE,
                                  &charge, NULL),
                     0);
    return segment_new(&places, backing, 0, id, 1, SIZE, MAX_SIZE, charge, ret, error);
}

static struct segment *make(enum backing backing) {
    struct segment *segment = NULL;
    struct error error = {0};
    int r = try_new(backing, 7, &segment, &error);

    ck_assert_msg(r == 0, "%s", error.text);
    return segment;
}

static void finish(struct segment *segment) {
    segment_remove(segment);
    segment_unref(segment);
}

static int open_flags(int fd) {
    int flags = fcntl(fd, F_GETFL);

    ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    return flags & O_ACCMODE;
}

#define EACH_BACKING(backing)                                                                      \
    unsigned backing = BACKING_SHM;                                                                \
    backing <= BACKING_FILE;                                                                       \
    backing++

START_TEST(it_is_zero_private_to_the_daemon_and_charged) {
    setup();
    for (EACH_BACKING(backing)) {
        static const char zeros[SIZE];
        struct segment *segment = make(backing);
        char content[SIZE];
        struct stat status;
        int fd = segment_open(segment, O_RDONLY, NULL);

        ck_assert_int_eq(fstat(fd, &status), 0);
        ck_assert_uint_eq(status.st_mode, S_IFREG | 0600);
        ck_assert_int_eq(status.st_size, backing == BACKING_MEMFD ? MAX_SIZE : SIZE);
        ck_assert_int_eq(segment_read(segment, 0, content, SIZE, NULL), 0);
        ck_assert_mem_eq(content, zeros, SIZE);
        ck_assert_uint_eq(quota_used(quota, LIMIT_BYTES), MAX_SIZE);
        ck_assert_int_eq(segment_check(segment, NULL), 0);
        close(fd);
        finish(segment);
        ck_assert_uint_eq(quota_used(quota, LIMIT_BYTES), 0);
    }
    teardown();
}
END_TEST

START_TEST(every_open_is_a_description_of_its_own_with_that_access) {
    setup();
    for (EACH_BACKING(backing)) {
        struct segment *segment = make(backing);
        int reader = segment_open(segment, O_RDONLY, NULL);
        int writer = segment_open(segment, O_RDWR, NULL);

        ck_assert_int_eq(open_flags(reader), O_RDONLY);
        ck_assert_int_eq(open_flags(writer), O_RDWR);
        ck_assert_int_eq((int)lseek(writer, 10, SEEK_SET), 10);
        ck_assert_int_eq((int)lseek(reader, 0, SEEK_CUR), 0);
        ck_assert_ptr_eq(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0),
                         MAP_FAILED);
        ck_assert_int_eq(errno, EACCES);
        ck_assert_ptr_ne(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, writer, 0),
                         MAP_FAILED);
        close(reader);
        close(writer);
        finish(segment);
    }
    teardown();
}
END_TEST

START_TEST(no_writer_can_resize_a_memfd) {
    struct segment *segment;
    int fd;

    setup();
    segment = make(BACKING_MEMFD);
    fd = segment_open(segment, O_RDWR, NULL);
    ck_assert_int_eq(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW);
    ck_assert_int_eq(ftruncate(fd, 0), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(ftruncate(fd, MAX_SIZE + 1), -1);
    close(fd);
    finish(segment);
    teardown();
}
END_TEST

START_TEST(what_is_written_is_read_by_whoever_opened_it_before) {
    setup();
    for (EACH_BACKING(backing)) {
        struct segment *segment = make(backing);
        int fd = segment_open(segment, O_RDONLY, NULL);
        const char *map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
        char content[3];

        ck_assert_int_eq(segment_write(segment, SIZE - 3, "end", 3, NULL), 0);
        ck_assert_mem_eq(map + SIZE - 3, "end", 3);
        ck_assert_int_eq(segment_read(segment, SIZE - 3, content, 3, NULL), 0);
        ck_assert_mem_eq(content, "end", 3);
        close(fd);
        finish(segment);
    }
    teardown();
}
END_TEST

START_TEST(a_name_is_given_changed_and_taken) {
    static const enum backing named[] = {BACKING_SHM, BACKING_FILE};
    const int *directories[] = {&places.shm_directory, &places.file_directory};

    setup();
    for (size_t i = 0; i < ARRAY_SIZE(named); i++) {
        struct segment *segment = make(named[i]);
        int at = *directories[i];

        char first[SEGMENT_NAME_MAX], second[SEGMENT_NAME_MAX];

        segment_name(segment, first);
        ck_assert_int_eq(faccessat(at, first, F_OK, 0), 0);
        ck_assert_int_eq(segment_sync(segment, true, NULL), 0);
        ck_assert_int_eq(segment_rename(segment, 9, 3, NULL), 0);
        ck_assert_int_ne(faccessat(at, first, F_OK, 0), 0);
        segment_name(segment, second);
        ck_assert_ptr_nonnull(strstr(second, "shmreg.0123456789abcdef.9.3"));
        ck_assert_int_eq(faccessat(at, second, F_OK, 0), 0);
        ck_assert_int_eq(segment_check(segment, NULL), 0);
        segment_remove(segment);
        ck_assert_int_ne(faccessat(at, second, F_OK, 0), 0);
        ck_assert_int_eq(segment_check(segment, NULL), -ENOENT);
        segment_unref(segment);
    }
    teardown();
}
END_TEST

START_TEST(a_rename_that_fails_changes_nothing) {
    struct error error = {0};
    struct segment *segment;

    setup();
    segment = make(BACKING_SHM);
    segment_remove(segment);
    ck_assert_int_eq(segment_rename(segment, 9, 3, &error), -ENOENT);
    ck_assert_uint_eq(segment->id, 7);
    ck_assert_uint_eq(segment->version, 1);
    segment_unref(segment);
    teardown();
}
END_TEST

START_TEST(a_name_that_is_taken_is_an_error_and_stays_anothers) {
    struct segment *first, *second = NULL;
    struct error error = {0};

    setup();
    first = make(BACKING_SHM);
    ck_assert_int_eq(try_new(BACKING_SHM, 7, &second, &error), -EEXIST);
    ck_assert_uint_eq(quota_used(quota, LIMIT_BYTES), MAX_SIZE);
    ck_assert_int_eq(segment_check(first, NULL), 0);
    finish(first);
    teardown();
}
END_TEST

static void name_of(uint64_t id, uint32_t version, char ret[static SEGMENT_NAME_MAX]) {
    struct segment segment = {.places = &places, .backing = BACKING_SHM};

    ck_assert_int_eq(segment_set_name(&segment, id, version), 0);
    segment_name(&segment, ret);
}

START_TEST(a_symbolic_link_in_its_place_is_not_followed) {
    struct segment *segment = NULL;
    struct error error = {0};
    char name[SEGMENT_NAME_MAX];

    setup();
    name_of(7, 1, name);
    ck_assert_int_eq(symlinkat("/etc/passwd", places.shm_directory, name), 0);
    ck_assert_int_eq(try_new(BACKING_SHM, 7, &segment, &error), -EEXIST);
    ck_assert_int_eq(segment_new_existing(&places, BACKING_SHM, 7, 1, SIZE, SIZE, -1, &segment), 0);
    ck_assert_int_eq(segment_open(segment, O_RDONLY, NULL), -ELOOP);
    finish(segment);
    teardown();
}
END_TEST

START_TEST(a_segment_too_large_leaves_nothing) {
    const struct rlimit limit = {.rlim_cur = SIZE - 1, .rlim_max = RLIM_INFINITY};

    setup();
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (EACH_BACKING(backing)) {
        unsigned before = count_descriptors();
        struct segment *segment = NULL;
        struct error error = {0};

        ck_assert_int_eq(try_new(backing, 7, &segment, &error), -EFBIG);
        ck_assert_ptr_nonnull(strstr(error.text, backing_to_word(backing)));
        ck_assert_uint_eq(count_descriptors(), before);
        ck_assert_uint_eq(quota_used(quota, LIMIT_BYTES), 0);
    }
    teardown();
}
END_TEST

START_TEST(without_descriptors_it_is_an_error_and_leaves_nothing) {
    struct rlimit limit;
    rlim_t kept;

    setup();
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    kept = limit.rlim_cur;
    limit.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (EACH_BACKING(backing)) {
        struct segment *segment = NULL;

        ck_assert_int_eq(try_new(backing, 7, &segment, NULL), -EMFILE);
    }
    limit.rlim_cur = kept;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    teardown();
}
END_TEST

START_TEST(a_writer_that_truncates_is_found_out) {
    struct error error = {0};
    struct segment *segment;
    char content[SIZE];
    int fd;

    setup();
    segment = make(BACKING_SHM);
    fd = segment_open(segment, O_RDWR, NULL);
    ck_assert_int_eq(ftruncate(fd, 100), 0);
    ck_assert_int_eq(segment_check(segment, &error), -EUCLEAN);
    ck_assert_str_eq(error.text, "it has 100 bytes where 5000 were given");
    ck_assert_int_eq(segment_read(segment, 0, content, SIZE, &error), -EUCLEAN);
    ck_assert_str_eq(error.text, "a writer has truncated the segment to 100 bytes");
    close(fd);
    finish(segment);
    teardown();
}
END_TEST

START_TEST(what_is_no_segment_of_the_daemon_is_found_out) {
    struct segment *segment;

    setup();
    segment = make(BACKING_FILE);
    ck_assert_int_eq(chmod("file/shmreg.0123456789abcdef.7.1", 0644), 0);
    ck_assert_int_eq(segment_check(segment, NULL), -EPERM);
    ck_assert_int_eq(chmod("file/shmreg.0123456789abcdef.7.1", 0600), 0);
    ck_assert_int_eq(chown("file/shmreg.0123456789abcdef.7.1", OTHER_UID, OTHER_UID), 0);
    ck_assert_int_eq(segment_check(segment, NULL), -EPERM);
    finish(segment);
    teardown();
}
END_TEST

/* Each version of each region has a suffix of its own, and every other secret another. */
START_TEST(what_others_see_does_not_tell_the_next_name) {
    char names[4][SEGMENT_NAME_MAX];

    name_of(7, 1, names[0]);
    name_of(7, 1, names[1]);
    ck_assert_str_eq(names[0], names[1]);
    name_of(7, 2, names[1]);
    name_of(8, 1, names[2]);
    places.secret.qwords[0] ^= 1;
    name_of(7, 1, names[3]);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        ck_assert_ptr_nonnull(strrchr(names[i], '.'));
        ck_assert_uint_eq(strlen(strrchr(names[i], '.') + 1), 16);
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(strrchr(names[i], '.'), strrchr(names[j], '.'));
    }
}
END_TEST

START_TEST(an_older_daemons_name_is_found_and_only_its_own) {
    static const char older[] = "shmreg.0123456789abcdef.7.1";
    struct segment segment = {.places = &places, .backing = BACKING_SHM};
    int fd;

    setup();
    ck_assert_int_eq(segment_find_name(&segment, 7, 1), 0);
    ck_assert_uint_ne(segment.suffix, 0);
    fd = openat(places.shm_directory, older, O_CREAT | O_RDWR | O_CLOEXEC, SEGMENT_MODE);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(segment_find_name(&segment, 7, 1), 0);
    ck_assert_uint_eq(segment.suffix, 0);
    ck_assert_int_eq(fchown(fd, OTHER_UID, OTHER_UID), 0);
    ck_assert_int_eq(segment_find_name(&segment, 7, 1), 0);
    ck_assert_uint_ne(segment.suffix, 0);
    ck_assert_int_eq(unlinkat(places.shm_directory, older, 0), 0);
    close(fd);
    teardown();
}
END_TEST

SUITE_MAIN("segment", it_is_zero_private_to_the_daemon_and_charged,
           every_open_is_a_description_of_its_own_with_that_access, no_writer_can_resize_a_memfd,
           what_is_written_is_read_by_whoever_opened_it_before, a_name_is_given_changed_and_taken,
           a_rename_that_fails_changes_nothing, a_name_that_is_taken_is_an_error_and_stays_anothers,
           a_symbolic_link_in_its_place_is_not_followed, a_segment_too_large_leaves_nothing,
           without_descriptors_it_is_an_error_and_leaves_nothing,
           a_writer_that_truncates_is_found_out, what_is_no_segment_of_the_daemon_is_found_out,
           what_others_see_does_not_tell_the_next_name,
           an_older_daemons_name_is_found_and_only_its_own);
