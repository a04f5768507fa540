/* See route_text.h. */
#include "proxy/route_text.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct text {
    char *at;
    size_t left;
};

static void __attribute__((format(printf, 2, 3))) append(struct text *text, const char *format, ...)
{
    va_list arguments;
    int n;

    va_start(arguments, format);
    n = vsnprintf(text->at, text->left, format, arguments);
    va_end(arguments);
    if (n > 0) {
        const size_t used = (size_t)n < text->left ? (size_t)n : text->left - 1;

        text->at += used;
        text->left -= used;
    }
}

static void append_names(struct text *text, const char *start, const char *key, char *const *names,
                         size_t count)
{
    for (size_t i = 0; i < count; i++)
        append(text, "%s%s%s", *start != '\0' && i == 0 ? start : "", i == 0 ? key : ", ", names[i]);
}

static void append_ranges(struct text *text, const char *start, const struct conf_cidrs *cidrs)
{
    char host[INET6_ADDRSTRLEN] = "";

    for (size_t i = 0; i < cidrs->count; i++) {
        const struct conf_cidr *cidr = &cidrs->items[i];

        append(text, "%s%s", i == 0 ? start : "", i == 0 ? "source " : ", ");
        if (cidr->family == AF_UNIX) {
            append(text, "unix");
            continue;
        }
        inet_ntop(cidr->family, cidr->address, host, sizeof(host));
        append(text, "%s/%u", host, cidr->prefix);
    }
}

void route_describe(const struct conf_route *route, char *text, size_t size)
{
    struct text out = {text, size};
    const bool any = route->sni_count == 0 && route->alpn_count == 0 && route->source.count == 0;

    text[0] = '\0';
    append_names(&out, "", "sni ", route->sni, route->sni_count);
    append_names(&out, route->sni_count > 0 ? "; " : "", "alpn ", route->alpn, route->alpn_count);
    append_ranges(&out, route->sni_count > 0 || route->alpn_count > 0 ? "; " : "", &route->source);
    if (any)
        append(&out, "any");
    if (route->deny)
        append(&out, " -> deny");
    else if (route->sites.count > 0)
        append(&out, " -> sites");
    else
        append(&out, " -> %s:%s", route->files != NULL ? "files" : "proxy",
               route->files != NULL ? route->files->name : route->backend->name);
}

void site_describe(const struct conf_site *site, const struct conf_site_path *path, char *text, size_t size)
{
    struct text out = {text, size};

    append(&out, "%s", site->name);
    if (path == NULL) {
        append(&out, " -> https");
        return;
    }
    append(&out, " %s%s -> ", path->exact != NULL ? "= " : "",
           path->exact != NULL ? path->exact : path->prefix);
    if (path->files != NULL)
        append(&out, "files:%s", path->files->name);
    else if (path->redirect != NULL)
        append(&out, "redirect");
    else
        append(&out, "%u", path->status);
}
