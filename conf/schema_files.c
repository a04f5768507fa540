/* The keys of files.NAME. */
#include "conf/schema_policy.h"

static const char *const autoindex_choices[] = {"off", "html", "json", NULL};
static const char *const symlinks_choices[] = {"on", "same_owner", "off", NULL};
static const char *const dotfiles_choices[] = {"deny", "allow", NULL};
static const char *const precompressed_choices[] = {"br", "zstd", "gzip", NULL};

static const struct schema_key files_keys[] = {
    {
        .name = "root",
        .type = SCHEMA_PATH,
        .help = "The directory that is served; nothing outside it ever is",
        .example = "\"/srv/media\"",
        .required = true,
        .offset = offsetof(struct conf_files, root),
        .place_offset = offsetof(struct conf_files, root_place),
    },
    {
        .name = "index",
        .type = SCHEMA_STRINGS,
        .forbidden = "/",
        .help = "The files that answer for a directory: the first that exists",
        .example = "[ \"index.html\", \"index.htm\" ]",
        .fallback = "index.html",
        .offset = offsetof(struct conf_files, index),
        .count_offset = offsetof(struct conf_files, index_count),
    },
    {
        .name = "try_files",
        .type = SCHEMA_STRINGS,
        .help =
            "What may answer a request, tried in this order: `$uri` stands for its path, a slash at the end "
            "for a directory with an index; the last one may be a status, as in `=404`. Without it: the "
            "path itself",
        .example = "[ \"$uri\", \"$uri/\", \"$uri.html\", \"/index.html\" ]",
        .offset = offsetof(struct conf_files, try_files),
        .count_offset = offsetof(struct conf_files, try_count),
        .place_offset = offsetof(struct conf_files, try_place),
    },
    {
        .name = "autoindex",
        .type = SCHEMA_CHOICE,
        .help = "What answers for a directory without an index: 403, a page that lists what is in it, or the "
                "same as JSON",
        .example = "\"html\"",
        .fallback = "off",
        .choices = autoindex_choices,
        .offset = offsetof(struct conf_files, autoindex),
    },
    {
        .name = "symlinks",
        .type = SCHEMA_CHOICE,
        .help = "Which symbolic links are followed, none ever out of the root: all, those that belong to the "
                "owner of what they lead to, or none (403)",
        .example = "\"same_owner\"",
        .fallback = "on",
        .choices = symlinks_choices,
        .offset = offsetof(struct conf_files, symlinks),
    },
    {
        .name = "dotfiles",
        .type = SCHEMA_CHOICE,
        .help = "Whether names that begin with a dot are served: `deny` answers 404, but for /.well-known/",
        .example = "\"allow\"",
        .fallback = "deny",
        .choices = dotfiles_choices,
        .offset = offsetof(struct conf_files, dotfiles),
    },
    {
        .name = "precompressed",
        .type = SCHEMA_STRINGS,
        .help =
            "Codings that files may lie ready in, beside the original and with its name and `.br`, `.zst` or "
            "`.gz` behind it: sent to clients that take them, in this order where a client has none of its "
            "own. Without it no file is looked for",
        .example = "[ \"br\", \"zstd\", \"gzip\" ]",
        .choices = precompressed_choices,
        .offset = offsetof(struct conf_files, precompressed),
        .count_offset = offsetof(struct conf_files, precompressed_count),
        .place_offset = offsetof(struct conf_files, precompressed_place),
    },
    {
        .name = "compress",
        .type = SCHEMA_GROUP,
        .help = "Compression on the fly of what doesn't lie ready, for clients that take it: off, unless the "
                "group is given. A worker copies then (reason `compressed`)",
        .example = "{ encodings = [ \"gzip\" ]; min_size = \"2KiB\"; }",
        .section = &schema_compress,
        .given_offset = offsetof(struct conf_files, has_compress),
        .offset = offsetof(struct conf_files, compress),
    },
    HTTP_POLICY_KEYS(struct conf_files),
};
const struct schema_section schema_files = {
    SECTION_KEYS(files_keys),
    .size = sizeof(struct conf_files),
    .name_offset = offsetof(struct conf_files, name),
    .place_offset = offsetof(struct conf_files, place),
};
