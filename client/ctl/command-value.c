/*
 * put, publish and get: the content of a region from standard input, and to standard output
 *
 * The daemon takes and gives values in parts of 60 KiB. It has to know the size of the whole first:
 * that of a regular file is known, anything else is read to its end.
 */
#include "client/ctl/commands.h"

#include "client/ctl/parameters.h"
#include "proto/base64.h"
#include "proto/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define PART_MAX WIRE_VALUE_MAX
#define FIRST_CAPACITY (1u << 20)

/* What is left of standard input, @data if it had to be read first. */
struct input {
    char *data;
    uint64_t size;
};

static void input_deinit(struct input *input) {
    free(input->data);
}

/* Reads up to @size bytes, less only at the end of the input. */
static ssize_t read_fully(char *buffer, size_t size, struct error *error) {
    size_t got = 0;

    while (got < size) {
        ssize_t n = read(STDIN_FILENO, buffer + got, size - got);

        if (n == 0)
            break;
        if (n > 0)
            got += (size_t)n;
        else if (errno != EINTR)
            return error_set(error, -EIO, "cannot read standard input: %s", strerror(errno));
    }
    return (ssize_t)got;
}

static int read_to_end(struct input *ret, struct error *error) {
    size_t capacity = FIRST_CAPACITY;

    for (;;) {
        char *data = realloc(ret->data, capacity);
        ssize_t n;

        if (!data)
            return error_set(error, -ENOMEM, "no memory for more than %" PRIu64 " bytes of input",
                             ret->size);
        ret->data = data;
        n = read_fully(data + ret->size, capacity - ret->size, error);
        if (n < 0)
            return (int)n;
        ret->size += (size_t)n;
        if (ret->size < capacity)
            return 0;
        capacity *= 2;
    }
}

static int input_open(struct input *ret, struct error *error) {
    off_t offset = lseek(STDIN_FILENO, 0, SEEK_CUR);
    struct stat stat;

    /* Files in /proc say that they are empty, and are not. */
    if (offset >= 0 && fstat(STDIN_FILENO, &stat) == 0 && S_ISREG(stat.st_mode) &&
        stat.st_size > offset) {
        ret->size = (uint64_t)(stat.st_size - offset);
        return 0;
    }
    return read_to_end(ret, error);
}

/* Points @ret at the @size bytes from @offset on, which go through @buffer if they are not there. */
static int input_part(const struct input *input, uint64_t offset, size_t size, char *buffer,
                      const char **ret, struct error *error) {
    ssize_t n;

    if (input->data) {
        *ret = input->data + offset;
        return 0;
    }
    n = read_fully(buffer, size, error);
    if (n < 0)
        return (int)n;
    if ((size_t)n < size)
        return error_set(error, -EIO,
                         "standard input shrank to %" PRIu64 " of %" PRIu64
                         " bytes; nothing was changed",
                         offset + (uint64_t)n, input->size);
    *ret = buffer;
    return 0;
}

/* What becomes of the input. */
struct target {
    const char *name;
    const char *mode;         /* NULL for the default */
    int64_t expected_version; /* -1: the region need not exist; 0: at whatever version it is */
};

static int put_part(struct ctl *ctl, const struct target *target, const struct input *input,
                    uint64_t offset, json_t **ret_reply, struct error *error) {
    char bytes[PART_MAX], text[BASE64_LENGTH(PART_MAX) + 1];
    size_t size = input->size - offset < PART_MAX ? (size_t)(input->size - offset) : PART_MAX;
    _cleanup_(cleanup_json_decref) json_t *parameters = NULL;
    const char *data = NULL;
    int r = input_part(input, offset, size, bytes, &data, error);

    if (r < 0)
        return r;
    base64_encode(data, size, text);
    parameters = json_pack("{s:s, s:s}", "name", target->name, "data", text);
    if (input->size > PART_MAX) {
        r = parameters_set(parameters, "offset", json_integer((json_int_t)offset), error);
        if (r == 0)
            r = parameters_set(parameters, "size", json_integer((json_int_t)input->size), error);
    }
    if (r == 0 && target->mode)
        r = parameters_set_mode(parameters, target->mode, error);
    if (r == 0 && target->expected_version >= 0)
        r = parameters_set(parameters, "expected_version", json_integer(target->expected_version),
                           error);
    return r < 0 ? r : ctl_call(ctl, "PutValue", steal_pointer(parameters), ret_reply, error);
}

/* Sends all of the input; the reply says which version it has become. */
static int put(struct ctl *ctl, const struct target *target, json_int_t *ret_version,
               struct error *error) {
    _cleanup_(input_deinit) struct input input = {0};
    uint64_t offset = 0;
    int r = input_open(&input, error);

    while (r == 0) {
        _cleanup_(cleanup_json_decref) json_t *reply = NULL;

        r = put_part(ctl, target, &input, offset, &reply, error);
        offset += PART_MAX;
        if (r < 0 || offset < input.size)
            continue;
        r = ctl_unpack(reply, error, "{s:I}", "version", ret_version);
        return r == 0 && ctl->json ? ctl_print_json(reply, error) : r;
    }
    return r;
}

int command_put(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    const struct target target = {
        .name = invocation->arguments[0],
        .mode = invocation->option[PUT_MODE],
        .expected_version = -1,
    };
    json_int_t version;

    return put(ctl, &target, &version, error);
}

static int parse_version(const char *text, int64_t *ret, struct error *error) {
    char *end;
    unsigned long long version = strtoull(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || version == 0 || version > UINT32_MAX)
        return error_set(error, -EINVAL, "'%s' is no version: a number from 1 on", text);
    *ret = (int64_t)version;
    return 0;
}

int command_publish(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    struct target target = {.name = invocation->arguments[0]};
    const char *expected = invocation->option[PUBLISH_EXPECT];
    json_int_t version;
    int r = expected ? parse_version(expected, &target.expected_version, error) : 0;

    if (r == 0)
        r = put(ctl, &target, &version, error);
    if (r == 0 && !ctl->json)
        printf("%" JSON_INTEGER_FORMAT "\n", version);
    return r;
}

/* How far the value has come. */
struct progress {
    json_int_t offset;
    json_int_t size;
};

static int take_part(struct ctl *ctl, json_t *reply, void *data, struct error *error) {
    struct progress *progress = data;
    _cleanup_free_ void *bytes = NULL;
    const char *text;
    size_t length, size;
    json_int_t offset;
    int r = ctl_unpack(reply, error, "{s:s%, s:I, s:I}", "data", &text, &length, "offset", &offset,
                       "size", &progress->size);

    if (r < 0)
        return r;
    bytes = malloc(length + 1);
    if (!bytes)
        return error_set(error, -ENOMEM, "no memory for %zu bytes of value", length);
    if (offset != progress->offset || base64_decode(text, length, bytes, &size) < 0)
        return error_set(error, -EPROTO, "the daemon's reply makes no sense: no part that follows");
    progress->offset += (json_int_t)size;
    if (ctl->json)
        return ctl_print_json(reply, error);
    if (fwrite(bytes, 1, size, stdout) != size)
        return error_set(error, -EIO, "cannot write standard output: %s", strerror(errno));
    return 0;
}

int command_get(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    struct progress progress = {0};
    int r = ctl_stream(ctl, "GetValue", json_pack("{s:s}", "name", invocation->arguments[0]),
                       VARLINK_TIMEOUT_MS, take_part, &progress, error);

    if (r == 0 && progress.offset != progress.size)
        return error_set(error, -EPROTO,
                         "the value ended after %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
                         " bytes",
                         progress.offset, progress.size);
    return r;
}
