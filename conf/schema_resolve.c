/* The keys of `resolve`: how names of servers are looked up. */
#include "conf/schema_sections.h"

/* A choice is stored as its index: the list follows its enum. */
static const char *const family_choices[] = {"any", "ipv4", "ipv6", NULL};
_Static_assert(COUNT(family_choices) - 2 == CONF_FAMILY_IPV6, "family");

static const struct schema_key resolve_keys[] = {
    {
        .name = "servers",
        .type = SCHEMA_STRINGS,
        .help =
            "The name servers to ask, by address, the next one when one doesn't answer; the port is 53 where "
            "none is given. Without them: those of /etc/resolv.conf, with its search list",
        .example = "[ \"127.0.0.1:5353\", \"[::1]\" ]",
        .offset = offsetof(struct conf_resolve, servers),
        .count_offset = offsetof(struct conf_resolve, server_count),
        .place_offset = offsetof(struct conf_resolve, servers_place),
    },
    {
        .name = "timeout",
        .type = SCHEMA_DURATION,
        .help = "One lookup, all its questions and repetitions included",
        .example = "\"2s\"",
        .fallback = "5s",
        .min = 10,
        .max = 60000,
        .offset = offsetof(struct conf_resolve, timeout_ms),
    },
    {
        .name = "interval_min",
        .type = SCHEMA_DURATION,
        .help = "How soon a name is looked up again at the soonest: after an answer whose time to live is "
                "shorter, "
                "and after a failure at first (twice as long after each further one)",
        .example = "\"5s\"",
        .fallback = "1s",
        .min = 100,
        .max = 24 * HOUR_MS,
        .offset = offsetof(struct conf_resolve, interval_min_ms),
        .place_offset = offsetof(struct conf_resolve, interval_min_place),
    },
    {
        .name = "interval_max",
        .type = SCHEMA_DURATION,
        .help = "How late at the latest, however long the time to live is",
        .example = "\"30s\"",
        .fallback = "1m",
        .min = 100,
        .max = 24 * HOUR_MS,
        .offset = offsetof(struct conf_resolve, interval_max_ms),
        .place_offset = offsetof(struct conf_resolve, interval_max_place),
    },
    {
        .name = "hold",
        .type = SCHEMA_DURATION,
        .help = "How long a name's servers stay after the name server has begun to say that the name doesn't "
                "exist "
                "or has no address. While it fails to answer they stay for ever",
        .example = "\"5m\"",
        .fallback = "30s",
        .max = 168 * HOUR_MS,
        .offset = offsetof(struct conf_resolve, hold_ms),
    },
    {
        .name = "family",
        .type = SCHEMA_CHOICE,
        .help = "Which addresses are asked for",
        .example = "\"ipv4\"",
        .fallback = "any",
        .choices = family_choices,
        .offset = offsetof(struct conf_resolve, family),
    },
};
const struct schema_section schema_resolve = {SECTION_KEYS(resolve_keys),
                                              .size = sizeof(struct conf_resolve)};
