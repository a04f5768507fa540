/* What keys mean together: the checks of each thing (check_*.c), and addresses that don't collide.
 * Refuses to know syntax, types and ranges (they are checked by now), certificates and users (proxy's). */
#include "conf/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/address.h"
#include "conf/load.h"
#include "conf/memory.h"

void check_add_at(struct conf_problems *problems, struct conf_place place, char *path, const char *format,
                  va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) == -1) {
        text = memory_strdup("a problem too long to tell");
    }
    conf_problem_add(problems, place, path, "%s", text);
    free(path);
    free(text);
}

struct bound {
    const struct conf_address *address;
    char *path; /* listeners.web, admin */
    const char *key;
};

/* In the order of the file, so that it's the later one that is wrong. */
static int compare_bound(const void *left, const void *right)
{
    const struct bound *a = left, *b = right;
    int order =
        (a->address->place.line > b->address->place.line) - (a->address->place.line < b->address->place.line);
    return order != 0 ? order : strcmp(a->path, b->path);
}

static void check_addresses(const struct conf *conf, struct conf_problems *problems)
{
    struct bound *bound = memory_calloc(conf->listener_count + 1, sizeof(*bound));
    size_t count = 0;
    if (conf->admin.length != 0) {
        bound[count++] = (struct bound){&conf->admin, memory_strdup("admin"), "listen"};
    }
    for (size_t i = 0; i < conf->listener_count; i++) {
        const struct conf_listener *listener = &conf->listeners[i];
        if (listener->address.length != 0) {
            bound[count++] =
                (struct bound){&listener->address, memory_format("listeners.%s", listener->name), "address"};
        }
    }
    qsort(bound, count, sizeof(*bound), compare_bound);

    for (size_t i = 0; i < count; i++) {
        size_t j = 0;
        while (j < i && !address_conflict(bound[i].address, bound[j].address)) {
            j++;
        }
        if (j < i) {
            char *path = memory_format("%s.%s", bound[i].path, bound[i].key);
            bool is_unix = bound[i].address->addr.ss_family == AF_UNIX;
            conf_problem_add(problems, bound[i].address->place, path,
                             "\"%s\" is already taken by %s (\"%s\", line %d): choose another %s",
                             bound[i].address->text, bound[j].path, bound[j].address->text,
                             bound[j].address->place.line, is_unix ? "path" : "port");
            free(path);
        }
    }
    for (size_t i = 0; i < count; i++) {
        free(bound[i].path);
    }
    free(bound);
}

void check_conf(const struct conf *conf, struct conf_problems *problems)
{
    /* An element that isn't a group has no name, and was reported. */
    for (size_t i = 0; i < conf->tls_count; i++) {
        if (conf->tls[i].name != NULL) {
            check_tls(&conf->tls[i], problems);
        }
    }
    for (size_t i = 0; i < conf->backend_count; i++) {
        if (conf->backends[i].name != NULL) {
            check_backend(&conf->backends[i], problems);
            check_outgoing(&conf->backends[i], problems);
        }
    }
    check_names(conf, problems);
    check_http(&conf->http, problems);
    for (size_t i = 0; i < conf->files_count; i++) {
        if (conf->files[i].name != NULL) {
            check_files(&conf->files[i], problems);
        }
    }
    for (size_t i = 0; i < conf->site_count; i++) {
        if (conf->sites[i].name != NULL) {
            check_site(&conf->sites[i], problems);
        }
    }
    for (size_t i = 0; i < conf->listener_count; i++) {
        if (conf->listeners[i].name != NULL) {
            check_listener(&conf->listeners[i], problems);
            check_listener_http(conf, &conf->listeners[i], problems);
        }
    }
    check_transparent(conf, problems);
    check_addresses(conf, problems);
}
