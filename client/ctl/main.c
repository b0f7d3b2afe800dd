/*
 * shmregctl: the operator's command
 *
 * Reads the command line, runs one command, and turns what happened into an exit status: 0, 1 when
 * it was refused or failed (the reason is on standard error), 2 when the command line is wrong.
 */
#include "client/ctl/ctl.h"
#include "client/ctl/help.h"
#include "client/ctl/text.h"
#include "proto/socket-path.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#define EXIT_REFUSED 1
#define EXIT_USAGE 2

/*
 * Were standard input or output closed, the next descriptor opened would take its place, and the
 * connection to the daemon be read or written as if it were a file. These fail as closed ones do.
 */
static void occupy_standard_descriptors(void) {
    static const int modes[] = {O_WRONLY, O_RDONLY, O_RDONLY};

    for (int fd = 0; fd < (int)ARRAY_SIZE(modes); fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", modes[fd]);
}

static bool wants_color(const struct invocation *invocation) {
    const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");

    return isatty(STDOUT_FILENO) && !invocation->global[GLOBAL_NO_COLOR] &&
           !(no_color && *no_color) && terminal && strcmp(terminal, "dumb") != 0;
}

static int find_socket(const struct invocation *invocation, struct sockaddr_un *ret,
                       struct error *error) {
    const char *path = invocation->global[GLOBAL_SOCKET];
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    _cleanup_free_ char *user_path = NULL;

    if (path && invocation->global[GLOBAL_USER])
        return error_set(error, -EINVAL, "--socket and --user exclude each other");
    if (invocation->global[GLOBAL_USER]) {
        if (!runtime || *runtime != '/')
            return error_set(error, -ENOENT, "--user: XDG_RUNTIME_DIR is not set");
        if (asprintf(&user_path, "%s/shmregd/" ADMIN_SOCKET_NAME, runtime) < 0) {
            user_path = NULL;
            return error_set(error, -ENOMEM, "no memory");
        }
        path = user_path;
    }
    if (socket_address(path, ADMIN_SOCKET_NAME, ret) < 0)
        return error_set(error, -ENAMETOOLONG, "no socket can have a path as long as %s",
                         path ? path : "that of the admin socket");
    return 0;
}

/* JSON carries nothing else, so the daemon could not be asked about it. */
static int check_encoding(const struct invocation *invocation, struct error *error) {
    for (unsigned i = 0; i < invocation->n_arguments; i++) {
        _cleanup_(cleanup_json_decref) json_t *string = json_string(invocation->arguments[i]);

        if (!string)
            return error_set(error, -EINVAL, "'%s' is not UTF-8", invocation->arguments[i]);
    }
    return 0;
}

static int run_command(const struct invocation *invocation, struct error *error) {
    struct ctl ctl = {
        .json = invocation->global[GLOBAL_JSON],
        .terminal = isatty(STDOUT_FILENO),
        .color = wants_color(invocation),
    };
    int r = check_encoding(invocation, error);

    if (r == 0)
        r = find_socket(invocation, &ctl.address, error);
    if (r == 0)
        r = invocation->command->run(&ctl, invocation, error);
    if (ctl.varlink)
        varlink_free(ctl.varlink);
    return r;
}

static int run(const struct invocation *invocation, struct error *error) {
    int r = 0;

    if (invocation->global[GLOBAL_VERSION])
        puts("shmregctl " PROJECT_VERSION);
    else if (invocation->global[GLOBAL_HELP] && invocation->command)
        help_print_command(invocation->command);
    else if (invocation->global[GLOBAL_HELP])
        help_print(commands);
    else
        r = run_command(invocation, error);
    if ((fflush(stdout) == EOF || ferror(stdout)) && r == 0)
        r = error_set(error, -EIO, "cannot write standard output: %s", strerror(errno));
    return r;
}

static int usage_status(const struct invocation *invocation) {
    fprintf(stderr, "Try 'shmregctl %s%s--help'.\n",
            invocation->command ? invocation->command->name : "", invocation->command ? " " : "");
    return EXIT_USAGE;
}

int main(int argc, char **argv) {
    struct invocation invocation;
    struct error error = {0};
    int r;

    occupy_standard_descriptors();
    signal(SIGPIPE, SIG_IGN);
    r = arguments_parse(commands, argc, argv, &invocation, &error);
    if (r == 0)
        r = run(&invocation, &error);
    if (r == 0)
        return 0;
    ctl_report(&error);
    return r == -EINVAL ? usage_status(&invocation) : EXIT_REFUSED;
}
