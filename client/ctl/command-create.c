/*
 * create, snapshot, destroy and renew: how a region comes to be, and how long it stays
 */
#include "client/ctl/commands.h"

#include "client/ctl/parameters.h"
#include "proto/words.h"

#include <unistd.h>

static int take_options(json_t *parameters, const char *const *option, struct error *error) {
    const char *backing = option[CREATE_BACKING], *lifetime = option[CREATE_LIFETIME];
    const char *huge_pages = option[CREATE_HUGE_PAGES];
    int r = 0;

    if (backing)
        r = parameters_set_word(parameters, "backing", backing,
                                backing_can_be_chosen(backing_from_word(backing)), backing_words,
                                error);
    if (r == 0 && lifetime)
        r = parameters_set_word(parameters, "lifetime", lifetime, lifetime_from_word(lifetime),
                                lifetime_words, error);
    if (r == 0 && huge_pages)
        r = parameters_set_word(parameters, "huge_pages", huge_pages,
                                huge_pages_from_word(huge_pages), huge_pages_words, error);
    if (r == 0 && option[CREATE_SYNC_BLOCK])
        r = parameters_set(parameters, "sync_block", json_true(), error);
    if (r == 0 && option[CREATE_DURABILITY])
        r = parameters_set_durability(parameters, option[CREATE_DURABILITY], error);
    if (r == 0 && option[CREATE_MAX_SIZE])
        r = parameters_set_size(parameters, "max_size", option[CREATE_MAX_SIZE], error);
    if (r == 0 && option[CREATE_MODE])
        r = parameters_set_mode(parameters, option[CREATE_MODE], error);
    if (r == 0 && option[CREATE_ACL])
        r = parameters_set_acl(parameters, option[CREATE_ACL], error);
    if (r == 0 && option[CREATE_ATTRIBUTES])
        r = parameters_set_attributes(parameters, option[CREATE_ATTRIBUTES], error);
    if (r == 0 && option[CREATE_SECONDS])
        r = parameters_set_seconds(parameters, option[CREATE_SECONDS], error);
    return r;
}

int command_create(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    _cleanup_(cleanup_json_decref) json_t *parameters =
        json_pack("{s:s}", "name", invocation->arguments[0]);
    int r = parameters_set_size(parameters, "size", invocation->arguments[1], error);

    if (r == 0)
        r = take_options(parameters, invocation->option, error);
    if (r < 0)
        return r;
    return ctl_call_silently(ctl, "CreateRegion", steal_pointer(parameters), error);
}

/* A line that is written over, on a terminal; the last reply with --json. */
static int take_progress(struct ctl *ctl, json_t *reply, void *data, struct error *error) {
    bool *is_shown = data;
    json_int_t done, total;
    int r = ctl_unpack(reply, error, "{s:I, s:I}", "done", &done, "total", &total);

    if (r < 0)
        return r;
    if (json_object_get(reply, "region")) {
        if (*is_shown)
            fputs("\r\033[K", stderr);
        *is_shown = false;
        return ctl->json ? ctl_print_json(reply, error) : 0;
    }
    if (isatty(STDERR_FILENO) && total > 0) {
        fprintf(stderr, "\r%3d%%", (int)(100.0 * (double)done / (double)total));
        *is_shown = true;
    }
    return 0;
}

int command_snapshot(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    _cleanup_(cleanup_json_decref) json_t *parameters = json_pack(
        "{s:s, s:s}", "source", invocation->arguments[0], "name", invocation->arguments[1]);
    bool is_shown = false;
    int r = take_options(parameters, invocation->option, error);

    if (r < 0)
        return r;
    r = ctl_stream(ctl, "SnapshotRegion", steal_pointer(parameters), VARLINK_TIMEOUT_MS,
                   take_progress, &is_shown, error);
    if (is_shown)
        fputc('\n', stderr);
    return r;
}

static int destroy(struct ctl *ctl, const char *name, const void *data, struct error *error) {
    (void)data;
    return ctl_call_silently(ctl, "DestroyRegion", json_pack("{s:s}", "name", name), error);
}

int command_destroy(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    return ctl_for_each_name(ctl, invocation, 0, destroy, NULL, error);
}

int command_resize(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    _cleanup_(cleanup_json_decref) json_t *parameters =
        json_pack("{s:s}", "name", invocation->arguments[0]);
    int r = parameters_set_size(parameters, "size", invocation->arguments[1], error);

    if (r < 0)
        return r;
    return ctl_call_silently(ctl, "ResizeRegion", steal_pointer(parameters), error);
}

static int seal(struct ctl *ctl, const char *name, const void *data, struct error *error) {
    (void)data;
    return ctl_call_silently(ctl, "SealRegion", json_pack("{s:s}", "name", name), error);
}

int command_seal(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    return ctl_for_each_name(ctl, invocation, 0, seal, NULL, error);
}

int command_renew(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    _cleanup_(cleanup_json_decref) json_t *parameters =
        json_pack("{s:s}", "name", invocation->arguments[0]);
    int r = 0;

    if (invocation->n_arguments > 1)
        r = parameters_set_seconds(parameters, invocation->arguments[1], error);
    if (r < 0)
        return r;
    return ctl_call_silently(ctl, "RenewLease", steal_pointer(parameters), error);
}
