/* The keys of sites.NAME, and of its paths. */
#include "conf/schema_sections.h"

static const struct schema_key path_keys[] = {
    {
        .name = "prefix",
        .type = SCHEMA_STRING,
        .help =
            "The requests it is for: the path itself and everything beneath it, by whole segments (`/a` is "
            "for `/a` and `/a/b`, not for `/ab`). Written decoded, without `%`. The longest prefix that fits "
            "counts, wherever it stands",
        .example = "\"/media/\"",
        .fallback = "/",
        .offset = offsetof(struct conf_site_path, prefix),
        .place_offset = offsetof(struct conf_site_path, prefix_place),
    },
    {
        .name = "exact",
        .type = SCHEMA_STRING,
        .help = "Instead of `prefix`: this path alone, before every prefix. A `/` at its end counts",
        .example = "\"/favicon.ico\"",
        .offset = offsetof(struct conf_site_path, exact),
        .place_offset = offsetof(struct conf_site_path, exact_place),
    },
    {
        .name = "files",
        .type = SCHEMA_REFERENCE,
        .help = "The name under `files` that is served. One of this, `redirect` and `status`",
        .example = "\"media\"",
        .target = "files",
        .offset = offsetof(struct conf_site_path, files),
        .place_offset = offsetof(struct conf_site_path, files_place),
    },
    {
        .name = "strip",
        .type = SCHEMA_BOOLEAN,
        .help =
            "Whether the prefix is cut off before the path is looked up in the root: with it, `/media/a` is "
            "the root's `a`; without, its `media/a`",
        .example = "false",
        .fallback = "true",
        .offset = offsetof(struct conf_site_path, strip),
        .place_offset = offsetof(struct conf_site_path, strip_place),
    },
    {
        .name = "redirect",
        .type = SCHEMA_STRING,
        .help = "Where the client is sent instead: a path of this host, or a URL",
        .example = "\"https://www.example.org/new/\"",
        .offset = offsetof(struct conf_site_path, redirect),
        .place_offset = offsetof(struct conf_site_path, redirect_place),
    },
    {
        .name = "append",
        .type = SCHEMA_BOOLEAN,
        .help = "Whether what the request has behind the prefix, and its query, are put behind `redirect`",
        .example = "false",
        .fallback = "true",
        .offset = offsetof(struct conf_site_path, append),
        .place_offset = offsetof(struct conf_site_path, append_place),
    },
    {
        .name = "status",
        .type = SCHEMA_INTEGER,
        .help = "With `redirect`: the redirect's, one of 301, 302, 303, 307 and 308. Alone: all that is "
                "answered, "
                "400 to 599",
        .example = "308",
        .fallback = "301",
        .min = 300,
        .max = 599,
        .offset = offsetof(struct conf_site_path, status),
        .place_offset = offsetof(struct conf_site_path, status_place),
    },
};
static const struct schema_section path_section = {
    SECTION_KEYS(path_keys),
    .size = sizeof(struct conf_site_path),
    .name_offset = SCHEMA_NOWHERE,
    .place_offset = offsetof(struct conf_site_path, place),
};

static const struct schema_key site_keys[] = {
    {
        .name = "hosts",
        .type = SCHEMA_STRINGS,
        .min = 1,
        .help = "The hosts that it answers for: exact, or `*.` for one label or several, whatever the port. "
                "Without "
                "them: for every host that no other site of the listener has",
        .example = "[ \"example.org\", \"*.example.org\" ]",
        .offset = offsetof(struct conf_site, hosts),
        .count_offset = offsetof(struct conf_site, host_count),
        .place_offset = offsetof(struct conf_site, hosts_place),
    },
    {
        .name = "canonical",
        .type = SCHEMA_STRING,
        .help =
            "The one of its hosts that it is to be known by: requests for the others are redirected there",
        .example = "\"example.org\"",
        .offset = offsetof(struct conf_site, canonical),
        .place_offset = offsetof(struct conf_site, canonical_place),
    },
    {
        .name = "redirect_https",
        .type = SCHEMA_BOOLEAN,
        .help = "Redirects every request that a listener without `tls` gets to the same URL over https",
        .example = "true",
        .fallback = "false",
        .offset = offsetof(struct conf_site, redirect_https),
        .place_offset = offsetof(struct conf_site, redirect_https_place),
    },
    {
        .name = "https_port",
        .type = SCHEMA_INTEGER,
        .help = "The port that `redirect_https` sends clients to",
        .example = "8443",
        .fallback = "443",
        .min = 1,
        .max = 65535,
        .offset = offsetof(struct conf_site, https_port),
        .place_offset = offsetof(struct conf_site, https_port_place),
    },
    {
        .name = "paths",
        .type = SCHEMA_LIST,
        .help = "What is done with a request, by its path. What none of them is for is 404",
        .example = "( { prefix = \"/\"; files = \"media\"; } )",
        .min = 1,
        .section = &path_section,
        .offset = offsetof(struct conf_site, paths),
        .count_offset = offsetof(struct conf_site, path_count),
        .place_offset = offsetof(struct conf_site, paths_place),
    },
};
const struct schema_section schema_site = {
    SECTION_KEYS(site_keys),
    .size = sizeof(struct conf_site),
    .name_offset = offsetof(struct conf_site, name),
    .place_offset = offsetof(struct conf_site, place),
};
