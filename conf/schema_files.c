/* The keys of files.NAME. */
#include "conf/schema_sections.h"

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
};
const struct schema_section schema_files = {
    SECTION_KEYS(files_keys),
    .size = sizeof(struct conf_files),
    .name_offset = offsetof(struct conf_files, name),
    .place_offset = offsetof(struct conf_files, place),
};
