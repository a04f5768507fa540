/* Writes the families of /metrics that tell of backends and their servers.
 * Refuses to know how the figures come about. */
#include "proxy/admin/metrics_backends.h"

#include <inttypes.h>

#include "proxy/admin/metrics.h"
#include "proxy/backend_names.h"
#include "relay/loop.h"

static uint64_t server_up(const struct backend_server *server)
{
    return backend_server_is_up(server, loop_now_ms());
}

static uint64_t server_connections(const struct backend_server *server)
{
    return relay_counter_get(&server->stats.connections);
}

static uint64_t server_failures(const struct backend_server *server)
{
    return relay_counter_get(&server->stats.failures);
}

static uint64_t server_ejections(const struct backend_server *server)
{
    return relay_counter_get(&server->ejections);
}

static const struct {
    const char *name, *type, *help;
    uint64_t (*value)(const struct backend_server *server);
} backend_metrics[] = {
    {"sluice_backend_up", "gauge",
     "1, or 0: its checks say so, it is ejected, or without checks the last connect failed.", server_up},
    {"sluice_backend_connections", "gauge", "Connections open to the server now.", server_connections},
    {"sluice_backend_failures_total", "counter", "Connects to the server that failed.", server_failures},
    {"sluice_backend_ejections_total", "counter", "Times the server was ejected.", server_ejections},
};

static uint64_t queue_length(const struct backend_queue *queue)
{
    return relay_counter_get(&queue->length);
}

static uint64_t queue_waited(const struct backend_queue *queue)
{
    return relay_counter_get(&queue->waited);
}

static uint64_t queue_overflowed(const struct backend_queue *queue)
{
    return relay_counter_get(&queue->overflowed);
}

static uint64_t queue_timed_out(const struct backend_queue *queue)
{
    return relay_counter_get(&queue->timed_out);
}

static const struct {
    const char *name, *type, *help;
    uint64_t (*value)(const struct backend_queue *queue);
} queue_metrics[] = {
    {"sluice_backend_queue", "gauge", "Connections that wait for a server now.", queue_length},
    {"sluice_backend_queue_waited_total", "counter", "Connections that had to wait.", queue_waited},
    {"sluice_backend_queue_overflowed_total", "counter", "Connections refused since the queue was full.",
     queue_overflowed},
    {"sluice_backend_queue_timed_out_total", "counter", "Connections that waited in vain.", queue_timed_out},
};

static void write_servers(const struct generation *generation, FILE *stream)
{
    for (size_t m = 0; m < sizeof(backend_metrics) / sizeof(backend_metrics[0]); m++) {
        const char *name = backend_metrics[m].name;

        metrics_write_help(stream, name, backend_metrics[m].type, backend_metrics[m].help);
        for (size_t i = 0; i < generation->backend_count; i++) {
            struct backend *backend = &generation->backends[i];
            struct server_set *set = backend_set(backend);

            for (size_t j = 0; j < set->count; j++) {
                const struct backend_server *server = set->slots[j].server;

                fprintf(stream, "%s{", name);
                metrics_write_label(stream, "backend", backend->name);
                fputc(',', stream);
                metrics_write_label(stream, "server", server->name);
                fprintf(stream, "} %" PRIu64 "\n", backend_metrics[m].value(server));
            }
            server_set_unref(set);
        }
    }
}

static void write_queues(const struct generation *generation, FILE *stream)
{
    for (size_t m = 0; m < sizeof(queue_metrics) / sizeof(queue_metrics[0]); m++) {
        metrics_write_help(stream, queue_metrics[m].name, queue_metrics[m].type, queue_metrics[m].help);
        for (size_t i = 0; i < generation->backend_count; i++) {
            const struct backend *backend = &generation->backends[i];

            fprintf(stream, "%s{", queue_metrics[m].name);
            metrics_write_label(stream, "backend", backend->name);
            fprintf(stream, "} %" PRIu64 "\n", queue_metrics[m].value(&backend->shared->queue));
        }
    }
}

static uint64_t name_addresses(const struct backend_name_status *status)
{
    return status->addresses;
}

static uint64_t name_lookups(const struct backend_name_status *status)
{
    return status->lookups.asked;
}

static uint64_t name_failures(const struct backend_name_status *status)
{
    return status->lookups.failed;
}

static const struct {
    const char *name, *type, *help;
    uint64_t (*value)(const struct backend_name_status *status);
} name_metrics[] = {
    {"sluice_name_addresses", "gauge", "Addresses that the name of a server stands for now.", name_addresses},
    {"sluice_name_lookups_total", "counter", "Lookups of the name that have ended.", name_lookups},
    {"sluice_name_lookup_failures_total", "counter", "Those without an answer.", name_failures},
};

static void write_names(const struct generation *generation, FILE *stream)
{
    for (size_t m = 0; m < sizeof(name_metrics) / sizeof(name_metrics[0]); m++) {
        metrics_write_help(stream, name_metrics[m].name, name_metrics[m].type, name_metrics[m].help);
        for (size_t i = 0; i < generation->backend_count; i++) {
            const struct backend *backend = &generation->backends[i];
            struct backend_name_status status;

            for (size_t j = 0; backend_names_status(backend->names, j, &status); j++) {
                fprintf(stream, "%s{", name_metrics[m].name);
                metrics_write_label(stream, "backend", backend->name);
                fputc(',', stream);
                metrics_write_label(stream, "name", status.name);
                fprintf(stream, "} %" PRIu64 "\n", name_metrics[m].value(&status));
            }
        }
    }
}

void metrics_write_backends(const struct generation *generation, FILE *stream)
{
    write_servers(generation, stream);
    write_names(generation, stream);
    write_queues(generation, stream);
}
