/* See limits.h. */
#include "proxy/limits.h"

#include "relay/session.h"

static struct bucket_rate bandwidth(uint64_t rate, uint64_t burst)
{
    const uint64_t usual = rate * LIMITS_BURST_MS / 1000;

    if (burst == 0)
        burst = usual > LIMITS_BURST_MIN ? usual : LIMITS_BURST_MIN;
    return (struct bucket_rate){.rate = rate, .burst = burst};
}

struct http_limits limits_http(const struct conf_http *conf)
{
    return (struct http_limits){
        .max_head = (size_t)conf->max_head,
        .max_uri = (size_t)conf->max_uri,
        .max_fields = conf->max_fields,
        .max_body = conf->max_body,
        .keepalive_requests = conf->keepalive_requests,
        .keepalive_ms = conf->keepalive_time,
        .min_receive = {.rate = conf->min_receive_rate, .window_ms = conf->min_rate_window},
        .min_send = {.rate = conf->min_send_rate, .window_ms = conf->min_rate_window},
    };
}

void limits_build(const struct conf_limits *conf, struct generation_listener *listener)
{
    listener->limits = (struct gate_rules){
        .max_connections = conf->max_connections,
        .per_client = conf->max_connections_per_client != 0 || conf->connection_rate != 0,
        .clients = {.max_connections = conf->max_connections_per_client,
                    .rate = {.rate = conf->connection_rate,
                             .burst = conf->connection_burst != 0 ? conf->connection_burst
                                                                  : conf->connection_rate},
                    .prefix_v4 = conf->client_prefix_v4,
                    .prefix_v6 = conf->client_prefix_v6,
                    .max_clients = conf->max_clients},
    };
    listener->bandwidth[SESSION_TO_CLIENT] = bandwidth(conf->to_client, conf->bandwidth_burst);
    listener->bandwidth[SESSION_TO_SERVER] = bandwidth(conf->to_server, conf->bandwidth_burst);
}
