/*
 * Report: what the checker has found
 *
 * Every finding has a sentence, a kind that programs can go by, and what would put it right, if
 * anything would without a doubt.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/queue.h>

#include "daemon/ground/registry.h"

enum severity {
    SEVERITY_ERROR,    /* something was lost, is damaged, or is not the daemon's */
    SEVERITY_LEFTOVER, /* a killed daemon has left it: the next one finishes or undoes it */
    SEVERITY_NOTE,     /* nothing is wrong */
    SEVERITY_COUNT,
};

enum remedy {
    REMEDY_NONE,
    REMEDY_NEW_REGISTRY,   /* set the registry aside and make a new one */
    REMEDY_SET_ASIDE,      /* move the record to quarantine */
    REMEDY_DELETE_RECORD,  /* it says nothing any more */
    REMEDY_REMOVE_SEGMENT, /* an orphan */
};

struct finding {
    enum severity severity;
    const char *kind;
    enum remedy remedy;
    struct registry *registry; /* of a remedy for it, or for its record: */
    enum registry_table table;
    const char *key; /* of the record, or the name of the segment; copied */
    int directory;   /* of the segment; it belongs to the checker */
    /* The report's own. */
    char *text;
    bool repaired;
    STAILQ_ENTRY(finding) link;
};

struct report {
    STAILQ_HEAD(, finding) findings;
    unsigned count[SEVERITY_COUNT];
    unsigned regions, holders, stages, segments; /* records, and segments that were looked at */
};

void report_init(struct report *report);
void report_deinit(struct report *report);

/* 0 or -ENOMEM. */
int report_add(struct report *report, const struct finding *finding, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define FOUND(...) (&(struct finding){__VA_ARGS__})

bool report_is_clean(const struct report *report);

/* For people, and for programs: one JSON object. 0 or a negative errno. */
int report_print(const struct report *report);
int report_print_json(const struct report *report, const char *instance);
