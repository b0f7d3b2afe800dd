/*
 * Session: operations as the core is asked for them. Memory that it hands out is written to or read
 * at once, and given back.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemon/core/attachment.h"
#include "daemon/core/stage.h"
#include "proto/rights.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/session.h"

#define VALUE_MAX 70000u

static struct caller caller_of(const struct session *session, unsigned actor) {
    uid_t uid = model_uids[actor];

    return (struct caller){
        .uid = uid,
        .gid = uid,
        .pid = actor == OPERATOR ? getpid() : session->processes[actor],
        .administrator = uid == 0,
    };
}

static struct region_spec spec_of(const struct session *session,
                                  const struct operation *operation) {
    struct region_spec spec = {
        .name = model_names[operation->name],
        .size = operation->size,
        .max_size = operation->max_size,
        .backing = operation->backing,
        .lifetime = operation->lifetime,
        .seconds = operation->seconds,
        .mode = operation->mode,
        .acl = model_acls[operation->acl],
        .attributes = model_attributes[operation->attributes],
    };

    if (operation->actor != OPERATOR && operation->serial != 0)
        spec.tag = (struct request_tag){
            .client_id = session->model.clients[operation->actor].process,
            .serial = operation->serial,
        };
    return spec;
}

static void write_letter(int *fd, char letter) {
    fuzz_check(*fd >= 0 && (fcntl(*fd, F_GETFL) & O_ACCMODE) == O_RDWR);
    fuzz_check(pwrite(*fd, &letter, 1, 0) == 1);
    close_fd(fd);
}

static void expect_letter(int *fd, const struct model_segment *segment) {
    char found = 0;

    fuzz_check(*fd >= 0 && (fcntl(*fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
    fuzz_check(pread(*fd, &found, 1, 0) == (segment->size > 0) && found == segment->letter);
    close_fd(fd);
}

/* The hold that the model says the operation gives is known by the core's id from now on. */
static void take_hold(struct session *session, uint64_t id) {
    struct model_hold *hold;

    fuzz_check(session->model.hold != NONE);
    hold = &session->model.holds[session->model.hold];
    fuzz_check(id != 0 && (hold->id == 0 || hold->id == id));
    hold->id = id;
}

static int take_attachment(struct session *session, const struct operation *operation, int r,
                           const struct attachment *attachment, struct attachment_fds *fds) {
    const struct model_segment *segment;

    if (r < 0 || session->model.n_faults > 0)
        return r;
    take_hold(session, attachment->id);
    segment = &session->model.segments[session->model.holds[session->model.hold].segment];
    if (attachment->access == RIGHT_READ)
        expect_letter(&fds->segment, segment);
    else if (segment->size > 0)
        write_letter(&fds->segment, operation->letter);
    close_fd(&fds->segment);
    return r;
}

static int connect_client(struct session *session, const struct operation *operation) {
    pid_t *process = &session->processes[operation->actor];
    struct client **client = &session->clients[operation->actor];
    struct caller caller;
    bool resumed;
    int r;

    if (*process == 0)
        *process = core_spawn();
    caller = caller_of(session, operation->actor);
    r = manager_add_client(session->core.manager, &caller, -1, client, NULL);
    if (r < 0 || session->model.n_faults > 0)
        return r;
    resumed = manager_identify_client(session->core.manager, *client,
                                      session->model.clients[operation->actor].process);
    fuzz_check(resumed == model_client_has_holds(&session->model, operation->actor));
    return r;
}

static int disconnect(struct session *session, const struct operation *operation) {
    struct client **client = &session->clients[operation->actor];

    if (*client)
        manager_remove_client(session->core.manager, steal_pointer(*client));
    return 0;
}

static int die(struct session *session, const struct operation *operation) {
    core_kill(session->processes[operation->actor]);
    session->processes[operation->actor] = 0;
    return disconnect(session, operation);
}

static int restart(struct session *session, const struct operation *operation) {
    (void)operation;
    core_restart(&session->core);
    memset(session->clients, 0, sizeof(session->clients));
    return 0;
}

static int create(struct session *session, const struct operation *operation) {
    struct region_spec spec = spec_of(session, operation);
    struct caller caller = caller_of(session, operation->actor);
    struct client *client =
        operation->actor == OPERATOR ? NULL : session->clients[operation->actor];
    struct attachment_fds fds = {-1, -1};
    struct attachment *attachment;
    struct region *region;
    bool created;
    int r;

    if (!client || !operation->attaches)
        return manager_create(session->core.manager, &caller, client, &spec, &region, NULL);
    r = manager_create_and_attach(session->core.manager, client, &spec, operation->existing_ok,
                                  operation->access, &attachment, &fds, &created, NULL);
    return take_attachment(session, operation, r, attachment, &fds);
}

static int open_region(struct session *session, const struct operation *operation) {
    struct attachment_fds fds = {-1, -1};
    struct attachment *attachment;
    int r =
        manager_attach(session->core.manager, session->clients[operation->actor],
                       model_names[operation->name], operation->access, &attachment, &fds, NULL);

    return take_attachment(session, operation, r, attachment, &fds);
}

static int detach(struct session *session, const struct operation *operation) {
    return manager_detach(session->core.manager, session->clients[operation->actor],
                          session->model.holds[operation->hold].id, NULL);
}

static int destroy(struct session *session, const struct operation *operation) {
    struct caller caller = caller_of(session, operation->actor);

    return manager_destroy(session->core.manager, &caller, model_names[operation->name], NULL);
}

static int put(struct session *session, const struct operation *operation) {
    static char value[VALUE_MAX];
    struct caller caller = caller_of(session, operation->actor);
    uint32_t version;
    int r;

    value[0] = operation->letter;
    r = manager_put(session->core.manager, &caller, model_names[operation->name], value,
                    operation->size, operation->mode, &version, NULL);
    if (r == 0 && session->model.n_faults == 0) {
        const struct model_region *region = &session->model.regions[operation->name];

        fuzz_check(version == session->model.segments[region->segment].version);
    }
    return r;
}

static int stage(struct session *session, const struct operation *operation) {
    struct region_spec spec = spec_of(session, operation);
    struct stage *stage;
    int fd = -1;
    int r = manager_stage_as_client(session->core.manager, session->clients[operation->actor],
                                    &spec, &stage, &fd, NULL);

    if (r < 0 || session->model.n_faults > 0)
        return r;
    take_hold(session, stage->id);
    write_letter(&fd, operation->letter);
    return r;
}

static int publish(struct session *session, const struct operation *operation) {
    uint64_t id = session->model.holds[operation->hold].id;
    struct attachment *attachment;
    int sync_block_fd = -1;
    int r = manager_publish_as_client(session->core.manager, session->clients[operation->actor], id,
                                      operation->version, &attachment, &sync_block_fd, NULL);

    if (r == 0)
        fuzz_check(attachment->id == id && attachment->access == RIGHT_WRITE);
    return r;
}

static int resize(struct session *session, const struct operation *operation) {
    struct caller caller = caller_of(session, operation->actor);

    return manager_resize(session->core.manager, &caller, model_names[operation->name],
                          operation->size, NULL);
}

static int seal(struct session *session, const struct operation *operation) {
    struct caller caller = caller_of(session, operation->actor);

    return manager_seal(session->core.manager, &caller, model_names[operation->name], NULL);
}

static int set_access(struct session *session, const struct operation *operation) {
    struct caller caller = caller_of(session, operation->actor);

    return manager_set_access(session->core.manager, &caller, model_names[operation->name],
                              operation->keeps_mode ? NULL : &operation->mode,
                              operation->keeps_acl ? NULL : model_acls[operation->acl], NULL);
}

static int set_attributes(struct session *session, const struct operation *operation) {
    struct caller caller = caller_of(session, operation->actor);

    return manager_set_attributes(session->core.manager, &caller, model_names[operation->name],
                                  model_attributes[operation->attributes], NULL);
}

static int renew(struct session *session, const struct operation *operation) {
    struct caller caller = caller_of(session, operation->actor);

    return manager_renew(session->core.manager, &caller, model_names[operation->name],
                         operation->seconds, NULL);
}

static int limit(struct session *session, const struct operation *operation) {
    struct config *config = &session->core.config;

    (void)operation;
    for (enum limit_kind kind = 0; kind < LIMIT_KIND_COUNT; kind++) {
        config->user.most[kind] = session->model.user_limit[kind];
        config->total.most[kind] = session->model.total_limit[kind];
    }
    fuzz_check(manager_configure(session->core.manager, config) == 0);
    return 0;
}

int session_perform(struct session *session, const struct operation *operation) {
    static int (*const operations[OPERATION_COUNT])(struct session *, const struct operation *) = {
        [DO_CONNECT] = connect_client,
        [DO_DISCONNECT] = disconnect,
        [DO_DIE] = die,
        [DO_RESTART] = restart,
        [DO_CREATE] = create,
        [DO_OPEN] = open_region,
        [DO_DETACH] = detach,
        [DO_DESTROY] = destroy,
        [DO_PUT] = put,
        [DO_STAGE] = stage,
        [DO_PUBLISH] = publish,
        [DO_RESIZE] = resize,
        [DO_SEAL] = seal,
        [DO_SET_ACCESS] = set_access,
        [DO_SET_ATTRIBUTES] = set_attributes,
        [DO_RENEW] = renew,
        [DO_LIMIT] = limit,
    };
    int r = operations[operation->kind](session, operation);

    core_settle(&session->core);
    return r;
}
