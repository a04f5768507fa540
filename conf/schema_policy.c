/* The keys inside headers, hsts and their like. */
#include "conf/schema_policy.h"

static const struct schema_key header_keys[] = {
    {
        .name = "name",
        .type = SCHEMA_STRING,
        .help = "The field's name. Those that Sluice works out itself, such as Content-Length, can't be set",
        .example = "\"X-Frame-Options\"",
        .required = true,
        .offset = offsetof(struct conf_header, name),
        .place_offset = offsetof(struct conf_header, name_place),
    },
    {
        .name = "value",
        .type = SCHEMA_STRING,
        .help = "Its value, sent as it stands",
        .example = "\"DENY\"",
        .required = true,
        .offset = offsetof(struct conf_header, value),
        .place_offset = offsetof(struct conf_header, value_place),
    },
    {
        .name = "always",
        .type = SCHEMA_BOOLEAN,
        .help = "Also on errors (400 and above); without it on files, redirects and 304 alone",
        .example = "true",
        .fallback = "false",
        .offset = offsetof(struct conf_header, always),
    },
};
const struct schema_section schema_header = {
    SECTION_KEYS(header_keys),
    .size = sizeof(struct conf_header),
    .name_offset = SCHEMA_NOWHERE,
    .place_offset = offsetof(struct conf_header, place),
};

static const struct schema_key hsts_keys[] = {
    {
        .name = "max_age",
        .type = SCHEMA_AGE,
        .help = "For how long browsers keep to it; `0s` makes them forget it",
        .example = "\"730d\"",
        .fallback = "365d",
        .max = 3650 * DAY_MS,
        .offset = offsetof(struct conf_hsts, max_age),
    },
    {
        .name = "include_subdomains",
        .type = SCHEMA_BOOLEAN,
        .help = "For all names below this host's too: each must then be served over https",
        .example = "true",
        .fallback = "false",
        .offset = offsetof(struct conf_hsts, include_subdomains),
    },
    {
        .name = "preload",
        .type = SCHEMA_BOOLEAN,
        .help = "Consent to the browsers' built-in list, which is slow to leave; needs a year or more, and "
                "`include_subdomains`",
        .example = "true",
        .fallback = "false",
        .offset = offsetof(struct conf_hsts, preload),
        .place_offset = offsetof(struct conf_hsts, preload_place),
    },
};
const struct schema_section schema_hsts = {SECTION_KEYS(hsts_keys)};
