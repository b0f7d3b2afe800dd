/*
 * What is limited: see limits.h.
 */
#include "daemon/ground/limits.h"

const char *limit_word(enum limit_kind kind) {
    static const char *const words[] = {
#define X(name, word) [LIMIT_##name] = word,
        LIMIT_KINDS(X)
#undef X
    };

    return words[kind];
}
