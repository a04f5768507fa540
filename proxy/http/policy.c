/* Turns what the operator wrote into the lines of heads.
 * Refuses to check it: conf did. */
#include "proxy/http/policy.h"

#include <inttypes.h>
#include <stdlib.h>

#include "conf/conf.h"
#include "proxy/http/glob.h"
#include "proxy/http/mime.h"
#include "proxy/http/response.h"

/* One for each pattern: those of an entry stand side by side. */
struct pattern {
    struct http_glob glob;
    const struct http_cache_rule *rule;
};

struct http_policy {
    const struct conf_http_policy *conf;
    struct http_head fields[2][2]; /* by secure, and whether the answer is an error */
    struct http_mime *mime;
    size_t rule_count, pattern_count;
    struct http_cache_rule *rules;
    struct pattern *patterns;
};

static void add_fields(struct http_head *text, const struct conf_http_policy *conf, bool secure, bool error)
{
    if (strcmp(conf->server, "off") != 0)
        http_head_add(text, "Server: %s\r\n", conf->server);
    if (secure && conf->has_hsts)
        http_head_add(text, "Strict-Transport-Security: max-age=%" PRIu64 "%s%s\r\n", conf->hsts.max_age,
                      conf->hsts.include_subdomains ? "; includeSubDomains" : "",
                      conf->hsts.preload ? "; preload" : "");
    for (size_t i = 0; i < conf->header_count; i++)
        if (!error || conf->headers[i].always)
            http_head_add(text, "%s: %s\r\n", conf->headers[i].name, conf->headers[i].value);
}

/* The line's memory is its own. */
static bool make_rule(struct http_cache_rule *rule, const char *value)
{
    struct http_slice rest = {value, strlen(value)}, directive;
    struct http_head line = {0};
    http_head_add(&line, "Cache-Control: %s\r\n", value);
    rule->line = (struct http_slice){line.data, line.size};
    while (http_slice_next(&rest, &directive))
        rule->no_transform = rule->no_transform || http_slice_is_nocase(directive, "no-transform");
    return !line.failed;
}

static bool make_rules(struct http_policy *policy, const struct conf_http_policy *conf)
{
    size_t patterns = 0;
    for (size_t i = 0; i < conf->cache_rule_count; i++)
        patterns += conf->cache_rules[i].match_count;
    policy->rules = calloc(conf->cache_rule_count + 1, sizeof(*policy->rules));
    policy->patterns = calloc(patterns + 1, sizeof(*policy->patterns));
    if (!policy->rules || !policy->patterns)
        return false;
    for (size_t i = 0; i < conf->cache_rule_count; i++) {
        const struct conf_cache_rule *rule = &conf->cache_rules[i];
        if (!make_rule(&policy->rules[policy->rule_count++], rule->value))
            return false;
        for (size_t j = 0; j < rule->match_count; j++) {
            struct pattern *pattern = &policy->patterns[policy->pattern_count++];
            http_glob_init(&pattern->glob, rule->match[j]);
            pattern->rule = &policy->rules[i];
        }
    }
    return true;
}

static bool make_fields(struct http_policy *policy, const struct conf_http_policy *conf)
{
    for (size_t i = 0; i < 4; i++) {
        const bool secure = i / 2 == 1, error = i % 2 == 1;
        add_fields(&policy->fields[secure][error], conf, secure, error);
        if (policy->fields[secure][error].failed)
            return false;
    }
    return true;
}

struct http_policy *http_policy_new(const struct conf_http_policy *conf)
{
    static char server[] = "sluice", type[] = "application/octet-stream", charset[] = "utf-8";
    static const struct conf_http_policy plain = {.server = server, .default_type = type, .charset = charset};
    struct http_policy *policy = calloc(1, sizeof(*policy));
    conf = conf ? conf : &plain;
    if (!policy)
        return NULL;
    policy->conf = conf;
    policy->mime = http_mime_new(conf);
    if (policy->mime && make_fields(policy, conf) && make_rules(policy, conf))
        return policy;
    http_policy_free(policy);
    return NULL;
}

void http_policy_free(struct http_policy *policy)
{
    if (!policy)
        return;
    for (size_t i = 0; i < 4; i++)
        free(policy->fields[i / 2][i % 2].data);
    http_mime_free(policy->mime);
    for (size_t i = 0; i < policy->rule_count; i++)
        free((char *)policy->rules[i].line.at);
    free(policy->rules);
    free(policy->patterns);
    free(policy);
}

struct http_slice http_policy_fields(const struct http_policy *policy, int status, bool secure)
{
    static const char server[] = "Server: sluice\r\n";
    if (!policy)
        return (struct http_slice){server, sizeof(server) - 1};
    const struct http_head *text = &policy->fields[secure][status >= 400];
    return (struct http_slice){text->data ? text->data : "", text->size};
}

const struct http_cache_rule *http_policy_cache_rule(const struct http_policy *policy, const char *path)
{
    const struct http_slice slice = {path, policy->pattern_count > 0 ? strlen(path) : 0};
    for (size_t i = 0; i < policy->pattern_count; i++)
        if (http_glob_matches(&policy->patterns[i].glob, slice))
            return policy->patterns[i].rule;
    return NULL;
}

const char *http_policy_type(const struct http_policy *policy, const char *name)
{
    return http_mime_type(policy->mime, name);
}

/* Errors are rare, and pages few. */
const char *http_policy_error_page(const struct http_policy *policy, int status)
{
    for (size_t i = 0; i < policy->conf->error_page_count; i++) {
        const struct conf_error_page *page = &policy->conf->error_pages[i];
        for (size_t j = 0; j < page->status_count; j++)
            if ((int)page->status[j] == status)
                return page->path + strspn(page->path, "/");
    }
    return NULL;
}
