/* See filter_set.h. Refuses to know how bytes move, and what becomes of a connection. */
#include "proxy/filters/filter_set.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/bytes.h"
#include "proxy/filters/capture_filter.h"
#include "proxy/filters/deny.h"
#include "proxy/filters/substitute.h"
#include "proxy/log.h"

/* What one conf_filter needs that connections share. */
struct shared {
    const struct conf_filter *conf;
    struct patterns *patterns;
    struct substitute_rule *rule;
    struct capture *capture;
};

struct filter_set {
    const struct conf_listener *listener;
    size_t count;
    struct shared filters[FILTER_CHAIN_MAX];
};

struct filtering {
    const struct filter_set *set;
    struct filter_chain chains[2]; /* by enum session_direction */
    struct preview *previews[2];
    struct capture_stream streams[]; /* one for each filter of type capture, in their order */
};

static const enum conf_filter_direction direction_of[2] = {
    [SESSION_TO_SERVER] = CONF_FILTER_TO_SERVER,
    [SESSION_TO_CLIENT] = CONF_FILTER_TO_CLIENT,
};

/* From here on a filter is fed as little as can be; at most 1025 times this is the product. */
#define GROWTH_MUCH ((size_t)1 << 20)

/* --- The set --- */

static struct patterns *build_patterns(const struct conf_filter *conf)
{
    struct pattern *list = calloc(conf->pattern_count, sizeof(*list));
    struct patterns *patterns = NULL;
    size_t count = 0;
    const char *problem;

    for (; list != NULL && count < conf->pattern_count; count++) {
        uint8_t *bytes;

        if (!conf_bytes_parse(conf->patterns[count], &bytes, &list[count].size, &problem))
            break;
        list[count].data = bytes;
    }
    if (list != NULL && count == conf->pattern_count)
        patterns = patterns_new(list, count);
    for (size_t i = 0; i < count; i++)
        free((void *)list[i].data);
    free(list);
    return patterns;
}

static struct substitute_rule *build_rule(const struct conf_filter *conf)
{
    struct substitute_rule *rule = NULL;
    uint8_t *find = NULL, *replace = NULL;
    size_t find_size, replace_size = 0;
    const char *problem;

    if (conf_bytes_parse(conf->find, &find, &find_size, &problem) &&
        (conf->replace == NULL || conf_bytes_parse(conf->replace, &replace, &replace_size, &problem)))
        rule = substitute_rule_new(find, find_size, replace, replace_size);
    if (rule == NULL) {
        free(find);
        free(replace);
    }
    return rule;
}

/* For `check`, which writes nothing: the file, or where it would be created. */
static bool could_write(const char *path)
{
    char *copy;
    bool can;

    if (access(path, F_OK) == 0)
        return access(path, W_OK) == 0;
    copy = strdup(path);
    can = copy != NULL && access(dirname(copy), W_OK | X_OK) == 0;
    free(copy);
    return can;
}

/* 0, or -1 and errno. */
static int build_capture(struct shared *shared, const struct filter_set_options *options)
{
    const struct conf_filter *conf = shared->conf;
    int fd, saved;

    if (!options->write)
        return could_write(conf->file) ? 0 : -1;
    fd = log_open_target(LOG_FILE, conf->file, options->uid, options->gid);
    if (fd == -1)
        return -1;
    shared->capture = capture_new(fd, conf->file, conf->max_size);
    if (shared->capture != NULL)
        return 0;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static bool build(struct shared *shared, const struct filter_set_options *options)
{
    switch (shared->conf->type) {
    case CONF_FILTER_LOG:
        return true;
    case CONF_FILTER_DENY:
        shared->patterns = build_patterns(shared->conf);
        return shared->patterns != NULL;
    case CONF_FILTER_SUBSTITUTE:
        shared->rule = build_rule(shared->conf);
        return shared->rule != NULL;
    case CONF_FILTER_CAPTURE:
        return build_capture(shared, options) == 0;
    }
    return false;
}

static void report(const struct filter_set_options *options, const struct conf_filter *conf,
                   struct conf_problems *problems)
{
    char key[160];

    if (conf->type != CONF_FILTER_CAPTURE) {
        conf_problem_add(problems, conf->place, NULL, "out of memory");
        return;
    }
    snprintf(key, sizeof(key), "listeners.%s.filters[%zu].file", options->listener->name,
             (size_t)(conf - options->listener->filters));
    conf_problem_add(problems, conf->file_place, key, "can't write to %s: %s", conf->file, strerror(errno));
}

struct filter_set *filter_set_new(const struct filter_set_options *options, struct conf_problems *problems)
{
    const struct conf_listener *listener = options->listener;
    struct filter_set *set = calloc(1, sizeof(*set));

    if (set == NULL) {
        conf_problem_add(problems, listener->filters_place, NULL, "out of memory");
        return NULL;
    }
    set->listener = listener;
    for (; set->count < listener->filter_count; set->count++) {
        set->filters[set->count].conf = &listener->filters[set->count];
        if (!build(&set->filters[set->count], options)) {
            report(options, set->filters[set->count].conf, problems);
            filter_set_free(set);
            return NULL;
        }
    }
    return set;
}

void filter_set_free(struct filter_set *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->count; i++) {
        patterns_free(set->filters[i].patterns);
        substitute_rule_free(set->filters[i].rule);
        capture_free(set->filters[i].capture);
    }
    free(set);
}

/* --- One connection --- */

static size_t count_captures(const struct filter_set *set)
{
    size_t count = 0;

    for (size_t i = 0; i < set->count; i++)
        count += set->filters[i].capture != NULL;
    return count;
}

static void init_streams(struct filtering *filtering, int fd, uint64_t id)
{
    struct sockaddr_storage client = {0}, server = {0};
    socklen_t client_length = sizeof(client), server_length = sizeof(server);
    size_t next = 0;

    if (count_captures(filtering->set) == 0)
        return;
    /* Without addresses (the client has gone already) some are made up. */
    (void)getpeername(fd, (struct sockaddr *)&client, &client_length);
    (void)getsockname(fd, (struct sockaddr *)&server, &server_length);
    for (size_t i = 0; i < filtering->set->count; i++)
        if (filtering->set->filters[i].capture != NULL)
            capture_stream_init(&filtering->streams[next++], filtering->set->filters[i].capture, &client,
                                &server, id);
}

static struct filter *new_filter(struct filtering *filtering, enum session_direction direction, size_t index)
{
    const struct shared *shared = &filtering->set->filters[index];
    const uint64_t bytes = conf_filter_bytes(shared->conf);
    size_t stream = 0;

    switch (shared->conf->type) {
    case CONF_FILTER_DENY:
        return deny_filter_new(shared->patterns, bytes);
    case CONF_FILTER_SUBSTITUTE:
        return substitute_filter_new(shared->rule);
    case CONF_FILTER_CAPTURE:
        for (size_t i = 0; i < index; i++)
            stream += filtering->set->filters[i].capture != NULL;
        return capture_filter_new(&filtering->streams[stream], direction, bytes);
    case CONF_FILTER_LOG:
        break;
    }
    if (filtering->previews[direction] == NULL)
        filtering->previews[direction] = calloc(1, sizeof(struct preview));
    if (filtering->previews[direction] == NULL)
        return NULL;
    return preview_filter_new(filtering->previews[direction], (size_t)bytes);
}

static bool build_chain(struct filtering *filtering, enum session_direction direction)
{
    const struct filter_set *set = filtering->set;
    struct filter *filters[FILTER_CHAIN_MAX];
    size_t count = 0, growth = 1;
    bool good = true;

    for (size_t i = 0; i < set->count && good; i++) {
        if (!conf_filter_reads(set->filters[i].conf, direction_of[direction]))
            continue;
        filters[count] = new_filter(filtering, direction, i);
        good = filters[count] != NULL;
        count += good;
        if (set->filters[i].rule != NULL && growth < GROWTH_MUCH)
            growth *= substitute_rule_growth(set->filters[i].rule);
    }
    filter_chain_init(&filtering->chains[direction], filters, count, growth);
    return good;
}

struct filtering *filtering_new(const struct filter_set *set, int fd, uint64_t id)
{
    struct filtering *filtering =
        calloc(1, sizeof(*filtering) + count_captures(set) * sizeof(struct capture_stream));

    if (filtering == NULL)
        return NULL;
    filtering->set = set;
    init_streams(filtering, fd, id);
    if (build_chain(filtering, SESSION_TO_SERVER) && build_chain(filtering, SESSION_TO_CLIENT))
        return filtering;
    filtering_free(filtering);
    return NULL;
}

void filtering_free(struct filtering *filtering)
{
    if (filtering == NULL)
        return;
    for (int d = 0; d < 2; d++) {
        filter_chain_clear(&filtering->chains[d]);
        free(filtering->previews[d]);
    }
    free(filtering);
}

struct filter_chain *filtering_chain(struct filtering *filtering, enum session_direction direction)
{
    return filtering->chains[direction].count != 0 ? &filtering->chains[direction] : NULL;
}

const struct preview *filtering_preview(const struct filtering *filtering, enum session_direction direction)
{
    return filtering->previews[direction];
}

void filtering_denial(const struct filtering *filtering, char *text, size_t size)
{
    text[0] = '\0';
    for (int d = 0; d < 2; d++) {
        const struct filter_set *set = filtering->set;
        const struct filter *filter = filtering->chains[d].rejected_by;
        const size_t matched = deny_filter_matched(filter);
        size_t index = 0;

        if (matched == PATTERNS_NONE)
            continue;
        while (set->filters[index].patterns != deny_filter_patterns(filter))
            index++;
        snprintf(text, size, "filters[%zu] met \"%s\"", index, set->filters[index].conf->patterns[matched]);
        return;
    }
}
