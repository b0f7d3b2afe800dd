/*
 * Configuration: what the files say counts, in their order, and a mistake is named with file, line
 * and key.
 */
#include "daemon/ground/config.h"
#include "daemon/ground/config-files.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <syslog.h>

#define DIRECTORY SCRATCH "/etc"
#define FILE_PATH DIRECTORY "/shmregd.json"
#define DROP_INS DIRECTORY "/conf.d"

static void make_directories(void) {
    scratch_mount(8 << 20);
    ck_assert_int_eq(mkdir(DIRECTORY, 0755), 0);
    ck_assert_int_eq(mkdir(DROP_INS, 0755), 0);
}

static void write_text(const char *path, const char *text) {
    scratch_write(path, text, strlen(text));
}

static struct config *load(const char *path) {
    struct config *config;
    struct error error = {0};
    int r = config_load(path, false, &config, &error);

    ck_assert_msg(r == 0, "%s", error.text);
    return config;
}

static void expect_refusal(const char *path, int code, const char *sentence) {
    struct config *config = NULL;
    struct error error = {0};

    ck_assert_int_eq(config_load(path, false, &config, &error), code);
    ck_assert_str_eq(error.text, sentence);
    ck_assert_ptr_null(config);
}

START_TEST(nothing_has_to_be_configured) {
    struct config *config;

    make_directories();
    setenv("XDG_CONFIG_HOME", DIRECTORY, 1);
    ck_assert_int_eq(config_load(NULL, true, &config, NULL), 0);
    ck_assert_uint_eq(config->n_files, 0);
    ck_assert(!config->has_admin_group);
    ck_assert_int_eq(config->default_backing, BACKING_SHM);
    ck_assert_int_eq(config->log_level, LOG_INFO);
    ck_assert_uint_eq(config->total.most[LIMIT_BYTES], LIMIT_NONE);
    ck_assert_uint_eq(config->total.most[LIMIT_CONNECTIONS], 16384);
    ck_assert_uint_eq(config->timeouts.hello, 10);
    ck_assert_uint_eq(config->timeouts.reply, 30);
    ck_assert(config->memory_pressure.watch);
    ck_assert_uint_eq(config->memory_pressure.stall, 200);
    ck_assert_uint_eq(config->memory_pressure.window, 2000);
    ck_assert_uint_eq(config->memory_pressure.percent, 10);
    ck_assert_uint_eq(config_user_limits(config, 20001)->most[LIMIT_REGIONS], 65536);
    config_free(config);
}
END_TEST

START_TEST(a_user_has_a_configuration_of_his_own) {
    struct config *config;

    make_directories();
    ck_assert_int_eq(mkdir(DIRECTORY "/shmregd", 0755), 0);
    write_text(DIRECTORY "/shmregd/shmregd.json", "{\"log_level\": \"debug\"}");
    setenv("XDG_CONFIG_HOME", DIRECTORY, 1);
    ck_assert_int_eq(config_load(NULL, true, &config, NULL), 0);
    ck_assert_int_eq(config->log_level, LOG_DEBUG);
    ck_assert_str_eq(config->files[0], DIRECTORY "/shmregd/shmregd.json");
    config_free(config);

    ck_assert_int_eq(mkdir(DIRECTORY "/.config", 0755), 0);
    ck_assert_int_eq(rename(DIRECTORY "/shmregd", DIRECTORY "/.config/shmregd"), 0);
    unsetenv("XDG_CONFIG_HOME");
    setenv("HOME", DIRECTORY, 1);
    ck_assert_int_eq(config_load(NULL, true, &config, NULL), 0);
    ck_assert_int_eq(config->log_level, LOG_DEBUG);
    config_free(config);
}
END_TEST

START_TEST(every_key_counts) {
    struct config *config;
    const struct limits *limits;

    make_directories();
    write_text(FILE_PATH, "{\n"
                          "  \"admin_group\": \"root\",\n"
                          "  \"default_backing\": \"memfd\",\n"
                          "  \"log_level\": \"warning\",\n"
                          "  \"limits\": {\n"
                          "    \"total\": {\"bytes\": \"2G\", \"regions\": 0},\n"
                          "    \"user\": {\"bytes\": 4096, \"connections\": 7},\n"
                          "    \"users\": {\n"
                          "      \"20001\": {\"bytes\": \"512M\", \"attachments\": \"none\"},\n"
                          "      \"root\": {\"bytes\": \"none\"},\n"
                          "      \"20000\": {}\n"
                          "    }\n"
                          "  }\n"
                          "}\n");
    config = load(FILE_PATH);
    ck_assert(config->has_admin_group);
    ck_assert_uint_eq(config->admin_group, 0);
    ck_assert_int_eq(config->default_backing, BACKING_MEMFD);
    ck_assert_int_eq(config->log_level, LOG_WARNING);
    ck_assert_uint_eq(config->total.most[LIMIT_BYTES], (uint64_t)2 << 30);
    ck_assert_uint_eq(config->total.most[LIMIT_REGIONS], 0);
    ck_assert_uint_eq(config->total.most[LIMIT_CONNECTIONS], 16384);

    limits = config_user_limits(config, 20001);
    ck_assert_uint_eq(limits->most[LIMIT_BYTES], 512 << 20);
    ck_assert_uint_eq(limits->most[LIMIT_ATTACHMENTS], LIMIT_NONE);
    ck_assert_uint_eq(limits->most[LIMIT_CONNECTIONS], 7);
    ck_assert_uint_eq(config_user_limits(config, 0)->most[LIMIT_BYTES], LIMIT_NONE);
    ck_assert_uint_eq(config_user_limits(config, 20000)->most[LIMIT_BYTES], 4096);
    ck_assert_uint_eq(config_user_limits(config, 20002)->most[LIMIT_BYTES], 4096);
    config_free(config);
}
END_TEST

START_TEST(rates_units_and_namespaces_have_limits) {
    struct config *config;
    const struct limits *limits;

    make_directories();
    write_text(FILE_PATH, "{\n"
                          "  \"limits\": {\n"
                          "    \"user\": {\"requests_per_second\": 9, \"requests_at_once\": 90},\n"
                          "    \"users\": {\"20001\": {\"requests_per_second\": 5},\n"
                          "              \"20002\": {\"requests_at_once\": 50}},\n"
                          "    \"unit\": {\"regions\": 100, \"connections\": 50},\n"
                          "    \"units\": {\n"
                          "      \"worker@*.service\": {\"bytes\": \"1M\", \"regions\": 10},\n"
                          "      \"worker@big.service\": {\"bytes\": \"none\"},\n"
                          "      \"root/sync.service\": {\"regions\": 2}\n"
                          "    }\n"
                          "  },\n"
                          "  \"namespaces\": {\n"
                          "    \"feed\": {\"limits\": {\"bytes\": 4096}},\n"
                          "    \"other\": {}\n"
                          "  }\n"
                          "}\n");
    config = load(FILE_PATH);
    ck_assert_uint_eq(config->total.rate, 0);
    limits = config_user_limits(config, 20000);
    ck_assert(limits->rate == 9 && limits->burst == 90);
    limits = config_user_limits(config, 20001);
    ck_assert(limits->rate == 5 && limits->burst == 0);
    limits = config_user_limits(config, 20002);
    ck_assert(limits->rate == 9 && limits->burst == 50);
    limits = config_unit_limits(config, "worker@1.service");
    ck_assert_uint_eq(limits->rate, 0);
    ck_assert_uint_eq(limits->most[LIMIT_BYTES], 1 << 20);
    ck_assert_uint_eq(limits->most[LIMIT_REGIONS], 10);
    ck_assert_uint_eq(limits->most[LIMIT_CONNECTIONS], 50);
    limits = config_unit_limits(config, "worker@big.service");
    ck_assert_uint_eq(limits->most[LIMIT_BYTES], LIMIT_NONE);
    ck_assert_uint_eq(limits->most[LIMIT_REGIONS], 10);
    ck_assert_uint_eq(config_unit_limits(config, "0/sync.service")->most[LIMIT_REGIONS], 2);
    ck_assert_uint_eq(config_unit_limits(config, "1/sync.service")->most[LIMIT_REGIONS], 100);
    ck_assert_uint_eq(config_unit_limits(config, "sync.service")->most[LIMIT_REGIONS], 100);
    ck_assert_uint_eq(config->namespaces[0].limits->most[LIMIT_BYTES], 4096);
    ck_assert_uint_eq(config->namespaces[0].limits->most[LIMIT_REGIONS], LIMIT_NONE);
    ck_assert_ptr_null(config->namespaces[1].limits);
    config_free(config);
}
END_TEST

START_TEST(drop_ins_apply_in_order_of_name) {
    struct config *config;

    make_directories();
    write_text(FILE_PATH, "{\"log_level\": \"error\", \"default_backing\": \"file\"}");
    write_text(DROP_INS "/20-b.json", "{\"limits\": {\"user\": {\"regions\": 2, \"bytes\": 2}}}");
    write_text(DROP_INS "/10-a.json", "{\"log_level\": \"notice\", \"limits\":"
                                      "{\"user\": {\"regions\": 1, \"connections\": 1},"
                                      " \"users\": {\"20001\": {\"bytes\": 3}}}}");
    write_text(DROP_INS "/30-empty.json", "\n");
    write_text(DROP_INS "/40.txt", "not json");
    write_text(DROP_INS "/.hidden.json", "not json");
    config = load(FILE_PATH);
    ck_assert_uint_eq(config->n_files, 4);
    ck_assert_str_eq(config->files[0], FILE_PATH);
    ck_assert_str_eq(config->files[1], DROP_INS "/10-a.json");
    ck_assert_str_eq(config->files[2], DROP_INS "/20-b.json");
    ck_assert_int_eq(config->log_level, LOG_NOTICE);
    ck_assert_int_eq(config->default_backing, BACKING_FILE);
    ck_assert_uint_eq(config->user.most[LIMIT_REGIONS], 2);
    ck_assert_uint_eq(config->user.most[LIMIT_CONNECTIONS], 1);
    ck_assert_uint_eq(config_user_limits(config, 20001)->most[LIMIT_REGIONS], 2);
    ck_assert_uint_eq(config_user_limits(config, 20001)->most[LIMIT_BYTES], 3);
    config_free(config);
}
END_TEST

START_TEST(a_drop_in_hides_one_of_the_vendor) {
    struct config_places places = {
        .file = FILE_PATH,
        .directories = {SCRATCH "/usr", DROP_INS},
        .n_directories = 2,
    };
    _cleanup_(config_files_deinit) struct config_files files = {0};
    _cleanup_free_ char *text = NULL;

    make_directories();
    ck_assert_int_eq(mkdir(SCRATCH "/usr", 0755), 0);
    write_text(SCRATCH "/usr/10.json", "{}");
    write_text(SCRATCH "/usr/20.json", "{}");
    write_text(SCRATCH "/usr/40.json", "{}");
    write_text(DROP_INS "/30.json", "{}");
    ck_assert_int_eq(symlink("/dev/null", DROP_INS "/20.json"), 0);
    ck_assert_int_eq(config_files_find(&places, &files, NULL), 0);
    ck_assert_uint_eq(files.count, 4);
    ck_assert_str_eq(files.paths[0], SCRATCH "/usr/10.json");
    ck_assert_str_eq(files.paths[1], DROP_INS "/20.json");
    ck_assert_str_eq(files.paths[2], DROP_INS "/30.json");
    ck_assert_str_eq(files.paths[3], SCRATCH "/usr/40.json");
    ck_assert_int_eq(config_file_read(files.paths[1], &text, NULL), 0);
    ck_assert_str_eq(text, "");
}
END_TEST

static const struct {
    const char *text, *sentence; /* after the file name */
} mistakes[] = {
    {"{\n\"log_level\": \"loud\"}",
     ":2: log_level: must be one of error, warning, notice, info, debug"},
    {"{\"log_level\": 3}", ":1: log_level: must be one of error, warning, notice, info, debug"},
    {"{\n\n\"loglevel\": \"info\"}", ":3: loglevel: unknown key"},
    {"{\"default_backing\": \"hugetlb\"}", ":1: default_backing: must be one of shm, memfd, file"},
    {"{\"admin_group\": \"no-such-group\"}", ":1: admin_group: there is no group 'no-such-group'"},
    {"{\"admin_group\": \"\"}", ":1: admin_group: must be the name of a group"},
    {"{\"admin_group\": null}", ":1: admin_group: must be the name of a group"},
    {"[]", ":1: must be an object"},
    {"{\"limits\": []}", ":1: limits: must be an object"},
    {"{\"timeouts\": {\n\"hello\": 0}}",
     ":2: timeouts.hello: must be a whole number of seconds from 1 to 86400"},
    {"{\"timeouts\": {\"reply\": \"30\"}}",
     ":1: timeouts.reply: must be a whole number of seconds from 1 to 86400"},
    {"{\"memory_pressure\": {\n\"watch\": \"no\"}}",
     ":2: memory_pressure.watch: must be true or false"},
    {"{\"memory_pressure\": {\"stall\": 0}}",
     ":1: memory_pressure.stall: must be a whole number of milliseconds from 1 to 10000"},
    {"{\"memory_pressure\": {\"stall\": 2001}}",
     ":1: memory_pressure: stall cannot be longer than window"},
    {"{\"memory_pressure\": {\"window\": 3000}}",
     ":1: memory_pressure.window: must be 2000, 4000, 6000, 8000 or 10000 milliseconds"},
    {"{\"memory_pressure\": {\"percent\": 101}}",
     ":1: memory_pressure.percent: must be a whole number from 1 to 100"},
    {"{\"limits\": {\n\"everybody\": {}}}", ":2: limits.everybody: unknown key"},
    {"{\"limits\": {\n\"total\": {\n\"region\": 1}}}", ":3: limits.total.region: unknown key"},
    /* The same key elsewhere, in strings and nested, does not lead astray. */
    {"{\"admin_group\": \"root\",\n \"limits\": {\"total\": {\"regions\": 1},\n"
     " \"users\": {\"20001\": {\"bytes\": \"none\"},\n\"20002\": {\"connections\": 1,\n"
     "\"regions\": -1}}}}",
     ":5: limits.users.20002.regions: must be a whole number from 0 on, or \"none\""},
    {"{\n\"\\u006cimits\": {\n\"user\": {\"regions\": 1.5}}}",
     ":3: limits.user.regions: must be a whole number from 0 on, or \"none\""},
    {"{\"limits\": {\"user\": {\"regions\": \"5\"}}}",
     ":1: limits.user.regions: must be a whole number from 0 on, or \"none\""},
    {"{\"namespaces\": {\n\"/feed\": {}}}", ":2: namespaces./feed: a region name has no empty "
                                            "component ('/' at its start, or twice in a row)"},
    {"{\"namespaces\": {\"feed\": {\n\"own\": 1}}}", ":2: namespaces.feed.own: unknown key"},
    {"{\"namespaces\": {\"feed\": {\"owner\": \"no-such-user\"}}}",
     ":1: namespaces.feed.owner: there is no user 'no-such-user'"},
    {"{\"namespaces\": {\"feed\": {\"create\": \"anyone\"}}}",
     ":1: namespaces.feed.create: must be an array such as [\"user:alice\", \"unit:x.service\"]"},
    {"{\"namespaces\": {\"feed\": {\"create\": [\"unit:x\"]}}}",
     ":1: namespaces.feed.create: 'unit:x' is not \"anyone\", \"user:NAME\", \"group:NAME\" or "
     "\"unit:NAME.service\""},
    {"{\"namespaces\": {\"feed\": {\"create\": [\"user:no-such-user\"]}}}",
     ":1: namespaces.feed.create: there is no user 'no-such-user'"},
    {"{\"namespaces\": {\"feed\": {\"mode\": \"0777\"}}}",
     ":1: namespaces.feed.mode: must be a mode of r and w in octal, such as \"0640\""},
    {"{\"namespaces\": {\"feed\": {\"acl\": [\"user:root\"]}}}",
     ":1: namespaces.feed.acl: 'user:root' is not an access rule such as \"user:alice:rw\""},
    {"{\"namespaces\": {\"feed\": {\"lifetime\": \"lease\"}}}",
     ":1: namespaces.feed: a lease needs its seconds"},
    {"{\"namespaces\": {\"feed\": {\"seconds\": 5}}}",
     ":1: namespaces.feed: only the lifetimes attached and lease have seconds"},
    {"{\"limits\": {\"user\": {\"bytes\": \"5 M\"}}}",
     ":1: limits.user.bytes: must be a whole number of bytes, a size as \"512M\" or \"2G\" (K, M, "
     "G, T), or \"none\""},
    {"{\"limits\": {\"user\": {\"bytes\": \"8388608T\"}}}",
     ":1: limits.user.bytes: must be a whole number of bytes, a size as \"512M\" or \"2G\" (K, M, "
     "G, T), or \"none\""},
    {"{\"limits\": {\"user\": {\"bytes\": true}}}",
     ":1: limits.user.bytes: must be a whole number from 0 on, or \"none\""},
    {"{\"limits\": {\"user\": {\"requests_per_second\": 0}}}",
     ":1: limits.user.requests_per_second: must be a whole number from 1 to 1000000, or \"none\""},
    {"{\"limits\": {\"units\": {\n\"nginx\": {}}}}",
     ":2: limits.units.nginx: is no unit such as nginx.service, worker@*.service or "
     "alice/sync.service"},
    {"{\"limits\": {\"units\": {\"no-such-user/a.service\": {}}}}",
     ":1: limits.units.no-such-user/a.service: there is no user for unit "
     "'no-such-user/a.service'"},
    {"{\"namespaces\": {\"feed\": {\"limits\": {\n\"connections\": 1}}}}",
     ":2: namespaces.feed.limits.connections: unknown key"},
    {"{\"limits\": {\"users\": {\n\"no-such-user\": {}}}}",
     ":2: limits.users.no-such-user: there is no user 'no-such-user'"},
    {"{\"limits\": {\"users\": {\"4294967295\": {}}}}",
     ":1: limits.users.4294967295: no user has this number"},
    {"{\"limits\": {\"users\": {\"root\": {},\n\"0\": {}}}}",
     ":2: limits.users.0: is the same user as 'root'"},
    {"{\n\"log_level\": \"info\",\n\"log_level\": \"info\"}",
     ":3: duplicate object key near '\"log_level\"'"},
    {"{\"log_level\":\n}", ":2: unexpected token near '}'"},
    {"{} {}", ":1: end of file expected near '{'"},
};

START_TEST(a_mistake_is_named_with_file_line_and_key) {
    char sentence[512];

    make_directories();
    for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
        write_text(FILE_PATH, mistakes[i].text);
        snprintf(sentence, sizeof(sentence), FILE_PATH "%s", mistakes[i].sentence);
        expect_refusal(FILE_PATH, -EINVAL, sentence);

        write_text(FILE_PATH, "{}");
        write_text(DROP_INS "/10.json", mistakes[i].text);
        snprintf(sentence, sizeof(sentence), DROP_INS "/10.json%s", mistakes[i].sentence);
        expect_refusal(FILE_PATH, -EINVAL, sentence);
        ck_assert_int_eq(unlink(DROP_INS "/10.json"), 0);
    }
}
END_TEST

START_TEST(what_cannot_be_read_is_an_error) {
    make_directories();
    expect_refusal(FILE_PATH, -ENOENT, "cannot read " FILE_PATH ": No such file or directory");
    expect_refusal(DIRECTORY, -EINVAL, DIRECTORY ": not a regular file");
    scratch_write(FILE_PATH, "{}\0{}", 5);
    expect_refusal(FILE_PATH, -EINVAL, FILE_PATH ": not text, it has a NUL byte");
    ck_assert_int_eq(truncate(FILE_PATH, (1 << 20) + 1), 0);
    expect_refusal(FILE_PATH, -EFBIG, FILE_PATH ": larger than 1 MiB");

    write_text(FILE_PATH, "{}");
    ck_assert_int_eq(symlink("nowhere", DROP_INS "/10.json"), 0);
    expect_refusal(FILE_PATH, -ENOENT,
                   "cannot read " DROP_INS "/10.json: No such file or directory");
    ck_assert_int_eq(unlink(DROP_INS "/10.json"), 0);
    ck_assert_int_eq(seteuid(20001), 0);
    expect_refusal(FILE_PATH, -EACCES, "cannot read " FILE_PATH ": Permission denied");
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(chmod(FILE_PATH, 0644), 0);
    ck_assert_int_eq(chmod(DROP_INS, 0700), 0);
    ck_assert_int_eq(seteuid(20001), 0);
    expect_refusal(FILE_PATH, -EACCES, "cannot read " DROP_INS ": Permission denied");
    ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

SUITE_MAIN("config", nothing_has_to_be_configured, a_user_has_a_configuration_of_his_own,
           every_key_counts, rates_units_and_namespaces_have_limits,
           drop_ins_apply_in_order_of_name, a_drop_in_hides_one_of_the_vendor,
           a_mistake_is_named_with_file_line_and_key, what_cannot_be_read_is_an_error);
