/*
 * Confinement: see confinement.h. The files are Landlock's (landlock(7)), whose versions, older ones
 * than the headers know among them, differ in what they can guard.
 */
#include "daemon/ground/confinement.h"

#include "daemon/ground/log.h"
#include "proto/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define LACKING_MAX 256

/* Names of linux/landlock.h that not every header has yet. */
#define ACCESS_FS_TRUNCATE (1ULL << 14)
#define ACCESS_FS_IOCTL_DEV (1ULL << 15)
#define ACCESS_NET_BIND_TCP (1ULL << 0)
#define ACCESS_NET_CONNECT_TCP (1ULL << 1)
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define SCOPE_SIGNAL (1ULL << 1)

#define CHANGE_FILES                                                                               \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                               \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG)
#define MAKE_OTHERS                                                                                \
    (LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |  \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

/* struct landlock_ruleset_attr of the newest version; an older kernel takes it with zeroes for what
 * it does not know. */
struct ruleset {
    uint64_t files, net, scoped;
};

/* What each version has brought. */
static const struct {
    struct ruleset guards;
    const char *words;
} versions[] = {
    {{.files = CHANGE_FILES | MAKE_OTHERS | LANDLOCK_ACCESS_FS_EXECUTE}, "files"},
    {{.files = LANDLOCK_ACCESS_FS_REFER}, "renaming to another directory"},
    {{.files = ACCESS_FS_TRUNCATE}, "truncating"},
    {{.net = ACCESS_NET_BIND_TCP | ACCESS_NET_CONNECT_TCP}, "TCP"},
    {{.files = ACCESS_FS_IOCTL_DEV}, "devices"},
    {{.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL}, "signals and abstract sockets"},
};

/* Of a process without CAP_SETPCAP the bounding set stays, and bounds nothing any more: without new
 * privileges no program gives what is in it. */
static void empty_bounding_set(void) {
    for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
        prctl(PR_CAPBSET_DROP, capability);
}

/* The ambient set goes with the permitted one. */
static int drop_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct have[_LINUX_CAPABILITY_U32S_3] = {0};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

    if (syscall(SYS_capget, &header, have) < 0)
        return -errno;
    if (memcmp(have, none, sizeof(none)) == 0)
        return 0;
    empty_bounding_set();
    return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

void confine_privileges(void) {
    int r;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        log_warning("cannot do without new privileges: %s", strerror(errno));
    r = drop_capabilities();
    if (r < 0)
        log_warning("cannot give up all capabilities: %s", strerror(-r));
}

/* What the kernel can guard; in words, what it cannot. */
static struct ruleset guards_of(size_t version, char lacking[static LACKING_MAX]) {
    struct ruleset guards = {0};
    size_t length = 0;

    lacking[0] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
        if (i < version) {
            guards.files |= versions[i].guards.files;
            guards.net |= versions[i].guards.net;
            guards.scoped |= versions[i].guards.scoped;
        } else {
            length += (size_t)snprintf(lacking + length, LACKING_MAX - length, "%s%s",
                                       length > 0 ? ", " : "", versions[i].words);
        }
    }
    return guards;
}

static int allow_below(int ruleset, const char *directory, uint64_t rights) {
    _cleanup_close_ int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = fd};

    if (fd < 0 || syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        return -errno;
    return 0;
}

static int enforce(const struct ruleset *guards, const char *const *directories, size_t count) {
    uint64_t rights =
        guards->files & (CHANGE_FILES | LANDLOCK_ACCESS_FS_REFER | ACCESS_FS_TRUNCATE);
    _cleanup_close_ int ruleset =
        (int)syscall(SYS_landlock_create_ruleset, guards, sizeof(*guards), 0);

    if (ruleset < 0)
        return -errno;
    for (size_t i = 0; i < count; i++) {
        int r = allow_below(ruleset, directories[i], rights);

        if (r < 0 && r != -ENOENT)
            return r;
    }
    return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
}

static bool notifies_abstract_socket(void) {
    const char *socket = getenv("NOTIFY_SOCKET");

    return socket && *socket == '@';
}

void confine_files(const char *const *directories, size_t count, bool writes_anywhere) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    int r = version < 0 ? -errno : 0;
    char lacking[LACKING_MAX];
    struct ruleset guards = guards_of(version < 0 ? 0 : (size_t)version, lacking);

    if (writes_anywhere)
        guards.files &= ~LANDLOCK_ACCESS_FS_WRITE_FILE;
    if (notifies_abstract_socket())
        guards.scoped &= ~SCOPE_ABSTRACT_UNIX_SOCKET;
    if (r == 0)
        r = enforce(&guards, directories, count);
    if (r < 0)
        log_write(
            LOG_NOTICE, NULL,
            "not confined by Landlock (%s): only permissions keep this daemon from other files",
            strerror(-r));
    else if (*lacking)
        log_write(LOG_NOTICE, NULL, "confined by version %ld of Landlock, which cannot guard: %s",
                  version, lacking);
    else
        log_debug("confined by version %ld of Landlock", version);
}
