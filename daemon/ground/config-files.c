/*
 * The files that make up the configuration: see config-files.h.
 */
#include "daemon/ground/config-files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define FILE_SIZE_MAX (1 << 20)
#define SUFFIX ".json"

/* @path becomes the list's, or is freed. */
static int add(struct config_files *files, char *path) {
    char **paths = reallocarray(files->paths, files->count + 1, sizeof(*paths));

    if (!paths) {
        free(path);
        return -ENOMEM;
    }
    files->paths = paths;
    files->paths[files->count++] = path;
    return 0;
}

static const char *file_name(const char *path) {
    return strrchr(path, '/') + 1;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(file_name(*(char *const *)a), file_name(*(char *const *)b));
}

/* Adds a drop-in, in the place of one of the same name. */
static int add_drop_in(struct config_files *files, const char *directory, const char *name) {
    char *path;

    if (asprintf(&path, "%s/%s", directory, name) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < files->count; i++)
        if (strcmp(file_name(files->paths[i]), name) == 0) {
            free(files->paths[i]);
            files->paths[i] = path;
            return 0;
        }
    return add(files, path);
}

static bool is_drop_in(const char *name) {
    size_t length = strlen(name);

    return name[0] != '.' && length > strlen(SUFFIX) &&
           strcmp(name + length - strlen(SUFFIX), SUFFIX) == 0;
}

static int find_drop_ins(struct config_files *files, const char *directory, struct error *error) {
    _cleanup_closedir_ DIR *stream = opendir(directory);
    const struct dirent *entry;
    int r = 0;

    if (!stream && errno == ENOENT)
        return 0;
    if (!stream)
        return error_set(error, -errno, "cannot read %s: %s", directory, strerror(errno));
    while (r == 0 && (errno = 0, entry = readdir(stream)))
        if (is_drop_in(entry->d_name))
            r = add_drop_in(files, directory, entry->d_name);
    if (r == 0)
        r = -errno;
    return r < 0 ? error_set(error, r, "cannot read %s: %s", directory, strerror(-r)) : 0;
}

static int find_main(struct config_files *files, const struct config_places *places,
                     struct error *error) {
    char *path;

    if (!places->file)
        return 0;
    if (access(places->file, F_OK) < 0) {
        if (errno == ENOENT && !places->must_exist)
            return 0;
        return error_set(error, -errno, "cannot read %s: %s", places->file, strerror(errno));
    }
    path = strdup(places->file);
    if (!path || add(files, path) < 0)
        return error_set(error, -ENOMEM, "no memory");
    return 0;
}

int config_files_find(const struct config_places *places, struct config_files *ret,
                      struct error *error) {
    _cleanup_(config_files_deinit) struct config_files files = {0}, drop_ins = {0};
    int r = find_main(&files, places, error);

    for (size_t i = 0; r == 0 && i < places->n_directories; i++)
        r = find_drop_ins(&drop_ins, places->directories[i], error);
    if (r < 0)
        return r;
    if (drop_ins.count > 0)
        qsort(drop_ins.paths, drop_ins.count, sizeof(*drop_ins.paths), compare_names);
    for (size_t i = 0; i < drop_ins.count; i++)
        if (add(&files, steal_pointer(drop_ins.paths[i])) < 0)
            return error_set(error, -ENOMEM, "no memory");
    *ret = files;
    files = (struct config_files){0};
    return 0;
}

void config_files_deinit(struct config_files *files) {
    for (size_t i = 0; i < files->count; i++)
        free(files->paths[i]);
    free(files->paths);
    *files = (struct config_files){0};
}

static int read_text(int fd, char *buffer, size_t size) {
    size_t done = 0;

    while (done < size) {
        ssize_t n = read(fd, buffer + done, size - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    buffer[done] = '\0';
    return memchr(buffer, '\0', done) ? -EINVAL : 0;
}

int config_file_read(const char *path, char **ret, struct error *error) {
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    _cleanup_free_ char *text = NULL;
    struct stat status;
    int r;

    if (fd < 0 || fstat(fd, &status) < 0)
        return error_set(error, -errno, "cannot read %s: %s", path, strerror(errno));
    if (S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3))
        status.st_size = 0;
    else if (!S_ISREG(status.st_mode))
        return error_set(error, -EINVAL, "%s: not a regular file", path);
    if (status.st_size > FILE_SIZE_MAX)
        return error_set(error, -EFBIG, "%s: larger than 1 MiB", path);

    text = malloc((size_t)status.st_size + 1);
    if (!text)
        return error_set(error, -ENOMEM, "no memory");
    r = read_text(fd, text, (size_t)status.st_size);
    if (r == -EINVAL)
        return error_set(error, r, "%s: not text, it has a NUL byte", path);
    if (r < 0)
        return error_set(error, r, "cannot read %s: %s", path, strerror(-r));
    *ret = steal_pointer(text);
    return 0;
}
