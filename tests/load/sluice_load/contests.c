/* The contests: what is done, against whom, and how much better or worse than that one Sluice is meant to be.
 * Refuses to know how they are carried out. */
#include "sluice_load/peers.h"

/* Who meets whom, where more than one contest has it. */
#define RELAY_AGAINST(id) .ours = PORT_HTTP, .theirs = PORT_HTTP, .peer = (id)
#define ECHO_AGAINST(id) .ours = PORT_ECHO, .theirs = PORT_ECHO, .peer = (id)
#define TLS_RELAY_AGAINST(id) \
    .work = WORK_BULK, .ours = PORT_TLS, .theirs = PORT_HTTP, .peer = (id), .connections = 20, .https = true
#define FILES_HTTP .ours = PORT_FILES, .theirs = PORT_HTTP, .peer = PEER_NGINX_FILES
#define FILES_HTTPS .ours = PORT_HTTPS, .theirs = PORT_HTTPS, .peer = PEER_NGINX_FILES, .https = true
#define FILES_KTLS                                                                        \
    .work = WORK_BULK, .ours = PORT_KTLS, .connections = 20, .https = true, .ktls = true, \
    .expected = {"sendfile", "none", "ktls"}

/* Small answers: what is told of them where no target was set. */
#define RATE_AND_COST                        \
    {                                        \
        {METRIC_REQUEST_RATE, 0, true},      \
        {                                    \
            METRIC_CPU_PER_REQUEST, 0, false \
        }                                    \
    }

const struct contest contests_all[] = {
    {.name = "bulk",
     .text = "bulk relay, 20 x 100 MB",
     .against = "HAProxy, splice always, its defaults",
     .work = WORK_BULK,
     RELAY_AGAINST(PEER_HAPROXY_SPLICE),
     .connections = 20,
     .goals = {{METRIC_CPU_PER_GB, 0.45, false}, {METRIC_THROUGHPUT, 1.2, true}}},
    {.name = "bulk-1m",
     .text = "bulk relay, 20 x 100 MB",
     .against = "HAProxy, splice always, tune.pipesize 1 MiB",
     .work = WORK_BULK,
     RELAY_AGAINST(PEER_HAPROXY_SPLICE_1M),
     .connections = 20,
     .goals = {{METRIC_CPU_PER_GB, 0.75, false}}},
    {.name = "bulk-copy",
     .text = "bulk relay, 20 x 100 MB, forced copy",
     .against = "HAProxy without splice",
     .work = WORK_BULK,
     .ours = PORT_COPY,
     .theirs = PORT_HTTP,
     .peer = PEER_HAPROXY_COPY,
     .connections = 20,
     .expected = {"copy", "none", "none"},
     .goals = {{METRIC_CPU_PER_GB, 0.50, false}}},
    {.name = "echo",
     .text = "1 KiB there and back, 50 connections",
     .against = "HAProxy, tcp",
     .work = WORK_ECHO,
     ECHO_AGAINST(PEER_HAPROXY_COPY),
     .connections = 50,
     .goals = {{METRIC_REQUEST_RATE, 1.10, true}, {METRIC_CPU_PER_REQUEST, 0.90, false}}},
    {.name = "connections",
     .text = "a connection for each 1 KiB, 50 at a time",
     .against = "HAProxy, tcp",
     .work = WORK_ECHO_CONNECTIONS,
     ECHO_AGAINST(PEER_HAPROXY_COPY),
     .connections = 50,
     .goals = {{METRIC_REQUEST_RATE, 1.10, true}}},
    {.name = "files",
     .text = "files over http, 100 x 100 MB",
     .against = "nginx, sendfile",
     .work = WORK_BULK,
     FILES_HTTP,
     .connections = 100,
     .goals = {{METRIC_CPU_PER_GB, 0.70, false}}},
    {.name = "files-small",
     .text = "1 KiB file over http, 50 connections that stay",
     .against = "nginx, open_file_cache",
     .work = WORK_REQUESTS,
     FILES_HTTP,
     .connections = 50,
     .size = 1024,
     .goals = {{METRIC_REQUEST_RATE, 1.20, true}, {METRIC_CPU_PER_REQUEST, 0, false}}},
    {.name = "files-medium",
     .text = "100 KiB file over http, 50 connections that stay",
     .against = "nginx, open_file_cache",
     .work = WORK_REQUESTS,
     FILES_HTTP,
     .connections = 50,
     .size = 102400,
     .goals = RATE_AND_COST},
    {.name = "files-many",
     .text = "100,000 files of 1 KiB over http, drawn at random, 50 connections that stay",
     .against = "nginx, open_file_cache for 15,000 of them",
     .work = WORK_REQUESTS,
     FILES_HTTP,
     .connections = 50,
     .directory = SITE_MANY,
     .goals = RATE_AND_COST},
    {.name = "files-cold",
     .text = "2,000 files of 100 KiB over http, none in the page cache, 50 connections that stay",
     .against = "nginx, aio threads",
     .work = WORK_COLD,
     FILES_HTTP,
     .connections = 50,
     .directory = SITE_COLD,
     .goals = RATE_AND_COST},
    {.name = "https",
     .text = "files over https, no kTLS, 20 x 100 MB",
     .against = "nginx",
     .work = WORK_BULK,
     FILES_HTTPS,
     .connections = 20,
     .goals = {{METRIC_CPU_PER_GB, 0.90, false}}},
    {.name = "https-small",
     .text = "1 KiB file over https, no kTLS, 50 connections that stay",
     .against = "nginx, open_file_cache",
     .work = WORK_REQUESTS,
     FILES_HTTPS,
     .connections = 50,
     .size = 1024,
     .goals = RATE_AND_COST},
    {.name = "https-medium",
     .text = "100 KiB file over https, no kTLS, 50 connections that stay",
     .against = "nginx, open_file_cache",
     .work = WORK_REQUESTS,
     FILES_HTTPS,
     .connections = 50,
     .size = 102400,
     .goals = RATE_AND_COST},
    {.name = "tls-full",
     .text = "new TLS 1.3 connections, ECDSA P-256, full",
     .against = "nginx",
     .work = WORK_CONNECTIONS,
     FILES_HTTPS,
     .connections = 20,
     .goals = {{METRIC_CPU_PER_REQUEST, 1.00, false}}},
    {.name = "tls-resumed",
     .text = "new TLS 1.3 connections, ECDSA P-256, resumed",
     .against = "nginx",
     .work = WORK_CONNECTIONS,
     FILES_HTTPS,
     .connections = 20,
     .resume = true,
     .goals = {{METRIC_CPU_PER_REQUEST, 0.90, false}}},
    {.name = "tls-relay",
     .text = "TLS ended, bulk relay, 20 x 100 MB",
     .against = "HAProxy",
     TLS_RELAY_AGAINST(PEER_HAPROXY_TLS),
     .goals = {{METRIC_CPU_PER_GB, 0.90, false}}},
    {.name = "tls-relay-hitch",
     .text = "TLS ended, bulk relay, 20 x 100 MB",
     .against = "hitch",
     TLS_RELAY_AGAINST(PEER_HITCH),
     .goals = {{METRIC_CPU_PER_GB, 0.90, false}}},
    {.name = "ktls",
     .text = "files over https, kTLS and sendfile, 20 x 100 MB",
     .against = "nginx with kTLS",
     FILES_KTLS,
     .theirs = PORT_KTLS,
     .peer = PEER_NGINX_FILES,
     .goals = {{METRIC_THROUGHPUT, 1.00, true}}},
    {.name = "ktls-user",
     .text = "files over https, kTLS and sendfile, 20 x 100 MB",
     .against = "Sluice without kTLS",
     FILES_KTLS,
     .theirs = PORT_HTTPS,
     .peer = PEER_SLUICE,
     .goals = {{METRIC_THROUGHPUT, 2.00, true}}},
    {.name = "idle",
     .text = "user memory of an idle proxied connection",
     .against = "nginx stream",
     .work = WORK_IDLE,
     ECHO_AGAINST(PEER_NGINX_STREAM),
     .goals = {{METRIC_MEMORY, 1024, false}}},
    {.name = "mixed",
     .text = "1 KiB there and back on one connection, beside 20 bulk transfers on the same worker",
     .against = "HAProxy, splice always",
     .work = WORK_MIXED,
     RELAY_AGAINST(PEER_HAPROXY_SPLICE),
     .connections = 20,
     .goals = {{METRIC_P99, 0.75, false}}},
};

const size_t contests_count = sizeof(contests_all) / sizeof(contests_all[0]);

const char *metric_name(enum metric metric)
{
    static const char *const names[METRICS] = {
        [METRIC_CPU_PER_GB] = "CPU per GB",
        [METRIC_THROUGHPUT] = "throughput",
        [METRIC_REQUEST_RATE] = "requests/s",
        [METRIC_CPU_PER_REQUEST] = "CPU per request",
        [METRIC_P99] = "p99",
        [METRIC_MEMORY] = "memory",
    };

    return names[metric];
}

const char *metric_unit(enum metric metric)
{
    static const char *const units[METRICS] = {
        [METRIC_CPU_PER_GB] = "s/GB",    [METRIC_THROUGHPUT] = "GB/s", [METRIC_REQUEST_RATE] = "1/s",
        [METRIC_CPU_PER_REQUEST] = "us", [METRIC_P99] = "ms",          [METRIC_MEMORY] = "bytes",
    };

    return units[metric];
}
