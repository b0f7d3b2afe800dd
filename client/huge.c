/*
 * Huge pages: see huge.h.
 *
 * Who decides on transparent ones depends on the file: a tmpfs that is mounted has the option huge=
 * (tmpfs(5)); memfds live in one that the kernel keeps to itself, for which there is a setting for
 * all sizes of pages and one for each (Documentation/admin-guide/mm/transhuge.rst).
 */
#include "client/huge.h"

#include "client/failure.h"
#include "proto/cleanup.h"

#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#define THP "/sys/kernel/mm/transparent_hugepage/"
#define HUGETLB "/sys/kernel/mm/hugepages/"
#define WORD_MAX 16
#define WHERE_MAX 128

/* The word in brackets of a setting like "always [madvise] never"; "" if there is no such file. */
static void read_setting(const char *path, char ret[static WORD_MAX]) {
    _cleanup_fclose_ FILE *file = fopen(path, "re");

    *ret = '\0';
    if (file && fscanf(file, "%*[^[][%15[^]]", ret) != 1)
        *ret = '\0';
}

static bool is_one_of(const char *word, const char *const words[], size_t n_words) {
    for (size_t i = 0; i < n_words; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

/* Whether advice is heard for pages of any one size, whatever holds for all. */
static bool some_size_allows(void) {
    static const char *const willing[] = {"always", "within_size", "advise"};
    char word[WORD_MAX] = "";
    bool allows = false;
    glob_t paths;

    if (glob(THP "hugepages-*/shmem_enabled", 0, NULL, &paths) != 0)
        return false;
    for (size_t i = 0; i < paths.gl_pathc && !allows; i++) {
        read_setting(paths.gl_pathv[i], word);
        allows = is_one_of(word, willing, ARRAY_SIZE(willing));
    }
    globfree(&paths);
    return allows;
}

/* Where the file system of this number is mounted, and its option huge= ("never" if it has none).
 * False if it is mounted nowhere that this process sees. */
static bool find_tmpfs(dev_t device, char where[static WHERE_MAX], char ret[static WORD_MAX]) {
    _cleanup_fclose_ FILE *file = fopen("/proc/self/mountinfo", "re");
    _cleanup_free_ char *line = NULL;
    size_t capacity = 0;

    while (file && getline(&line, &capacity, file) > 0) {
        const char *type = strstr(line, " - tmpfs "), *huge = type ? strstr(type, "huge=") : NULL;
        unsigned major_, minor_;

        if (!type || sscanf(line, "%*d %*d %u:%u %*s %127s", &major_, &minor_, where) != 3 ||
            makedev(major_, minor_) != device)
            continue;
        if (!huge || sscanf(huge, "huge=%15[a-z_]", ret) != 1)
            snprintf(ret, WORD_MAX, "never");
        return true;
    }
    return false;
}

static int check_mounted(const char *name, const char *where, const char *huge) {
    if (strcmp(huge, "never") != 0)
        return 0;
    return fail(-EOPNOTSUPP,
                "region '%s': no transparent huge pages: the tmpfs on %s is mounted without "
                "huge=advise",
                name, where);
}

int huge_advice_check(const struct mapping *mapping) {
    char setting[WORD_MAX], huge[WORD_MAX], where[WHERE_MAX];
    struct statfs system;
    struct stat status;

    if (fstat(mapping->fd, &status) < 0 || fstatfs(mapping->fd, &system) < 0)
        return fail(-errno, "region '%s': its descriptor: %s", mapping->name, strerror(errno));
    if (system.f_type != TMPFS_MAGIC)
        return fail(-EOPNOTSUPP, "region '%s': no transparent huge pages: it is a file on a disk",
                    mapping->name);
    read_setting(THP "shmem_enabled", setting);
    if (!*setting)
        return fail(-EOPNOTSUPP, "region '%s': this kernel has no transparent huge pages",
                    mapping->name);
    if (strcmp(setting, "force") == 0)
        return 0;
    if (strcmp(setting, "deny") != 0) {
        if (find_tmpfs(status.st_dev, where, huge))
            return check_mounted(mapping->name, where, huge);
        if (strcmp(setting, "never") != 0 || some_size_allows())
            return 0;
    }
    return fail(-EOPNOTSUPP,
                "region '%s': no transparent huge pages: " THP "shmem_enabled says '%s'",
                mapping->name, setting);
}

static unsigned long read_number(uint64_t page_size, const char *file_name) {
    char path[128];
    unsigned long number = 0;
    _cleanup_fclose_ FILE *file = NULL;

    snprintf(path, sizeof(path), HUGETLB "hugepages-%" PRIu64 "kB/%s", page_size / 1024, file_name);
    file = fopen(path, "re");
    return file && fscanf(file, "%lu", &number) == 1 ? number : 0;
}

int huge_fail_mapping(const struct mapping *mapping, uint64_t length, int error) {
    unsigned long all = read_number(mapping->page_size, "nr_hugepages");
    unsigned long free_ = read_number(mapping->page_size, "free_hugepages");
    unsigned long reserved = read_number(mapping->page_size, "resv_hugepages");

    return fail(error,
                "region '%s': cannot map %" PRIu64 " huge pages of %" PRIu64 " kB: of the %lu that "
                "this host has %lu are free (" HUGETLB "hugepages-%" PRIu64 "kB/nr_hugepages)",
                mapping->name, length / mapping->page_size, mapping->page_size / 1024, all,
                free_ > reserved ? free_ - reserved : 0, mapping->page_size / 1024);
}
