/*
 * pthread_mutex_clocklock(3), told to ThreadSanitizer
 *
 * The sanitizer sees calls on mutexes by standing in for them, and older ones do not for this one:
 * whatever the mutex protects would look unprotected. So this stands in for it, in a build with that
 * sanitizer only. A dead owner's hold ends here for the sanitizer as it does for the kernel.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sanitizer/tsan_interface.h>

typedef int (*clocklock_function)(pthread_mutex_t *mutex, clockid_t clock,
                                  const struct timespec *deadline);

int pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock,
                            const struct timespec *deadline) {
    clocklock_function real = (clocklock_function)dlsym(RTLD_NEXT, "pthread_mutex_clocklock");
    int r;

    __tsan_mutex_pre_lock(mutex, __tsan_mutex_try_lock);
    r = real(mutex, clock, deadline);
    if (r == EOWNERDEAD)
        __tsan_mutex_destroy(mutex, 0);
    if (r == 0 || r == EOWNERDEAD)
        __tsan_mutex_post_lock(mutex, __tsan_mutex_try_lock, 0);
    else
        __tsan_mutex_post_lock(mutex, __tsan_mutex_try_lock | __tsan_mutex_try_lock_failed, 0);
    return r;
}
