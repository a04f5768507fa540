/* The keys of backends.NAME and of its servers. */
#include "conf/schema_sections.h"

/* A choice is stored as its index: the list follows its enum. */
static const char *const balance_choices[] = {"round_robin", "least_conn", NULL};
_Static_assert(COUNT(balance_choices) - 2 == CONF_BALANCE_LEAST_CONN, "balance");

static const struct schema_key server_keys[] = {
    {
        .name = "address",
        .type = SCHEMA_ADDRESS,
        .help = "Where to connect to",
        .example = "\"127.0.0.1:9001\"",
        .required = true,
        .offset = offsetof(struct conf_server, address),
        .place_offset = offsetof(struct conf_server, address.place),
    },
    {
        .name = "weight",
        .type = SCHEMA_INTEGER,
        .help = "Its share of the connections, relative to the other servers'",
        .example = "2",
        .fallback = "1",
        .min = 1,
        .max = 256,
        .offset = offsetof(struct conf_server, weight),
    },
};
static const struct schema_section server_section = {
    SECTION_KEYS(server_keys),
    .size = sizeof(struct conf_server),
    .name_offset = offsetof(struct conf_server, name),
    .place_offset = offsetof(struct conf_server, place),
    .shorthand = "address",
};

static const struct schema_key backend_keys[] = {
    {
        .name = "servers",
        .type = SCHEMA_LIST,
        .help = "The servers; an address alone will do for one without further keys",
        .example = "( \"127.0.0.1:9001\", { address = \"127.0.0.1:9002\"; weight = 2; } )",
        .required = true,
        .min = 1,
        .section = &server_section,
        .offset = offsetof(struct conf_backend, servers),
        .count_offset = offsetof(struct conf_backend, server_count),
    },
    {
        .name = "balance",
        .type = SCHEMA_CHOICE,
        .help = "How a server is chosen: in turn, or the one with the fewest connections for its weight",
        .example = "\"least_conn\"",
        .fallback = "round_robin",
        .choices = balance_choices,
        .offset = offsetof(struct conf_backend, balance),
    },
};
const struct schema_section schema_backend = {
    SECTION_KEYS(backend_keys),
    .size = sizeof(struct conf_backend),
    .name_offset = offsetof(struct conf_backend, name),
    .place_offset = offsetof(struct conf_backend, place),
};
