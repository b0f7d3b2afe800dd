/*
 * Region names, against the grammar written as a regular expression.
 */
#include "proto/region-name.h"
#include "proto/cleanup.h"
#include "tests/fuzz/fuzz.h"

#include <regex.h>
#include <stdbool.h>
#include <string.h>

#define COMPONENT "[A-Za-z0-9_][A-Za-z0-9_.@:+-]*"

static const regex_t *grammar(void) {
    static regex_t expression;
    static bool compiled;

    if (!compiled)
        fuzz_check(regcomp(&expression, "^" COMPONENT "(/" COMPONENT ")*$",
                           REG_EXTENDED | REG_NOSUB) == 0);
    compiled = true;
    return &expression;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ char *name = strndup((const char *)data, size);
    bool valid;

    fuzz_check(name);
    valid = strlen(name) <= REGION_NAME_MAX && regexec(grammar(), name, 0, NULL, 0) == 0;
    fuzz_check(valid == !region_name_fault(name));
    return 0;
}
