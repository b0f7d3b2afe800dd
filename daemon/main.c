/*
 * shmregd: the owner of named shared memory
 *
 * Puts the layers together, runs the loop, and takes them apart again. What happens in between is
 * in core/manager.h and faces/.
 */
#include "daemon/faces/admin.h"
#include "daemon/faces/server.h"
#include "daemon/faces/turns.h"
#include "daemon/ground/confinement.h"
#include "daemon/ground/log.h"
#include "daemon/ground/pressure.h"
#include "daemon/core/clock.h"
#include "daemon/core/declare.h"
#include "daemon/options.h"
#include "daemon/service.h"
#include "daemon/signals.h"
#include "daemon/sockets.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

struct daemon {
    struct options options;
    struct config *config;
    struct event_base *base;
    struct signals signals;
    struct fdstore fdstore;
    struct manager *manager;
    struct pressure *pressure;
    struct observer observer; /* keeps the service manager's status line true */
    struct listening_socket client_socket, admin_socket;
    struct server *server;
    struct admin *admin;
    struct service service;
    struct declare_waiter declared;
    bool stopping; /* a signal wants it */
};

static void use_log_level(const struct daemon *daemon) {
    log_set_level(daemon->options.log_level >= 0 ? daemon->options.log_level
                                                 : daemon->config->log_level);
}

static int load_config(const struct options *options, struct config **ret, struct error *error) {
    _cleanup_(cleanup_config_free) struct config *config = NULL;
    int r = config_load(options->config, options->per_user, &config, error);

    if (r == 0)
        r = declare_check(config, error);
    if (r == 0)
        *ret = steal_pointer(config);
    return r;
}

/* Takes over a configuration that was loaded again. */
static int use_config(struct daemon *daemon, struct config *config, struct error *error) {
    int r = manager_configure(daemon->manager, config);

    if (r < 0) {
        config_free(config);
        return error_set(error, r, "no memory for the new limits");
    }
    config_free(daemon->config);
    daemon->config = config;
    use_log_level(daemon);
    pressure_configure(daemon->pressure, &config->memory_pressure);
    log_write(LOG_INFO, ABOUT(.kind = LOG_CONFIG_LOADED), "configuration loaded again");
    return 0;
}

/* For SIGHUP and for the admin socket. */
static int reload(void *data, struct error *error) {
    struct daemon *daemon = data;
    struct config *new;
    int r;

    service_reloading(&daemon->service);
    r = load_config(&daemon->options, &new, error);
    if (r == 0)
        r = use_config(daemon, new, error);
    if (r < 0) {
        log_write(LOG_ERR, ABOUT(.kind = LOG_CONFIG_REFUSED),
                  "the configuration stays as it was: %s", error->text);
    }
    service_ready(&daemon->service);
    return r;
}

static void on_signal(void *data, int signal) {
    struct daemon *daemon = data;
    struct error error;

    if (signal == SIGHUP) {
        reload(daemon, &error);
        return;
    }
    log_info("stopping: %s", strsignal(signal));
    daemon->stopping = true;
    event_base_loopbreak(daemon->base);
}

static void describe(void *data, char *ret, size_t size) {
    const struct daemon *daemon = data;

    snprintf(ret, size, "%u regions, %u clients", manager_n_regions(daemon->manager),
             daemon->server ? server_n_connections(daemon->server) : 0);
}

static void on_clients_changed(void *data) {
    struct daemon *daemon = data;

    service_changed(&daemon->service);
}

static void on_region_event(struct observer *observer, enum region_event event,
                            const struct region *region, const char *reason) {
    struct daemon *daemon = (struct daemon *)((char *)observer - offsetof(struct daemon, observer));

    (void)region;
    (void)reason;
    if (event != REGION_PUBLISHED && event != REGION_CHANGED)
        service_changed(&daemon->service);
}

static int start_loop(struct daemon *daemon, struct error *error) {
    daemon->base = turns_new_base();
    if (!daemon->base || signals_init(&daemon->signals, daemon->base) < 0 ||
        service_init(&daemon->service, daemon->base) < 0)
        return error_set(error, -ENOMEM, "cannot start the event loop");
    return 0;
}

static int start_core(struct daemon *daemon, struct error *error) {
    int r = fdstore_init(&daemon->fdstore);

    if (r < 0)
        return error_set(error, r, "cannot take what the service manager passed: %s", strerror(-r));
    r = manager_new(
        &(struct manager_options){
            .base = daemon->base,
            .config = daemon->config,
            .runtime_directory = daemon->options.runtime_directory,
            .state_directory = daemon->options.state_directory,
            .fdstore = &daemon->fdstore,
        },
        &daemon->manager, error);
    if (r == 0)
        manager_observe(daemon->manager, &daemon->observer);
    return r;
}

static void on_memory_pressure(void *data) {
    const struct daemon *daemon = data;

    manager_relieve_pressure(daemon->manager, daemon->config->memory_pressure.percent);
}

static int watch_pressure(struct daemon *daemon, struct error *error) {
    int r = pressure_new(daemon->base, on_memory_pressure, daemon, &daemon->pressure);

    if (r < 0)
        return error_set(error, r, "no memory to watch memory pressure");
    pressure_configure(daemon->pressure, &daemon->config->memory_pressure);
    return 0;
}

static int open_sockets(struct daemon *daemon, struct error *error) {
    const char *directory = daemon->options.runtime_directory;
    int r = socket_open(&daemon->fdstore, "client", SOCK_SEQPACKET, directory,
                        &daemon->client_socket, error);

    if (r == 0)
        r = socket_open(&daemon->fdstore, "admin", SOCK_STREAM, directory, &daemon->admin_socket,
                        error);
    return r;
}

static int start_faces(struct daemon *daemon, struct error *error) {
    int r = server_new(
        &(struct server_options){
            .base = daemon->base,
            .manager = daemon->manager,
            .fdstore = &daemon->fdstore,
            .changed = on_clients_changed,
            .data = daemon,
        },
        steal_fd(&daemon->client_socket.fd), &daemon->server);
    if (r == 0)
        r = admin_new(
            &(struct admin_options){
                .base = daemon->base,
                .manager = daemon->manager,
                .fdstore = &daemon->fdstore,
                .started_usec = realtime_usec(),
                .reload = reload,
                .data = daemon,
            },
            steal_fd(&daemon->admin_socket.fd), &daemon->admin);
    manager_end_prelude(daemon->manager);
    return r < 0 ? error_set(error, r, "cannot serve: %s", strerror(-r)) : 0;
}

/* A user's own daemon may write where its user may: to whatever file of his he hands over. */
static void confine(const struct options *options) {
    const char *directories[] = {options->runtime_directory, options->state_directory, "/dev/shm",
                                 PRESSURE_DIRECTORY};

    confine_files(directories, ARRAY_SIZE(directories), options->per_user);
}

/* A wait for events that fails, for lack of memory perhaps, is tried again after a pause: to end would
 * help nobody. If it goes on failing, the service manager's watchdog is not fed. */
static void run_loop(struct daemon *daemon) {
    static const struct timespec pause = {.tv_nsec = 50000000};

    while (event_base_dispatch(daemon->base) < 0) {
        log_error("cannot wait for events, trying again: %s", strerror(errno));
        nanosleep(&pause, NULL);
    }
}

static void on_declared(struct declare_waiter *waiter) {
    struct daemon *daemon = (struct daemon *)((char *)waiter - offsetof(struct daemon, declared));

    event_base_loopbreak(daemon->base);
}

/* Before the first client is served, and before anything is started after this service. */
static void declare_regions(struct daemon *daemon) {
    struct declarations *declarations = manager_declarations(daemon->manager);

    manager_declare(daemon->manager);
    daemon->declared.ended = on_declared;
    if (declarations_n_loading(declarations) > 0 &&
        declarations_await(declarations, &daemon->declared) == 0)
        run_loop(daemon);
    declare_waiter_stop(&daemon->declared);
}

static int start(struct daemon *daemon, struct error *error) {
    int r = options_find_directories(&daemon->options, error);

    if (r == 0)
        r = start_loop(daemon, error);
    if (r == 0)
        r = start_core(daemon, error);
    if (r == 0)
        r = watch_pressure(daemon, error);
    if (r == 0)
        r = open_sockets(daemon, error);
    if (r == 0) {
        confine(&daemon->options);
        declare_regions(daemon);
    }
    if (r == 0 && !daemon->stopping)
        r = start_faces(daemon, error);
    /* What nobody has taken is memory that nobody wants. */
    fdstore_deinit(&daemon->fdstore);
    return r;
}

/* Also after half a start. The faces go before the core, so that what clients hold stays recorded. */
static void stop(struct daemon *daemon) {
    service_deinit(&daemon->service);
    cleanup_admin_free(&daemon->admin);
    cleanup_server_free(&daemon->server);
    socket_deinit(&daemon->admin_socket);
    socket_deinit(&daemon->client_socket);
    cleanup_pressure_free(&daemon->pressure);
    if (daemon->manager) {
        manager_unobserve(&daemon->observer);
        manager_free(daemon->manager);
    }
    fdstore_deinit(&daemon->fdstore);
    signals_deinit(&daemon->signals);
    if (daemon->base)
        event_base_free(daemon->base);
}

static int run(struct daemon *daemon, struct error *error) {
    const struct options *options = &daemon->options;
    int r = start(daemon, error);

    if (r < 0 || daemon->stopping)
        return r;
    log_write(LOG_INFO, ABOUT(.kind = LOG_DAEMON_STARTED),
              "shmregd " PROJECT_VERSION " started in %s and %s with %u regions",
              options->runtime_directory, options->state_directory,
              manager_n_regions(daemon->manager));
    service_ready(&daemon->service);
    run_loop(daemon);
    service_stopping(&daemon->service);
    log_write(LOG_INFO, ABOUT(.kind = LOG_DAEMON_STOPPED),
              "shmregd " PROJECT_VERSION " stopped in %s and %s with %u regions, %u clients",
              options->runtime_directory, options->state_directory,
              manager_n_regions(daemon->manager), server_n_connections(daemon->server));
    return r;
}

static void print_valid(const struct config *config) {
    for (size_t i = 0; i < config->n_files; i++)
        printf("%s%s", i > 0 ? ", " : "", config->files[i]);
    printf("%sconfiguration is valid\n", config->n_files > 0 ? ": " : "no file: the default ");
}

/* One descriptor for each client and two for a memfd region: as many as we may have. */
static void raise_descriptor_limit(void) {
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        log_warning("cannot raise the limit on descriptors: %s", strerror(errno));
}

static int load_and_run(struct daemon *daemon) {
    struct error error;
    int r;

    umask(077);
    log_open(daemon->options.foreground || daemon->options.check);
    confine_privileges();
    r = load_config(&daemon->options, &daemon->config, &error);
    if (r == 0 && daemon->options.check) {
        print_valid(daemon->config);
    } else if (r == 0) {
        use_log_level(daemon);
        raise_descriptor_limit();
        r = run(daemon, &error);
        stop(daemon);
    }
    cleanup_config_free(&daemon->config);
    if (r < 0)
        log_error("%s", error.text);
    return r;
}

int main(int argc, char **argv) {
    struct daemon daemon = {
        .client_socket.fd = -1,
        .admin_socket.fd = -1,
        .signals = {.fd = -1, .received = on_signal},
        .observer.notice = on_region_event,
        .service.describe = describe,
    };
    int status;

    daemon.service.data = daemon.signals.data = &daemon;
    if (options_parse(argc, argv, &daemon.options, &status))
        status = load_and_run(&daemon) < 0 ? 1 : 0;
    options_deinit(&daemon.options);
    return status;
}
