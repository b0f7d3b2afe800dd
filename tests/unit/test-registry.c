/*
 * Registry: what was put is there, and a full file system is an error. test-registry-survival.c
 * has what kills and damage do to it.
 */
#include "tests/unit/scratch-registry.h"
#include "tests/unit/suite.h"

#include <dirent.h>

static int write_record(void *data, const char *key, const char *value) {
    return fprintf(data, "%s=%s ", key, value) < 0 ? -EIO : 0;
}

static void expect_records(struct registry *registry, enum registry_table table,
                           const char *expected) {
    char text[256] = "";
    _cleanup_fclose_ FILE *stream = fmemopen(text, sizeof(text), "w");

    ck_assert_ptr_nonnull(stream);
    ck_assert_int_eq(registry_each(registry, table, write_record, stream), 0);
    ck_assert_int_eq(fflush(stream), 0);
    ck_assert_str_eq(text, expected);
}

static int stop_at_b(void *data, const char *key, const char *value) {
    (void)value;
    (*(int *)data)++;
    return *key == 'b' ? 7 : 0;
}

START_TEST(records_outlive_the_registry) {
    int seen;

    for (int durable = 0; durable <= 1; durable++) {
        struct registry *registry;

        if (!durable)
            scratch_mount(64 * MiB);
        else
            ck_assert_int_eq(rename(SCRATCH "/registry", SCRATCH "/volatile"), 0);
        registry = open_registry(durable);
        put(registry, REGISTRY_REGIONS, "b", "{}");
        put(registry, REGISTRY_REGIONS, "c", "");
        put(registry, REGISTRY_REGIONS, "a", "old");
        put(registry, REGISTRY_REGIONS, "a", "new");
        put(registry, REGISTRY_REGIONS, "gone", "x");
        put(registry, REGISTRY_HOLDERS, "a", "holder");
        delete_record(registry, REGISTRY_REGIONS, "gone");
        delete_record(registry, REGISTRY_REGIONS, "never there");
        registry_close(registry);

        registry = open_registry(durable);
        expect(registry, REGISTRY_REGIONS, "a", "new");
        expect(registry, REGISTRY_HOLDERS, "a", "holder");
        expect(registry, REGISTRY_REGIONS, "gone", NULL);
        expect(registry, REGISTRY_META, "a", NULL);
        expect_records(registry, REGISTRY_REGIONS, "a=new b={} c= ");
        seen = 0;
        ck_assert_int_eq(registry_each(registry, REGISTRY_REGIONS, stop_at_b, &seen), 7);
        ck_assert_int_eq(seen, 2);
        registry_close(registry);
    }
}
END_TEST

START_TEST(many_change_at_once) {
    static const struct registry_change changes[] = {
        {REGISTRY_HOLDERS, "a", NULL},
        {REGISTRY_HOLDERS, "never", NULL},
        {REGISTRY_HOLDERS, "b", "[]"},
        {REGISTRY_SESSIONS, "new", "{}"},
    };
    struct registry *registry;

    scratch_mount(64 * MiB);
    registry = open_registry(false);
    put(registry, REGISTRY_HOLDERS, "a", "{}");
    put(registry, REGISTRY_HOLDERS, "b", "{}");
    put(registry, REGISTRY_HOLDERS, "c", "{}");
    put(registry, REGISTRY_STAGES, "a", "{}");
    ck_assert_int_eq(registry_commit(registry, changes, ARRAY_SIZE(changes), NULL), 0);
    expect_records(registry, REGISTRY_HOLDERS, "b=[] c={} ");
    expect_records(registry, REGISTRY_STAGES, "a={} ");
    expect_records(registry, REGISTRY_SESSIONS, "new={} ");
    registry_close(registry);
}
END_TEST

START_TEST(of_several_changes_all_are_made_or_none) {
    char key[1024];
    struct registry_change changes[] = {
        {REGISTRY_HOLDERS, "a", NULL},
        {REGISTRY_SESSIONS, key, "{}"},
    };
    struct registry *registry;
    struct error error;

    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    scratch_mount(64 * MiB);
    registry = open_registry(false);
    put(registry, REGISTRY_HOLDERS, "a", "{}");
    ck_assert_int_eq(registry_commit(registry, changes, ARRAY_SIZE(changes), &error), -EINVAL);
    expect_records(registry, REGISTRY_HOLDERS, "a={} ");
    expect_records(registry, REGISTRY_SESSIONS, "");
    registry_close(registry);
}
END_TEST

START_TEST(it_grows_as_needed) {
    struct registry *registry;
    char key[32], value[3000];

    scratch_mount(256 * MiB);
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    for (int durable = 0; durable <= 1; durable++) {
        registry = open_registry(durable);
        for (int i = 0; i < 2000; i++) {
            snprintf(key, sizeof(key), "%d.%08d", durable, i);
            put(registry, REGISTRY_REGIONS, key, value + i);
        }
        registry_close(registry);
    }
    registry = open_registry(false);
    ck_assert_uint_eq(count_records(registry, REGISTRY_REGIONS), 4000);
    expect(registry, REGISTRY_REGIONS, "1.00001999", value + 1999);
    registry_close(registry);
}
END_TEST

START_TEST(keys_that_cannot_be_are_refused_and_do_no_harm) {
    struct registry *registry;
    struct error error = {0};
    char key[1000];

    scratch_mount(16 * MiB);
    registry = open_registry(false);
    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    ck_assert_int_eq(registry_put(registry, REGISTRY_REGIONS, key, "{}", &error), -EINVAL);
    ck_assert_int_eq(registry_put(registry, REGISTRY_REGIONS, "", "{}", &error), -EINVAL);
    put(registry, REGISTRY_REGIONS, "a", "{}");
    registry_close(registry);
}
END_TEST

START_TEST(one_process_has_it) {
    struct registry *registry, *second;
    struct error error = {0};

    scratch_mount(16 * MiB);
    registry = open_registry(false);
    ck_assert_int_eq(registry_open(SCRATCH, false, &second, &error), -EBUSY);
    ck_assert_ptr_nonnull(strstr(error.text, "another shmregd uses registry " FILE_PATH));
    registry_close(registry);
    registry_close(open_registry(false));
}
END_TEST

START_TEST(its_descriptors_close_on_exec) {
    _cleanup_closedir_ DIR *directory = NULL;
    const struct dirent *entry;
    struct registry *registries[2];
    bool before[256] = {false};

    scratch_mount(16 * MiB);
    for (int fd = 0; fd < 256; fd++)
        before[fd] = fcntl(fd, F_GETFD) >= 0;
    registries[0] = open_registry(false);
    ck_assert_int_eq(mkdir(SCRATCH "/state", 0700), 0);
    ck_assert_int_eq(registry_open(SCRATCH "/state", true, &registries[1], NULL), 0);
    directory = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(directory);
    while ((entry = readdir(directory))) {
        int fd = atoi(entry->d_name);

        if (fd > 0 && !before[fd])
            ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    }
    registry_close(registries[0]);
    registry_close(registries[1]);
}
END_TEST

START_TEST(a_newer_format_is_refused_and_not_touched) {
    _cleanup_free_ char *before = NULL, *after = NULL;
    struct registry *registry = NULL;
    struct stat old, new;
    struct error error = {0};
    size_t size;

    scratch_mount(16 * MiB);
    registry = open_registry(false);
    put(registry, REGISTRY_META, "format", "5");
    registry_close(registry);
    before = scratch_read(FILE_PATH, &size);
    ck_assert_int_eq(stat(FILE_PATH, &old), 0);

    ck_assert_int_eq(registry_open(SCRATCH, false, &registry, &error), -ENOTSUP);
    ck_assert_ptr_nonnull(strstr(error.text, "format version 5 and this shmregd knows 4"));
    after = scratch_read(FILE_PATH, NULL);
    ck_assert_mem_eq(before, after, size);
    ck_assert_int_eq(stat(FILE_PATH, &new), 0);
    ck_assert_int_eq(old.st_mtim.tv_sec, new.st_mtim.tv_sec);
    ck_assert_int_eq(old.st_mtim.tv_nsec, new.st_mtim.tv_nsec);
    ck_assert_int_eq(access(SCRATCH "/quarantine", F_OK), -1);
}
END_TEST

START_TEST(what_is_no_registry_is_set_aside) {
    static const char text[] = "a file of somebody else";
    _cleanup_free_ char *kept = NULL;
    struct registry *registry;

    scratch_mount(32 * MiB);
    registry = open_registry(false);
    put(registry, REGISTRY_REGIONS, "a", "{}");
    delete_record(registry, REGISTRY_META, "format");
    registry_close(registry);
    registry = open_registry(false);
    expect(registry, REGISTRY_REGIONS, "a", NULL);
    registry_close(registry);
    ck_assert_int_eq(access(SCRATCH "/quarantine/registry.1", F_OK), 0);

    scratch_write(FILE_PATH, text, sizeof(text));
    registry_close(open_registry(true));
    kept = scratch_read(SCRATCH "/quarantine/registry.2", NULL);
    ck_assert_str_eq(kept, text);

    ck_assert_int_eq(unlink(FILE_PATH), 0);
    ck_assert_int_eq(symlink("/etc/passwd", FILE_PATH), 0);
    registry_close(open_registry(false));
    ck_assert_int_eq(truncate(FILE_PATH, 4096), 0);
    registry_close(open_registry(false));
    ck_assert_int_eq(access(SCRATCH "/quarantine/registry.4", F_OK), 0);
}
END_TEST

START_TEST(a_record_is_set_aside) {
    _cleanup_free_ char *first = NULL, *second = NULL;
    struct registry *registry;

    scratch_mount(16 * MiB);
    registry = open_registry(false);
    put(registry, REGISTRY_REGIONS, "0001", "{broken");
    ck_assert_int_eq(registry_quarantine(registry, REGISTRY_REGIONS, "0001", "it is broken"), 0);
    expect(registry, REGISTRY_REGIONS, "0001", NULL);
    put(registry, REGISTRY_REGIONS, "0001", "broken again");
    ck_assert_int_eq(registry_quarantine(registry, REGISTRY_REGIONS, "0001", "it is broken"), 0);
    ck_assert_int_eq(registry_quarantine(registry, REGISTRY_REGIONS, "0001", "?"), -ENOENT);
    first = scratch_read(SCRATCH "/quarantine/regions.0001.json", NULL);
    second = scratch_read(SCRATCH "/quarantine/regions.0001.1.json", NULL);
    ck_assert_str_eq(first, "{broken");
    ck_assert_str_eq(second, "broken again");

    put(registry, REGISTRY_HOLDERS, "../../evil\n", "x");
    ck_assert_int_eq(registry_quarantine(registry, REGISTRY_HOLDERS, "../../evil\n", "a path"), 0);
    ck_assert_int_eq(access(SCRATCH "/quarantine/holders..._.._evil_.json", F_OK), 0);
    registry_close(registry);
}
END_TEST

START_TEST(a_record_that_cannot_be_set_aside_stays) {
    struct registry *registry;

    scratch_mount(16 * MiB);
    registry = open_registry(false);
    put(registry, REGISTRY_REGIONS, "0001", "{broken");
    scratch_fill();
    ck_assert_int_eq(registry_quarantine(registry, REGISTRY_REGIONS, "0001", "it is broken"),
                     -ENOSPC);
    expect(registry, REGISTRY_REGIONS, "0001", "{broken");
    registry_close(registry);
}
END_TEST

START_TEST(a_full_file_system_is_an_error_and_deleting_still_works) {
    struct registry *registry;
    struct error error = {0};
    char key[16], value[400];
    unsigned count = 0;

    scratch_mount(8 * MiB);
    registry = open_registry(false);
    scratch_fill();
    for (;; count++) {
        snprintf(key, sizeof(key), "%08u", count);
        snprintf(value, sizeof(value), "%0*u", 100 + (int)(count % 250), count);
        if (registry_put(registry, REGISTRY_REGIONS, key, value, &error) < 0)
            break;
    }
    ck_assert_int_eq(error.code, -ENOSPC);
    ck_assert_uint_gt(count, 1000);
    ck_assert_uint_eq(count_records(registry, REGISTRY_REGIONS), count);
    expect(registry, REGISTRY_REGIONS, key, NULL);

    registry_close(registry);
    registry = open_registry(false);
    ck_assert_uint_eq(count_records(registry, REGISTRY_REGIONS), count);
    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof(key), "%08u", i * 7919 % count);
        delete_record(registry, REGISTRY_REGIONS, key);
    }
    ck_assert_uint_eq(count_records(registry, REGISTRY_REGIONS), 0);

    scratch_free();
    for (unsigned i = 0; i < 2 * count; i++) {
        snprintf(key, sizeof(key), "%08u", i);
        put(registry, REGISTRY_REGIONS, key, value);
    }
    registry_close(registry);
}
END_TEST

START_TEST(one_in_a_full_file_system_is_not_made_by_half) {
    struct registry *registry;
    struct error error = {0};

    scratch_mount(4 * MiB);
    scratch_fill();
    ck_assert_int_eq(registry_open(SCRATCH, false, &registry, &error), -ENOSPC);
    ck_assert_int_eq(access(FILE_PATH, F_OK), -1);
    scratch_free();
    registry_close(open_registry(false));
}
END_TEST

SUITE_MAIN("registry", records_outlive_the_registry, many_change_at_once,
           of_several_changes_all_are_made_or_none, it_grows_as_needed,
           keys_that_cannot_be_are_refused_and_do_no_harm, one_process_has_it,
           its_descriptors_close_on_exec, a_newer_format_is_refused_and_not_touched,
           what_is_no_registry_is_set_aside, a_record_is_set_aside,
           a_record_that_cannot_be_set_aside_stays,
           a_full_file_system_is_an_error_and_deleting_still_works,
           one_in_a_full_file_system_is_not_made_by_half);
