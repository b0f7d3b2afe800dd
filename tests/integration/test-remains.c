/*
 * Remains: memory that had another's content comes to the next as zeroes, whatever it is made of
 */
#include "proto/cleanup.h"
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

#define OWNER 20001
#define STRANGER 20004
#define LARGE (8L << 20)

static const uint32_t backings[] = {SHMREG_SHM, SHMREG_MEMFD, SHMREG_FILE};

static struct test_daemon daemon_;
static int backing;

static void setup(void) {
    daemon_start(&daemon_);
}

static void teardown(void) {
    daemon_stop(&daemon_);
}

static bool is_zero(const unsigned char *memory, size_t size) {
    return memory[0] == 0 && memcmp(memory, memory + 1, size - 1) == 0;
}

static void leave_secrets(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    shmreg_region *region;

    (void)channel;
    (void)data;
    expect_ok(
        shmreg_create(own, "secret", LARGE, SHMREG_OPTIONS(.backing = backings[backing]), &region));
    memset(shmreg_data(region), 0x5a, LARGE);
    expect_ok(shmreg_destroy(own, "secret"));
    shmreg_disconnect(own);
}

/* A region, one that grows, a stage, and what is around a value. */
static void look_for_secrets(int channel, void *data) {
    const struct shmreg_options *options = SHMREG_OPTIONS(.backing = backings[backing]);
    shmreg_conn *own = connect_to(&daemon_);
    shmreg_region *region;

    (void)channel;
    (void)data;
    expect_ok(shmreg_create(own, "new", LARGE, options, &region));
    ck_assert(is_zero(shmreg_data(region), LARGE));
    shmreg_close(region);
    expect_ok(shmreg_stage(own, "new", LARGE, NULL, &region));
    ck_assert(is_zero(shmreg_data(region), LARGE));
    shmreg_close(region);
    expect_ok(shmreg_create(
        own, "grows", 1, SHMREG_OPTIONS(.backing = backings[backing], .max_size = LARGE), &region));
    expect_ok(shmreg_resize(own, "grows", LARGE));
    expect_ok(shmreg_refresh(region));
    ck_assert_uint_eq(shmreg_size(region), LARGE);
    ck_assert(is_zero(shmreg_data(region), LARGE));
    shmreg_close(region);
    expect_ok(shmreg_put(own, "new", "x", 1, SHMREG_MODE_DEFAULT));
    region = open_region(own, "new", SHMREG_READ);
    ck_assert(is_zero((const unsigned char *)shmreg_data(region) + 1, 4095));
    shmreg_close(region);
    expect_ok(shmreg_destroy(own, "new"));
    expect_ok(shmreg_destroy(own, "grows"));
    shmreg_disconnect(own);
}

START_TEST(test_memory_comes_without_what_others_left) {
    for (backing = 0; backing < (int)ARRAY_SIZE(backings); backing++) {
        run_as(USER(OWNER), leave_secrets, NULL);
        run_as(USER(STRANGER), look_for_secrets, NULL);
    }
}
END_TEST

int main(void) {
    TCase *remains = tcase_create("remains");

    tcase_add_checked_fixture(remains, setup, teardown);
    tcase_set_timeout(remains, 30);
    tcase_add_test(remains, test_memory_comes_without_what_others_left);
    return sandbox_run("remains", &remains, 1);
}
