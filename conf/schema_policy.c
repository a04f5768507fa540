/* The keys inside headers, hsts, cache_control, error_pages and mime_types. */
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

static const struct schema_key cache_rule_keys[] = {
    {
        .name = "match",
        .type = SCHEMA_STRINGS,
        .single = true,
        .help = "Patterns for the path of the file beneath the root, a slash first: `*` stands for any "
                "characters, slashes too, `?` for one, `[a-z]` and `[!a-z]` for one of a set, a backslash "
                "takes the meaning away; capitals differ from small letters",
        .example = "[ \"*.css\", \"/assets/*\" ]",
        .required = true,
        .min = 1,
        .offset = offsetof(struct conf_cache_rule, match),
        .count_offset = offsetof(struct conf_cache_rule, match_count),
        .place_offset = offsetof(struct conf_cache_rule, match_place),
    },
    {
        .name = "value",
        .type = SCHEMA_STRING,
        .help = "The field's value; it stands on answers 200, 206 and 304",
        .example = "\"no-cache\"",
        .required = true,
        .offset = offsetof(struct conf_cache_rule, value),
        .place_offset = offsetof(struct conf_cache_rule, value_place),
    },
};
const struct schema_section schema_cache_rule = {
    SECTION_KEYS(cache_rule_keys),
    .size = sizeof(struct conf_cache_rule),
    .name_offset = SCHEMA_NOWHERE,
    .place_offset = offsetof(struct conf_cache_rule, place),
};

static const struct schema_key error_page_keys[] = {
    {
        .name = "status",
        .type = SCHEMA_INTEGERS,
        .help = "The statuses that it stands for",
        .example = "[ 500, 503 ]",
        .required = true,
        .min = 400,
        .max = 599,
        .offset = offsetof(struct conf_error_page, status),
        .count_offset = offsetof(struct conf_error_page, status_count),
        .place_offset = offsetof(struct conf_error_page, status_place),
    },
    {
        .name = "path",
        .type = SCHEMA_STRING,
        .help = "The page, beneath the same root; where it can't be opened, the built-in one is sent",
        .example = "\"/errors/50x.html\"",
        .required = true,
        .offset = offsetof(struct conf_error_page, path),
        .place_offset = offsetof(struct conf_error_page, path_place),
    },
};
const struct schema_section schema_error_page = {
    SECTION_KEYS(error_page_keys),
    .size = sizeof(struct conf_error_page),
    .name_offset = SCHEMA_NOWHERE,
    .place_offset = offsetof(struct conf_error_page, place),
};

static const struct schema_key mime_type_keys[] = {
    {
        .name = "extensions",
        .type = SCHEMA_STRINGS,
        .single = true,
        .forbidden = "/.",
        .help = "What stands behind the last dot of a file's name, in capitals or small letters",
        .example = "[ \"foo\", \"bar\" ]",
        .required = true,
        .min = 1,
        .offset = offsetof(struct conf_mime_type, extensions),
        .count_offset = offsetof(struct conf_mime_type, extension_count),
        .place_offset = offsetof(struct conf_mime_type, extensions_place),
    },
    {
        .name = "type",
        .type = SCHEMA_STRING,
        .help = "The content type, with parameters if it has any",
        .example = "\"application/x-foo\"",
        .required = true,
        .offset = offsetof(struct conf_mime_type, type),
        .place_offset = offsetof(struct conf_mime_type, type_place),
    },
};
const struct schema_section schema_mime_type = {
    SECTION_KEYS(mime_type_keys),
    .size = sizeof(struct conf_mime_type),
    .name_offset = SCHEMA_NOWHERE,
    .place_offset = offsetof(struct conf_mime_type, place),
};
