/*
 * Attributes as an operator types them: a JSON object, or single keys
 */
#pragma once

#include <jansson.h>

#include "proto/error.h"

/* Parses a JSON object. NULL: what is wrong is in @error. */
json_t *attributes_parse(const char *text, struct error *error);

/*
 * Sets one key of @attributes from "KEY=VALUE". A VALUE that is JSON is taken as that (42, true,
 * [3,4], "text" with its quotes), any other as a string; an empty one removes the key. Returns 0,
 * -EINVAL or -ENOMEM.
 */
int attributes_assign(json_t *attributes, const char *assignment, struct error *error);
