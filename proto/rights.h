/*
 * The grammar of rights: modes and access rules
 *
 * Rights are 'r' (map read-only), 'w' (map writable) and 'm' (manage: publish, resize, seal,
 * change, destroy). A mode gives r and w to owner, group and others, in octal as chmod(1) writes
 * it; an access rule gives rights to a subject: "user:NAME:rw", "group:NAME:r", where NAME may
 * be a number, "unit:nginx.service:r" (proto/unit-pattern.h). A list of rules is written with
 * commas between.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define RIGHT_READ 1u
#define RIGHT_WRITE 2u
#define RIGHT_MANAGE 4u
#define RIGHT_ALL (RIGHT_READ | RIGHT_WRITE | RIGHT_MANAGE)

#define RIGHTS_TEXT_MAX 4      /* "rwm" and its end */
#define MODE_TEXT_MAX 5        /* "0640" and its end */
#define ACL_RULES_MAX 64       /* rules in one list */
#define ACL_TEXT_MAX 8192      /* bytes of a whole list */
#define ACCESS_SUBJECT_MAX 320 /* bytes of one NAME with its end */

enum subject {
    SUBJECT_USER = 1,
    SUBJECT_GROUP = 2,
    SUBJECT_UNIT = 3,
};

struct access_rule {
    enum subject subject;
    uint32_t rights;
    char name[ACCESS_SUBJECT_MAX];
};

/* Parses "r", "rw", "rwm"... Returns 0, or -EINVAL for an empty, unknown or repeated letter. */
int rights_parse(const char *text, size_t length, uint32_t *ret);
void rights_format(uint32_t rights, char ret[static RIGHTS_TEXT_MAX]);

/* Parses 1 to 4 octal digits; -EINVAL for anything but r and w bits (no execute, no setuid). */
int mode_parse(const char *text, uint32_t *ret);
void mode_format(uint32_t mode, char ret[static MODE_TEXT_MAX]);
/* 0, or -EINVAL for a mode that has bits a region cannot have. */
int mode_check(uint32_t mode);

/* Parses a subject alone, "user:alice". Returns 0 or -EINVAL. */
int access_subject_parse(const char *text, size_t length, enum subject *ret_kind,
                         char ret_name[static ACCESS_SUBJECT_MAX]);

/* Parses one rule that ends after @length bytes. Returns 0 or -EINVAL. */
int access_rule_parse(const char *text, size_t length, struct access_rule *ret);

/*
 * Parses a list of rules, at most ACL_RULES_MAX; "" is the empty list.
 * Returns 0, -EINVAL (then *ret_bad points at the rule that is wrong) or -E2BIG.
 */
int access_rules_parse(const char *text, struct access_rule *ret, size_t *ret_count,
                       const char **ret_bad);
