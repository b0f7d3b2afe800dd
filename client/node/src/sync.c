/*
 * The sync block: lock, sequence and event of a region, as the JavaScript thread uses them, and
 * locks on ranges of bytes.
 */
#include "addon.h"

#include <errno.h>
#include <limits.h>

/* (region, milliseconds): what is longer than C can say is without end. */
static struct region *take_timeout(napi_env env, napi_callback_info info, int *ret_msec) {
    napi_value arguments[2];
    struct region *region;
    int64_t msec;

    if (!take_arguments(env, info, arguments, 2))
        return NULL;
    region = to_region(env, arguments[0]);
    if (!region || !to_int64(env, arguments[1], &msec))
        return NULL;
    *ret_msec = msec < 0 || msec > INT_MAX ? -1 : (int)msec;
    return region;
}

/* lock(region, timeout): whether its last owner died with it */
napi_value native_lock(napi_env env, napi_callback_info info) {
    struct region *region;
    int msec, r;

    region = take_timeout(env, info, &msec);
    if (!region)
        return NULL;
    r = shmreg_lock(region->handle, msec);
    if (r < 0 && r != -EOWNERDEAD)
        return throw_error(env, r, NULL);
    region->locked = true;
    return from_bool(env, r == -EOWNERDEAD);
}

napi_value native_unlock(napi_env env, napi_callback_info info) {
    struct region *region = take_region(env, info);
    int r;

    if (!region)
        return NULL;
    r = shmreg_unlock(region->handle);
    if (r == 0)
        region->locked = false;
    return result_of(env, r);
}

static napi_value call(napi_env env, napi_callback_info info, int (*function)(shmreg_region *)) {
    struct region *region = take_region(env, info);

    return region ? result_of(env, function(region->handle)) : NULL;
}

napi_value native_lockRecovered(napi_env env, napi_callback_info info) {
    return call(env, info, shmreg_lock_recovered);
}

napi_value native_writeBegin(napi_env env, napi_callback_info info) {
    return call(env, info, shmreg_write_begin);
}

napi_value native_writeEnd(napi_env env, napi_callback_info info) {
    return call(env, info, shmreg_write_end);
}

napi_value native_notify(napi_env env, napi_callback_info info) {
    return call(env, info, shmreg_notify);
}

/* readBegin(region, timeout): a BigInt for readRetry() */
napi_value native_readBegin(napi_env env, napi_callback_info info) {
    struct region *region;
    napi_value value;
    uint64_t begun;
    int msec, r;

    region = take_timeout(env, info, &msec);
    if (!region)
        return NULL;
    r = shmreg_read_begin(region->handle, msec, &begun);
    if (r < 0)
        return throw_error(env, r, NULL);
    if (napi_create_bigint_uint64(env, begun, &value) != napi_ok)
        return throw_status(env);
    return value;
}

napi_value native_readRetry(napi_env env, napi_callback_info info) {
    struct region *region;
    napi_value arguments[2];
    uint64_t begun;
    bool lossless;

    if (!take_arguments(env, info, arguments, 2))
        return NULL;
    region = to_region(env, arguments[0]);
    if (!region)
        return NULL;
    if (napi_get_value_bigint_uint64(env, arguments[1], &begun, &lossless) != napi_ok)
        return throw_status(env);
    return from_bool(env, shmreg_read_retry(region->handle, begun));
}

/* lockRange(region, offset, length, exclusive): waits for nobody */
napi_value native_lockRange(napi_env env, napi_callback_info info) {
    uint64_t offset, length;
    struct region *region;
    napi_value arguments[4];
    bool exclusive;

    if (!take_arguments(env, info, arguments, 4))
        return NULL;
    region = take_range(env, arguments, &offset, &length);
    if (!region || !to_bool(env, arguments[3], &exclusive))
        return NULL;
    return result_of(env, shmreg_lock_range(region->handle, offset, length, exclusive, false));
}

/* unlockRange(region, offset, length) */
napi_value native_unlockRange(napi_env env, napi_callback_info info) {
    uint64_t offset, length;
    struct region *region;
    napi_value arguments[3];

    if (!take_arguments(env, info, arguments, 3))
        return NULL;
    region = take_range(env, arguments, &offset, &length);
    return region ? result_of(env, shmreg_unlock_range(region->handle, offset, length)) : NULL;
}
