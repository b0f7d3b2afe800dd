/*
 * Pages: see page.h.
 */
#include "client/page.h"

#include "client/failure.h"
#include "proto/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static size_t length_of(uint32_t n_slots) {
    return (size_t)n_slots * sizeof(struct status_slot);
}

static int map(struct page_list *pages, int fd, uint32_t n_slots, const struct stat *status,
               const struct page **ret) {
    _cleanup_free_ struct page *page = malloc(sizeof(*page));
    void *slots;

    if (!page)
        return fail(-ENOMEM, "no memory for the daemon's status page");
    slots = mmap(NULL, length_of(n_slots), PROT_READ, MAP_SHARED, fd, 0);
    if (slots == MAP_FAILED)
        return fail(-errno, "cannot map the daemon's status page: %s", strerror(errno));
    *page = (struct page){
        .slots = slots, .n_slots = n_slots, .device = status->st_dev, .inode = status->st_ino};
    SLIST_INSERT_HEAD(pages, page, link);
    *ret = steal_pointer(page);
    return 0;
}

int page_list_get(struct page_list *pages, int fd, uint32_t n_slots, const struct page **ret) {
    struct stat status;
    struct page *page;

    if (fstat(fd, &status) < 0 || n_slots == 0 || (uint64_t)status.st_size < length_of(n_slots))
        return fail(-EPROTO, "the daemon's status page is not what it says");
    SLIST_FOREACH(page, pages, link)
    if (page->device == status.st_dev && page->inode == status.st_ino && page->n_slots == n_slots) {
        *ret = page;
        return 0;
    }
    return map(pages, fd, n_slots, &status, ret);
}

void page_list_deinit(struct page_list *pages) {
    struct page *page;

    while ((page = SLIST_FIRST(pages))) {
        SLIST_REMOVE_HEAD(pages, link);
        munmap((void *)page->slots, length_of(page->n_slots));
        free(page);
    }
}
