/*
 * shmreg.hpp against a real daemon: owners, spans, exceptions and locks.
 */
#include <shmreg.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);           \
            std::exit(1);                                                                          \
        }                                                                                          \
    } while (false)

static void test_span(shmreg_conn *conn) {
    auto writer = shmreg::create(conn, "cpp/array", 8 * sizeof(double),
                                 shmreg::options({.mode = 0640, .attributes = "{\"a\":1}"}));
    auto numbers = writer.write<double>();

    CHECK(numbers.size() == 8 && writer.read().size_bytes() == 64);
    std::iota(numbers.begin(), numbers.end(), 1.0);
    auto reader = shmreg::open(conn, "cpp/array");
    CHECK(std::ranges::equal(reader.read<double>(), numbers));
    CHECK(reader.read<double>().data() != numbers.data());

    auto moved = std::move(reader);
    CHECK(moved.read<double>()[7] == 8.0 && shmreg_version(moved) == 1);
    CHECK(static_cast<shmreg_region *>(reader) == nullptr);

    auto found = shmreg::describe(conn, "cpp/array");
    CHECK(found->mode == 0640 && std::strcmp(found->attributes, "{\"a\":1}") == 0);
    CHECK(found->readers == 1 && found->writers == 1);
}

static void test_stage(shmreg_conn *conn) {
    auto reader = shmreg::open(conn, "cpp/array");
    auto stage = shmreg::stage(conn, "cpp/array", 16);
    std::uint32_t version = 0;

    std::ranges::fill(stage.write<char>(), 'x');
    shmreg::check(shmreg_publish(stage, 0, &version));
    CHECK(version == 2 && !shmreg_is_current(reader));
    shmreg::check(shmreg_refresh(reader));
    CHECK(reader.read<char>().size() == 16 && reader.read<char>()[15] == 'x');
}

static void test_error(shmreg_conn *conn) {
    try {
        shmreg::open(conn, "cpp/none");
        CHECK(false);
    } catch (const std::system_error &error) {
        CHECK(error.code() == std::errc::no_such_file_or_directory);
        CHECK(std::strcmp(error.what(), "there is no region 'cpp/none'") == 0);
    }
    try {
        shmreg::connection nowhere("/nowhere/client.sock");
        CHECK(false);
    } catch (const shmreg::error &error) {
        CHECK(error.code().value() == ENOENT);
    }
}

static void test_lock(shmreg_conn *conn) {
    auto region =
        shmreg::create(conn, "cpp/lock", 64, shmreg::options({.flags = SHMREG_SYNC_BLOCK}));
    int status = 0;

    {
        shmreg::lock lock(region);
        CHECK(!lock.owner_died() && shmreg_lock(region, 0) == -EDEADLK);
    }
    pid_t child = fork();
    if (child == 0) {
        shmreg_lock(region, 0);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    {
        shmreg::lock lock(region);
        CHECK(lock.owner_died());
        shmreg::check(shmreg_lock_recovered(region));
    }
    CHECK(!shmreg::lock(region, 0).owner_died());
}

/* Descriptors, and mappings of regions. */
static std::pair<long, long> held() {
    std::ifstream maps("/proc/self/maps");
    long mappings = 0;

    for (std::string line; std::getline(maps, line);)
        mappings += line.find("shmreg.") != std::string::npos;
    return {std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}), mappings};
}

/* What the destructors have not given back, the daemon would still count. */
static void test_given_back(shmreg_conn *conn) {
    shmreg::connection other;
    const auto before = held();

    for (int i = 0; i < 1000; i++)
        shmreg::open(other, "cpp/array", i % 2 ? SHMREG_READ : SHMREG_WRITE);
    CHECK(held() == before);
    auto found = shmreg::describe(other, "cpp/array");
    CHECK(found->readers == 0 && found->writers == 0);
    shmreg::check(shmreg_destroy(conn, "cpp/array"));
    shmreg::check(shmreg_destroy(conn, "cpp/lock"));
}

int main() {
    shmreg::connection conn;

    test_span(conn);
    test_stage(conn);
    test_error(conn);
    test_lock(conn);
    test_given_back(conn);
    return 0;
}
