/* What the keys of `http` mean together, globally and for a listener: none that can have no effect.
 */
#include "conf/check.h"
#include "conf/units.h"

/* A limit that another one makes unreachable. */
static bool uri_exceeds_head(const struct conf_http *http)
{
    return http->max_uri_place.line != 0 && http->max_uri >= http->max_head;
}

static void add_uri_exceeds_head(struct conf_problems *problems, const struct conf_http *http,
                                 const char *key)
{
    char text[UNITS_TEXT_MAX];

    units_format_size(http->max_head, text);
    conf_problem_add(problems, http->max_uri_place, key,
                     "not less than max_head (\"%s\"), so it is never reached: lower it, or raise max_head",
                     text);
}

void check_http(const struct conf_http *http, struct conf_problems *problems)
{
    if (uri_exceeds_head(http)) {
        add_uri_exceeds_head(problems, http, "http.max_uri");
    }
}

void check_listener_http(const struct conf *conf, const struct conf_listener *listener,
                         struct conf_problems *problems)
{
    char key[160];

    if (listener->http_place.line == 0) {
        return;
    }
    if (listener->proxy_place.line != 0) {
        check_add_listener(problems, listener->http_place, listener, "http",
                           "what is proxied is not looked at as HTTP: delete this, or use `limits`");
    }
    if (uri_exceeds_head(&listener->http) && !uri_exceeds_head(&conf->http)) {
        snprintf(key, sizeof(key), "listeners.%s.http.max_uri", listener->name);
        add_uri_exceeds_head(problems, &listener->http, key);
    }
}
