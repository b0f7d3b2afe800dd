/*
 * Failing: any allocation or record of the core, at will
 *
 * A test that is linked with it has every malloc(3), calloc(3), strdup(3), registry_put() and
 * registry_commit() of the objects that it is made of go through here. While one is counted down,
 * nothing is asserted, as that takes memory, too.
 */
#pragma once

/* The call after so many of them fails; -1: none does. */
void fail_after(long calls);
