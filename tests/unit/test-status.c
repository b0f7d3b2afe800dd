/*
 * Status page: versions that only move on, sleepers that are woken, and a full file system that is
 * an error code.
 */
#include "daemon/ground/status.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define MiB ((uint64_t)1 << 20)
#define FILE_PATH SCRATCH "/status"
#define PAGE_SIZE (STATUS_SLOTS * sizeof(struct status_slot))
#define STRANGER 20001
#define SLOTS_OF_A_BLOCK (4096 / sizeof(struct status_slot))

static struct status_page *open_page(void) {
    struct status_page *page;
    struct error error = {0};
    int r = status_page_open(SCRATCH, &page, &error);

    ck_assert_msg(r == 0, "%s", error.text);
    return page;
}

#define FIRST_VERSION (1u << SLOT_REGION_VERSION_SHIFT)

static uint32_t take(struct status_page *page) {
    uint32_t slot;

    ck_assert_int_eq(status_slot_take(page, &slot), 0);
    return slot;
}

static void change(struct status_page *page, uint32_t slot, uint32_t flags) {
    status_slot_change(page, slot, status_slot_version(page, slot) + 1, flags);
}

/* A slot that a region has. */
static uint32_t take_live(struct status_page *page) {
    uint32_t slot = take(page);

    change(page, slot, SLOT_LIVE | FIRST_VERSION);
    return slot;
}

static uint32_t turn_of(const struct status_slot *slot) {
    return (slot->flags & SLOT_TURN_MASK) >> SLOT_TURN_SHIFT;
}

/* What a client sees. */
static const struct status_slot *map_as_client(const struct status_page *page) {
    void *map = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, status_page_fd(page), 0);

    ck_assert_ptr_ne(map, MAP_FAILED);
    return map;
}

START_TEST(a_slot_tells_of_its_region) {
    const struct status_slot *seen;
    struct status_words words;
    struct status_page *page;
    uint32_t slot, turn;

    scratch_mount(16 * MiB);
    page = open_page();
    seen = map_as_client(page);
    slot = take(page);
    ck_assert_uint_eq(take(page), slot + 1);
    ck_assert_uint_eq(seen[slot].flags & ~SLOT_TURN_MASK, 0);
    turn = turn_of(&seen[slot]);
    status_slot_change(page, slot, 7, SLOT_LIVE | SLOT_SEALED);
    words = status_slot_read(&seen[slot]);
    ck_assert_uint_eq(words.version, 7);
    ck_assert_uint_eq(words.version, seen[slot].version);
    ck_assert_uint_eq(words.flags, seen[slot].flags);
    ck_assert_uint_eq(words.flags & ~SLOT_TURN_MASK, SLOT_LIVE | SLOT_SEALED);
    ck_assert_uint_eq(status_slot_version(page, slot), 7);
    ck_assert_uint_eq(status_slot_flags(page, slot), SLOT_LIVE | SLOT_SEALED);
    ck_assert_uint_eq(turn_of(&seen[slot]), turn);
    status_page_close(page);
}
END_TEST

START_TEST(the_version_goes_on_with_the_next_region) {
    const struct status_slot *seen;
    struct status_page *page;
    uint32_t slot, version, turn;

    scratch_mount(16 * MiB);
    page = open_page();
    seen = map_as_client(page);
    slot = take_live(page);
    turn = turn_of(&seen[slot]);
    change(page, slot, SLOT_DESTROYED);
    status_slot_release(page, slot);
    version = seen[slot].version;
    status_page_close(page);

    for (unsigned i = 1; i <= 40; i++) {
        page = open_page();
        ck_assert_uint_eq(take(page), slot);
        ck_assert_uint_eq(seen[slot].version, version);
        ck_assert_uint_eq(turn_of(&seen[slot]), (turn + i) % 32);
        status_page_close(page);
    }
}
END_TEST

START_TEST(all_slots_can_be_taken_and_no_more) {
    struct status_page *page;
    uint32_t slot;

    scratch_mount(16 * MiB);
    page = open_page();
    for (uint32_t i = 0; i < STATUS_SLOTS; i++)
        ck_assert_uint_eq(take(page), i);
    ck_assert_int_eq(status_slot_take(page, &slot), -ENOSPC);
    status_slot_release(page, 4711);
    ck_assert_uint_eq(take(page), 4711);
    status_slot_release(page, STATUS_SLOTS - 1);
    status_slot_release(page, 0);
    ck_assert_uint_eq(take(page), STATUS_SLOTS - 1);
    ck_assert_uint_eq(take(page), 0);
    ck_assert_int_eq(status_slot_take(page, &slot), -ENOSPC);
    status_page_close(page);
}
END_TEST

START_TEST(a_restarted_daemon_goes_on_with_the_page) {
    const struct status_slot *seen;
    struct status_page *page;
    uint32_t kept, lost, kept_version, lost_version;

    scratch_mount(16 * MiB);
    page = open_page();
    seen = map_as_client(page);
    kept = take_live(page);
    lost = take_live(page);
    kept_version = seen[kept].version;
    lost_version = seen[lost].version;
    status_page_close(page);

    page = open_page();
    ck_assert_int_eq(status_slot_claim(page, kept), 0);
    ck_assert_int_eq(status_slot_claim(page, kept), -EBUSY);
    ck_assert_int_eq(status_slot_claim(page, STATUS_SLOTS), -EINVAL);
    status_page_settle(page);
    ck_assert_uint_eq(seen[kept].version, kept_version);
    ck_assert_uint_eq(status_slot_flags(page, kept), SLOT_LIVE | FIRST_VERSION);
    ck_assert_uint_eq(seen[lost].version, lost_version + 1);
    ck_assert_uint_eq(status_slot_flags(page, lost), SLOT_DESTROYED | FIRST_VERSION);
    ck_assert_uint_eq(take(page), lost);
    status_page_close(page);
}
END_TEST

/* A client of another user: sleeps on its slot until the version moves. */
static _Noreturn void sleep_on(const struct status_page *page, uint32_t slot) {
    const struct status_slot *seen = map_as_client(page);
    const struct timespec deadline = {.tv_sec = 30};
    uint32_t version = seen[slot].version;

    if (setresuid(STRANGER, STRANGER, STRANGER) < 0)
        _exit(2);
    _exit(syscall(SYS_futex, &seen[slot].version, FUTEX_WAIT, version, &deadline, NULL, 0) < 0);
}

static bool is_in_futex(pid_t pid) {
    char path[64], text[256] = "";
    _cleanup_close_ int fd = -1;

    snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_ge(read(fd, text, sizeof(text) - 1), 0);
    return strtol(text, NULL, 10) == SYS_futex && *text != 'r';
}

START_TEST(a_sleeper_is_woken_even_by_the_next_daemon) {
    struct status_page *page;
    uint32_t slot;
    int status;
    pid_t child;

    scratch_mount(16 * MiB);
    page = open_page();
    slot = take_live(page);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        sleep_on(page, slot);
    while (!is_in_futex(child))
        sched_yield();
    status_page_close(page);
    page = open_page();
    status_page_settle(page);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    status_page_close(page);
}
END_TEST

START_TEST(clients_cannot_write) {
    struct status_page *page;
    char path[64];

    scratch_mount(16 * MiB);
    page = open_page();
    ck_assert_int_eq(fcntl(status_page_fd(page), F_GETFL) & O_ACCMODE, O_RDONLY);
    ck_assert_ptr_eq(mmap(NULL, PAGE_SIZE, PROT_WRITE, MAP_SHARED, status_page_fd(page), 0),
                     MAP_FAILED);
    ck_assert_int_eq(errno, EACCES);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", status_page_fd(page));
    ck_assert_int_eq(seteuid(STRANGER), 0);
    ck_assert_int_eq(open(path, O_RDWR | O_CLOEXEC), -1);
    ck_assert_int_eq(errno, EACCES);
    ck_assert_int_eq(seteuid(0), 0);
    status_page_close(page);
}
END_TEST

START_TEST(a_file_that_cannot_be_the_page_is_made_anew) {
    struct stat status;

    scratch_mount(16 * MiB);
    for (int i = 0; i < 4; i++) {
        struct status_page *page;

        if (i == 0)
            scratch_write(FILE_PATH, "short", 5);
        else if (i == 1)
            ck_assert_int_eq(chmod(FILE_PATH, 0666), 0);
        else if (i == 2)
            ck_assert_int_eq(chown(FILE_PATH, STRANGER, STRANGER), 0);
        else {
            ck_assert_int_eq(rename(FILE_PATH, SCRATCH "/elsewhere"), 0);
            ck_assert_int_eq(symlink("elsewhere", FILE_PATH), 0);
        }
        page = open_page();
        ck_assert_uint_eq(status_slot_version(page, take_live(page)), 1);
        status_page_close(page);
        ck_assert_int_eq(lstat(FILE_PATH, &status), 0);
        ck_assert_uint_eq(status.st_mode, S_IFREG | 0600);
        ck_assert_int_eq(status.st_size, PAGE_SIZE);
        ck_assert_uint_eq(status.st_uid, 0);
    }
}
END_TEST

START_TEST(it_takes_memory_only_for_what_is_used) {
    struct status_page *page;
    struct stat status;

    scratch_mount(16 * MiB);
    page = open_page();
    take(page);
    ck_assert_int_eq(status_slot_claim(page, 200000), 0);
    status_page_close(page);
    page = open_page();
    status_page_settle(page);
    ck_assert_int_eq(fstat(status_page_fd(page), &status), 0);
    ck_assert_int_eq(status.st_blocks, 2L * (4096 / 512));
    status_page_close(page);
}
END_TEST

START_TEST(a_full_file_system_is_an_error) {
    struct status_page *page;
    uint32_t slot;

    scratch_mount(1 * MiB);
    page = open_page();
    for (uint32_t i = 0; i < SLOTS_OF_A_BLOCK; i++)
        take(page);
    scratch_fill();
    ck_assert_int_eq(status_slot_take(page, &slot), -ENOSPC);
    ck_assert_int_eq(status_slot_claim(page, 100000), -ENOSPC);
    change(page, 0, SLOT_LIVE);
    status_page_settle(page);
    scratch_free();
    ck_assert_uint_eq(take(page), SLOTS_OF_A_BLOCK);
    status_page_close(page);
}
END_TEST

SUITE_MAIN("status", a_slot_tells_of_its_region, the_version_goes_on_with_the_next_region,
           all_slots_can_be_taken_and_no_more, a_restarted_daemon_goes_on_with_the_page,
           a_sleeper_is_woken_even_by_the_next_daemon, clients_cannot_write,
           a_file_that_cannot_be_the_page_is_made_anew, it_takes_memory_only_for_what_is_used,
           a_full_file_system_is_an_error);
