/*
 * News for an event loop
 *
 * The daemon's NEWS says only that the status page is worth a look. What has changed, and for which
 * handle, comes from comparing each handle's slot with what the handle was last told; so nothing
 * depends on how many messages came, or on which thread has read them.
 */
#include "client/connection.h"
#include "client/failure.h"
#include "client/region.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* How long a daemon that listens may take to answer; one that does not is looked for later. */
#define PATIENCE_MSEC 1000

int shmreg_conn_fd(shmreg_conn *conn) {
    struct wire_watch_request body = {.enable = 1};
    _cleanup_(call_close_fds) struct call call = {.op = WIRE_WATCH, .body = &body};
    _cleanup_(cleanup_talk_unlock) struct shmreg_conn *talking = talk_lock(conn);
    int r;

    if (loop_is_open(&talking->loop))
        return talking->loop.epoll_fd;
    r = loop_open(talking);
    if (r < 0)
        return r;
    r = connection_call(talking, &call);
    if (r < 0) {
        pthread_mutex_lock(&talking->state);
        loop_close(&talking->loop);
        pthread_mutex_unlock(&talking->state);
        return r;
    }
    /* What changed before the daemon was asked to tell is yet to be found. */
    loop_ring(&talking->loop, 0);
    return talking->loop.epoll_fd;
}

/* Reads what came unasked off the socket. -ECONNRESET, -EPROTO: the link is of no use any more. */
static int drain(struct shmreg_conn *conn) {
    for (;;) {
        struct wire_message message;
        ssize_t size = recv(conn->socket, conn->reply, sizeof(conn->reply), MSG_DONTWAIT);

        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0 && errno == EAGAIN)
            return 0;
        if (size <= 0)
            return -ECONNRESET;
        if (wire_decode(WIRE_REPLY_SIDE, conn->reply, (size_t)size, 0, &message, NULL) < 0 ||
            !is_unasked(&message.header))
            return fail(-EPROTO, "the daemon answers what it was not asked");
        if (message.header.op == WIRE_RESUMED)
            connection_resume(conn, message.body);
    }
}

/* With `talk` held: a link that has nothing to say just now, or an error and a later try. */
static int catch_up(struct shmreg_conn *conn) {
    int r;

    if (conn->linked && drain(conn) == 0)
        return 0;
    link_drop(conn);
    r = link_make(conn, monotonic_msec() + PATIENCE_MSEC);
    if (r < 0) {
        loop_ring_later(&conn->loop);
        return r;
    }
    loop_hear(&conn->loop);
    loop_add_socket(&conn->loop, conn->socket);
    return 0;
}

/* What the moves of a slot from @then to @now say. */
static uint32_t compare(const struct status_words *then, const struct status_words *now) {
    uint32_t moves = now->version - then->version, changed = now->flags ^ then->flags, what = 0;
    bool published = changed & SLOT_REGION_VERSION_MASK;

    if (moves == 0 || then->flags & SLOT_DESTROYED)
        return 0;
    if (changed & SLOT_TURN_MASK)
        return SHMREG_NEWS_DESTROYED;
    if (now->flags & SLOT_DESTROYED) {
        what |= SHMREG_NEWS_DESTROYED;
        moves--;
    }
    if (now->flags & SLOT_SEALED && (published || !(then->flags & SLOT_SEALED))) {
        what |= SHMREG_NEWS_SEALED;
        moves--;
    }
    /* A new version is news of its size, too. */
    if (published)
        return what | SHMREG_NEWS_PUBLISHED;
    return moves > 0 ? what | SHMREG_NEWS_RESIZED : what;
}

/* What the handle has not been told yet; told it is from now on. */
static uint32_t tell(struct shmreg_region *region) {
    const struct mapping *mapping = region->mapping;
    struct status_words now = status_slot_read(region->slot);
    uint32_t what = compare(&region->told, &now);

    /* A daemon that came back knows the region by another slot now, or not at all. */
    if (what == 0 && region->conn->linked && region->told_losses != mapping->losses &&
        !(region->told.flags & SLOT_DESTROYED))
        what = mapping->attachment_id != 0 ? SHMREG_NEWS_RESIZED : SHMREG_NEWS_DESTROYED;
    if (region->conn->linked)
        region->told_losses = mapping->losses;
    now.flags |= region->told.flags & SLOT_DESTROYED;
    if (what & SHMREG_NEWS_DESTROYED)
        now.flags |= SLOT_DESTROYED;
    region->told = now;
    return what;
}

static void find_news(struct shmreg_conn *conn) {
    struct shmreg_region *region;

    pthread_mutex_lock(&conn->state);
    LIST_FOREACH (region, &conn->regions, link) {
        uint32_t what = region->silent ? 0 : tell(region);

        if (what != 0 && region->news == 0)
            TAILQ_INSERT_TAIL(&conn->news, region, news_link);
        region->news |= what;
    }
    pthread_mutex_unlock(&conn->state);
}

/* One at a time, since the caller may close any of them meanwhile. */
static struct shmreg_region *take_news(struct shmreg_conn *conn, uint32_t *ret_what) {
    struct shmreg_region *region;

    pthread_mutex_lock(&conn->state);
    region = TAILQ_FIRST(&conn->news);
    if (region) {
        TAILQ_REMOVE(&conn->news, region, news_link);
        *ret_what = region->news;
        region->news = 0;
    }
    pthread_mutex_unlock(&conn->state);
    return region;
}

int shmreg_process(shmreg_conn *conn,
                   void (*news)(void *data, shmreg_region *region, uint32_t what), void *data) {
    struct shmreg_region *region;
    int count = 0, r = 0;
    uint32_t what;

    pthread_mutex_lock(&conn->state);
    loop_hear(&conn->loop);
    pthread_mutex_unlock(&conn->state);
    /* A thread that is in a call reads the socket itself, and rings. */
    if (pthread_mutex_trylock(&conn->talk) == 0) {
        r = catch_up(conn);
        talk_unlock(conn);
    }
    find_news(conn);
    while ((region = take_news(conn, &what))) {
        news(data, region, what);
        count++;
    }
    return count > 0 ? count : r;
}
