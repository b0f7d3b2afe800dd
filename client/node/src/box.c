/*
 * Boxes: what JavaScript holds of something in C
 *
 * The box belongs to the garbage collector, its content to whoever needs it longest: it is given
 * back when JavaScript says so, or else with the box, also at the end of a worker.
 */
#include "addon.h"

#include <errno.h>
#include <stdio.h>

struct box {
    void *content; /* NULL once it is empty */
    box_end end;
};

static void empty(napi_env env, struct box *box) {
    void *content = box->content;

    box->content = NULL;
    if (content)
        box->end(env, content);
}

static void finalize(napi_env env, void *data, void *hint) {
    (void)hint;
    empty(env, data);
    free(data);
}

napi_value box_new(napi_env env, void *content, box_end end) {
    struct box *box = calloc(1, sizeof(*box));
    napi_value value;

    if (!box) {
        end(env, content);
        return throw_error(env, -ENOMEM, "no memory for a handle");
    }
    *box = (struct box){.content = content, .end = end};
    if (napi_create_external(env, box, finalize, NULL, &value) == napi_ok)
        return value;
    empty(env, box);
    free(box);
    return throw_status(env);
}

void *box_open(napi_env env, napi_value value, const char *what) {
    char message[64];
    void *data;

    if (napi_get_value_external(env, value, &data) != napi_ok)
        return throw_status(env);
    if (((struct box *)data)->content)
        return ((struct box *)data)->content;
    snprintf(message, sizeof(message), "this %s is closed", what);
    return throw_error(env, -EBADF, message);
}

napi_value box_empty(napi_env env, napi_callback_info info) {
    napi_value value;
    void *data;

    if (!take_arguments(env, info, &value, 1))
        return NULL;
    if (napi_get_value_external(env, value, &data) != napi_ok)
        return throw_status(env);
    empty(env, data);
    return result_of(env, 0);
}
