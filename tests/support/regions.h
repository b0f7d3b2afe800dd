/*
 * Regions: the calls on libshmreg that every test makes, with their result checked
 */
#pragma once

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "client/shmreg.h"
#include "tests/support/daemon.h"

shmreg_conn *connect_to(const struct test_daemon *daemon);

/* A call that succeeds; one that fails with this code and a sentence that has this text. */
#define expect_ok(call)                                                                            \
    do {                                                                                           \
        int _expected = (call);                                                                    \
        ck_assert_msg(_expected == 0, #call ": %d: %s", _expected, shmreg_error_message());        \
    } while (0)
#define expect_error(call, code, text)                                                             \
    do {                                                                                           \
        int _expected = (call);                                                                    \
        ck_assert_msg(_expected == (code), #call ": %d, not " #code ": %s", _expected,             \
                      shmreg_error_message());                                                     \
        ck_assert_msg(strstr(shmreg_error_message(), (text)), "'%s' says nothing of '%s'",         \
                      shmreg_error_message(), (text));                                             \
    } while (0)

/* Creates a region and gives its handle back: only the region stays. */
void create_region(shmreg_conn *conn, const char *name, uint64_t size,
                   const struct shmreg_options *options);
shmreg_region *open_region(shmreg_conn *conn, const char *name, uint32_t access);

/* Numbers of its description. */
unsigned count_readers(shmreg_conn *conn, const char *name);
unsigned count_writers(shmreg_conn *conn, const char *name);

bool exists(shmreg_conn *conn, const char *name);
/* Waits until there is no region of that name. */
void wait_gone(shmreg_conn *conn, const char *name);
void wait_holders(shmreg_conn *conn, const char *name, unsigned readers, unsigned writers);

/* Descriptors the daemon has open once it is through with all that this connection asked for. */
unsigned settled_descriptors(const struct test_daemon *daemon, shmreg_conn *conn);

/* Fills memory with bytes that depend on a seed, and says whether they are all there. */
void fill(void *memory, size_t size, unsigned seed);
bool is_filled(const void *memory, size_t size, unsigned seed);
