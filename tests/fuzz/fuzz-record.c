/*
 * Records of the registry, which a damaged disk may have changed in any way: a region that is
 * parsed is written and parsed again to the same; a holder's and a stage's numbers fit.
 */
#include "daemon/core/record.h"
#include "proto/cleanup.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <string.h>

static char *format(const struct region_record *record) {
    struct segment segment = {
        .backing = record->backing,
        .version = record->version,
        .huge_pages = record->huge_pages,
        .sealed = record->sealed,
        .size = record->size,
        .max_size = record->max_size,
    };
    const struct payer payer = {record->owner_uid, record->unit, record->name};
    const struct config config = {0};
    struct quota *quota;
    char *text;
    struct region region = {
        .name = (char *)record->name,
        .id = record->id,
        .access = {.owner_uid = record->owner_uid,
                   .owner_gid = record->owner_gid,
                   .mode = record->mode,
                   .acl = (char *)record->acl},
        .attributes = (char *)record->attributes,
        .lifetime = record->lifetime,
        .seconds = record->seconds,
        .durability = record->durability,
        .durability_seconds = record->durability_seconds,
        .deadline = record->deadline,
        .created_usec = record->created_usec,
        .changed_usec = record->changed_usec,
        .tag = record->tag,
        .slot = record->slot,
        .slot_version = record->slot_version,
        .owner_identity = record->owner,
        .segment = &segment,
        .sync_block = record->sync_block ? &segment : NULL,
    };

    fuzz_check(quota_new(&config, &quota) == 0);
    fuzz_check(quota_charge_existing(quota, &payer, LIMIT_REGIONS, 1, &region.charge) == 0);
    text = region_record_format(&region);
    charge_release(region.charge);
    quota_free(quota);
    return text;
}

static void check_region(const char *text) {
    _cleanup_free_ char *first = NULL, *second = NULL;
    struct region_record record, again;
    struct error error = {0};

    if (region_record_parse(text, &record, &error) < 0) {
        fuzz_check(error.code == -EBADMSG && *error.text);
        return;
    }
    fuzz_check(!region_name_fault(record.name) && record.id > 0 && record.size > 0);
    first = format(&record);
    fuzz_check(first && region_record_parse(first, &again, &error) == 0);
    second = format(&again);
    fuzz_check(second && strcmp(first, second) == 0);
    region_record_deinit(&record);
    region_record_deinit(&again);
}

static void check_holder(const char *text) {
    struct holder_record record;
    struct error error = {0};

    if (holder_record_parse(text, &record, &error) < 0) {
        fuzz_check(error.code == -EBADMSG && *error.text);
        return;
    }
    fuzz_check(record.process.pid > 0 && record.version > 0 && record.size <= record.max_size);
}

static void check_stage(const char *text) {
    struct stage_record record;
    struct error error = {0};

    if (stage_record_parse(text, &record, &error) < 0) {
        fuzz_check(error.code == -EBADMSG && *error.text);
        return;
    }
    fuzz_check(!region_name_fault(record.spec.name) && record.id > 0 && record.spec.size > 0);
    stage_record_deinit(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ char *text = strndup((const char *)data, size);

    fuzz_check(text);
    check_region(text);
    check_holder(text);
    check_stage(text);
    return 0;
}
