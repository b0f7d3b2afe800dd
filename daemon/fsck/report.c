/*
 * Report: see report.h.
 */
#include "daemon/fsck/report.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *const severity_words[] = {
    [SEVERITY_ERROR] = "error",
    [SEVERITY_LEFTOVER] = "leftover",
    [SEVERITY_NOTE] = "note",
};

/* What was done about it, or would be. */
static const struct {
    const char *word, *done, *to_do;
} remedies[] = {
    [REMEDY_NONE] = {"none"},
    [REMEDY_NEW_REGISTRY] = {"new-registry", "it was set aside, and a new one made",
                             "--repair sets it aside and makes a new one"},
    [REMEDY_SET_ASIDE] = {"set-aside", "the record was set aside",
                          "--repair sets the record aside"},
    [REMEDY_DELETE_RECORD] = {"delete-record", "the record was deleted",
                              "--repair deletes the record"},
    [REMEDY_REMOVE_SEGMENT] = {"remove-segment", "it was removed", "--repair removes it"},
};

void report_init(struct report *report) {
    *report = (struct report){0};
    STAILQ_INIT(&report->findings);
}

static void free_finding(struct finding *finding) {
    free(finding->text);
    free((char *)finding->key);
    free(finding);
}

void report_deinit(struct report *report) {
    struct finding *finding;

    while ((finding = STAILQ_FIRST(&report->findings))) {
        STAILQ_REMOVE_HEAD(&report->findings, link);
        free_finding(finding);
    }
}

int report_add(struct report *report, const struct finding *finding, const char *format, ...) {
    struct finding *copy = calloc(1, sizeof(*copy));
    va_list arguments;
    int r;

    if (!copy)
        return -ENOMEM;
    *copy = *finding;
    copy->key = finding->key ? strdup(finding->key) : NULL;
    va_start(arguments, format);
    r = vasprintf(&copy->text, format, arguments);
    va_end(arguments);
    if (r < 0)
        copy->text = NULL;
    if (r < 0 || (finding->key && !copy->key)) {
        free_finding(copy);
        return -ENOMEM;
    }
    STAILQ_INSERT_TAIL(&report->findings, copy, link);
    report->count[copy->severity]++;
    return 0;
}

bool report_is_clean(const struct report *report) {
    return report->count[SEVERITY_ERROR] + report->count[SEVERITY_LEFTOVER] == 0;
}

static unsigned count_repaired(const struct report *report) {
    const struct finding *finding;
    unsigned count = 0;

    STAILQ_FOREACH (finding, &report->findings, link)
        count += finding->repaired;
    return count;
}

/* Records and names come from files that may be damaged: nothing of them steers a terminal. */
static void print_text(const char *text) {
    for (; *text; text++)
        putchar((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
}

int report_print(const struct report *report) {
    const struct finding *finding;

    STAILQ_FOREACH (finding, &report->findings, link) {
        const char *outcome =
            finding->repaired ? remedies[finding->remedy].done : remedies[finding->remedy].to_do;

        printf("%s: ", severity_words[finding->severity]);
        print_text(finding->text);
        printf("%s%s\n", outcome ? "; " : "", outcome ? outcome : "");
    }
    printf("regions %u, holders %u, stages %u, segments %u: ", report->regions, report->holders,
           report->stages, report->segments);
    if (report_is_clean(report))
        puts("nothing is wrong");
    else
        printf("errors %u, leftovers %u, of these repaired %u\n", report->count[SEVERITY_ERROR],
               report->count[SEVERITY_LEFTOVER], count_repaired(report));
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -EIO;
}

/* A text that is no UTF-8 is shown without what JSON cannot carry. */
static json_t *pack_text(const char *text) {
    json_t *json = json_string(text);
    char *copy;

    if (json)
        return json;
    copy = strdup(text);
    for (char *c = copy; c && *c; c++)
        if ((unsigned char)*c > '~')
            *c = '?';
    json = copy ? json_string(copy) : NULL;
    free(copy);
    return json;
}

static json_t *pack_finding(const struct finding *finding) {
    return json_pack("{s:s, s:s, s:o, s:s, s:b}", "severity", severity_words[finding->severity],
                     "kind", finding->kind, "text", pack_text(finding->text), "remedy",
                     remedies[finding->remedy].word, "repaired", finding->repaired);
}

int report_print_json(const struct report *report, const char *instance) {
    json_t *findings = json_array(), *json;
    const struct finding *finding;
    int r;

    STAILQ_FOREACH (finding, &report->findings, link)
        if (json_array_append_new(findings, pack_finding(finding)) < 0) {
            json_decref(findings);
            return -ENOMEM;
        }
    json = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:o}", "instance", instance,
                     "regions", (int)report->regions, "holders", (int)report->holders, "stages",
                     (int)report->stages, "segments", (int)report->segments, "errors",
                     (int)report->count[SEVERITY_ERROR], "leftovers",
                     (int)report->count[SEVERITY_LEFTOVER], "repaired", (int)count_repaired(report),
                     "findings", findings);
    r = json ? json_dumpf(json, stdout, JSON_COMPACT) : -1;
    json_decref(json);
    if (r < 0)
        return -ENOMEM;
    putchar('\n');
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -EIO;
}
