/*
 * Log: what arrives at the other end of standard error, and at the journal's socket.
 */
#include "daemon/ground/log.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <sys/socket.h>
#include <sys/un.h>

#define JOURNAL_DIRECTORY SCRATCH "/systemd"
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* Standard error goes into a pipe from here on; returns the end to read. */
static int redirect_stderr(void) {
    int ends[2];

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    return ends[0];
}

static const char *written(int pipe) {
    static char text[8192];
    ssize_t n = read(pipe, text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

START_TEST(lines_say_how_bad_it_is) {
    int pipe = redirect_stderr();

    log_open(true);
    log_error("cannot %s", "x");
    log_warning("w");
    log_info("i");
    log_debug("d");
    ck_assert_str_eq(written(pipe), "shmregd: error: cannot x\nshmregd: warning: w\nshmregd: i\n");
    log_set_level(LOG_DEBUG);
    log_debug("d");
    log_set_level(LOG_ERR);
    log_warning("w");
    ck_assert_str_eq(written(pipe), "shmregd: debug: d\n");
}
END_TEST

START_TEST(no_name_forges_a_line) {
    int pipe = redirect_stderr();

    log_open(true);
    log_info("a\nshmregd: b\x1b[31m\x7f\t\xc3\xa9");
    ck_assert_str_eq(written(pipe), "shmregd: a?shmregd: b?[31m??\xc3\xa9\n");
    /* U+009B does what escape and bracket do; and what is no UTF-8 at all. */
    log_info("\xc2\x9b"
             "31m \xff \x9b"
             "1m \xc0\x9b \xed\xa0\x80 \xf0\x9f\x98\x80 \xc3");
    ck_assert_str_eq(written(pipe), "shmregd: ??31m ? ?1m ?? ??? \xf0\x9f\x98\x80 ?\n");
}
END_TEST

START_TEST(a_long_line_is_cut) {
    _cleanup_free_ char *text = malloc(5001);
    int pipe = redirect_stderr();
    size_t length;

    ck_assert_ptr_nonnull(text);
    memset(text, 'x', 5000);
    text[5000] = '\0';
    log_open(true);
    log_info("%s", text);
    length = strlen(written(pipe));
    ck_assert_uint_gt(length, 2000);
    ck_assert_uint_lt(length, 2100);
}
END_TEST

START_TEST(a_reader_that_is_gone_or_stuck_does_not_matter) {
    int pipe = redirect_stderr();

    log_open(true);
    ck_assert_int_eq(fcntl(STDERR_FILENO, F_SETFL, 0), 0);
    for (int i = 0; i < 10000; i++)
        log_info("line %d, which nobody reads", i);
    ck_assert_ptr_nonnull(strstr(written(pipe), "line 0,"));
    close(pipe);
    log_info("nobody is there");
    close(STDERR_FILENO);
    log_info("nothing is there");
}
END_TEST

static int bind_journal(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    ck_assert_int_eq(mkdir(JOURNAL_DIRECTORY, 0755), 0);
    ck_assert_int_eq(mkdir(JOURNAL_DIRECTORY "/journal", 0755), 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void name_journal_stream(void) {
    struct stat status;
    char text[64];

    ck_assert_int_eq(fstat(STDERR_FILENO, &status), 0);
    snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)status.st_dev,
             (unsigned long long)status.st_ino);
    setenv("JOURNAL_STREAM", text, 1);
}

static void expect_field(const char *entry, const char *field) {
    char line[256];

    snprintf(line, sizeof(line), "\n%s\n", field);
    ck_assert_msg(strstr(entry, line), "no %s in:%s", field, entry);
}

START_TEST(the_journal_gets_fields) {
    char entry[4096] = "\n";
    int pipe, journal;
    ssize_t n;

    scratch_mount(1 << 20);
    journal = bind_journal();
    pipe = redirect_stderr();
    name_journal_stream();
    log_open(false);
    log_write(LOG_NOTICE,
              ABOUT(.kind = LOG_REGION_REAPED, .region = "a/b", .reason = "why\nSHMREG_REGION=c",
                    .client = &(struct log_client){20001, 42, "x.service", true}),
              "region '%s' was reaped", "a/b");
    ck_assert_str_eq(written(pipe), "");
    n = read(journal, entry + 1, sizeof(entry) - 2);
    ck_assert_int_gt(n, 0);
    entry[n + 1] = '\0';
    expect_field(entry, "MESSAGE=region 'a/b' was reaped");
    expect_field(entry, "PRIORITY=5");
    expect_field(entry, "SYSLOG_IDENTIFIER=shmregd");
    expect_field(entry, "MESSAGE_ID=7b2e4c6d8f0a41b3a5c7d9e1f3a5b7c9");
    expect_field(entry, "SHMREG_REGION=a/b");
    expect_field(entry, "SHMREG_CLIENT_PID=42");
    expect_field(entry, "SHMREG_CLIENT_UID=20001");
    expect_field(entry, "SHMREG_CLIENT_UNIT=x.service");
    expect_field(entry, "SHMREG_ADMINISTRATOR=yes");
    expect_field(entry, "SHMREG_REASON=why?SHMREG_REGION=c");

    log_info("plain");
    n = read(journal, entry + 1, sizeof(entry) - 2);
    entry[n + 1] = '\0';
    expect_field(entry, "MESSAGE=plain");
    ck_assert_ptr_null(strstr(entry, "MESSAGE_ID"));
    ck_assert_ptr_null(strstr(entry, "SHMREG_"));
}
END_TEST

START_TEST(text_can_be_forced) {
    int pipe;

    scratch_mount(1 << 20);
    bind_journal();
    pipe = redirect_stderr();
    name_journal_stream();
    log_open(true);
    log_info("hello");
    ck_assert_str_eq(written(pipe), "shmregd: hello\n");
    setenv("JOURNAL_STREAM", "1:2", 1);
    log_open(false);
    log_info("not the journal's");
    ck_assert_str_eq(written(pipe), "shmregd: not the journal's\n");
}
END_TEST

SUITE_MAIN("log", lines_say_how_bad_it_is, no_name_forges_a_line, a_long_line_is_cut,
           a_reader_that_is_gone_or_stuck_does_not_matter, the_journal_gets_fields,
           text_can_be_forced);
