/*
 * Whole sessions of several clients and an operator, against the model. Each 10 bytes of an input are
 * one operation, valid or not; after each the core must be as the model says. At the end everything
 * is given back, and nothing may be left. SHMREG_FUZZ_TRACE=1 prints the operations.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/session.h"

#include "proto/rights.h"

#include <stdlib.h>
#include <string.h>

#define OPERATION_SIZE 10u
#define OPERATIONS_MAX 128u

static unsigned long inputs, operations;

static void print_counts(void) {
    printf("fuzz-sessions: %lu inputs, %lu operations\n", inputs, operations);
}

static const char *word(enum operation_kind kind) {
    static const char *const words[] = {
#define X(name) #name,
        OPERATIONS(X)
#undef X
    };

    return words[kind];
}

/* What cannot be asked for becomes something near that can. */
static void make_possible(const struct model *model, struct operation *operation) {
    bool needs_client = operation->kind <= DO_DIE || operation->kind == DO_OPEN ||
                        operation->kind == DO_DETACH || operation->kind == DO_STAGE ||
                        operation->kind == DO_PUBLISH;
    const struct model_client *client;

    if (operation->actor == OPERATOR && needs_client)
        operation->actor = 0;
    if (operation->actor == OPERATOR || operation->kind == DO_RESTART ||
        operation->kind == DO_LIMIT)
        return;
    client = &model->clients[operation->actor];
    if (operation->kind == DO_CONNECT && client->connected)
        operation->kind = DO_OPEN;
    else if (!client->connected && (operation->kind != DO_DIE || client->process == 0))
        operation->kind = DO_CONNECT;
}

/* Mostly one of the actor's own, and where one is to be published, a stage. */
static unsigned choose_hold(const struct model *model, const struct operation *operation,
                            unsigned choice) {
    unsigned own[HOLDS_MAX], count = 0;

    for (unsigned i = 0; i < HOLDS_MAX; i++)
        if (model->holds[i].used && model->holds[i].client == operation->actor &&
            (operation->kind != DO_PUBLISH || model->holds[i].staged))
            own[count++] = i;
    return choice < 16 || count == 0 ? choice % 8 : own[choice % count];
}

/* Mostly what can succeed, or every session would be a list of refusals. */
static struct operation decode(const struct model *model, const uint8_t *bytes) {
    static const uint8_t kinds[32] = {
        DO_CONNECT, DO_DISCONNECT,     DO_DIE,    DO_RESTART,    DO_CREATE,  DO_CREATE,
        DO_CREATE,  DO_CREATE,         DO_CREATE, DO_CREATE,     DO_OPEN,    DO_OPEN,
        DO_OPEN,    DO_OPEN,           DO_DETACH, DO_DETACH,     DO_DESTROY, DO_PUT,
        DO_PUT,     DO_STAGE,          DO_STAGE,  DO_STAGE,      DO_PUBLISH, DO_PUBLISH,
        DO_PUBLISH, DO_RESIZE,         DO_SEAL,   DO_SET_ACCESS, DO_RENEW,   DO_SET_ACCESS,
        DO_LIMIT,   DO_SET_ATTRIBUTES,
    };
    static const uint64_t sizes[16] = {4096, 1,    100,  5000, 8192,  60000, 4095, 2000,
                                       4096, 4096, 8000, 8192, 12000, 1,     0,    70000};
    static const uint64_t max_sizes[8] = {0, 0, 0, 0, 70000, 8192, 70000, 5000};
    static const uint64_t limits[8] = {LIMIT_NONE, LIMIT_NONE, LIMIT_NONE, 0, 1, 3, 12000, 100000};
    static const uint32_t modes[16] = {0600, 0644, 0666, 0666, 0604, 0602, 0666, 0,
                                       0600, 0600, 0606, 0660, 0666, 0666, 0666, 0700};
    static const uint32_t lifetimes[16] = {0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4, 4, 0, 6};
    static const uint32_t backings[16] = {0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 1, 1, 4};
    static const uint32_t all_seconds[4] = {0, 3600, 7200, 3600};
    static const uint8_t acls[16] = {0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, ACLS - 1};
    static const uint8_t attributes[16] = {0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3};
    static const uint8_t names[16] = {0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 7};
    static const uint32_t accesses[16] = {1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 0, 3};
    struct operation operation = {
        .kind = kinds[bytes[0] % 32],
        .actor = bytes[1] % ACTORS,
        .name = names[bytes[1] / 16],
        .size = sizes[bytes[2] % 16],
        .max_size = max_sizes[bytes[2] / 16 % 8],
        .backing = backings[bytes[3] % 16],
        .lifetime = lifetimes[bytes[3] / 16],
        .mode = modes[bytes[4] % 16],
        .seconds = all_seconds[bytes[4] / 16 % 4],
        .acl = acls[bytes[5] % 16],
        .attributes = attributes[bytes[5] / 16],
        .access = accesses[bytes[6] % 16],
        .attaches = bytes[6] & 16,
        .existing_ok = bytes[6] & 32,
        .keeps_mode = bytes[6] & 64,
        .keeps_acl = bytes[6] & 128,
        .serial = bytes[7] / 16 < 8 ? 0 : bytes[7] / 16,
        .version = bytes[7] % 16 < 12 ? 0 : bytes[7] % 4 + 1,
        .letter = (char)('A' + bytes[9] % 16),
        .kind_of_limit = bytes[7] % LIMIT_KIND_COUNT,
        .limit_of_all = bytes[7] & 128,
        .limit = limits[bytes[8] % 8],
    };

    if (operation.limit_of_all && operation.kind_of_limit == LIMIT_ATTACHMENTS &&
        operation.limit >= HOLDS_MAX)
        operation.limit = HOLDS_MAX - 1;
    make_possible(model, &operation);
    operation.hold = choose_hold(model, &operation, bytes[8]);
    return operation;
}

static void print(const struct operation *operation, const struct model *model) {
    fprintf(stderr,
            "%s by %u: name %u, size %llu of %llu, backing %u, lifetime %u, %u seconds, mode %#o, "
            "acl %u, attributes %u, access %u%s%s, serial %u, hold %u, version %u; faults:",
            word(operation->kind), operation->actor, operation->name,
            (unsigned long long)operation->size, (unsigned long long)operation->max_size,
            operation->backing, operation->lifetime, operation->seconds, operation->mode,
            operation->acl, operation->attributes, operation->access,
            operation->attaches ? ", attaches" : "", operation->existing_ok ? ", existing ok" : "",
            operation->serial, operation->hold, operation->version);
    for (unsigned i = 0; i < model->n_faults; i++)
        fprintf(stderr, " %s", strerrorname_np(-model->faults[i]));
    fprintf(stderr, "\n");
}

static void step(struct session *session, const struct operation *operation) {
    int r;

    model_step(&session->model, operation);
    if (getenv("SHMREG_FUZZ_TRACE"))
        print(operation, &session->model);
    r = session_perform(session, operation);
    if (!model_expects(&session->model, r)) {
        print(operation, &session->model);
        fprintf(stderr, "the core says: %s\n", strerror(-r));
        fuzz_check(false);
    }
    session_compare(session);
    operations++;
}

/* Without limits, so that nothing is in the way. */
static void give_everything_back(struct session *session) {
    for (unsigned i = 0; i < 2 * LIMIT_KIND_COUNT; i++)
        step(session, &(struct operation){.kind = DO_LIMIT,
                                          .kind_of_limit = i / 2,
                                          .limit_of_all = i % 2,
                                          .limit = LIMIT_NONE});
    for (unsigned i = 0; i < NAMES; i++)
        if (session->model.regions[i].id != 0)
            step(session, &(struct operation){.kind = DO_DESTROY, .actor = OPERATOR, .name = i});
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (!session->model.clients[i].connected)
            step(session, &(struct operation){.kind = DO_CONNECT, .actor = i});
        step(session, &(struct operation){.kind = DO_DISCONNECT, .actor = i});
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct session session; /* processes serve one session after the other */

    if (inputs++ == 0)
        atexit(print_counts);
    core_init(&session.core);
    model_init(&session.model);
    for (unsigned i = 0; i < OPERATIONS_MAX && size >= OPERATION_SIZE; i++) {
        struct operation operation = decode(&session.model, data);

        step(&session, &operation);
        data += OPERATION_SIZE;
        size -= OPERATION_SIZE;
    }
    give_everything_back(&session);
    core_deinit(&session.core);
    return 0;
}
