/*
 * The key "memory_pressure" of a configuration file
 */
#include "daemon/ground/config-reader.h"

/* What the kernel takes from a process without privileges (kernel/sched/psi.c), in milliseconds. */
#define WINDOW_STEP 2000
#define WINDOW_MAX 10000

static int read_stall(struct reader *reader, const json_t *value, void *target) {
    json_int_t stall = json_integer_value(value); /* 0 for what is no number */

    if (stall < 1 || stall > WINDOW_MAX)
        return config_mistake(reader, "must be a whole number of milliseconds from 1 to %d",
                              WINDOW_MAX);
    *(uint32_t *)target = (uint32_t)stall;
    return 0;
}

static int read_window(struct reader *reader, const json_t *value, void *target) {
    json_int_t window = json_integer_value(value);

    if (window < WINDOW_STEP || window > WINDOW_MAX || window % WINDOW_STEP != 0)
        return config_mistake(reader, "must be 2000, 4000, 6000, 8000 or 10000 milliseconds");
    *(uint32_t *)target = (uint32_t)window;
    return 0;
}

static int read_percent(struct reader *reader, const json_t *value, void *target) {
    json_int_t percent = json_integer_value(value);

    if (percent < 1 || percent > 100)
        return config_mistake(reader, "must be a whole number from 1 to 100");
    *(uint32_t *)target = (uint32_t)percent;
    return 0;
}

int config_read_memory_pressure(struct reader *reader, const json_t *value, void *target) {
    struct memory_pressure *pressure = target;
    const struct key keys[] = {
        {"watch", config_read_bool, &pressure->watch},
        {"stall", read_stall, &pressure->stall},
        {"window", read_window, &pressure->window},
        {"percent", read_percent, &pressure->percent},
        {NULL},
    };
    int r = config_read_object(reader, value, keys);

    if (r == 0 && pressure->stall > pressure->window)
        r = config_mistake(reader, "stall cannot be longer than window");
    return r;
}
