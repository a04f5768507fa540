/* The keys of listeners.NAME.filters[]. */
#include "conf/schema_sections.h"

/* A choice is stored as its index: the list follows its enum. */
static const char *const type_choices[] = {"log", "capture", "deny", "substitute", NULL};
_Static_assert(COUNT(type_choices) - 2 == CONF_FILTER_SUBSTITUTE, "type");
static const char *const direction_choices[] = {"both", "to_client", "to_server", NULL};
_Static_assert(COUNT(direction_choices) - 2 == CONF_FILTER_TO_SERVER, "direction");

static const struct schema_key filter_keys[] = {
    {
        .name = "type",
        .type = SCHEMA_CHOICE,
        .help =
            "What it does. `log`: the first bytes go into the access log; `capture`: into a pcapng file; "
            "`deny`: a "
            "connection that shows a pattern is reset; `substitute`: one byte string takes another's place",
        .example = "\"deny\"",
        .required = true,
        .choices = type_choices,
        .offset = offsetof(struct conf_filter, type),
        .place_offset = offsetof(struct conf_filter, type_place),
    },
    {
        .name = "direction",
        .type = SCHEMA_CHOICE,
        .help = "Whose bytes it sees",
        .example = "\"to_server\"",
        .fallback = "both",
        .choices = direction_choices,
        .offset = offsetof(struct conf_filter, direction),
    },
    {
        .name = "bytes",
        .type = SCHEMA_SIZE,
        .help = "How many of a direction's first bytes `log` (64 by default, 256 at most), `capture` (64KiB) "
                "and `deny` (4KiB) look at; from then on they don't stand in the way of splice",
        .example = "\"1MiB\"",
        .min = 1,
        .max = UINT64_C(1) << 40,
        .offset = offsetof(struct conf_filter, bytes),
        .place_offset = offsetof(struct conf_filter, bytes_place),
    },
    {
        .name = "file",
        .type = SCHEMA_PATH,
        .help = "Of `capture`: the pcapng file, which grows by a section at each start and reload",
        .example = "\"capture/app.pcapng\"",
        .offset = offsetof(struct conf_filter, file),
        .place_offset = offsetof(struct conf_filter, file_place),
    },
    {
        .name = "max_size",
        .type = SCHEMA_SIZE,
        .help = "Of `capture`: how large the file may become; what comes then is not captured",
        .example = "\"100MiB\"",
        .fallback = "1GiB",
        .min = 4 * KIB,
        .max = UINT64_C(1) << 50,
        .offset = offsetof(struct conf_filter, max_size),
        .place_offset = offsetof(struct conf_filter, max_size_place),
    },
    {
        .name = "patterns",
        .type = SCHEMA_STRINGS,
        .help =
            "Of `deny`: byte strings, as text or as `hex:0d0a`; none of them reaches the other side whole",
        .example = "[ \"/etc/passwd\", \"hex:90909090\" ]",
        .offset = offsetof(struct conf_filter, patterns),
        .count_offset = offsetof(struct conf_filter, pattern_count),
        .place_offset = offsetof(struct conf_filter, patterns_place),
    },
    {
        .name = "find",
        .type = SCHEMA_STRING,
        .help =
            "Of `substitute`: the byte string that is replaced wherever it stands, as text or as `hex:0d0a`",
        .example = "\"http://\"",
        .offset = offsetof(struct conf_filter, find),
        .place_offset = offsetof(struct conf_filter, find_place),
    },
    {
        .name = "replace",
        .type = SCHEMA_STRING,
        .help = "Of `substitute`: what takes its place; without it `find` is taken out",
        .example = "\"https://\"",
        .offset = offsetof(struct conf_filter, replace),
        .place_offset = offsetof(struct conf_filter, replace_place),
    },
};
const struct schema_section schema_filter = {
    SECTION_KEYS(filter_keys),
    .size = sizeof(struct conf_filter),
    .name_offset = SCHEMA_NOWHERE,
    .place_offset = offsetof(struct conf_filter, place),
};
