/* Writes the Prometheus text exposition.
 * Refuses to know how the figures come about and how they are fetched. */
#include "proxy/admin/metrics.h"
#include "proxy/filters/capture.h"

#include <inttypes.h>
#include <stdlib.h>

#include "proxy/admin/metrics_backends.h"

void metrics_write_label(FILE *stream, const char *name, const char *value)
{
    fprintf(stream, "%s=\"", name);
    for (; *value != '\0'; value++) {
        if (*value == '\n')
            fputs("\\n", stream);
        else if (*value == '\\' || *value == '"')
            fprintf(stream, "\\%c", *value);
        else
            fputc(*value, stream);
    }
    fputc('"', stream);
}

void metrics_write_help(FILE *stream, const char *name, const char *type, const char *help)
{
    fprintf(stream, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* name{listener="..."} value */
static void write_listener_value(FILE *stream, const char *name, const char *listener, uint64_t value)
{
    fprintf(stream, "%s{", name);
    metrics_write_label(stream, "listener", listener);
    fprintf(stream, "} %" PRIu64 "\n", value);
}

struct path {
    const char *listener;
    int direction, mode, source, sink;
};

/* name{listener="...",direction="...",mode="...",source_crypto="...",sink_crypto="..." and it stays open. */
static void open_path(FILE *stream, const char *name, const struct path *path)
{
    fprintf(stream, "%s{", name);
    metrics_write_label(stream, "listener", path->listener);
    fprintf(stream, ",direction=\"%s\",mode=\"%s\",source_crypto=\"%s\",sink_crypto=\"%s\"",
            admin_direction_name(path->direction), relay_mode_name((enum relay_mode)path->mode),
            relay_crypto_name((enum relay_crypto)path->source),
            relay_crypto_name((enum relay_crypto)path->sink));
}

static void write_bytes(FILE *stream, const char *name, const struct path *path,
                        const struct admin_direction *sums)
{
    uint64_t bytes = sums->bytes[path->mode][path->source][path->sink], segments = 0;

    for (int reason = 0; reason < RELAY_REASON_COUNT; reason++)
        segments += sums->segments[path->mode][path->source][path->sink][reason];
    if (bytes == 0 && segments == 0)
        return;
    open_path(stream, name, path);
    fprintf(stream, "} %" PRIu64 "\n", bytes);
}

static void write_segments(FILE *stream, const char *name, const struct path *path,
                           const struct admin_direction *sums)
{
    for (int reason = 0; reason < RELAY_REASON_COUNT; reason++) {
        uint64_t segments = sums->segments[path->mode][path->source][path->sink][reason];

        if (segments == 0)
            continue;
        open_path(stream, name, path);
        fprintf(stream, ",reason=\"%s\"} %" PRIu64 "\n", relay_reason_name((enum relay_reason)reason),
                segments);
    }
}

typedef void write_path_fn(FILE *stream, const char *name, const struct path *path,
                           const struct admin_direction *sums);

static void write_paths(FILE *stream, const char *name, const char *listener,
                        const struct admin_listener *sums, write_path_fn *write)
{
    struct path path = {.listener = listener};

    for (path.direction = 0; path.direction < 2; path.direction++) {
        for (path.mode = 0; path.mode < RELAY_MODE_COUNT; path.mode++) {
            for (path.source = 0; path.source < RELAY_CRYPTO_COUNT; path.source++) {
                for (path.sink = 0; path.sink < RELAY_CRYPTO_COUNT; path.sink++)
                    write(stream, name, &path, &sums->directions[path.direction]);
            }
        }
    }
}

static uint64_t user_bytes(const struct admin_listener *sums)
{
    return sums->directions[0].user_bytes + sums->directions[1].user_bytes;
}

static uint64_t kernel_bytes(const struct admin_listener *sums)
{
    return sums->directions[0].kernel_bytes + sums->directions[1].kernel_bytes;
}

static uint64_t head_bytes(const struct admin_listener *sums)
{
    return sums->directions[0].head_bytes + sums->directions[1].head_bytes;
}

static uint64_t connections_total(const struct admin_listener *sums)
{
    return sums->connections_total;
}

static uint64_t connections(const struct admin_listener *sums)
{
    return sums->connections;
}

static uint64_t accept_paused(const struct admin_listener *sums)
{
    return sums->accept_paused;
}

static const struct {
    const char *name, *type, *help;
    uint64_t (*value)(const struct admin_listener *sums);
} listener_metrics[] = {
    {"sluice_user_bytes_total", "counter", "Payload bytes that entered this process's memory.", user_bytes},
    {"sluice_kernel_bytes_total", "counter", "Payload bytes that stayed in the kernel.", kernel_bytes},
    {"sluice_head_bytes_total", "counter", "Bytes of HTTP heads and TLS handshakes.", head_bytes},
    {"sluice_connections_total", "counter", "Connections accepted.", connections_total},
    {"sluice_connections", "gauge", "Connections open now.", connections},
    {"sluice_accept_paused_total", "counter", "Times accepting stopped for want of descriptors.",
     accept_paused},
};

static void write_limited(FILE *stream, const char *listener, const struct admin_listener *sums)
{
    for (int limit = GATE_PASSED + 1; limit < GATE_LIMIT_COUNT; limit++) {
        fputs("sluice_connections_limited_total{", stream);
        metrics_write_label(stream, "listener", listener);
        fprintf(stream, ",limit=\"%s\"} %" PRIu64 "\n", gate_limit_name((enum gate_limit)limit),
                sums->limited[limit]);
    }
}

static void write_requests_limited(FILE *stream, const char *listener, const struct admin_listener *sums)
{
    for (int limit = HTTP_LIMIT_NONE + 1; limit < HTTP_LIMIT_COUNT; limit++) {
        fputs("sluice_requests_limited_total{", stream);
        metrics_write_label(stream, "listener", listener);
        fprintf(stream, ",limit=\"%s\"} %" PRIu64 "\n", http_limit_name((enum http_limit)limit),
                sums->requests_limited[limit]);
    }
}

static void write_listeners(const struct generation *generation, const struct admin_listener *sums,
                            FILE *stream)
{
    const struct generation_listener *listeners = generation->listeners;

    metrics_write_help(stream, "sluice_relay_bytes_total", "counter", "Payload bytes moved, by path.");
    for (size_t i = 0; i < generation->listener_count; i++)
        write_paths(stream, "sluice_relay_bytes_total", listeners[i].name, &sums[i], write_bytes);
    metrics_write_help(stream, "sluice_relay_segments_total", "counter",
                       "Stretches of payload begun, by path and the reason for it.");
    for (size_t i = 0; i < generation->listener_count; i++)
        write_paths(stream, "sluice_relay_segments_total", listeners[i].name, &sums[i], write_segments);
    for (size_t m = 0; m < sizeof(listener_metrics) / sizeof(listener_metrics[0]); m++) {
        metrics_write_help(stream, listener_metrics[m].name, listener_metrics[m].type,
                           listener_metrics[m].help);
        for (size_t i = 0; i < generation->listener_count; i++)
            write_listener_value(stream, listener_metrics[m].name, listeners[i].name,
                                 listener_metrics[m].value(&sums[i]));
    }
    metrics_write_help(stream, "sluice_connections_limited_total", "counter",
                       "Connections refused by a limit.");
    for (size_t i = 0; i < generation->listener_count; i++)
        write_limited(stream, listeners[i].name, &sums[i]);
    metrics_write_help(stream, "sluice_requests_limited_total", "counter",
                       "HTTP requests and clients that passed a limit.");
    for (size_t i = 0; i < generation->listener_count; i++)
        write_requests_limited(stream, listeners[i].name, &sums[i]);
}

void metrics_write(const struct admin_view *view, FILE *stream)
{
    const struct generation *generation = view->generation;
    /* Some 5 KiB a listener: looked at once, so that one scrape doesn't contradict itself. */
    struct admin_listener *sums = calloc(generation->listener_count + 1, sizeof(*sums));

    if (sums == NULL)
        return;
    for (size_t i = 0; i < generation->listener_count; i++)
        admin_view_listener(generation->listeners[i].stats, &sums[i]);
    metrics_write_help(stream, "sluice_build_info", "gauge", "Always 1; the version is the label.");
    fprintf(stream, "sluice_build_info{version=\"%s\"} 1\n", SLUICE_VERSION);
    write_listeners(generation, sums, stream);
    metrics_write_backends(generation, stream);
    metrics_write_help(stream, "sluice_syscalls_total", "counter",
                       "System calls of the data path, without OpenSSL's and libevent's own.");
    for (int call = 0; call < RELAY_SYSCALL_COUNT; call++)
        fprintf(stream, "sluice_syscalls_total{call=\"%s\"} %" PRIu64 "\n",
                relay_syscall_name((enum relay_syscall)call), view->syscalls[call]);
    metrics_write_help(stream, "sluice_log_dropped_total", "counter",
                       "Access log lines dropped because the queue was full.");
    fprintf(stream, "sluice_log_dropped_total %" PRIu64 "\n", view->log_dropped);
    metrics_write_help(stream, "sluice_disk_jobs_total", "counter",
                       "Files opened and ranges read by a thread, for a worker that must not wait.");
    fprintf(stream, "sluice_disk_jobs_total %" PRIu64 "\n", view->disk_jobs);
    metrics_write_help(stream, "sluice_capture_dropped_total", "counter",
                       "Packets missing in capture files: the disk was too slow, or the file was full.");
    fprintf(stream, "sluice_capture_dropped_total %" PRIu64 "\n", capture_dropped());
    free(sums);
}
