/* What the keys of a filter mean together: those of its type, byte strings that can be read, and bytes that
 * it can have at all. Refuses to know how bytes are looked at. */
#include <stdio.h>
#include <stdlib.h>

#include "conf/bytes.h"
#include "conf/check.h"

#define LOG_BYTES_MAX 256
#define PATTERNS_BYTES_MAX 4096
#define SUBSTITUTE_BYTES_MAX 1024
#define FILTERS_MAX 8

uint64_t conf_filter_bytes(const struct conf_filter *filter)
{
    static const uint64_t defaults[] = {
        [CONF_FILTER_LOG] = 64,
        [CONF_FILTER_CAPTURE] = 64 << 10,
        [CONF_FILTER_DENY] = 4 << 10,
        [CONF_FILTER_SUBSTITUTE] = UINT64_MAX,
    };

    return filter->bytes != 0 ? filter->bytes : defaults[filter->type];
}

bool conf_filter_reads(const struct conf_filter *filter, enum conf_filter_direction direction)
{
    return filter->direction == CONF_FILTER_BOTH || filter->direction == direction;
}

static const char *const type_names[] = {"log", "capture", "deny", "substitute"};

struct place_in {
    const struct conf_listener *listener;
    const struct conf_filter *filter;
    struct conf_problems *problems;
};

static void add(const struct place_in *in, struct conf_place place, const char *key, const char *text)
{
    char path[64];

    snprintf(path, sizeof(path), "filters[%zu]%s%s", (size_t)(in->filter - in->listener->filters),
             key[0] != '\0' ? "." : "", key);
    check_add_listener(in->problems, place.line != 0 ? place : in->filter->place, in->listener, path, "%s",
                       text);
}

/* A key that belongs to other types, or one that this type can't do without. */
static void check_key(const struct place_in *in, const char *key, struct conf_place given, unsigned types,
                      bool needed)
{
    const bool belongs = (types & 1u << in->filter->type) != 0;
    char text[160];

    if (given.line != 0 && !belongs) {
        snprintf(text, sizeof(text), "a filter of type \"%s\" has no such key: delete it",
                 type_names[in->filter->type]);
        add(in, given, key, text);
    } else if (given.line == 0 && belongs && needed) {
        snprintf(text, sizeof(text), "missing: a filter of type \"%s\" needs it",
                 type_names[in->filter->type]);
        add(in, in->filter->place, key, text);
    }
}

/* The size of a byte string, 0 where it's none. */
static size_t check_bytes(const struct place_in *in, const char *key, struct conf_place place,
                          const char *text)
{
    const char *problem = NULL;
    uint8_t *bytes = NULL;
    size_t size = 0;
    char message[300];

    if (!conf_bytes_parse(text, &bytes, &size, &problem)) {
        snprintf(message, sizeof(message), "\"%.100s\": %s", text,
                 problem != NULL ? problem : "out of memory");
        add(in, place, key, message);
        return 0;
    }
    free(bytes);
    return size;
}

static void check_deny(const struct place_in *in)
{
    const struct conf_filter *filter = in->filter;
    size_t total = 0, longest = 0;

    for (size_t i = 0; i < filter->pattern_count; i++) {
        const size_t size = check_bytes(in, "patterns", filter->patterns_place, filter->patterns[i]);

        total += size;
        longest = size > longest ? size : longest;
    }
    if (filter->patterns_place.line != 0 && filter->pattern_count == 0)
        add(in, filter->patterns_place, "patterns", "it is empty: name what is denied, or delete the filter");
    if (total > PATTERNS_BYTES_MAX)
        add(in, filter->patterns_place, "patterns",
            "together they have more than 4096 bytes: shorten them, or make a second filter of some");
    else if (longest > conf_filter_bytes(filter))
        add(in, filter->bytes_place, "bytes",
            "a pattern is longer than what is looked at, so it can't be met: raise this");
}

static void check_substitute(const struct place_in *in)
{
    const struct conf_filter *filter = in->filter;

    if (filter->find != NULL &&
        check_bytes(in, "find", filter->find_place, filter->find) > SUBSTITUTE_BYTES_MAX)
        add(in, filter->find_place, "find", "it has more than 1024 bytes: look for a shorter string");
    if (filter->replace != NULL &&
        check_bytes(in, "replace", filter->replace_place, filter->replace) > SUBSTITUTE_BYTES_MAX)
        add(in, filter->replace_place, "replace", "it has more than 1024 bytes: shorten it");
}

static void check_one(const struct place_in *in)
{
    const struct conf_filter *filter = in->filter;
    const unsigned log = 1u << CONF_FILTER_LOG, capture = 1u << CONF_FILTER_CAPTURE,
                   deny = 1u << CONF_FILTER_DENY, substitute = 1u << CONF_FILTER_SUBSTITUTE;

    if (filter->type_place.line == 0)
        return; /* reported: it is required */
    check_key(in, "bytes", filter->bytes_place, log | capture | deny, false);
    check_key(in, "file", filter->file_place, capture, true);
    check_key(in, "max_size", filter->max_size_place, capture, false);
    check_key(in, "patterns", filter->patterns_place, deny, true);
    check_key(in, "find", filter->find_place, substitute, true);
    check_key(in, "replace", filter->replace_place, substitute, false);
    if (filter->type == CONF_FILTER_LOG && filter->bytes > LOG_BYTES_MAX)
        add(in, filter->bytes_place, "bytes",
            "the log keeps 256 bytes at most: lower it, or use a filter of type \"capture\"");
    if (filter->type == CONF_FILTER_DENY)
        check_deny(in);
    if (filter->type == CONF_FILTER_SUBSTITUTE)
        check_substitute(in);
}

static bool see_the_same(const struct conf_filter *a, const struct conf_filter *b)
{
    return a->direction == CONF_FILTER_BOTH || b->direction == CONF_FILTER_BOTH ||
           a->direction == b->direction;
}

/* The access log has one place for a direction's first bytes. */
static void check_logs(const struct conf_listener *listener, struct conf_problems *problems)
{
    for (size_t i = 0; i < listener->filter_count; i++) {
        const struct conf_filter *filter = &listener->filters[i];

        for (size_t j = 0; j < i && filter->type_place.line != 0 && filter->type == CONF_FILTER_LOG; j++) {
            const struct conf_filter *other = &listener->filters[j];

            if (other->type_place.line != 0 && other->type == CONF_FILTER_LOG &&
                see_the_same(filter, other)) {
                add(&(struct place_in){listener, filter, problems}, filter->type_place, "type",
                    "a second \"log\" of the same direction, whose first bytes are logged already: delete "
                    "one");
                break;
            }
        }
    }
}

/* Whether nothing of what it does is a proxy; false where it does nothing: that is reported. */
static bool proxies_nothing(const struct conf_listener *listener)
{
    bool proxies = listener->proxy_place.line != 0;

    for (size_t i = 0; i < listener->route_count; i++)
        proxies = proxies || listener->routes[i].proxy_place.line != 0;
    return !proxies &&
           (listener->files_place.line != 0 || listener->sites.place.line != 0 || listener->route_count != 0);
}

/* Filters against what else the listener says. */
static void check_together(const struct conf_listener *listener, struct conf_problems *problems)
{
    if (listener->filter_count > FILTERS_MAX)
        check_add_listener(problems, listener->filters_place, listener, "filters",
                           "there are %zu of them, and 8 at most: delete some", listener->filter_count);
    if (proxies_nothing(listener))
        check_add_listener(problems, listener->filters_place, listener, "filters",
                           "they see proxied bytes, and this listener is no proxy: delete them");
    if (listener->relay == CONF_RELAY_SPLICE)
        check_add_listener(problems, listener->relay_place, listener, "relay",
                           "\"splice\" keeps bytes in the kernel, where no filter sees them: choose \"auto\" "
                           "(splice once the filters have seen enough) or \"copy\", or delete `filters`");
    if (listener->require_zero_copy)
        check_add_listener(problems, listener->require_zero_copy_place, listener, "require_zero_copy",
                           "filters need bytes in user space: delete one of the two");
}

void check_filters(const struct conf_listener *listener, struct conf_problems *problems)
{
    if (listener->filters_place.line == 0)
        return;
    for (size_t i = 0; i < listener->filter_count; i++)
        check_one(&(struct place_in){listener, &listener->filters[i], problems});
    check_logs(listener, problems);
    check_together(listener, problems);
}
