/*
 * The file of a registry with anything in it: damage is found before LMDB maps the file, which is then
 * set aside, or the registry works as one does.
 *
 * An input damages a good file, 4 bytes for each place: page, where in it (its head, its tail, the head
 * of one of its entries, anywhere), and the new byte. The first byte says whether the file is cut, too.
 */
#include "daemon/ground/registry-private.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define PAGE 4096u
#define RECORDS 60u
#define FILE_MAX (2u << 20)
#define PATH_SIZE (PLACE_MAX + 32)
#define PAGE_HEADER 16u
#define NODE_HEADER 8u

static uint8_t good[FILE_MAX], bad[FILE_MAX];
static size_t good_size;

/* With entries on the page, on pages of their own, replaced and deleted, so that every kind of page is
 * there. */
static void fill(struct registry *registry) {
    static char value[3 * PAGE];

    for (unsigned i = 0; i < RECORDS; i++) {
        char key[17];

        snprintf(key, sizeof(key), "%016x", i * 7 % RECORDS);
        memset(value, 'a' + (int)(i % 26), sizeof(value) - 1);
        value[i % 5 == 0 ? sizeof(value) - 1 : i * 11] = '\0';
        fuzz_check(registry_put(registry, i % REGISTRY_TABLE_COUNT, key, value, NULL) == 0);
        if (i % 3 == 2)
            fuzz_check(registry_delete(registry, (i - 2) % REGISTRY_TABLE_COUNT, key, NULL) == 0);
        memset(value, 'a', sizeof(value));
    }
}

static bool is_empty(const uint8_t *page) {
    return page[0] == 0 && memcmp(page, page + 1, PAGE - 1) == 0;
}

static void make_good_file(const char *place) {
    struct registry *registry = NULL;
    char path[PATH_SIZE];
    ssize_t size;
    int fd;

    fuzz_check(registry_open(place, true, &registry, NULL) == 0);
    fill(registry);
    registry_close(registry);
    snprintf(path, sizeof(path), "%s/registry/" REGISTRY_FILE, place);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    size = read(fd, good, sizeof(good));
    fuzz_check(size > 0 && size < (ssize_t)sizeof(good));
    /* Without the pages behind the last one, which are all zeroes. */
    for (good_size = (size_t)size; is_empty(good + good_size - PAGE); good_size -= PAGE)
        continue;
    close(fd);
}

static size_t offset_in(const uint8_t *page, uint8_t how, uint8_t where) {
    uint16_t entry;

    switch (how % 4) {
    case 0:
        return where;
    case 1:
        return PAGE - 1 - where;
    case 2:
        memcpy(&entry, page + PAGE_HEADER + where % 32 * sizeof(entry), sizeof(entry));
        return (entry + how / 4 % (2 * NODE_HEADER)) % PAGE;
    default:
        return (size_t)where * 16 + how / 16;
    }
}

static void damage(const uint8_t *data, size_t size) {
    for (; size >= 4; data += 4, size -= 4) {
        uint8_t *page = bad + data[0] % (good_size / PAGE) * PAGE;

        page[offset_in(page, data[1], data[2])] = data[3];
    }
}

static int count_record(void *data, const char *key, const char *value) {
    fuzz_check(strlen(key) > 0 && strlen(value) < FILE_MAX);
    ++*(unsigned *)data;
    return 0;
}

/* What comes back from damaged records is an error at worst. */
static void use(struct registry *registry) {
    unsigned count = 0;

    for (enum registry_table table = 0; table < REGISTRY_TABLE_COUNT; table++) {
        _cleanup_free_ char *value = NULL;

        registry_each(registry, table, count_record, &count);
        if (registry_put(registry, table, "new", "value", NULL) == 0)
            fuzz_check(registry_get(registry, table, "new", &value) == 0);
        registry_delete(registry, table, "0000000000000010", NULL);
        registry_delete(registry, table, "new", NULL);
    }
    fill(registry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct registry *registry = NULL;
    char place[PLACE_MAX], path[PATH_SIZE];
    size_t kept;
    int r;

    place_make(place);
    if (good_size == 0)
        make_good_file(place);
    memcpy(bad, good, good_size);
    kept = size > 0 && data[0] < 64 ? good_size * data[0] / 64 : good_size;
    if (size > 0)
        damage(data + 1, size - 1);
    snprintf(path, sizeof(path), "%s/registry", place);
    fuzz_check(mkdir(path, 0700) == 0 || errno == EEXIST);
    snprintf(path, sizeof(path), "%s/registry/" REGISTRY_FILE, place);
    place_write(path, bad, kept);
    r = registry_open(place, true, &registry, NULL);
    fuzz_check(r == 0 || r == -ENOTSUP);
    if (r == 0) {
        use(registry);
        registry_close(registry);
        fuzz_check(registry_open(place, true, &registry, NULL) == 0);
        registry_close(registry);
    }
    place_remove(place);
    return 0;
}
