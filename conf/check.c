/* What keys mean together: one target for each listener, addresses that don't collide, modes that can be had,
 * directories that are there.
 * Refuses to know syntax, types and ranges (they are checked by now), certificates and users (proxy's). */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/address.h"
#include "conf/load.h"
#include "conf/memory.h"

/* A problem of listeners.NAME.KEY; key NULL: of the listener as a whole. */
static void __attribute__((format(printf, 5, 6)))
add(struct conf_problems *problems, struct conf_place place, const struct conf_listener *listener,
    const char *key, const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) == -1) {
        text = memory_strdup("a problem too long to tell");
    }
    va_end(arguments);
    char *path =
        memory_format("listeners.%s%s%s", listener->name, key != NULL ? "." : "", key != NULL ? key : "");
    conf_problem_add(problems, place, path, "%s", text);
    free(path);
    free(text);
}

static void check_target(const struct conf_listener *listener, struct conf_problems *problems)
{
    bool proxy = listener->proxy_place.line != 0, files = listener->files_place.line != 0;
    if (proxy && files) {
        bool proxy_later = listener->proxy_place.line > listener->files_place.line;
        add(problems, proxy_later ? listener->proxy_place : listener->files_place, listener,
            proxy_later ? "proxy" : "files",
            "`proxy` and `files` are both given, and a listener does one: delete one of them");
    } else if (!proxy && !files) {
        add(problems, listener->place, listener, NULL,
            "nothing to do: add proxy = \"NAME\"; with a name under `backends`, or files = \"NAME\"; with "
            "one under "
            "`files`");
    }
}

/* The forced mode against what is relayed, without TLS: whether it's worth looking further. */
static bool check_mode_of_target(const struct conf_listener *listener, struct conf_problems *problems)
{
    bool proxy = listener->proxy_place.line != 0;
    if (proxy && (listener->relay == CONF_RELAY_SENDFILE || listener->relay == CONF_RELAY_MMAP)) {
        add(problems, listener->relay_place, listener, "relay",
            "\"%s\" reads files, and a proxy has none: choose \"auto\", \"splice\" or \"copy\"",
            listener->relay == CONF_RELAY_MMAP ? "mmap" : "sendfile");
        return false;
    }
    if (!proxy && listener->relay == CONF_RELAY_SPLICE) {
        add(problems, listener->relay_place, listener, "relay",
            "\"splice\" moves from socket to socket, and this listener serves files: choose \"auto\", "
            "\"sendfile\", "
            "\"mmap\" or \"copy\"");
        return false;
    }
    return true;
}

/* The forced mode against encryption in user space: the bytes must be copied through OpenSSL. */
static void check_mode_of_tls(const struct conf_listener *listener, struct conf_problems *problems)
{
    static const char *const names[] = {"auto", "splice", "sendfile", "mmap", "copy"};
    bool user_tls = listener->tls != NULL && listener->tls->ktls == CONF_KTLS_OFF;
    bool forced = listener->relay != CONF_RELAY_AUTO && listener->relay != CONF_RELAY_COPY;
    if (user_tls && forced) {
        add(problems, listener->relay_place, listener, "relay",
            "\"%s\" can't be had with TLS in user space: choose \"auto\" or \"copy\", or set tls.%s.ktls to "
            "\"auto\" "
            "or \"require\"",
            names[listener->relay], listener->tls->name);
    }
    if (!listener->require_zero_copy) {
        return;
    }
    if (listener->relay == CONF_RELAY_COPY || listener->relay == CONF_RELAY_MMAP) {
        add(problems, listener->require_zero_copy_place, listener, "require_zero_copy",
            "relay = \"%s\" brings every byte into user space: delete one of the two",
            names[listener->relay]);
    } else if (user_tls) {
        add(problems, listener->require_zero_copy_place, listener, "require_zero_copy",
            "TLS in user space copies every byte: set tls.%s.ktls to \"auto\" or \"require\", or delete this",
            listener->tls->name);
    }
}

static void check_listener(const struct conf_listener *listener, struct conf_problems *problems)
{
    if (strcmp(listener->name, "admin") == 0) {
        add(problems, listener->place, listener, NULL,
            "the name is taken by the listener of `admin`: choose another");
    }
    check_target(listener, problems);
    bool one_target = (listener->proxy_place.line != 0) != (listener->files_place.line != 0);
    if (one_target && check_mode_of_target(listener, problems)) {
        check_mode_of_tls(listener, problems);
    }
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

static void check_backend(const struct conf_backend *backend, struct conf_problems *problems)
{
    for (size_t i = 0; i < backend->server_count; i++) {
        const struct conf_address *address = &backend->servers[i].address;
        if (address->length == 0 || address->addr.ss_family == AF_UNIX) {
            continue;
        }
        const char *problem = NULL;
        if (address_port(address) == 0) {
            problem = "has port 0, to which nothing connects: write the port that the server listens on";
        } else if (address->dual_stack) {
            problem = "names no host: write the server's, such as \"127.0.0.1:9001\"";
        }
        if (problem != NULL) {
            char *path = memory_format("backends.%s.servers[%zu].address", backend->name, i);
            conf_problem_add(problems, address->place, path, "\"%s\" %s", address->text, problem);
            free(path);
        }
    }
}

static void check_files(const struct conf_files *files, struct conf_problems *problems)
{
    char *path = memory_format("files.%s.root", files->name);
    if (files->root != NULL) {
        int fd = open(files->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
        if (fd == -1) {
            conf_problem_add(problems, files->root_place, path, "%s: %s: name a directory that can be read",
                             files->root, strerror(errno));
        } else {
            close(fd);
        }
    }
    free(path);
}

void check_conf(const struct conf *conf, struct conf_problems *problems)
{
    /* An element that isn't a group has no name, and was reported. */
    for (size_t i = 0; i < conf->backend_count; i++) {
        if (conf->backends[i].name != NULL) {
            check_backend(&conf->backends[i], problems);
        }
    }
    for (size_t i = 0; i < conf->files_count; i++) {
        if (conf->files[i].name != NULL) {
            check_files(&conf->files[i], problems);
        }
    }
    for (size_t i = 0; i < conf->listener_count; i++) {
        if (conf->listeners[i].name != NULL) {
            check_listener(&conf->listeners[i], problems);
        }
    }
    check_addresses(conf, problems);
}
