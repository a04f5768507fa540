/* What a load was like, for people and as JSON (JSON.md describes it).
 * Refuses to know how it was made. */
#ifndef SLUICE_LOAD_REPORT_H
#define SLUICE_LOAD_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "sluice_load/load.h"
#include "sluice_load/measure.h"

struct histogram;

/* A share of its processors above which the client may have been what limited the load. */
#define REPORT_CLIENT_BUSY 0.9

/* Whether the client rather than the server set the pace. server_cpus: how many processors the server may
 * use; 0: it is not known. */
bool report_client_limited(const struct load_options *options, const struct measure *measure,
                           double server_cpus);

/* {"count", "min", "mean", "p50", …} in milliseconds; null for NULL and for an empty one. New reference. */
json_t *report_latency(const struct histogram *histogram);

/* The object of `http` and `tcp`. server: which processes were measured. New reference. */
json_t *report_load_json(const char *command, const struct load_options *options,
                         const struct load_result *result, const struct measure *measure,
                         const struct measure_pids *server);

void report_load_text(FILE *file, const struct load_options *options, const struct load_result *result,
                      const struct measure *measure, const struct measure_pids *server);

/* Prints a document and releases it. -1 with errno if it could not be written. */
int report_print_json(FILE *file, json_t *document);

#endif
