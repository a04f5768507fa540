/* The keys of files.NAME.compress. */
#include "conf/schema_sections.h"

static const char *const encoding_choices[] = {"zstd", "gzip", NULL};

static const struct schema_key compress_keys[] = {
    {
        .name = "encodings",
        .type = SCHEMA_STRINGS,
        .help = "The codings to choose from: the first that a client takes, unless it likes another better",
        .example = "[ \"gzip\" ]",
        .fallback = "zstd\", \"gzip",
        .min = 1,
        .choices = encoding_choices,
        .offset = offsetof(struct conf_compress, encodings),
        .count_offset = offsetof(struct conf_compress, encoding_count),
        .place_offset = offsetof(struct conf_compress, encodings_place),
    },
    {
        .name = "types",
        .type = SCHEMA_STRINGS,
        .help = "What is compressed, by content type without parameters",
        .example = "[ \"text/html\", \"application/json\" ]",
        .fallback = "text/html\", \"text/plain\", \"text/css\", \"text/csv\", \"text/javascript\", "
                    "\"text/markdown\", \"text/xml\", \"text/vtt\", \"text/calendar\", \"application/json\", "
                    "\"application/ld+json\", \"application/manifest+json\", \"application/xml\", "
                    "\"application/xhtml+xml\", \"application/atom+xml\", \"application/rss+xml\", "
                    "\"application/yaml\", \"application/wasm\", \"application/javascript\", "
                    "\"application/vnd.apple.mpegurl\", \"image/svg+xml\", \"font/ttf\", \"font/otf",
        .min = 1,
        .offset = offsetof(struct conf_compress, types),
        .count_offset = offsetof(struct conf_compress, type_count),
        .place_offset = offsetof(struct conf_compress, types_place),
    },
    {
        .name = "min_size",
        .type = SCHEMA_SIZE,
        .help = "Smaller files go out as they are: there is nothing to gain",
        .example = "\"256\"",
        .fallback = "1KiB",
        .min = 0,
        .max = 1024 * MIB,
        .offset = offsetof(struct conf_compress, min_size),
        .place_offset = offsetof(struct conf_compress, min_size_place),
    },
    {
        .name = "max_size",
        .type = SCHEMA_SIZE,
        .help =
            "Larger files go out as they are: each request would cost seconds of a processor. Let them lie "
            "ready instead (`precompressed`)",
        .example = "\"1MiB\"",
        .fallback = "16MiB",
        .min = 1,
        .max = UINT64_C(1) << 40,
        .offset = offsetof(struct conf_compress, max_size),
        .place_offset = offsetof(struct conf_compress, max_size_place),
    },
    {
        .name = "level",
        .type = SCHEMA_INTEGER,
        .help = "From 1, the quickest, to 9, the smallest",
        .example = "6",
        .fallback = "4",
        .min = 1,
        .max = 9,
        .offset = offsetof(struct conf_compress, level),
    },
    {
        .name = "max_at_once",
        .type = SCHEMA_INTEGER,
        .help =
            "How many answers are compressed at a time, each with up to 2.5 MiB of memory until its client "
            "has all of it; further ones go out as they are",
        .example = "1000",
        .fallback = "128",
        .min = 1,
        .max = 1000000,
        .offset = offsetof(struct conf_compress, max_at_once),
    },
};
const struct schema_section schema_compress = {
    SECTION_KEYS(compress_keys),
    .size = sizeof(struct conf_compress),
    .name_offset = SCHEMA_NOWHERE,
    .place_offset = SCHEMA_NOWHERE,
};
