/*
 * What segments are called
 *
 * "shmreg.INSTANCE.ID.VERSION", and in /dev/shm, where anyone may make objects, a suffix after that
 * which nobody can foresee: else whoever takes the name of a version to come stops its publisher. It
 * is a keyed hash of id and version, so it needs no record; as the boot is in it, names seen before
 * a reboot are of no use after it. Older daemons gave none: such segments keep their names.
 */
#include "daemon/core/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX_DIGITS 16

static int make_suffix(struct segment *segment) {
    sd_id128_t message = segment->places->secret, hash;
    int r = 0;

    segment->suffix = 0;
    if (segment->backing != BACKING_SHM)
        return 0;
    message.qwords[0] ^= segment->id;
    message.qwords[1] ^= segment->version;
    r = sd_id128_get_boot_app_specific(message, &hash);
    if (r < 0)
        return r;
    segment->suffix = hash.qwords[0] ? hash.qwords[0] : 1;
    return 0;
}

int segment_set_name(struct segment *segment, uint64_t id, uint32_t version) {
    segment->id = id;
    segment->version = version;
    return make_suffix(segment);
}

static bool is_there_without_suffix(const struct segment *segment) {
    struct segment older = *segment;
    char name[SEGMENT_NAME_MAX];
    struct stat status;

    older.suffix = 0;
    segment_name(&older, name);
    return fstatat(segment->places->shm_directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(status.st_mode) && status.st_uid == geteuid();
}

int segment_find_name(struct segment *segment, uint64_t id, uint32_t version) {
    int r = segment_set_name(segment, id, version);

    if (r == 0 && segment->suffix != 0 && is_there_without_suffix(segment))
        segment->suffix = 0;
    return r;
}

void segment_name(const struct segment *segment, char ret[static SEGMENT_NAME_MAX]) {
    int length = snprintf(ret, SEGMENT_NAME_MAX, "shmreg.%s.%" PRIu64 ".%" PRIu32,
                          segment->places->instance, segment->id, segment->version);

    if (segment->suffix != 0)
        snprintf(ret + length, SEGMENT_NAME_MAX - (size_t)length, ".%0*" PRIx64, SUFFIX_DIGITS,
                 segment->suffix);
}

bool segment_name_parse(const struct segment_places *places, enum backing backing, const char *name,
                        struct segment *ret) {
    char prefix[SEGMENT_NAME_MAX], again[SEGMENT_NAME_MAX];
    int length = snprintf(prefix, sizeof(prefix), "shmreg.%s.", places->instance);

    *ret = (struct segment){.places = places, .backing = backing, .fd = -1};
    if (strncmp(name, prefix, (size_t)length) != 0 ||
        sscanf(name + length, "%" SCNu64 ".%" SCNu32 ".%" SCNx64, &ret->id, &ret->version,
               &ret->suffix) < 2 ||
        (ret->suffix != 0 && backing != BACKING_SHM))
        return false;
    /* Only what segment_name() writes is ours: "01.1" and "1.1x" are not. */
    segment_name(ret, again);
    return strcmp(name, again) == 0;
}
