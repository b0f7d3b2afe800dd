/*
 * Flush: a stage's content goes to disk before it is published
 *
 * It takes as long as there is content, and for ever when the disk is stuck, so it is done by a
 * worker for the disk while the loop serves others. What is published afterwards is that content:
 * what somebody writes meanwhile, or later, is not waited for.
 */
#pragma once

#include "daemon/core/manager.h"

struct flush;

/* Begins it; *ret becomes NULL if the stage's content need not be on disk to be published. @ended is
 * called once, from the loop, with 0 or an error and its sentence: the flush is gone. The stage may
 * end before. */
int flush_stage(const struct stage *stage, void (*ended)(void *data, const struct error *error),
                void *data, struct flush **ret, struct error *error);

/* Nobody is told; the worker goes on until the disk has answered. */
void flush_cancel(struct flush *flush);
