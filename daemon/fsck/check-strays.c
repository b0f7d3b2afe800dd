/*
 * Check: what is there besides: segments that nothing names, and the quarantine
 */
#include "daemon/fsck/check.h"

#include "daemon/core/record.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int on_stray(void *data, const struct stray *stray) {
    struct checker *checker = data;
    const char *place = stray->backing == BACKING_SHM ? "/dev/shm" : "segments";

    checker->report.segments++;
    switch (stray->kind) {
    case STRAY_ORPHAN:
        return report_add(&checker->report,
                          FOUND(.severity = SEVERITY_LEFTOVER, .kind = "segment-orphan",
                                .remedy = REMEDY_REMOVE_SEGMENT, .directory = stray->directory,
                                .key = stray->name),
                          "segment %s/%s belongs to no region and no stage", place, stray->name);
    case STRAY_DOUBTFUL:
        return report_add(
            &checker->report, FOUND(.severity = SEVERITY_ERROR, .kind = "segment-doubtful"),
            "segment %s/%s belongs to nothing that can be read: its record may be one "
            "that is set aside",
            place, stray->name);
    case STRAY_FOREIGN:
        break;
    }
    return report_add(&checker->report, FOUND(.severity = SEVERITY_ERROR, .kind = "object-foreign"),
                      "%s/%s has the name of a segment, but another type, owner or mode", place,
                      stray->name);
}

static bool is_hidden(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Calls @each for every name in a directory, if it is there. */
static int each_name(int parent, const char *directory,
                     int (*each)(struct checker *checker, int registry, const char *name),
                     struct checker *checker, int registry) {
    int fd = openat(parent, directory, O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW), r = 0;
    _cleanup_closedir_ DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (!stream) {
        r = fd < 0 && errno == ENOENT ? 0 : -errno;
        close_fd(&fd);
        return r;
    }
    while (r == 0 && (entry = readdir(stream)))
        if (!is_hidden(entry->d_name))
            r = each(checker, registry, entry->d_name);
    return r;
}

static int on_file_name(struct checker *checker, int registry, const char *name) {
    struct segment segment;

    if (segment_name_parse(&checker->places, BACKING_FILE, name, &segment))
        return 0;
    return report_add(&checker->report, FOUND(.severity = SEVERITY_NOTE, .kind = "file-unknown"),
                      "%s/segments/%s is no segment of this instance",
                      checker->directories[registry], name);
}

int check_strays(struct checker *checker, struct error *error) {
    int r;

    if (checker->instance[0]) {
        r = inventory_each_stray(&checker->inventory, on_stray, checker, error);
        if (r < 0)
            return error_set(error, r, "cannot look at the segments: %s", strerror(-r));
    }
    if (checker->places.file_directory < 0)
        return 0;
    r = each_name(checker->places.file_directory, ".", on_file_name, checker, DURABLE);
    return r < 0 ? error_set(error, r, "cannot look at the segments: %s", strerror(-r)) : 0;
}

static int on_quarantined(struct checker *checker, int registry, const char *name) {
    return report_add(&checker->report, FOUND(.severity = SEVERITY_ERROR, .kind = "quarantined"),
                      "%s/quarantine/%s waits to be looked at", checker->directories[registry],
                      name);
}

int check_quarantine(struct checker *checker, struct error *error) {
    for (int i = 0; i < REGISTRIES; i++) {
        _cleanup_close_ int directory =
            open(checker->directories[i], O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        int r = directory < 0 ? 0 : each_name(directory, "quarantine", on_quarantined, checker, i);

        if (r < 0)
            return error_set(error, r, "cannot look at %s/quarantine: %s", checker->directories[i],
                             strerror(-r));
    }
    return 0;
}
