/* What a `files` adds to its answers: whether it may be a header field, and what belongs together.
 * Refuses to know how heads are made. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/check.h"
#include "conf/memory.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* RFC 9110 5.6.2. */
static bool is_token(const char *text)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (const char *at = text; *at != '\0'; at++) {
        bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
        if (!letter && !(*at >= '0' && *at <= '9') && strchr(marks, *at) == NULL) {
            return false;
        }
    }
    return text[0] != '\0';
}

/* Of a field's value (RFC 9110 5.5), in words with the remedy; NULL: nothing. A line break would end the
 * field, and white space at the ends is no part of the value. */
static const char *value_problem(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        if ((byte < ' ' && byte != '\t') || byte == 0x7f) {
            return "holds a line break or another control character, which no field may: leave it out";
        }
    }
    size_t size = strlen(text);
    if (size > 0 && (strchr(" \t", text[0]) != NULL || strchr(" \t", text[size - 1]) != NULL)) {
        return "begins or ends with white space, which no client would see: leave it out";
    }
    return NULL;
}

static void check_value(const struct conf_files *files, struct conf_place place, const char *key,
                        const char *value, struct conf_problems *problems)
{
    const char *problem = value != NULL ? value_problem(value) : NULL;
    if (problem != NULL) {
        check_add_files(problems, place, files, key, "it %s", problem);
    }
}

/* Why a name isn't the operator's to set, with the remedy; NULL: it is. */
static const char *name_problem(const char *name)
{
    static const struct {
        const char *name, *problem;
    } computed[] = {
        {"Accept-Ranges", "is told by Sluice itself: delete this"},
        {"Allow", "is told by Sluice itself: delete this"},
        {"Cache-Control", "has a key of its own: use `cache_control`"},
        {"Connection", "is Sluice's own, by what it does with the connection: delete this"},
        {"Content-Encoding", "is told by Sluice itself, where it applies: delete this"},
        {"Content-Length", "is counted by Sluice itself: delete this"},
        {"Content-Type", "is told by Sluice itself, by the file's name: use `mime_types`"},
        {"Content-Range", "is counted by Sluice itself: delete this"},
        {"Date", "is told by Sluice itself: delete this"},
        {"ETag", "is made by Sluice itself, from the file: delete this"},
        {"Keep-Alive", "is Sluice's own, by what it does with the connection: delete this"},
        {"Last-Modified", "is told by Sluice itself, from the file: delete this"},
        {"Location", "is told by Sluice itself, with redirects: delete this"},
        {"Server", "has a key of its own: use `server_header`"},
        {"Strict-Transport-Security", "may be sent over TLS alone: use `hsts`"},
        {"Trailer", "is Sluice's own, by how it sends: delete this"},
        {"Transfer-Encoding", "is Sluice's own, by how it sends: delete this"},
        {"Upgrade", "is Sluice's own, by what it does with the connection: delete this"},
    };
    for (size_t i = 0; i < COUNT(computed); i++) {
        if (strcasecmp(computed[i].name, name) == 0) {
            return computed[i].problem;
        }
    }
    return NULL;
}

static void check_header(const struct conf_files *files, const struct conf_header *header,
                         struct conf_problems *problems)
{
    size_t index = (size_t)(header - files->policy.headers);
    if (header->name != NULL) {
        char *key = memory_format("headers[%zu].name", index);
        const char *problem = name_problem(header->name);
        if (!is_token(header->name)) {
            check_add_files(problems, header->name_place, files, key,
                            "\"%s\" is no name of a field: use letters, digits and hyphens", header->name);
        } else if (problem != NULL) {
            check_add_files(problems, header->name_place, files, key, "%s %s", header->name, problem);
        }
        free(key);
    }
    char *key = memory_format("headers[%zu].value", index);
    check_value(files, header->value_place, key, header->value, problems);
    free(key);
}

/* What hstspreload.org asks for: a site that says less is never taken up. */
#define PRELOAD_SECONDS (UINT64_C(365) * 24 * 3600)

static void check_hsts(const struct conf_files *files, struct conf_problems *problems)
{
    const struct conf_hsts *hsts = &files->policy.hsts;
    if (files->policy.has_hsts && hsts->preload &&
        (!hsts->include_subdomains || hsts->max_age < PRELOAD_SECONDS)) {
        check_add_files(
            problems, hsts->preload_place, files, "hsts.preload",
            "no list takes a site without `include_subdomains = true` and a `max_age` of \"365d\" "
            "or more: set them, or delete this");
    }
}

/* What is wrong with a pattern, with the remedy; NULL: nothing. */
static const char *pattern_problem(const char *pattern)
{
    if (strchr("/*?[\\", pattern[0]) == NULL) {
        return "matches nothing, for paths begin with a slash: begin it with / or *";
    }
    for (const char *at = pattern; *at != '\0'; at++) {
        if (*at == '\\' && *++at == '\0') {
            return "ends with a backslash, which takes the meaning of what follows: delete it, or double it";
        }
        if (*at == '[') {
            const char *first = at + 1 + (at[1] == '!' || at[1] == '^');
            at = first[0] != '\0' ? strchr(first + 1, ']') : NULL;
            if (at == NULL) {
                return "opens a set with [ that no ] closes: close it, or write \\\\[ for the character";
            }
        }
    }
    return NULL;
}

static void check_cache_rule(const struct conf_files *files, const struct conf_cache_rule *rule,
                             struct conf_problems *problems)
{
    size_t index = (size_t)(rule - files->policy.cache_rules);
    for (size_t i = 0; i < rule->match_count; i++) {
        const char *problem = pattern_problem(rule->match[i]);
        if (problem != NULL) {
            char *key = memory_format("cache_control[%zu].match", index);
            check_add_files(problems, rule->match_place, files, key, "\"%s\" %s", rule->match[i], problem);
            free(key);
        }
    }
    char *key = memory_format("cache_control[%zu].value", index);
    check_value(files, rule->value_place, key, rule->value, problems);
    free(key);
}

/* The entry before it that has this status, or itself with it again; NULL: none. */
static const struct conf_error_page *paged_before(const struct conf_error_page *pages, size_t entry,
                                                  size_t at)
{
    for (size_t i = 0; i <= entry; i++) {
        size_t count = i < entry ? pages[i].status_count : at;
        for (size_t j = 0; j < count; j++) {
            if (pages[i].status[j] == pages[entry].status[at]) {
                return &pages[i];
            }
        }
    }
    return NULL;
}

static void check_error_page(const struct conf_files *files, const struct conf_error_page *page,
                             struct conf_problems *problems)
{
    size_t index = (size_t)(page - files->policy.error_pages);
    for (size_t i = 0; i < page->status_count; i++) {
        const struct conf_error_page *other = paged_before(files->policy.error_pages, index, i);
        if (other != NULL) {
            char *key = memory_format("error_pages[%zu].status", index);
            check_add_files(problems, page->status_place, files, key,
                            "%u has a page already (line %d): delete one of the two", page->status[i],
                            other->status_place.line);
            free(key);
        }
    }
    const char *path = page->path;
    if (path != NULL && (path[0] != '/' || path[strlen(path) - 1] == '/' || check_has_dots(path))) {
        char *key = memory_format("error_pages[%zu].path", index);
        check_add_files(problems, page->path_place, files, key,
                        "\"%s\" is no path of a file: begin it with a slash, end it without one, and write "
                        "where \".\" and \"..\" lead",
                        path);
        free(key);
    }
}

/* type "/" subtype, and parameters that a field may hold. */
static void check_type(const struct conf_files *files, struct conf_place place, const char *key,
                       const char *type, struct conf_problems *problems)
{
    if (type == NULL) {
        return;
    }
    size_t size = strcspn(type, "; ");
    char *essence = memory_strndup(type, size), *slash = strchr(essence, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    if (slash == NULL || !is_token(essence) || !is_token(slash + 1)) {
        check_add_files(problems, place, files, key,
                        "\"%s\" is no content type: write it as text/plain or text/plain; charset=utf-8",
                        type);
    } else {
        check_value(files, place, key, type, problems);
    }
    free(essence);
}

/* NULL: none of those before it, in the order of the file. */
static const struct conf_mime_type *typed_before(const struct conf_mime_type *types, size_t entry,
                                                 size_t extension)
{
    const char *name = types[entry].extensions[extension];
    for (size_t i = 0; i <= entry; i++) {
        size_t count = i < entry ? types[i].extension_count : extension;
        for (size_t j = 0; j < count; j++) {
            if (strcasecmp(types[i].extensions[j], name) == 0) {
                return &types[i];
            }
        }
    }
    return NULL;
}

static void check_mime_type(const struct conf_files *files, const struct conf_mime_type *mime,
                            struct conf_problems *problems)
{
    size_t index = (size_t)(mime - files->policy.mime_types);
    for (size_t i = 0; i < mime->extension_count; i++) {
        const struct conf_mime_type *other = typed_before(files->policy.mime_types, index, i);
        if (other != NULL) {
            char *key = memory_format("mime_types[%zu].extensions", index);
            check_add_files(problems, mime->extensions_place, files, key,
                            "\"%s\" has a type already (line %d): delete one of the two", mime->extensions[i],
                            other->extensions_place.line);
            free(key);
        }
    }
    char *key = memory_format("mime_types[%zu].type", index);
    check_type(files, mime->type_place, key, mime->type, problems);
    free(key);
}

void check_http_policy(const struct conf_files *files, struct conf_problems *problems)
{
    const struct conf_http_policy *policy = &files->policy;
    for (size_t i = 0; i < policy->header_count; i++) {
        check_header(files, &policy->headers[i], problems);
    }
    check_hsts(files, problems);
    for (size_t i = 0; i < policy->cache_rule_count; i++) {
        check_cache_rule(files, &policy->cache_rules[i], problems);
    }
    for (size_t i = 0; i < policy->error_page_count; i++) {
        check_error_page(files, &policy->error_pages[i], problems);
    }
    for (size_t i = 0; i < policy->mime_type_count; i++) {
        check_mime_type(files, &policy->mime_types[i], problems);
    }
    check_type(files, policy->default_type_place, "default_type", policy->default_type, problems);
    if (policy->charset != NULL && !is_token(policy->charset)) {
        check_add_files(problems, policy->charset_place, files, "charset",
                        "\"%s\" is no name of a charset: write it as \"utf-8\", or \"off\"", policy->charset);
    }
    check_value(files, policy->server_place, "server_header", policy->server, problems);
}
