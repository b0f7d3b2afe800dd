/*
 * Names of segments: what the daemon takes for one of its own, and what it does not.
 */
#include "daemon/core/segment.h"
#include "tests/unit/suite.h"

static const struct segment_places places = {.instance = "0123456789abcdef"};

START_TEST(only_names_that_it_writes_are_its_names) {
    static const char *const others[] = {
        "",
        "shmreg.0123456789abcdef.",
        "shmreg.0123456789abcdef.7",
        "shmreg.0123456789abcdef.7.",
        "shmreg.0123456789abcdef.7.1x",
        "shmreg.0123456789abcdef.07.1",
        "shmreg.0123456789abcdef.7.01",
        "shmreg.0123456789abcdef.7.4294967296",
        "shmreg.0123456789abcdef.18446744073709551616.1",
        "shmreg.0123456789abcdef.-1.1",
        "shmreg.0123456789abcdef. 7.1",
        "shmreg.fedcba9876543210.7.1",
        "shmreg.0123456789abcdef.7.1.1",
        "xshmreg.0123456789abcdef.7.1",
    };
    struct segment segment;

    ck_assert(segment_name_parse(&places, BACKING_FILE,
                                 "shmreg.0123456789abcdef.18446744073709551615.4294967295",
                                 &segment));
    ck_assert_uint_eq(segment.id, UINT64_MAX);
    ck_assert_uint_eq(segment.version, UINT32_MAX);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        ck_assert_msg(!segment_name_parse(&places, BACKING_SHM, others[i], &segment), "%s",
                      others[i]);
    /* A suffix is for /dev/shm. */
    ck_assert(segment_name_parse(&places, BACKING_SHM,
                                 "shmreg.0123456789abcdef.7.1.00000000000000ff", &segment));
    ck_assert_uint_eq(segment.suffix, 255);
    ck_assert(!segment_name_parse(&places, BACKING_FILE,
                                  "shmreg.0123456789abcdef.7.1.00000000000000ff", &segment));
}
END_TEST

SUITE_MAIN("segment-name", only_names_that_it_writes_are_its_names);
