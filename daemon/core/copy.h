/*
 * Copy: the content of one open file into another, as cheaply as the file systems allow
 *
 * Shared where they can share (ioctl_ficlone(2)), else copied by the kernel (copy_file_range(2)),
 * else read and written. Holes stay holes: the target is empty before. For a job of a worker: it
 * counts the bytes that are dealt with as its progress, and ends when it is cancelled.
 */
#pragma once

#include <stdint.h>

#include "daemon/ground/worker.h"
#include "proto/error.h"

/* 0; -ECANCELED; -EUCLEAN if there are less than @size bytes, as a writer has truncated them; or
 * what a system call failed with, such as -ENOSPC. */
int copy_content(int from, int to, uint64_t size, struct job *job, struct error *error);
