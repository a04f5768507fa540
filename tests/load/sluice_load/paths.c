/* Reads the accounts of /status.json.
 * Refuses to judge them. */
#include "sluice_load/paths.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool same_path(const struct path *a, const struct path *b)
{
    return strcmp(a->direction, b->direction) == 0 && strcmp(a->mode, b->mode) == 0 &&
           strcmp(a->source_crypto, b->source_crypto) == 0 && strcmp(a->sink_crypto, b->sink_crypto) == 0;
}

static int read_segment(json_t *segment, const char *direction, struct path *path)
{
    const char *mode, *source, *sink, *name;
    json_t *reasons = NULL, *value;
    json_int_t bytes;

    if (json_unpack(segment, "{s:s, s:s, s:s, s:I, s?:o}", "mode", &mode, "source_crypto", &source,
                    "sink_crypto", &sink, "bytes", &bytes, "reasons", &reasons) == -1)
        return -1;
    memset(path, 0, sizeof(*path));
    snprintf(path->direction, sizeof(path->direction), "%s", direction);
    snprintf(path->mode, sizeof(path->mode), "%s", mode);
    snprintf(path->source_crypto, sizeof(path->source_crypto), "%s", source);
    snprintf(path->sink_crypto, sizeof(path->sink_crypto), "%s", sink);
    path->bytes = (uint64_t)bytes;
    json_object_foreach(reasons, name, value)
    {
        struct path_reason *reason = &path->reasons[path->reason_count];

        if (path->reason_count == PATHS_REASONS || strlen(name) >= sizeof(reason->name))
            return -1;
        snprintf(reason->name, sizeof(reason->name), "%.31s", name);
        reason->count = (uint64_t)json_integer_value(value);
        path->reason_count++;
    }
    return 0;
}

static int read_direction(json_t *sums, const char *direction, struct paths *paths)
{
    json_int_t user, kernel;
    json_t *segments, *segment;
    size_t i;

    if (json_unpack(sums, "{s:I, s:I, s:o}", "user_bytes", &user, "kernel_bytes", &kernel, "segments",
                    &segments) == -1)
        return -1;
    paths->user_bytes += (uint64_t)user;
    paths->kernel_bytes += (uint64_t)kernel;
    json_array_foreach(segments, i, segment)
    {
        if (paths->count == PATHS_MAX || read_segment(segment, direction, &paths->list[paths->count]) == -1)
            return -1;
        paths->count++;
    }
    return 0;
}

int paths_read(json_t *status, const char *listener, struct paths *paths)
{
    json_t *entry = json_object_get(json_object_get(status, "listeners"), listener), *directions, *sums;
    json_int_t connections;
    const char *direction;

    memset(paths, 0, sizeof(*paths));
    if (json_unpack(entry, "{s:I, s:o}", "connections", &connections, "directions", &directions) == -1)
        return -1;
    paths->connections = (uint64_t)connections;
    json_object_foreach(directions, direction, sums)
    {
        if (read_direction(sums, direction, paths) == -1)
            return -1;
    }
    return 0;
}

static void subtract_reasons(struct path *after, const struct path *before)
{
    size_t kept = 0;

    for (size_t i = 0; i < after->reason_count; i++) {
        struct path_reason reason = after->reasons[i];

        for (size_t j = 0; j < before->reason_count; j++) {
            if (strcmp(before->reasons[j].name, reason.name) == 0)
                reason.count -= before->reasons[j].count;
        }
        if (reason.count > 0)
            after->reasons[kept++] = reason;
    }
    after->reason_count = kept;
}

void paths_subtract(struct paths *after, const struct paths *before)
{
    size_t kept = 0;

    for (size_t i = 0; i < after->count; i++) {
        struct path *path = &after->list[i];

        for (size_t j = 0; j < before->count; j++) {
            if (same_path(path, &before->list[j])) {
                path->bytes -= before->list[j].bytes;
                subtract_reasons(path, &before->list[j]);
            }
        }
        if (path->bytes > 0)
            after->list[kept++] = *path;
    }
    after->count = kept;
    after->user_bytes -= before->user_bytes;
    after->kernel_bytes -= before->kernel_bytes;
}

static bool matches(const char *expected, const char *found)
{
    return expected == NULL || strcmp(expected, found) == 0;
}

const struct path *paths_stray(const struct paths *paths, const struct path_expected *expected)
{
    for (size_t i = 0; i < paths->count; i++) {
        const struct path *path = &paths->list[i];

        if (strcmp(path->direction, "to_client") == 0 &&
            !(matches(expected->mode, path->mode) && matches(expected->source_crypto, path->source_crypto) &&
              matches(expected->sink_crypto, path->sink_crypto)))
            return path;
    }
    return NULL;
}

char *path_reasons_text(const struct path *path, char *text)
{
    size_t at = 0;

    snprintf(text, 128, "no reason given");
    for (size_t i = 0; i < path->reason_count && at < 90; i++)
        at += (size_t)snprintf(text + at, 128 - at, "%s%s", i > 0 ? ", " : "", path->reasons[i].name);
    return text;
}

char *paths_used_text(const struct paths *paths, char *text)
{
    uint64_t total = 0;
    size_t at = 0;

    for (size_t i = 0; i < paths->count; i++) {
        if (strcmp(paths->list[i].direction, "to_client") == 0)
            total += paths->list[i].bytes;
    }
    text[0] = '\0';
    for (size_t i = 0; i < paths->count && at < 90; i++) {
        const struct path *path = &paths->list[i];

        if (strcmp(path->direction, "to_client") != 0)
            continue;
        at += (size_t)snprintf(text + at, 128 - at, "%s%s", at > 0 ? ", " : "", path->mode);
        if (path->bytes < total && at < 110)
            at +=
                (size_t)snprintf(text + at, 128 - at, " %.3g %%", 100 * (double)path->bytes / (double)total);
    }
    return text;
}

json_t *paths_json(const struct paths *paths)
{
    json_t *array = json_array();

    for (size_t i = 0; i < paths->count; i++) {
        const struct path *path = &paths->list[i];
        json_t *reasons = json_object();

        for (size_t j = 0; j < path->reason_count; j++)
            json_object_set_new(reasons, path->reasons[j].name,
                                json_integer((json_int_t)path->reasons[j].count));
        json_array_append_new(array, json_pack("{s:s, s:s, s:s, s:s, s:I, s:o}", "direction", path->direction,
                                               "mode", path->mode, "source_crypto", path->source_crypto,
                                               "sink_crypto", path->sink_crypto, "bytes",
                                               (json_int_t)path->bytes, "reasons", reasons));
    }
    return array;
}
