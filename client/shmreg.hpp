/*
 * shmreg.hpp: libshmreg for C++20
 *
 * What shmreg.h says holds here, too: this header adds owners for its handles, std::span for its
 * memory and exceptions for its errors, and no functions of its own. An owner converts to the pointer
 * that it owns, so every function of shmreg.h takes it:
 *
 *     shmreg::connection conn;
 *     auto prices = shmreg::create(conn, "feed/prices", 1 << 20,
 *                                  shmreg::options({.lifetime = SHMREG_OWNER, .mode = 0640}));
 *
 *     prices.write<double>()[0] = 42.0;
 *     shmreg::check(shmreg_set_attributes(conn, "feed/prices", R"({"dtype": "float64"})"));
 *
 * Owners can be moved and not copied. A region ends before its connection does, so declare the
 * connection first.
 */
#ifndef SHMREG_HPP
#define SHMREG_HPP

#include <shmreg.h>

#include <cerrno>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

namespace shmreg {

/* What the library refused: code() has the errno, what() the sentence of shmreg_error_message(). */
class error : public std::system_error {
  public:
    explicit error(int result)
        : std::system_error(-result, std::generic_category()), message_(shmreg_error_message()) {
    }

    const char *what() const noexcept override {
        return message_.c_str();
    }

  private:
    std::string message_;
};

/* Throws for a negative result of a function of shmreg.h, and returns any other. */
inline int check(int result) {
    if (result < 0)
        throw error(result);
    return result;
}

/* The options of shmreg_create() and its like, for designated initializers in the struct's order. */
constexpr shmreg_options options(shmreg_options given = {}) {
    given.struct_size = sizeof(given);
    return given;
}

/* Owns what End() ends. */
template <typename T, void (*End)(T *)> class owner {
  public:
    owner() = default;

    explicit owner(T *owned) : owned_(owned) {
    }

    operator T *() const {
        return owned_.get();
    }

    T *operator->() const {
        return owned_.get();
    }

  private:
    struct ender {
        void operator()(T *owned) const {
            End(owned);
        }
    };

    std::unique_ptr<T, ender> owned_;
};

class connection : public owner<shmreg_conn, shmreg_disconnect> {
  public:
    explicit connection(const char *path = nullptr) : owner(connect(path)) {
    }

  private:
    static shmreg_conn *connect(const char *path) {
        shmreg_conn *conn = nullptr;

        check(shmreg_connect(path, &conn));
        return conn;
    }
};

class region : public owner<shmreg_region, shmreg_close> {
  public:
    using owner::owner;

    /* As many T as fit. Valid as long as shmreg_data() is, and only with SHMREG_WRITE (or _PRIVATE)
     * for writing; what was opened with SHMREG_READ is to be read(). */
    template <typename T = std::byte> std::span<T> write() const {
        static_assert(std::is_trivially_copyable_v<T>, "others see nothing but the bytes");
        return {static_cast<T *>(shmreg_data(*this)), shmreg_size(*this) / sizeof(T)};
    }

    template <typename T = std::byte> std::span<const T> read() const {
        return write<T>();
    }
};

using description = owner<shmreg_description, shmreg_description_free>;

inline region create(shmreg_conn *conn, const char *name, std::uint64_t size,
                     const shmreg_options &given = options()) {
    shmreg_region *handle = nullptr;

    check(shmreg_create(conn, name, size, &given, &handle));
    return region(handle);
}

inline region open(shmreg_conn *conn, const char *name, std::uint32_t access = SHMREG_READ) {
    shmreg_region *handle = nullptr;

    check(shmreg_open(conn, name, access, &handle));
    return region(handle);
}

inline region stage(shmreg_conn *conn, const char *name, std::uint64_t size,
                    const shmreg_options &given = options()) {
    shmreg_region *handle = nullptr;

    check(shmreg_stage(conn, name, size, &given, &handle));
    return region(handle);
}

inline description describe(shmreg_conn *conn, const char *name) {
    shmreg_description *found = nullptr;

    check(shmreg_describe(conn, name, &found));
    return description(found);
}

/* The lock of a region, for a scope: shmreg_lock(). The region must outlive it. */
class lock {
  public:
    explicit lock(shmreg_region *locked, int timeout_msec = -1) : locked_(locked) {
        int result = shmreg_lock(locked, timeout_msec);

        owner_died_ = result == -EOWNERDEAD;
        if (!owner_died_)
            check(result);
    }

    ~lock() {
        shmreg_unlock(locked_);
    }

    lock(const lock &) = delete;
    lock &operator=(const lock &) = delete;

    /* Then make the data whole, and call shmreg_lock_recovered(), before the scope ends. */
    bool owner_died() const {
        return owner_died_;
    }

  private:
    shmreg_region *locked_;
    bool owner_died_ = false;
};

} // namespace shmreg

#endif
