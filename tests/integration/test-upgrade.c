/*
 * Upgrade: a daemon goes on with what an older one has left, and leaves alone what a newer one has
 *
 * registry-samples/ has the records of real daemons, FORMAT-NAME.json, just as they were when these
 * were killed. Their memory is made anew.
 */
#include "proto/cleanup.h"
#include "tests/support/child.h"
#include "tests/support/fsck.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_LENGTH 320
#define SEED 7
#define FILE_SIZE (1 << 20) /* of a registry, at least */
#define MEMORY_MAX 9000

static const char *const samples[] = {"1-first", "1-stages", "2", "3", "4"};
static const char *const environments[] = {"volatile", "durable"};

static struct test_daemon daemon_;
static json_t *sample;
static char stored_name[64];

static const char *directory_of(const char *environment) {
    return strcmp(environment, "volatile") == 0 ? daemon_.runtime : daemon_.state;
}

static void give_away(const char *path) {
    ck_assert_int_eq(chown(path, DAEMON_UID, DAEMON_UID), 0);
}

static void make_directory(char ret[static PATH_LENGTH], const char *parent, const char *name) {
    snprintf(ret, PATH_LENGTH, "%s/%s", parent, name);
    ck_assert_int_eq(mkdir(ret, 0700), 0);
    give_away(ret);
}

static void write_table(MDB_txn *txn, const char *name, json_t *records) {
    const char *key;
    json_t *record;
    MDB_dbi table;

    ck_assert_int_eq(mdb_dbi_open(txn, name, MDB_CREATE, &table), 0);
    json_object_foreach (records, key, record) {
        char *text = json_is_string(record) ? strdup(json_string_value(record))
                                            : json_dumps(record, JSON_COMPACT);
        MDB_val key_value = {strlen(key), (char *)key}, value = {strlen(text), text};

        ck_assert_int_eq(mdb_put(txn, table, &key_value, &value, 0), 0);
        free(text);
    }
}

/* As today: with the note that there is a registry. */
static void make_owner(const char *path) {
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "1\n", 2), 2);
}

/* With the tables that the sample has, and no others. */
static void write_registry(const char *environment) {
    char directory[PATH_LENGTH], path[PATH_LENGTH + 16];
    const char *name;
    json_t *records;
    MDB_env *env;
    MDB_txn *txn;

    make_directory(directory, directory_of(environment), "registry");
    snprintf(path, sizeof(path), "%s/records.mdb", directory);
    ck_assert_int_eq(mdb_env_create(&env), 0);
    ck_assert_int_eq(mdb_env_set_maxdbs(env, 8), 0);
    ck_assert_int_eq(mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600), 0);
    ck_assert_int_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
    json_object_foreach (json_object_get(sample, environment), name, records)
        write_table(txn, name, records);
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    ck_assert_int_eq(truncate(path, FILE_SIZE), 0);
    give_away(path);
    snprintf(path, sizeof(path), "%s/owner", directory);
    make_owner(path);
    give_away(path);
}

static const char *instance(void) {
    return json_string_value(
        json_object_get(json_object_get(json_object_get(sample, "durable"), "meta"), "instance"));
}

static void fill_segment(int fd, size_t size, size_t max_size) {
    _cleanup_free_ char *bytes = malloc(size);

    ck_assert_ptr_nonnull(bytes);
    fill(bytes, size, SEED);
    ck_assert_int_eq(ftruncate(fd, (off_t)max_size), 0);
    ck_assert_int_eq(pwrite(fd, bytes, size, 0), (ssize_t)size);
    ck_assert_int_eq(fchmod(fd, 0600), 0);
    ck_assert_int_eq(fchown(fd, DAEMON_UID, DAEMON_UID), 0);
}

/* As the old daemon made it: a memfd has its whole size, is sealed, and is in the FD store. Names in
 * /dev/shm are those of before format 4, which a daemon of any format goes on with. */
static void make_segment(const char *backing, json_int_t id, json_int_t version, size_t size,
                         size_t max_size) {
    _cleanup_close_ int fd = -1;
    char name[64], path[PATH_LENGTH];

    snprintf(name, sizeof(name), "shmreg.%s.%lld.%lld", instance(), (long long)id,
             (long long)version);
    if (strcmp(backing, "memfd") == 0) {
        strcpy(stored_name, name);
        daemon_.stored_name = stored_name;
        daemon_.stored_fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        fill_segment(daemon_.stored_fd, size, max_size);
        ck_assert_int_eq(fcntl(daemon_.stored_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
        return;
    }
    snprintf(path, sizeof(path), "%s%s/%s", strcmp(backing, "shm") == 0 ? "" : daemon_.state,
             strcmp(backing, "shm") == 0 ? "/dev/shm" : "/segments", name);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    fill_segment(fd, size, size);
}

static void make_segments(const char *environment, const char *table, const char *id_key) {
    json_t *records = json_object_get(json_object_get(sample, environment), table), *record;
    json_int_t id, version, size, max_size;
    const char *key, *backing;

    json_object_foreach (records, key, record) {
        version = 1;
        ck_assert_int_eq(json_unpack(record, "{s:s, s:I, s?I, s:I, s:I}", "backing", &backing,
                                     id_key, &id, "version", &version, "size", &size, "max_size",
                                     &max_size),
                         0);
        make_segment(backing, id, version, (size_t)size, (size_t)max_size);
    }
}

static void load_sample(const char *name) {
    char path[PATH_LENGTH];

    daemon_prepare(&daemon_, "{}");
    snprintf(path, sizeof(path), "%s/%s.json", getenv("SHMREG_SAMPLES"), name);
    sample = json_load_file(path, 0, NULL);
    ck_assert_msg(sample, "%s", path);
    make_directory(path, daemon_.state, "segments");
    for (size_t i = 0; i < ARRAY_SIZE(environments); i++)
        make_segments(environments[i], "regions", "id");
    make_segments("volatile", "stages", "stage_id");
}

static void write_registries(void) {
    for (size_t i = 0; i < ARRAY_SIZE(environments); i++)
        write_registry(environments[i]);
}

static void expect_content(shmreg_conn *conn, const char *name, size_t size) {
    shmreg_region *region = open_region(conn, name, SHMREG_READ);

    ck_assert_uint_eq(shmreg_size(region), size);
    ck_assert_msg(is_filled(shmreg_data(region), size, SEED), "%s", name);
    shmreg_close(region);
}

static void read_as_other(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);

    (void)channel;
    (void)data;
    expect_content(conn, "plain", 5000);
    expect_error(shmreg_destroy(conn, "plain"), -EACCES, "plain");
    shmreg_disconnect(conn);
}

/* What was there is there: content, size, rights, attributes; but not what ended with its owner. */
static void expect_everything(shmreg_conn *conn) {
    struct shmreg_description *description;

    expect_content(conn, "plain", 5000);
    expect_content(conn, "value", 4);
    expect_content(conn, "leased", 10);
    expect_content(conn, "memory", 100);
    expect_content(conn, "file/kept", 5000);
    expect_ok(shmreg_describe(conn, "plain", &description));
    ck_assert_str_eq(description->attributes, "{\"dtype\":\"<f8\"}");
    shmreg_description_free(description);
    expect_ok(shmreg_describe(conn, "value", &description));
    ck_assert_uint_eq(description->version, 2);
    shmreg_description_free(description);
    ck_assert(!exists(conn, "owned"));
    run_as(USER(20002), read_as_other, NULL);
}

/* And can be used like any region of today. */
static void expect_usable(shmreg_conn *conn) {
    expect_ok(shmreg_put(conn, "value", "three", 5, 0));
    expect_ok(shmreg_resize(conn, "memory", MEMORY_MAX));
    expect_ok(shmreg_seal(conn, "file/kept"));
    create_region(conn, "new", 4096, SHMREG_OPTIONS(.flags = SHMREG_SYNC_BLOCK));
}

static void launch_without_store(void) {
    daemon_.stored_name = NULL;
    daemon_launch(&daemon_);
}

START_TEST(test_a_newer_daemon_goes_on) {
    bool older = samples[_i][0] != '4';
    shmreg_conn *conn;
    struct fsck fsck;

    load_sample(samples[_i]);
    write_registries();
    fsck = fsck_run(&daemon_, false);
    ck_assert_uint_eq(fsck_count(&fsck, "registry-older"), older ? 2 : 0);
    ck_assert_uint_eq(fsck_count(&fsck, "record-invalid"), 0);
    ck_assert_uint_eq(fsck_count(&fsck, "segment-orphan"), 0);
    fsck_deinit(&fsck);

    daemon_launch(&daemon_);
    ck_assert(daemon_has_logged(&daemon_, "is of format 4 now") == older);
    conn = connect_to(&daemon_);
    expect_everything(conn);
    expect_usable(conn);
    shmreg_disconnect(conn);
    ck_assert_int_eq(count_files(daemon_.runtime, "quarantine"), 0);
    ck_assert_int_eq(count_files(daemon_.state, "quarantine"), 0);

    daemon_kill(&daemon_);
    expect_sound(&daemon_);
    launch_without_store();
    conn = connect_to(&daemon_);
    ck_assert(exists(conn, "new") && exists(conn, "plain"));
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}
END_TEST

static void set_format(const char *environment, const char *format) {
    json_t *meta = json_object_get(json_object_get(sample, environment), "meta");

    ck_assert_int_eq(json_object_set_new(meta, "format", json_string(format)), 0);
}

/* Of any table; the checker sets aside what the daemon would. */
START_TEST(test_a_record_that_does_not_parse) {
    static const char *const tables[] = {"regions", "holders", "stages", "sessions"};
    json_t *records;
    struct fsck fsck;

    load_sample("4");
    records = json_object_get(json_object_get(sample, "volatile"), tables[_i]);
    ck_assert_int_eq(json_object_set_new(records, "00000000000f0000", json_string("{")), 0);
    write_registries();
    fsck = fsck_run(&daemon_, true);
    ck_assert_uint_eq(fsck_count(&fsck, "record-invalid"), 1);
    ck_assert_int_eq(fsck.status, 1);
    fsck_deinit(&fsck);
    fsck = fsck_run(&daemon_, false);
    ck_assert_uint_eq(fsck_count(&fsck, "record-invalid"), 0);
    ck_assert_uint_eq(fsck_count(&fsck, "quarantined"), 1);
    fsck_deinit(&fsck);
}
END_TEST

/* A kill in the middle leaves records of both formats, and the older number. */
START_TEST(test_an_upgrade_that_was_cut_off) {
    shmreg_conn *conn;

    load_sample("2");
    set_format("volatile", "1");
    set_format("durable", "1");
    write_registries();
    daemon_launch(&daemon_);
    conn = connect_to(&daemon_);
    expect_everything(conn);
    shmreg_disconnect(conn);
    daemon_kill(&daemon_);
    expect_sound(&daemon_);
}
END_TEST

static char *sums(void) {
    char command[2 * PATH_LENGTH];
    _cleanup_free_ char *text = calloc(1, 65536);
    FILE *pipe;

    snprintf(command, sizeof(command),
             "find %s %s /dev/shm -type f -printf '%%s ' -exec sha256sum '{}' ';'", daemon_.runtime,
             daemon_.state);
    pipe = popen(command, "re");
    ck_assert_ptr_nonnull(pipe);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_gt(fread(text, 1, 65535, pipe), 0);
    ck_assert_int_eq(pclose(pipe), 0);
    return steal_pointer(text);
}

/* Whichever it is: nothing that is there changes, and nothing is added. */
START_TEST(test_an_older_daemon_refuses_and_touches_nothing) {
    _cleanup_free_ char *before = NULL, *after = NULL;
    struct fsck fsck;

    load_sample("4");
    set_format(environments[_i], "5");
    write_registries();
    before = sums();
    daemon_expect_refusal(&daemon_);
    ck_assert(daemon_has_logged(&daemon_, "a newer shmregd is needed"));
    fsck = fsck_run(&daemon_, true);
    ck_assert_int_eq(fsck.status, 2);
    ck_assert_ptr_nonnull(strstr(fsck.printed, "a newer shmregd is needed"));
    fsck_deinit(&fsck);
    after = sums();
    ck_assert_str_eq(before, after);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("upgrade");

    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, test_a_newer_daemon_goes_on, 0, (int)ARRAY_SIZE(samples));
    tcase_add_loop_test(tcase, test_a_record_that_does_not_parse, 0, 4);
    tcase_add_test(tcase, test_an_upgrade_that_was_cut_off);
    tcase_add_loop_test(tcase, test_an_older_daemon_refuses_and_touches_nothing, 0,
                        (int)ARRAY_SIZE(environments));
    return sandbox_run("upgrade", &tcase, 1);
}
