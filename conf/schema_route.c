/* The keys of listeners.NAME.routes[], and of listeners.NAME.proxy_protocol. */
#include "conf/schema_sections.h"

static const struct schema_key route_keys[] = {
    {
        .name = "sni",
        .type = SCHEMA_STRINGS,
        .min = 1,
        .help = "Matches a TLS client that asks for one of these names: exact, or `*.` for any one label",
        .example = "[ \"www.example.org\", \"*.example.org\" ]",
        .offset = offsetof(struct conf_route, sni),
        .count_offset = offsetof(struct conf_route, sni_count),
        .place_offset = offsetof(struct conf_route, sni_place),
    },
    {
        .name = "alpn",
        .type = SCHEMA_STRINGS,
        .min = 1,
        .help = "Matches a TLS client by protocol: without `tls`, one that offers any of these; with it, one "
                "with which any of these was agreed on",
        .example = "[ \"acme-tls/1\" ]",
        .offset = offsetof(struct conf_route, alpn),
        .count_offset = offsetof(struct conf_route, alpn_count),
        .place_offset = offsetof(struct conf_route, alpn_place),
    },
    {
        .name = "source",
        .type = SCHEMA_CIDRS,
        .min = 1,
        .help = "Matches a client whose address (the original one, if a PROXY header told it) is in a range",
        .example = "[ \"10.0.0.0/8\", \"2001:db8::/32\", \"unix\" ]",
        .offset = offsetof(struct conf_route, source.items),
        .count_offset = offsetof(struct conf_route, source.count),
        .place_offset = offsetof(struct conf_route, source_place),
    },
    {
        .name = "proxy",
        .type = SCHEMA_REFERENCE,
        .help =
            "The name under `backends` that a connection goes to. One of this, `files`, `sites` and `deny`",
        .example = "\"app\"",
        .target = "backends",
        .offset = offsetof(struct conf_route, backend),
        .place_offset = offsetof(struct conf_route, proxy_place),
    },
    {
        .name = "files",
        .type = SCHEMA_REFERENCE,
        .help = "The name under `files` that is served to a connection",
        .example = "\"media\"",
        .target = "files",
        .offset = offsetof(struct conf_route, files),
        .place_offset = offsetof(struct conf_route, files_place),
    },
    {
        .name = "sites",
        .type = SCHEMA_REFERENCES,
        .min = 1,
        .help = "The names under `sites` that are served to a connection, by the host of each request",
        .example = "[ \"main\" ]",
        .target = "sites",
        .offset = offsetof(struct conf_route, sites.items),
        .count_offset = offsetof(struct conf_route, sites.count),
        .place_offset = offsetof(struct conf_route, sites.place),
    },
    {
        .name = "deny",
        .type = SCHEMA_BOOLEAN,
        .help = "Resets the connection",
        .example = "true",
        .fallback = "false",
        .offset = offsetof(struct conf_route, deny),
        .place_offset = offsetof(struct conf_route, deny_place),
    },
};
const struct schema_section schema_route = {
    SECTION_KEYS(route_keys),
    .size = sizeof(struct conf_route),
    .name_offset = SCHEMA_NOWHERE,
    .place_offset = offsetof(struct conf_route, place),
};

static const struct schema_key proxy_protocol_keys[] = {
    {
        .name = "trusted",
        .type = SCHEMA_CIDRS,
        .min = 1,
        .help = "The proxies in front: whoever connects from these must send a PROXY header, version 1 or 2, "
                "whose addresses are believed. From others none is looked for",
        .example = "[ \"10.0.0.0/8\", \"unix\" ]",
        .required = true,
        .offset = offsetof(struct conf_proxy_protocol, trusted.items),
        .count_offset = offsetof(struct conf_proxy_protocol, trusted.count),
        .place_offset = offsetof(struct conf_proxy_protocol, trusted_place),
    },
};
const struct schema_section schema_proxy_protocol = {SECTION_KEYS(proxy_protocol_keys),
                                                     .size = sizeof(struct conf_proxy_protocol)};
