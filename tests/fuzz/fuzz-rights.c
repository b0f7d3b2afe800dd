/*
 * Rights, modes and lists of access rules: what is parsed is written and parsed again to the same,
 * and the place of what is wrong lies within the text.
 */
#include "proto/rights.h"
#include "proto/cleanup.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <string.h>

static void check_mode(const char *text) {
    char again[MODE_TEXT_MAX];
    uint32_t mode, same;

    if (mode_parse(text, &mode) < 0)
        return;
    fuzz_check(mode_check(mode) == 0);
    mode_format(mode, again);
    fuzz_check(mode_parse(again, &same) == 0 && same == mode);
}

static void check_rule(const struct access_rule *rule) {
    char text[ACCESS_SUBJECT_MAX + 16], rights[RIGHTS_TEXT_MAX];
    struct access_rule again;
    static const char *const kinds[] = {
        [SUBJECT_USER] = "user", [SUBJECT_GROUP] = "group", [SUBJECT_UNIT] = "unit"};
    int length;

    fuzz_check(rule->rights != 0 && (rule->rights & ~RIGHT_ALL) == 0);
    rights_format(rule->rights, rights);
    length = snprintf(text, sizeof(text), "%s:%s:%s", kinds[rule->subject], rule->name, rights);
    fuzz_check(access_rule_parse(text, (size_t)length, &again) == 0);
    fuzz_check(again.subject == rule->subject && again.rights == rule->rights);
    fuzz_check(strcmp(again.name, rule->name) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ char *text = strndup((const char *)data, size);
    struct access_rule rules[ACL_RULES_MAX];
    const char *bad = NULL;
    size_t count = 0;
    int r;

    fuzz_check(text);
    check_mode(text);
    r = access_rules_parse(text, rules, &count, &bad);
    fuzz_check(r == 0 || r == -EINVAL || r == -E2BIG);
    if (r == -EINVAL)
        fuzz_check(bad >= text && bad <= text + strlen(text));
    for (size_t i = 0; r == 0 && i < count; i++)
        check_rule(&rules[i]);
    return 0;
}
