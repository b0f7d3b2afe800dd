/*
 * Declared regions as files say them: which files count, what each key means, and that a mistake is
 * named with file, line and key.
 */
#include "daemon/ground/config.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <unistd.h>

#define DIRECTORY SCRATCH "/etc"
#define MAIN DIRECTORY "/shmregd.json"
#define REGIONS DIRECTORY "/regions.d"
#define FILE_PATH REGIONS "/a.json"

static void make_directories(void) {
    scratch_mount(8 << 20);
    ck_assert_int_eq(mkdir(DIRECTORY, 0755), 0);
    ck_assert_int_eq(mkdir(REGIONS, 0755), 0);
    scratch_write(MAIN, "{}", 2);
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

static void expect_refusal(const char *text, const char *sentence) {
    struct config *config = NULL;
    struct error error = {0};

    write_text(FILE_PATH, text);
    ck_assert_int_eq(config_load(MAIN, false, &config, &error), -EINVAL);
    ck_assert_str_eq(error.text, sentence);
    ck_assert_ptr_null(config);
}

START_TEST(every_key_counts) {
    const struct declared *declared;
    struct config *config;

    make_directories();
    write_text(FILE_PATH, "{\n"
                          "  \"name\": \"feed/prices\",\n"
                          "  \"owner\": \"20001\", \"group\": \"20002\",\n"
                          "  \"mode\": \"0640\", \"acl\": [\"user:root:r\", \"user:20003:rw\"],\n"
                          "  \"attributes\": {\"dtype\": \"f8\"},\n"
                          "  \"backing\": \"file\", \"size\": \"1M\", \"max_size\": 2097152,\n"
                          "  \"sync_block\": true,\n"
                          "  \"lifetime\": \"lease\", \"seconds\": 60,\n"
                          "  \"durability\": \"interval\", \"durability_seconds\": 5,\n"
                          "  \"content\": \"/srv/prices\"\n"
                          "}\n");
    write_text(REGIONS "/b.json", "{\"name\": \"big\", \"size\": 1, \"huge_pages\": \"2M\"}");
    config = load(MAIN);
    ck_assert_uint_eq(config->n_declared, 2);
    ck_assert_uint_eq(config->n_files, 3);
    ck_assert_str_eq(config->declared[0].name, "big");
    declared = declared_find(config, "feed/prices");
    ck_assert_ptr_eq(declared, &config->declared[1]);
    ck_assert_str_eq(declared->file, FILE_PATH);
    ck_assert_uint_eq(declared->lines[DECLARED_NAME], 2);
    ck_assert_uint_eq(declared->lines[DECLARED_CONTENT], 10);
    ck_assert_uint_eq(declared->lines[DECLARED_HUGE_PAGES], 0);
    ck_assert_uint_eq(declared->owner, 20001);
    ck_assert_uint_eq(declared->group, 20002);
    ck_assert_uint_eq(declared->mode, 0640);
    ck_assert_str_eq(declared->acl, "user:root:r,user:20003:rw");
    ck_assert_str_eq(declared->attributes, "{\"dtype\":\"f8\"}");
    ck_assert_int_eq(declared->backing, BACKING_FILE);
    ck_assert_uint_eq(declared->size, 1 << 20);
    ck_assert_uint_eq(declared->max_size, 2 << 20);
    ck_assert(declared->sync_block);
    ck_assert_int_eq(declared->lifetime, LIFETIME_LEASE);
    ck_assert_uint_eq(declared->seconds, 60);
    ck_assert_int_eq(declared->durability, DURABILITY_INTERVAL);
    ck_assert_uint_eq(declared->durability_seconds, 5);
    ck_assert_str_eq(declared->content, "/srv/prices");
    declared = declared_find(config, "big");
    ck_assert_int_eq(declared->huge_pages, HUGE_PAGES_2M);
    ck_assert_uint_eq(declared->owner, getuid());
    ck_assert_uint_eq(declared->group, getgid());
    ck_assert_ptr_null(declared_find(config, "feed"));
    config_free(config);
}
END_TEST

START_TEST(an_owner_with_an_account_has_its_group) {
    struct config *config;

    make_directories();
    write_text(FILE_PATH, "{\"name\": \"a\", \"size\": 1, \"owner\": \"root\"}");
    config = load(MAIN);
    ck_assert_uint_eq(config->declared[0].owner, 0);
    ck_assert_uint_eq(config->declared[0].group, 0);
    config_free(config);
}
END_TEST

START_TEST(a_mistake_is_named_with_its_place) {
    static const char *const mistakes[][2] = {
        {"{\n", ":2: string or '}' expected near end of file"},
        {"[]", ":1: must be an object"},
        {"{\"size\": 1}", ":1: the name is missing"},
        {"{\n\"name\": \"a\"}", ":1: size or content is missing"},
        {"{\"name\": \"a\",\n\n\"siz\": 1}", ":3: siz: unknown key"},
        {"{\"name\": \"a b\"}", ":1: name: "},
        {"{\"name\": 5}", ":1: name: "},
        {"{\n\"owner\": 5}", ":2: owner: must be the name of a user, or a uid as a string"},
        {"{\n\"owner\": \"nobody-here\"}", ":2: owner: there is no user 'nobody-here'"},
        {"{\n\"group\": \"nobody-here\"}", ":2: group: there is no group 'nobody-here'"},
        {"{\"name\": \"a\", \"size\": 1, \"owner\": \"20001\"}",
         ":1: user 20001 has no account, so the group has to be given"},
        {"{\n\"mode\": \"0777\"}",
         ":2: mode: must be a mode of r and w in octal, such as \"0640\""},
        {"{\n\"acl\": [\"x\"]}", ":2: acl: 'x' is not an access rule such as \"user:alice:rw\""},
        {"{\n\"attributes\": []}", ":2: attributes: must be an object"},
        {"{\n\"size\": 0}", ":2: size: must be a whole number of bytes from 1 on, or a size as "
                            "\"512M\" or \"2G\" (K, M, G, T)"},
        {"{\n\"max_size\": \"none\"}",
         ":2: max_size: must be a whole number of bytes from 1 on, or a size as \"512M\" or \"2G\" "
         "(K, M, G, T)"},
        {"{\n\"backing\": \"adopted\"}", ":2: backing: must be one of shm, memfd, file"},
        {"{\n\"lifetime\": \"owner\"}",
         ":2: lifetime: there is no process that a declared region could end with"},
        {"{\n\"seconds\": -1}", ":2: seconds: must be a whole number of seconds from 0 on"},
        {"{\n\"sync_block\": 1}", ":2: sync_block: must be true or false"},
        {"{\n\"huge_pages\": \"3M\"}", ":2: huge_pages: must be one of 2M, 1G"},
        {"{\n\"durability\": \"often\"}", ":2: durability: must be one of none, interval, publish"},
        {"{\n\"content\": \"relative\"}", ":2: content: must be the absolute path of a file"},
        {"{\"name\": \"a\", \"content\": \"/a\", \"huge_pages\": \"2M\"}",
         ":1: no content can be loaded into huge pages"},
    };
    char expected[ERROR_TEXT_MAX];

    make_directories();
    for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
        struct config *config = NULL;
        struct error error = {0};

        write_text(FILE_PATH, mistakes[i][0]);
        ck_assert_int_eq(config_load(MAIN, false, &config, &error), -EINVAL);
        snprintf(expected, sizeof(expected), FILE_PATH "%s", mistakes[i][1]);
        ck_assert_msg(strncmp(error.text, expected, strlen(expected)) == 0, "%s", error.text);
        ck_assert_ptr_null(config);
    }
}
END_TEST

START_TEST(a_name_is_declared_once) {
    make_directories();
    write_text(REGIONS "/b.json", "{\n\"name\": \"same\", \"size\": 1}");
    expect_refusal("{\"name\": \"same\", \"size\": 2}",
                   REGIONS "/b.json:2: name: region 'same' is declared in " FILE_PATH " already");
}
END_TEST

START_TEST(a_file_can_be_taken_away) {
    struct config *config;

    make_directories();
    write_text(FILE_PATH, "");
    ck_assert_int_eq(symlink("/dev/null", REGIONS "/b.json"), 0);
    write_text(REGIONS "/.hidden.json", "nonsense");
    write_text(REGIONS "/c.json.bak", "nonsense");
    config = load(MAIN);
    ck_assert_uint_eq(config->n_declared, 0);
    ck_assert_ptr_null(declared_find(config, "a"));
    config_free(config);
}
END_TEST

/* In directories of the test's own, mounted over those of the system. */
START_TEST(the_administrators_file_hides_the_vendors) {
    static const char *const vendor = "/usr/lib/shmregd/regions.d";
    struct config *config;

    scratch_mount(8 << 20);
    ck_assert_int_eq(mount("tmpfs", "/usr/lib", "tmpfs", 0, "size=1M"), 0);
    ck_assert_int_eq(mount("tmpfs", "/etc", "tmpfs", 0, "size=1M"), 0);
    ck_assert_int_eq(mkdir("/usr/lib/shmregd", 0755) | mkdir(vendor, 0755), 0);
    ck_assert_int_eq(mkdir("/etc/shmregd", 0755) | mkdir("/etc/shmregd/regions.d", 0755), 0);
    write_text("/usr/lib/shmregd/regions.d/a.json", "{\"name\": \"a\", \"size\": 1}");
    write_text("/usr/lib/shmregd/regions.d/b.json", "{\"name\": \"b\", \"size\": 1}");
    write_text("/etc/shmregd/regions.d/a.json", "{\"name\": \"a\", \"size\": 2}");
    config = load(NULL);
    ck_assert_uint_eq(config->n_declared, 2);
    ck_assert_uint_eq(declared_find(config, "a")->size, 2);
    ck_assert_uint_eq(declared_find(config, "b")->size, 1);
    config_free(config);
}
END_TEST

SUITE_MAIN("declared", every_key_counts, an_owner_with_an_account_has_its_group,
           a_mistake_is_named_with_its_place, a_name_is_declared_once, a_file_can_be_taken_away,
           the_administrators_file_hides_the_vendors);
