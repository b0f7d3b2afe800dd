/*
 * Requests that map nothing. Each may be asked twice when the daemon went away in between: what is
 * set is set again, and a region that a repeated destroy does not find has been destroyed.
 */
#include "client/connection.h"
#include "client/failure.h"

#include <errno.h>
#include <string.h>

_Static_assert(SHMREG_VALUE_MAX == WIRE_VALUE_MAX, "value");

/* One request about a region, whose reply says nothing but its status. */
static int ask(struct shmreg_conn *conn, enum wire_op op, const void *body,
               const struct wire_string *strings, bool *ret_repeated) {
    _cleanup_(call_close_fds) struct call call = {.op = op, .body = body, .strings = strings};
    _cleanup_(cleanup_talk_unlock) struct shmreg_conn *talking = NULL;
    int r = check_name(strings[0].data);

    if (r < 0)
        return r;
    talking = talk_lock(conn);
    r = connection_call(talking, &call);
    if (ret_repeated)
        *ret_repeated = call.repeated;
    return r;
}

int shmreg_destroy(shmreg_conn *conn, const char *name) {
    struct wire_destroy_request body = {.reserved = 0};
    bool repeated = false;
    int r = ask(conn, WIRE_DESTROY, &body, &(struct wire_string){.data = name}, &repeated);

    return r == -ENOENT && repeated ? 0 : r;
}

int shmreg_put(shmreg_conn *conn, const char *name, const void *data, size_t size, uint32_t mode) {
    struct wire_put_request body = {.flags = WIRE_PUT_CREATE, .mode = mode};
    struct wire_string strings[] = {{.data = name}, {.data = data, .length = size}};
    int r;

    if (size == 0)
        return fail(-EINVAL, "a value of 0 bytes");
    if (size > SHMREG_VALUE_MAX)
        return fail(-EMSGSIZE, "a value of %zu bytes: the most is %u", size, SHMREG_VALUE_MAX);
    /* The region came or went while the value was put on disk: it is put into what is there now. */
    do
        r = ask(conn, WIRE_PUT, &body, strings, NULL);
    while (r == -ESTALE);
    return r;
}

int shmreg_resize(shmreg_conn *conn, const char *name, uint64_t size) {
    struct wire_resize_request body = {.size = size};

    return ask(conn, WIRE_RESIZE, &body, &(struct wire_string){.data = name}, NULL);
}

int shmreg_seal(shmreg_conn *conn, const char *name) {
    struct wire_seal_request body = {.reserved = 0};

    return ask(conn, WIRE_SEAL, &body, &(struct wire_string){.data = name}, NULL);
}

int shmreg_renew(shmreg_conn *conn, const char *name, uint32_t seconds) {
    struct wire_renew_request body = {.seconds = seconds};

    return ask(conn, WIRE_RENEW, &body, &(struct wire_string){.data = name}, NULL);
}

int shmreg_set_attributes(shmreg_conn *conn, const char *name, const char *json) {
    struct wire_set_attributes_request body = {.string_length = {0}};
    struct wire_string strings[] = {{.data = name}, {.data = json}};
    int r = check_attributes(json);

    return r < 0 ? r : ask(conn, WIRE_SET_ATTRIBUTES, &body, strings, NULL);
}

int shmreg_set_access(shmreg_conn *conn, const char *name, uint32_t mode, const char *acl) {
    struct wire_set_access_request body = {.mode = mode, .flags = acl ? WIRE_SET_ACL : 0};
    struct wire_string strings[] = {{.data = name}, {.data = acl ? acl : ""}};
    int r = check_acl(strings[1].data);

    return r < 0 ? r : ask(conn, WIRE_SET_ACCESS, &body, strings, NULL);
}

/* With `talk` held. The whole value is asked for, even if it is too large for the buffer: that is
 * the one way to learn its size together with its content. */
static int get(struct shmreg_conn *conn, const char *name, void *buffer, size_t capacity,
               size_t *ret_size) {
    struct wire_get_request body = {.capacity = SHMREG_VALUE_MAX};
    struct wire_string string = {.data = name};
    _cleanup_(call_close_fds) struct call call = {
        .op = WIRE_GET, .body = &body, .strings = &string};
    int r = connection_call(conn, &call);

    if (r < 0)
        return r;
    *ret_size = call.reply.string[0].length;
    if (*ret_size > capacity)
        return fail(-EMSGSIZE, "region '%s' has %zu bytes, the buffer %zu", name, *ret_size,
                    capacity);
    if (*ret_size > 0)
        memcpy(buffer, call.reply.string[0].data, *ret_size);
    return 0;
}

/* The size of what no GET may carry. */
static int get_size(struct shmreg_conn *conn, const char *name, size_t *ret_size) {
    struct shmreg_description *description;
    int r = shmreg_describe(conn, name, &description);

    if (r < 0)
        return r;
    *ret_size = (size_t)description->size;
    shmreg_description_free(description);
    return fail(-EMSGSIZE, "region '%s' has %zu bytes: over %u, open it", name, *ret_size,
                SHMREG_VALUE_MAX);
}

int shmreg_get(shmreg_conn *conn, const char *name, void *buffer, size_t capacity,
               size_t *ret_size) {
    int r = check_name(name);

    *ret_size = 0;
    if (r < 0)
        return r;
    talk_lock(conn);
    r = get(conn, name, buffer, capacity, ret_size);
    talk_unlock(conn);
    return r == -EMSGSIZE && *ret_size == 0 ? get_size(conn, name, ret_size) : r;
}
