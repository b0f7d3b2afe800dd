/*
 * org.varlink.service: see varlink-service.h.
 */
#include "daemon/faces/varlink-service.h"

#include "daemon/faces/admin-parameters.h"

#include <string.h>

#define SERVICE "org.varlink.service"
#define ADMIN "io.shmreg.Admin"

/* The texts as string literals, made from proto/ when the daemon is built. */
static const char service_text[] =
#include "org.varlink.service.varlink.h"
    ;
static const char admin_text[] =
#include "io.shmreg.Admin.varlink.h"
    ;

static const struct {
    const char *name;
    const char *text;
} interfaces[] = {
    {SERVICE, service_text},
    {ADMIN, admin_text},
};

static void get_info(const struct varlink_call *call) {
    varlink_reply(call, json_pack("{s:s, s:s, s:s, s:s, s:[s, s]}", "vendor", "shmreg", "product",
                                  "shmregd", "version", PROJECT_VERSION, "url",
                                  "https://varlink.org", "interfaces", SERVICE, ADMIN));
}

static void get_interface_description(const struct varlink_call *call) {
    const char *name = parameter_text(call->parameters, "interface", "");

    for (size_t i = 0; i < ARRAY_SIZE(interfaces); i++) {
        if (strcmp(interfaces[i].name, name) == 0) {
            varlink_reply(call, json_pack("{s:s}", "description", interfaces[i].text));
            return;
        }
    }
    varlink_error(call, SERVICE ".InterfaceNotFound", json_pack("{s:s}", "interface", name));
}

static const struct {
    const char *name;
    void (*answer)(const struct varlink_call *call);
    struct parameter parameters[2];
} methods[] = {
    {SERVICE ".GetInfo", get_info},
    {SERVICE ".GetInterfaceDescription",
     get_interface_description,
     {{"interface", PARAMETER_TEXT}}},
};

static void answer_service(const struct varlink_call *call) {
    const char *fault;

    for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
        if (strcmp(methods[i].name, call->method) != 0)
            continue;
        fault = parameters_fault(call->parameters, methods[i].parameters);
        if (fault)
            varlink_invalid_parameter(call, fault);
        else
            methods[i].answer(call);
        return;
    }
    varlink_method_not_found(call);
}

void varlink_method_not_found(const struct varlink_call *call) {
    varlink_error(call, SERVICE ".MethodNotFound", json_pack("{s:s}", "method", call->method));
}

static bool is_of(const struct varlink_call *call, const char *interface, size_t length) {
    return strlen(interface) == length && memcmp(interface, call->method, length) == 0;
}

bool varlink_service_call(const struct varlink_call *call) {
    const char *dot = strrchr(call->method, '.');
    size_t length = dot ? (size_t)(dot - call->method) : 0;

    if (is_of(call, ADMIN, length))
        return false;
    if (is_of(call, SERVICE, length))
        answer_service(call);
    else
        varlink_error(call, SERVICE ".InterfaceNotFound",
                      json_pack("{s:s%}", "interface", call->method, length));
    return true;
}
