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

/* A share of all processors that others used, above which figures are doubtful. */
#define REPORT_DISTURBED 0.1

/* Whether the client rather than the server set the pace. client_cpus, server_cpus: how many processors each
 * may use; 0 of the server: it is not known. */
bool report_client_limited(const struct measure *measure, double client_cpus, double server_cpus);

/* How many processors the threads of a load can use. */
double report_client_cpus(const struct load_options *options);

/* {"count", "min", "mean", "p50", …} in milliseconds; null for NULL and for an empty one. New reference. */
json_t *report_latency(const struct histogram *histogram);

/* The object of `http` and `tcp`. server: which processes were measured. New reference. */
json_t *report_load_json(const char *command, const struct load_options *options,
                         const struct load_result *result, const struct measure *measure,
                         const struct measure_pids *server);

void report_load_text(FILE *file, const struct load_options *options, const struct load_result *result,
                      const struct measure *measure, const struct measure_pids *server);

/* Prints a document as JSON on stdout if json is set, writes it as a page if html is not NULL, and releases
 * it. -1 with a message if either could not be done. */
int report_give(json_t *document, bool json, const char *html);

#endif
