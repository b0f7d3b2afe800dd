/*
 * Huge pages: what this host gives of them
 *
 * Two kinds that have only the name in common: transparent ones, which the kernel makes of ordinary
 * memory if its policy allows it, and hugetlb pages of memfds, which an administrator has set
 * aside.
 */
#pragma once

#include <stdint.h>

#include "client/mapping.h"

/* Whether the host's policy lets advice make pages of this mapping transparently huge. -EOPNOTSUPP, with the setting that forbids it. */
int huge_advice_check(const struct mapping *mapping);

/* Keeps the sentence for memory of huge pages that cannot be mapped, with how many of them are
 * free. Returns @error. */
int huge_fail_mapping(const struct mapping *mapping, uint64_t length, int error);
