/* One load, in words and as JSON.
 * Refuses to know how it was made. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sluice_load/histogram.h"
#include "sluice_load/html.h"
#include "sluice_load/report.h"
#include "sluice_load/target.h"
#include "sluice_load/units.h"

static const struct {
    const char *name;
    double percent;
} percentiles[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99_9", 99.9}, {"p99_99", 99.99}};

#define PERCENTILES (sizeof(percentiles) / sizeof(percentiles[0]))

static json_t *integer(uint64_t value)
{
    return json_integer((json_int_t)(value & INT64_MAX));
}

bool report_client_limited(const struct measure *measure, double client_cpus, double server_cpus)
{
    if (measure->seconds <= 0)
        return false;
    if (server_cpus > 0 && measure->server_cpu >= REPORT_CLIENT_BUSY * measure->seconds * server_cpus)
        return false;
    return measure->client_cpu >= REPORT_CLIENT_BUSY * measure->seconds * client_cpus;
}

double report_client_cpus(const struct load_options *options)
{
    double cpus = options->threads < options->connections ? options->threads : options->connections;

    if (options->cpus != NULL && CPU_COUNT(options->cpus) < cpus)
        cpus = CPU_COUNT(options->cpus);
    return cpus;
}

json_t *report_latency(const struct histogram *histogram)
{
    json_t *object;

    if (histogram == NULL || histogram_count(histogram) == 0)
        return json_null();
    object = json_object();
    json_object_set_new(object, "count", integer(histogram_count(histogram)));
    json_object_set_new(object, "min", json_real((double)histogram_min(histogram) / 1e6));
    json_object_set_new(object, "mean", json_real(histogram_mean(histogram) / 1e6));
    for (size_t i = 0; i < PERCENTILES; i++)
        json_object_set_new(object, percentiles[i].name,
                            json_real((double)histogram_percentile(histogram, percentiles[i].percent) / 1e6));
    json_object_set_new(object, "max", json_real((double)histogram_max(histogram) / 1e6));
    return object;
}

static json_t *failures_json(const struct load_result *result)
{
    json_t *object = json_object();

    for (int i = 0; i < LOAD_FAILURES; i++) {
        if (result->failures[i] > 0)
            json_object_set_new(object, load_failure_name((enum load_failure)i),
                                integer(result->failures[i]));
    }
    return object;
}

static json_t *statuses_json(const struct load_result *result)
{
    json_t *object = json_object();
    char name[8];

    for (int i = 1; i < 6; i++) {
        snprintf(name, sizeof(name), "%dxx", i);
        if (result->statuses[i] > 0)
            json_object_set_new(object, name, integer(result->statuses[i]));
    }
    return object;
}

static json_t *server_json(const struct load_result *result, const struct measure *measure,
                           const struct measure_pids *server)
{
    json_t *object, *pids;

    if (server->count == 0)
        return json_null();
    object = json_object();
    pids = json_array();
    for (size_t i = 0; i < server->count; i++)
        json_array_append_new(pids, json_integer(server->pids[i]));
    json_object_set_new(object, "pids", pids);
    json_object_set_new(object, "cpu_s", json_real(measure->server_cpu));
    json_object_set_new(object, "cpu_s_per_gb",
                        result->bytes > 0 ? json_real(measure->server_cpu * 1e9 / (double)result->bytes)
                                          : json_null());
    json_object_set_new(object, "cpu_us_per_request",
                        result->requests > 0 ? json_real(measure->server_cpu * 1e6 / (double)result->requests)
                                             : json_null());
    json_object_set_new(object, "context_switches", integer(measure->switches));
    return object;
}

static json_t *targets_json(const struct load_options *options)
{
    json_t *array = json_array();

    for (size_t i = 0; i < options->target_count; i++) {
        const struct target *target = &options->targets[i];

        json_array_append_new(array, json_sprintf("%s://%s%s",
                                                  target->http  ? target->tls ? "https" : "http"
                                                  : target->tls ? "tls"
                                                                : "tcp",
                                                  target->authority, target->path));
    }
    return array;
}

static void add_options(json_t *document, const struct load_options *options)
{
    json_object_set_new(document, "targets", targets_json(options));
    json_object_set_new(document, "connections", json_integer(options->connections));
    json_object_set_new(document, "threads", json_integer(options->threads));
    json_object_set_new(document, "loop", json_string(options->rate > 0 ? "open" : "closed"));
    json_object_set_new(document, "rate", options->rate > 0 ? json_real(options->rate) : json_null());
    json_object_set_new(document, "keep_alive", json_boolean(options->keep_alive));
    json_object_set_new(document, "drain", json_string(drain_name(options->drain)));
}

json_t *report_load_json(const char *command, const struct load_options *options,
                         const struct load_result *result, const struct measure *measure,
                         const struct measure_pids *server)
{
    json_t *document = json_object();
    double seconds = result->seconds > 0 ? result->seconds : 1e-9;

    json_object_set_new(document, "tool", json_string("sluice-load"));
    json_object_set_new(document, "version", json_string(SLUICE_VERSION));
    json_object_set_new(document, "command", json_string(command));
    add_options(document, options);
    json_object_set_new(document, "seconds", json_real(result->seconds));
    json_object_set_new(document, "interrupted", json_boolean(result->interrupted));
    json_object_set_new(document, "requests", integer(result->requests));
    json_object_set_new(document, "requests_per_s", json_real((double)result->requests / seconds));
    json_object_set_new(document, "bytes", integer(result->bytes));
    json_object_set_new(document, "bytes_per_s", json_real((double)result->bytes / seconds));
    json_object_set_new(document, "bytes_sent", integer(result->bytes_sent));
    json_object_set_new(document, "connections_opened", integer(result->connections));
    json_object_set_new(document, "sessions_resumed", integer(result->resumed));
    json_object_set_new(document, "statuses", statuses_json(result));
    json_object_set_new(document, "failed", integer(result->failed));
    json_object_set_new(document, "failures", failures_json(result));
    json_object_set_new(document, "first_failure",
                        result->failed > 0 ? json_string(result->first_failure) : json_null());
    json_object_set_new(document, "unfinished", integer(result->unfinished));
    json_object_set_new(document, "not_started", integer(result->not_started));
    json_object_set_new(document, "latency_ms", report_latency(result->latency));
    json_object_set_new(document, "corrected_latency_ms",
                        report_latency(options->rate > 0 ? result->corrected : NULL));
    json_object_set_new(document, "connect_ms", report_latency(result->connect));
    json_object_set_new(document, "client",
                        json_pack("{s:f, s:f}", "cpu_s", result->client_cpu, "busy",
                                  measure->seconds > 0 ? measure->client_cpu / measure->seconds : 0.0));
    json_object_set_new(document, "server", server_json(result, measure, server));
    json_object_set_new(document, "system", json_pack("{s:f}", "cpu_s", measure->system_cpu));
    json_object_set_new(document, "others_busy",
                        server->count > 0 ? json_real(measure_others(measure)) : json_null());
    json_object_set_new(document, "client_was_the_limit",
                        json_boolean(report_client_limited(measure, report_client_cpus(options), 0)));
    return document;
}

static void print_latency(FILE *file, const char *label, const struct histogram *histogram)
{
    char text[UNITS_TEXT];

    if (histogram_count(histogram) == 0)
        return;
    fprintf(file, "%-12s", label);
    for (size_t i = 0; i < PERCENTILES; i++)
        fprintf(file, "  p%g %s", percentiles[i].percent,
                units_duration(text, (double)histogram_percentile(histogram, percentiles[i].percent)));
    fprintf(file, "  max %s\n", units_duration(text, (double)histogram_max(histogram)));
}

static void print_failures(FILE *file, const struct load_result *result)
{
    if (result->failed > 0) {
        fprintf(file, "failed       %" PRIu64 ":", result->failed);
        for (int i = 0; i < LOAD_FAILURES; i++) {
            if (result->failures[i] > 0)
                fprintf(file, " %s %" PRIu64, load_failure_name((enum load_failure)i), result->failures[i]);
        }
        fprintf(file, "; the first: %s\n", result->first_failure);
    }
    if (result->unfinished > 0)
        fprintf(file, "unfinished   %" PRIu64 " in flight at the end\n", result->unfinished);
    if (result->not_started > 0)
        fprintf(file, "not started  %" PRIu64 " were due, but no connection was free\n", result->not_started);
}

static void print_cost(FILE *file, const struct load_options *options, const struct load_result *result,
                       const struct measure *measure, const struct measure_pids *server)
{
    char text[UNITS_TEXT];

    fprintf(file, "processors   client %.2f s, whole system %.2f s", measure->client_cpu,
            measure->system_cpu);
    if (server->count > 0) {
        fprintf(file, ", server %.3f s", measure->server_cpu);
        if (result->bytes > 1000000)
            fprintf(file, " = %.3f s/GB", measure->server_cpu * 1e9 / (double)result->bytes);
        if (result->requests > 0)
            fprintf(file, " = %.1f us/request", measure->server_cpu * 1e6 / (double)result->requests);
        fprintf(file, "; %s context switches", units_count(text, (double)measure->switches));
    }
    fputc('\n', file);
    if (report_client_limited(measure, report_client_cpus(options), 0))
        fputs("limit        the client: it used its processors up, the server may be able to do more (-t, "
              "--cpus)\n",
              file);
}

void report_load_text(FILE *file, const struct load_options *options, const struct load_result *result,
                      const struct measure *measure, const struct measure_pids *server)
{
    double seconds = result->seconds > 0 ? result->seconds : 1e-9;
    char a[UNITS_TEXT], b[UNITS_TEXT];

    if (result->interrupted)
        fputs("interrupted: this is what there is\n", file);
    fprintf(file, "requests     %s in %.2f s: %s/s\n", units_count(a, (double)result->requests),
            result->seconds, units_count(b, (double)result->requests / seconds));
    fprintf(file, "received     %s: %s, drain %s\n", units_size(a, (double)result->bytes),
            units_rate(b, (double)result->bytes / seconds), drain_name(options->drain));
    fprintf(file, "connections  %u at a time, %s opened", options->connections,
            units_count(a, (double)result->connections));
    if (options->tls.resume)
        fprintf(file, ", %s sessions resumed", units_count(a, (double)result->resumed));
    fputc('\n', file);
    print_failures(file, result);
    print_latency(file, "latency", result->latency);
    if (options->rate > 0)
        print_latency(file, "from intent", result->corrected);
    print_latency(file, "connect", result->connect);
    print_cost(file, options, result, measure, server);
}

int report_give(json_t *document, bool json, const char *html)
{
    int status = 0;

    if (json && (json_dumpf(document, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) == -1 ||
                 fputc('\n', stdout) == EOF || fflush(stdout) == EOF)) {
        fputs("sluice-load: cannot write the result\n", stderr);
        status = -1;
    }
    if (html != NULL && html_write(html, document) == -1)
        status = -1;
    json_decref(document);
    return status;
}
