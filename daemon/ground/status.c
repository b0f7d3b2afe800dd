/*
 * Status page: see status.h.
 *
 * The file is sparse. A page of it is reserved when its first slot is taken, so a full file system
 * is an error then, and neither the daemon nor a client meets a SIGBUS later.
 */
#include "daemon/ground/status.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define FILE_NAME "status"
#define NEW_FILE_NAME "status.new"
#define FILE_SIZE (STATUS_SLOTS * sizeof(struct status_slot))
#define BLOCK_SIZE 4096u /* what is reserved at once; a multiple of no page size harms */
#define BLOCK_SLOTS (BLOCK_SIZE / (uint32_t)sizeof(struct status_slot))
#define WORD_BITS 64u

struct status_page {
    int fd;        /* for writing */
    int client_fd; /* O_RDONLY */
    struct status_slot *slots;
    uint32_t n_used;
    uint32_t next; /* to be tried first */
    uint64_t used[STATUS_SLOTS / WORD_BITS];
    bool reserved[STATUS_SLOTS / BLOCK_SLOTS];
};

static bool is_used(const struct status_page *page, uint32_t slot) {
    return page->used[slot / WORD_BITS] >> (slot % WORD_BITS) & 1;
}

static void set_used(struct status_page *page, uint32_t slot, bool used) {
    uint64_t bit = (uint64_t)1 << (slot % WORD_BITS);

    if (used)
        page->used[slot / WORD_BITS] |= bit;
    else
        page->used[slot / WORD_BITS] &= ~bit;
    page->n_used += used ? 1 : UINT32_MAX;
}

/* 0 if a file from an earlier daemon can go on as the page; else -EUCLEAN, or why it is not known. */
static int check_file(int fd) {
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    return S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
                   (status.st_mode & 0777) == 0600 && status.st_nlink == 1 &&
                   status.st_size == FILE_SIZE
               ? 0
               : -EUCLEAN;
}

/* Makes the file whole before it gets its name. */
static int make_file(int directory) {
    _cleanup_close_ int fd = -1;

    unlinkat(directory, NEW_FILE_NAME, 0);
    fd = openat(directory, NEW_FILE_NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    if (fchmod(fd, 0600) < 0 || ftruncate(fd, FILE_SIZE) < 0 ||
        renameat(directory, NEW_FILE_NAME, directory, FILE_NAME) < 0) {
        int r = -errno;

        unlinkat(directory, NEW_FILE_NAME, 0);
        return r;
    }
    return steal_fd(&fd);
}

static int open_existing(int directory, int mode) {
    return openat(directory, FILE_NAME, mode | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

/* With read(2), which fills no hole. */
int status_page_copy(const char *runtime_directory, struct status_slot **ret) {
    _cleanup_close_ int directory = open(runtime_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int fd = directory < 0 ? -1 : open_existing(directory, O_RDONLY);
    _cleanup_free_ struct status_slot *slots = NULL;
    int r = fd < 0 ? -errno : check_file(fd);

    if (r < 0)
        return r;
    slots = malloc(FILE_SIZE);
    if (!slots)
        return -ENOMEM;
    if (read(fd, slots, FILE_SIZE) != (ssize_t)FILE_SIZE)
        return -EIO;
    *ret = steal_pointer(slots);
    return 0;
}

/* Whoever sleeps on the page there is would be left behind on a new one: only what cannot be the page
 * is replaced, not one that cannot be opened now. */
static int open_file(int directory) {
    _cleanup_close_ int fd = open_existing(directory, O_RDWR);
    int r = fd < 0 ? -errno : check_file(fd);

    if (r == 0)
        return steal_fd(&fd);
    if (r == -EMFILE || r == -ENFILE || r == -ENOMEM || r == -EINTR || r == -EIO || r == -EAGAIN)
        return r;
    return make_file(directory);
}

static int reserve(struct status_page *page, uint32_t slot) {
    uint32_t block = slot / BLOCK_SLOTS;
    int r;

    if (page->reserved[block])
        return 0;
    do
        r = fallocate(page->fd, 0, (off_t)block * BLOCK_SIZE, BLOCK_SIZE);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return -errno;
    page->reserved[block] = true;
    return 0;
}

/* Finds out what an earlier daemon has written; a hole is never read through the map, which would
 * fill it. */
static void find_reserved(struct status_page *page) {
    off_t start, end = 0;

    while ((start = lseek(page->fd, end, SEEK_DATA)) >= 0 && start < (off_t)FILE_SIZE) {
        end = lseek(page->fd, start, SEEK_HOLE);
        if (end < 0)
            break;
        for (off_t at = start / BLOCK_SIZE; at < (end + BLOCK_SIZE - 1) / BLOCK_SIZE; at++)
            page->reserved[at] = true;
    }
}

int status_page_open(const char *runtime_directory, struct status_page **ret, struct error *error) {
    _cleanup_(cleanup_status_page_close) struct status_page *page = calloc(1, sizeof(*page));
    _cleanup_close_ int directory = open(runtime_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    void *map;

    if (!page)
        return error_set(error, -ENOMEM, "no memory");
    page->client_fd = -1;
    page->fd = directory < 0 ? -errno : open_file(directory);
    if (page->fd < 0)
        return error_set(error, page->fd, "cannot make %s/" FILE_NAME ": %s", runtime_directory,
                         strerror(-page->fd));
    page->client_fd = openat(directory, FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (page->client_fd < 0)
        return error_set(error, -errno, "cannot open %s/" FILE_NAME ": %s", runtime_directory,
                         strerror(errno));
    map = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, page->fd, 0);
    if (map == MAP_FAILED)
        return error_set(error, -errno, "cannot map %s/" FILE_NAME ": %s", runtime_directory,
                         strerror(errno));
    page->slots = map;
    find_reserved(page);
    *ret = steal_pointer(page);
    return 0;
}

void status_page_close(struct status_page *page) {
    if (page->slots)
        munmap(page->slots, FILE_SIZE);
    close_fd(&page->client_fd);
    close_fd(&page->fd);
    free(page);
}

int status_page_fd(const struct status_page *page) {
    return page->client_fd;
}

/* The first free slot from @page->next on, in a circle; there is one. */
static uint32_t find_free(const struct status_page *page) {
    uint32_t n_words = ARRAY_SIZE(page->used), word = page->next / WORD_BITS;
    uint64_t free_bits = ~page->used[word] & (UINT64_MAX << (page->next % WORD_BITS));

    while (free_bits == 0) {
        word = (word + 1) % n_words;
        free_bits = ~page->used[word];
    }
    return word * WORD_BITS + (uint32_t)__builtin_ctzll(free_bits);
}

/* The words in one step: no client sees one of them without the other. */
static void store(struct status_page *page, uint32_t slot, struct status_words words) {
    uint64_t both;

    memcpy(&both, &words, sizeof(both));
    atomic_store(&page->slots[slot].both, both);
}

static void wake(struct status_page *page, uint32_t slot) {
    syscall(SYS_futex, &page->slots[slot].version, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void begin_turn(struct status_page *page, uint32_t slot) {
    struct status_words words = status_slot_read(&page->slots[slot]);
    uint32_t turn = (words.flags + (1u << SLOT_TURN_SHIFT)) & SLOT_TURN_MASK;

    words.flags = (words.flags & ~SLOT_TURN_MASK) | turn;
    store(page, slot, words);
}

static int use(struct status_page *page, uint32_t slot) {
    int r = reserve(page, slot);

    if (r == 0)
        set_used(page, slot, true);
    return r;
}

int status_slot_take(struct status_page *page, uint32_t *ret_slot) {
    uint32_t slot;
    int r;

    if (page->n_used == STATUS_SLOTS)
        return -ENOSPC;
    slot = find_free(page);
    r = use(page, slot);
    if (r < 0)
        return r;
    page->next = (slot + 1) % STATUS_SLOTS;
    begin_turn(page, slot);
    *ret_slot = slot;
    return 0;
}

int status_slot_claim(struct status_page *page, uint32_t slot) {
    int r;

    if (slot >= STATUS_SLOTS)
        return -EINVAL;
    if (is_used(page, slot))
        return -EBUSY;
    r = use(page, slot);
    if (r == 0)
        wake(page, slot);
    return r;
}

uint32_t status_slot_version(const struct status_page *page, uint32_t slot) {
    return atomic_load(&page->slots[slot].version);
}

uint32_t status_slot_flags(const struct status_page *page, uint32_t slot) {
    return atomic_load(&page->slots[slot].flags) & ~SLOT_TURN_MASK;
}

void status_slot_change(struct status_page *page, uint32_t slot, uint32_t version, uint32_t flags) {
    uint32_t turn = atomic_load(&page->slots[slot].flags) & SLOT_TURN_MASK;

    store(page, slot, (struct status_words){.version = version, .flags = flags | turn});
    wake(page, slot);
}

void status_slot_release(struct status_page *page, uint32_t slot) {
    set_used(page, slot, false);
}

/* The slot's last region ended with the last daemon, or before. */
static void settle(struct status_page *page, uint32_t slot) {
    uint32_t flags = status_slot_flags(page, slot);

    if (flags & SLOT_LIVE)
        status_slot_change(page, slot, status_slot_version(page, slot) + 1,
                           (flags & SLOT_REGION_VERSION_MASK) | SLOT_DESTROYED);
    else if (flags & SLOT_DESTROYED)
        wake(page, slot);
}

void status_page_settle(struct status_page *page) {
    for (uint32_t slot = 0; slot < STATUS_SLOTS; slot++) {
        if (!page->reserved[slot / BLOCK_SLOTS]) {
            slot += BLOCK_SLOTS - 1;
            continue;
        }
        if (!is_used(page, slot))
            settle(page, slot);
    }
}
