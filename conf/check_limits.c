/* What the keys of listeners.NAME.limits mean together: none that can have no effect, none that can't be
 * kept.
 */
#include "conf/check.h"
#include "conf/units.h"

#define given(limits, field) ((limits)->field##_place.line != 0)

static void check_clients(const struct conf_listener *listener, struct conf_problems *problems)
{
    const struct conf_limits *limits = &listener->limits;
    const bool per_client = given(limits, max_connections_per_client) || given(limits, connection_rate);
    const struct {
        const char *key;
        const struct conf_place *place;
    } others[] = {
        {"limits.client_prefix_v4", &limits->client_prefix_v4_place},
        {"limits.client_prefix_v6", &limits->client_prefix_v6_place},
        {"limits.max_clients", &limits->max_clients_place},
    };

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]) && !per_client; i++) {
        if (others[i].place->line != 0) {
            check_add_listener(problems, *others[i].place, listener, others[i].key,
                               "no limit is for each client: add max_connections_per_client or "
                               "connection_rate, or delete this");
        }
    }
    /* With PROXY headers they have those that the headers tell. */
    if (per_client && listener->address.addr.ss_family == AF_UNIX && !listener->has_proxy_protocol) {
        const bool rate = !given(limits, max_connections_per_client);
        check_add_listener(problems,
                           rate ? limits->connection_rate_place : limits->max_connections_per_client_place,
                           listener, rate ? "limits.connection_rate" : "limits.max_connections_per_client",
                           "the clients of a UNIX socket have no addresses to tell them apart: delete this, "
                           "or use max_connections");
    }
    if (given(limits, max_connections) && limits->max_connections_per_client > limits->max_connections) {
        check_add_listener(
            problems, limits->max_connections_per_client_place, listener, "limits.max_connections_per_client",
            "more than max_connections (%u), so it is never reached: lower it, or delete one of "
            "the two",
            limits->max_connections);
    }
}

static void check_rate(const struct conf_listener *listener, struct conf_problems *problems)
{
    const struct conf_limits *limits = &listener->limits;

    if (!given(limits, connection_burst)) {
        return;
    }
    if (!given(limits, connection_rate)) {
        check_add_listener(problems, limits->connection_burst_place, listener, "limits.connection_burst",
                           "without connection_rate there is nothing to exceed: add it, or delete this");
    } else if (limits->connection_burst / CONF_BURST_SECONDS > limits->connection_rate) {
        check_add_listener(problems, limits->connection_burst_place, listener, "limits.connection_burst",
                           "more than %u seconds of connection_rate: write at most %u", CONF_BURST_SECONDS,
                           CONF_BURST_SECONDS * limits->connection_rate);
    }
}

static void check_bandwidth(const struct conf_listener *listener, struct conf_problems *problems)
{
    const struct conf_limits *limits = &listener->limits;
    const uint64_t rate = limits->to_client > limits->to_server ? limits->to_client : limits->to_server;
    /* Timers are milliseconds apart: less than this would be used up before the next look. */
    const uint64_t least = (rate / 100 + 1023) / 1024 * 1024;
    char text[UNITS_TEXT_MAX];

    if (given(limits, to_server) && (listener->files_place.line != 0 || listener->sites.place.line != 0)) {
        check_add_listener(problems, limits->to_server_place, listener, "limits.bandwidth.to_server",
                           "files come from no server: delete this, or limit to_client");
    }
    if (!given(limits, bandwidth_burst)) {
        return;
    }
    if (rate == 0) {
        check_add_listener(problems, limits->bandwidth_burst_place, listener, "limits.bandwidth.burst",
                           "without to_client or to_server there is nothing to exceed: add one, or delete "
                           "this");
    } else if (limits->bandwidth_burst < least) {
        units_format_size(least, text);
        check_add_listener(problems, limits->bandwidth_burst_place, listener, "limits.bandwidth.burst",
                           "less than 10 ms of the rate, which could not be kept up: write at least \"%s\"",
                           text);
    }
}

void check_limits(const struct conf_listener *listener, struct conf_problems *problems)
{
    check_clients(listener, problems);
    check_rate(listener, problems);
    check_bandwidth(listener, problems);
}
