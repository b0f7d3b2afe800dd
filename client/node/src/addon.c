/*
 * What the addon exports: the functions of addon.h by their names, and `end`, which empties a box.
 */
#include "addon.h"

#define NATIVE_PROPERTY(name) {.utf8name = #name, .method = native_##name},

NAPI_MODULE_INIT() {
    static const napi_property_descriptor properties[] = {
        NATIVE_FUNCTIONS(NATIVE_PROPERTY){.utf8name = "end", .method = box_empty},
    };

    if (napi_define_properties(env, exports, ARRAY_SIZE(properties), properties) != napi_ok)
        return throw_status(env);
    return exports;
}
