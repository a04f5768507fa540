/* Turns what the operator wrote into the lines of heads.
 * Refuses to check it: conf did. */
#include "proxy/http/policy.h"

#include <inttypes.h>
#include <stdlib.h>

#include "conf/conf.h"
#include "proxy/http/response.h"

struct http_policy {
    struct http_head fields[2][2]; /* by secure, and whether the answer is an error */
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

struct http_policy *http_policy_new(const struct conf_http_policy *conf)
{
    struct http_policy *policy = calloc(1, sizeof(*policy));
    bool good = policy != NULL;

    for (size_t i = 0; good && i < 4; i++) {
        const bool secure = i / 2 == 1, error = i % 2 == 1;

        add_fields(&policy->fields[secure][error], conf, secure, error);
        good = !policy->fields[secure][error].failed;
    }
    if (good)
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
    free(policy);
}

struct http_slice http_policy_fields(const struct http_policy *policy, int status, bool secure)
{
    static const char server[] = "Server: sluice\r\n";
    if (!policy)
        return (struct http_slice){server, sizeof(server) - 1};
    const struct http_head *text = &policy->fields[secure][status >= 400];
    return (struct http_slice){text->data, text->size};
}
