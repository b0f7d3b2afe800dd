/*
 * Records: what is written is read back whole, and a record with a key missing, of another type, or
 * with values that contradict each other is refused.
 */
#include "daemon/core/record.h"
#include "daemon/core/attachment.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static struct segment segment = {
    .backing = BACKING_FILE,
    .id = 41,
    .version = 3,
    .size = 5000,
    .max_size = 1ull << 40,
    .sealed = true,
};

static struct segment sync_block = {.backing = BACKING_SHM, .id = 41};

static struct region region = {
    .name = "feed/prices",
    .id = 41,
    .access = {.owner_uid = 20001, .owner_gid = UINT32_MAX - 1, .mode = 0640, .acl = "user:7:r"},
    .attributes = "{\"name\":\"\\u00e4 \\\"quoted\\\"\",\"shape\":[2,3]}",
    .lifetime = LIFETIME_LEASE,
    .seconds = 90,
    .deadline = 123456789012345,
    .created_usec = 1700000000000000,
    .changed_usec = 1700000000000001,
    .tag = {.client_id = UINT64_MAX - 7, .serial = UINT32_MAX},
    .durability = DURABILITY_INTERVAL,
    .durability_seconds = 30,
    .slot = 17,
    .slot_version = 4000000000,
    .owner_identity = {.pid = 4711, .start_time = 99999999999},
    .segment = &segment,
    .sync_block = &sync_block,
};

/* The record of the region, which is charged to a unit. */
static char *format(struct region *of) {
    const struct payer payer = {20001, "20001/sync\\x2d1.service", of->name};
    const struct config config = {0};
    struct quota *quota = NULL;
    char *text;

    ck_assert_int_eq(quota_new(&config, &quota), 0);
    ck_assert_int_eq(quota_charge_existing(quota, &payer, LIMIT_REGIONS, 1, &of->charge), 0);
    text = region_record_format(of);
    charge_release(steal_pointer(of->charge));
    quota_free(quota);
    return text;
}

static struct region_record parse(const char *text) {
    struct region_record record = {0};
    struct error error = {0};
    int r = region_record_parse(text, &record, &error);

    ck_assert_msg(r == 0, "%s", error.text);
    return record;
}

START_TEST(a_region_comes_back_whole) {
    _cleanup_free_ char *text = format(&region);
    struct region_record record = parse(text);

    ck_assert_str_eq(record.name, region.name);
    ck_assert_str_eq(record.unit, "20001/sync\\x2d1.service");
    ck_assert_str_eq(record.acl, region.access.acl);
    ck_assert_str_eq(record.attributes, region.attributes);
    ck_assert_uint_eq(record.id, region.id);
    ck_assert_uint_eq(record.size, segment.size);
    ck_assert_uint_eq(record.max_size, segment.max_size);
    ck_assert_uint_eq(record.deadline, region.deadline);
    ck_assert_uint_eq(record.version, segment.version);
    ck_assert_uint_eq(record.slot, region.slot);
    ck_assert_uint_eq(record.slot_version, region.slot_version);
    ck_assert_uint_eq(record.seconds, region.seconds);
    ck_assert_uint_eq(record.mode, region.access.mode);
    ck_assert_uint_eq(record.owner_uid, region.access.owner_uid);
    ck_assert_uint_eq(record.owner_gid, region.access.owner_gid);
    ck_assert_uint_eq(record.backing, BACKING_FILE);
    ck_assert_uint_eq(record.lifetime, LIFETIME_LEASE);
    ck_assert_int_eq(record.owner.pid, region.owner_identity.pid);
    ck_assert_uint_eq(record.owner.start_time, region.owner_identity.start_time);
    ck_assert_int_eq(record.created_usec, region.created_usec);
    ck_assert_int_eq(record.changed_usec, region.changed_usec);
    ck_assert_uint_eq(record.tag.client_id, region.tag.client_id);
    ck_assert_uint_eq(record.tag.serial, region.tag.serial);
    ck_assert(record.sync_block);
    ck_assert(record.sealed);
    ck_assert_uint_eq(record.durability, DURABILITY_INTERVAL);
    ck_assert_uint_eq(record.durability_seconds, 30);
    region_record_deinit(&record);
}
END_TEST

START_TEST(huge_pages_come_back) {
    struct segment huge = {
        .backing = BACKING_MEMFD,
        .huge_pages = HUGE_PAGES_1G,
        .version = 1,
        .size = 1,
        .max_size = 1u << 30,
    };
    struct region copy = region;
    _cleanup_free_ char *ordinary = format(&region), *text = NULL;
    struct region_record record = parse(ordinary);

    ck_assert_uint_eq(record.huge_pages, 0);
    region_record_deinit(&record);
    copy.segment = &huge;
    text = format(&copy);
    record = parse(text);
    ck_assert_uint_eq(record.huge_pages, HUGE_PAGES_1G);
    region_record_deinit(&record);
    *strstr(text, "1G") = '3';
    ck_assert_int_eq(region_record_parse(text, &record, NULL), -EBADMSG);
}
END_TEST

static char longest_name[REGION_NAME_MAX + 1];

static const struct attachment *make_attachment(void) {
    static struct process process = {.identity = {.pid = INT32_MAX, .start_time = INT64_MAX}};
    static struct client client = {.id = UINT64_MAX, .caller.uid = UINT32_MAX - 1};
    static struct segment largest;
    static struct region named;
    static struct attachment attachment;

    memset(longest_name, 'n', REGION_NAME_MAX);
    client.process = &process;
    largest = (struct segment){.version = UINT32_MAX, .size = INT64_MAX, .max_size = INT64_MAX};
    named = (struct region){.name = longest_name, .id = INT64_MAX};
    attachment = (struct attachment){
        .id = INT64_MAX,
        .client = &client,
        .region = &named,
        .segment = &largest,
        .access = 2,
    };
    return &attachment;
}

START_TEST(what_has_no_bytes_yet_comes_back) {
    struct segment empty = {.backing = BACKING_SHM, .version = 1, .max_size = 4096};
    struct attachment attachment = *make_attachment();
    struct region copy = region;
    char holder_text[HOLDER_RECORD_MAX];
    struct holder_record holder;
    struct region_record record;
    _cleanup_free_ char *text = NULL;

    copy.segment = attachment.segment = &empty;
    text = format(&copy);
    record = parse(text);
    ck_assert_uint_eq(record.size, 0);
    ck_assert_uint_eq(record.max_size, 4096);
    region_record_deinit(&record);
    holder_record_format(&attachment, holder_text);
    ck_assert_int_eq(holder_record_parse(holder_text, &holder, NULL), 0);
    ck_assert_uint_eq(holder.size, 0);
    empty.max_size = 0;
    free(text);
    text = format(&copy);
    ck_assert_int_eq(region_record_parse(text, &record, NULL), -EBADMSG);
    holder_record_format(&attachment, holder_text);
    ck_assert_int_eq(holder_record_parse(holder_text, &holder, NULL), -EBADMSG);
}
END_TEST

static void expect_refused(const json_t *json, const char *what) {
    _cleanup_free_ char *text = json_dumps(json, 0);
    struct region_record record = {0};
    struct error error = {0};

    ck_assert_msg(region_record_parse(text, &record, &error) == -EBADMSG, "%s: %s", what, text);
    ck_assert_msg(*error.text, "%s: no reason", what);
}

static json_t *region_json(void) {
    _cleanup_free_ char *text = format(&region);
    json_t *json = json_loads(text, 0, NULL);

    json_object_del(json, "unit"); /* not every region has one */
    return json;
}

START_TEST(a_region_without_a_key_or_with_another_type_is_refused) {
    json_t *json = region_json(), *value;
    const char *key;

    ck_assert_uint_eq(json_object_size(json), 26);
    json_object_foreach (json, key, value) {
        json_t *damaged = json_copy(json);

        json_object_del(damaged, key);
        expect_refused(damaged, key);
        json_object_set_new(damaged, key, json_null());
        expect_refused(damaged, key);
        json_object_set_new(damaged, key,
                            json_is_string(value) ? json_integer(1) : json_string("1"));
        expect_refused(damaged, key);
        json_object_set_new(damaged, key, json_object());
        expect_refused(damaged, key);
        json_decref(damaged);
    }
    json_decref(json);
}
END_TEST

START_TEST(a_region_whose_values_contradict_each_other_is_refused) {
    static const struct {
        const char *key;
        json_int_t value;
    } numbers[] = {
        {"id", 0},
        {"id", -1},
        {"version", 0},
        {"version", -1},
        {"version", 1ll << 32},
        {"size", -1},
        {"max_size", 4999},
        {"max_size", 0},
        {"max_size", -1},
        {"seconds", -1},
        {"seconds", 1ll << 32},
        {"owner_uid", -1},
        {"owner_uid", 1ll << 32},
        {"owner_gid", -2},
        {"mode", -1},
        {"durability_seconds", -1},
        {"slot_version", -1},
        {"slot_version", 1ll << 32},
        {"slot", -1},
        {"slot", 1ll << 32},
    };
    static const struct {
        const char *key, *value;
    } words[] = {
        {"name", ""},        {"name", "a//b"}, {"name", "../x"},        {"backing", ""},
        {"backing", "disk"}, {"lifetime", ""}, {"lifetime", "forever"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        json_t *json = region_json();

        json_object_set_new(json, numbers[i].key, json_integer(numbers[i].value));
        expect_refused(json, numbers[i].key);
        json_decref(json);
    }
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        json_t *json = region_json();

        json_object_set_new(json, words[i].key, json_string(words[i].value));
        expect_refused(json, words[i].key);
        json_decref(json);
    }
}
END_TEST

START_TEST(what_is_no_object_is_refused) {
    static const char *const texts[] = {"", "x", "[]", "7", "null", "{", "{}", "{}{}", "\xff"};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct region_record region_record;
        struct holder_record holder_record;
        struct error error = {0};

        ck_assert_int_eq(region_record_parse(texts[i], &region_record, &error), -EBADMSG);
        ck_assert_int_eq(holder_record_parse(texts[i], &holder_record, &error), -EBADMSG);
        ck_assert(*error.text);
    }
}
END_TEST

START_TEST(every_cut_of_a_record_is_refused) {
    _cleanup_free_ char *text = format(&region);

    for (size_t length = strlen(text); length-- > 0;) {
        struct region_record record;

        text[length] = '\0';
        ck_assert_int_eq(region_record_parse(text, &record, NULL), -EBADMSG);
    }
}
END_TEST

START_TEST(the_largest_holder_comes_back_whole) {
    const struct attachment *attachment = make_attachment();
    struct holder_record record;
    char text[HOLDER_RECORD_MAX], key[RECORD_KEY_MAX];
    struct error error = {0};

    holder_record_format(attachment, text);
    holder_record_key(attachment, key);
    ck_assert_str_eq(key, "ffffffffffffffff.7fffffffffffffff");
    ck_assert_msg(holder_record_parse(text, &record, &error) == 0, "%s", error.text);
    ck_assert_uint_eq(record.client_id, UINT64_MAX);
    ck_assert_uint_eq(record.attachment_id, INT64_MAX);
    ck_assert_str_eq(record.region, longest_name);
    ck_assert_uint_eq(record.region_id, INT64_MAX);
    ck_assert_uint_eq(record.version, UINT32_MAX);
    ck_assert_uint_eq(record.access, 2);
    ck_assert_uint_eq(record.size, INT64_MAX);
    ck_assert_uint_eq(record.max_size, INT64_MAX);
    ck_assert_int_eq(record.process.pid, INT32_MAX);
    ck_assert_uint_eq(record.process.start_time, INT64_MAX);
    ck_assert_uint_eq(record.uid, UINT32_MAX - 1);
}
END_TEST

START_TEST(a_holder_without_a_key_or_with_another_type_is_refused) {
    char text[HOLDER_RECORD_MAX];
    const char *key;
    json_t *json, *value;

    holder_record_format(make_attachment(), text);
    json = json_loads(text, 0, NULL);
    ck_assert_uint_eq(json_object_size(json), 12);
    json_object_foreach (json, key, value) {
        json_t *damaged = json_copy(json);
        struct holder_record record;

        /* An older daemon knew of no serial. */
        for (unsigned i = strcmp(key, "serial") == 0; i < 2; i++) {
            _cleanup_free_ char *damaged_text = NULL;

            if (i == 0)
                json_object_del(damaged, key);
            else
                json_object_set_new(damaged, key, json_array());
            damaged_text = json_dumps(damaged, 0);
            ck_assert_int_eq(holder_record_parse(damaged_text, &record, NULL), -EBADMSG);
        }
        json_decref(damaged);
    }
    json_decref(json);
}
END_TEST

SUITE_MAIN("record", a_region_comes_back_whole, huge_pages_come_back,
           what_has_no_bytes_yet_comes_back, a_region_without_a_key_or_with_another_type_is_refused,
           a_region_whose_values_contradict_each_other_is_refused, what_is_no_object_is_refused,
           every_cut_of_a_record_is_refused, the_largest_holder_comes_back_whole,
           a_holder_without_a_key_or_with_another_type_is_refused);
