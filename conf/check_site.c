/* What the keys of a site mean together: paths that do one thing each and stand once, redirects that go where
 * they say, a name to redirect to. And the sites of one listener: no host and no default twice.
 * Refuses to know what a host name is (certs does) and how a path is matched (proxy does). */
#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/check.h"
#include "conf/memory.h"

/* Where a problem is: of sites.NAME, or of sites.NAME.paths[INDEX]. */
struct checked {
    const struct conf_site *site;
    const struct conf_site_path *path; /* NULL: of the site */
    struct conf_problems *problems;
};

static bool given(struct conf_place place)
{
    return place.line != 0;
}

/* key NULL: of the whole. */
static void __attribute__((format(printf, 4, 5)))
add(const struct checked *checked, struct conf_place place, const char *key, const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) == -1) {
        text = memory_strdup("a problem too long to tell");
    }
    va_end(arguments);
    char *owner = checked->path != NULL ? memory_format("sites.%s.paths[%zu]", checked->site->name,
                                                        (size_t)(checked->path - checked->site->paths))
                                        : memory_format("sites.%s", checked->site->name);
    char *whole = memory_format("%s%s%s", owner, key != NULL ? "." : "", key != NULL ? key : "");
    conf_problem_add(checked->problems, place, whole, "%s", text);
    free(whole);
    free(owner);
    free(text);
}

/* --- Paths --- */

/* What is wrong with a path that requests are compared with; NULL: nothing. */
static const char *path_problem(const char *text)
{
    if (text[0] != '/') {
        return "does not begin with a /, as the path of every request does: put one in front";
    }
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f) {
            return "has a control character, and requests with one are refused: leave it out";
        }
        if (*at == '?' || *at == '#') {
            return "has a ? or #, and paths end before them: leave out what follows";
        }
        if (*at == '%' && isxdigit((unsigned char)at[1]) && isxdigit((unsigned char)at[2])) {
            return "is encoded, and requests are compared after decoding: write the character itself";
        }
        if (*at == '/') {
            size_t size = strcspn(at + 1, "/");
            if ((size == 0 && at[1] != '\0') || (size == 1 && at[1] == '.') ||
                (size == 2 && at[1] == '.' && at[2] == '.')) {
                return "has an empty segment, \".\" or \"..\", which requests have no longer when they are "
                       "compared: leave it out";
            }
        }
    }
    return NULL;
}

/* Without the slash at its end. */
static size_t prefix_size(const char *prefix)
{
    size_t size = strlen(prefix);
    return size > 0 && prefix[size - 1] == '/' ? size - 1 : size;
}

static bool same_path(const struct conf_site_path *a, const struct conf_site_path *b)
{
    if (a->exact != NULL || b->exact != NULL) {
        return a->exact != NULL && b->exact != NULL && strcmp(a->exact, b->exact) == 0;
    }
    size_t size = prefix_size(a->prefix);
    return size == prefix_size(b->prefix) && memcmp(a->prefix, b->prefix, size) == 0;
}

static void check_match(const struct checked *checked)
{
    const struct conf_site_path *path = checked->path;
    bool exact = given(path->exact_place);
    const char *key = exact ? "exact" : "prefix", *text = exact ? path->exact : path->prefix;
    struct conf_place place = exact                       ? path->exact_place
                              : given(path->prefix_place) ? path->prefix_place
                                                          : path->place;
    if (exact && given(path->prefix_place)) {
        add(checked, path->prefix_place, "prefix",
            "`exact` is given as well, and a path is matched in one way: delete one of them");
    }
    const char *problem = text != NULL ? path_problem(text) : NULL;
    if (problem != NULL) {
        add(checked, place, key, "\"%s\" %s", text, problem);
    }
    for (const struct conf_site_path *other = checked->site->paths; other < path && text != NULL; other++) {
        if (given(other->place) && other->prefix != NULL && same_path(other, path)) {
            add(checked, place, key, "\"%s\" stands in this site already (line %d): delete one of the two",
                text, other->place.line);
            return;
        }
    }
}

/* --- What is done --- */

/* What is wrong with a redirect's target; NULL: nothing. */
static const char *redirect_problem(const char *text, bool append)
{
    static const char host_characters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:[]";
    for (const char *at = text; *at != '\0'; at++) {
        if (*at <= ' ' || *at > '~' || strchr("\"<>\\^`{|}", *at) != NULL) {
            return "has a character that no URL has: write it as % and two hexadecimal digits";
        }
    }
    size_t scheme = strncmp(text, "http://", 7) == 0 ? 7 : strncmp(text, "https://", 8) == 0 ? 8 : 0;
    if (scheme != 0) {
        size_t host = strspn(text + scheme, host_characters);
        if (host == 0 || strchr("/?#", text[scheme + host]) == NULL) {
            return "has no host between // and /: write one, such as \"https://example.org/\"";
        }
    } else if (text[0] != '/') {
        return "is neither a path nor a URL: begin with /, http:// or https://";
    } else if (text[1] == '/') {
        return "begins with //, behind which clients expect a host: begin with one /, or write the URL with "
               "http:// or https://";
    }
    if (append && strpbrk(text, "?#") != NULL) {
        return "has a query or a fragment, behind which no path can be put: add append = false";
    }
    return NULL;
}

/* How much of a path of `size` bytes this one is for: 0 if it isn't. */
static size_t covers(const struct conf_site_path *path, const char *text, size_t size)
{
    if (path->exact != NULL) {
        return strlen(path->exact) == size && memcmp(path->exact, text, size) == 0 ? SIZE_MAX : 0;
    }
    size_t prefix = path->prefix != NULL ? prefix_size(path->prefix) : SIZE_MAX;
    bool is =
        prefix <= size && memcmp(path->prefix, text, prefix) == 0 && (prefix == size || text[prefix] == '/');
    return is ? prefix + 1 : 0;
}

/* Whether a client that is redirected comes to the same path of this host again. */
static bool leads_back(const struct conf_site *site, const struct conf_site_path *path)
{
    const char *text = path->redirect;
    size_t size = strcspn(text, "?#"), own = covers(path, text, size);
    for (size_t i = 0; i < site->path_count; i++) {
        if (given(site->paths[i].place) && covers(&site->paths[i], text, size) > own) {
            return false;
        }
    }
    return own > 0;
}

static void check_redirect(const struct checked *checked)
{
    const struct conf_site_path *path = checked->path;
    const char *problem = path->redirect != NULL ? redirect_problem(path->redirect, path->append) : NULL;
    if (problem != NULL) {
        add(checked, path->redirect_place, "redirect", "\"%s\" %s", path->redirect, problem);
    } else if (path->redirect != NULL && leads_back(checked->site, path)) {
        add(checked, path->redirect_place, "redirect",
            "\"%s\" is where this path redirects again, without end: add a path to the site that is for it, "
            "or "
            "redirect elsewhere",
            path->redirect);
    }
    switch (path->status) {
    case 0: /* it could not be read */
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        break;
    default:
        add(checked, path->status_place, "status",
            "%u is no status of a redirect: choose 301, 302, 303, 307 or 308", path->status);
        break;
    }
}

static void check_action(const struct checked *checked)
{
    const struct conf_site_path *path = checked->path;
    bool files = given(path->files_place), redirect = given(path->redirect_place),
         status = given(path->status_place);
    if (!files && !redirect && !status) {
        add(checked, path->place, NULL,
            "does nothing: add files = \"NAME\"; with a name under `files`, redirect = \"URL\"; or status = "
            "404;");
    } else if (files && (redirect || status)) {
        const char *other = redirect ? "redirect" : "status";
        add(checked, redirect ? path->redirect_place : path->status_place, other,
            "`files` is given as well, and a path does one of the two: delete one of them");
    } else if (redirect) {
        check_redirect(checked);
    } else if (status && path->status < 400 && path->status != 0) {
        add(checked, path->status_place, "status",
            "%u needs somewhere to go: add redirect = \"URL\"; or choose 400 to 599", path->status);
    }
    if (given(path->strip_place) && (!files || given(path->exact_place))) {
        add(checked, path->strip_place, "strip",
            files ? "an exact path is looked up as it is: delete this"
                  : "without `files` nothing is looked up: delete this");
    }
    if (given(path->append_place) && !redirect) {
        add(checked, path->append_place, "append",
            "without `redirect` there is nothing to put anything behind: delete this");
    }
}

void check_site(const struct conf_site *site, struct conf_problems *problems)
{
    struct checked checked = {.site = site, .problems = problems};
    if (!given(site->paths_place) && !site->redirect_https) {
        add(&checked, site->place, NULL,
            "answers nothing: add paths = ( { files = \"NAME\"; } ); with a name "
            "under `files`");
    }
    if (site->redirect_https && !given(site->hosts_place) && !given(site->canonical_place)) {
        add(&checked, site->redirect_https_place, "redirect_https",
            "a site for every host has no name to redirect to: add hosts = [ \"NAME\" ]; or canonical = "
            "\"NAME\";");
    }
    if (given(site->https_port_place) && !site->redirect_https) {
        add(&checked, site->https_port_place, "https_port",
            "without redirect_https nobody is sent there: add redirect_https = true; or delete this");
    }
    for (size_t i = 0; i < site->path_count; i++) {
        checked.path = &site->paths[i];
        if (given(checked.path->place)) { /* else it is no group, and was reported */
            check_match(&checked);
            check_action(&checked);
        }
    }
}

/* --- The sites of a listener --- */

/* As they are compared: a final dot and the case say nothing. */
static bool same_host(const char *a, const char *b)
{
    size_t a_size = strlen(a), b_size = strlen(b);
    a_size -= a_size > 0 && a[a_size - 1] == '.';
    b_size -= b_size > 0 && b[b_size - 1] == '.';
    return a_size == b_size && strncasecmp(a, b, a_size) == 0;
}

/* What it is found by; of a site for every host that is the canonical one alone. NULL: there are no more. */
static const char *host_at(const struct conf_site *site, size_t index)
{
    if (site->host_count == 0) {
        return index == 0 ? site->canonical : NULL;
    }
    return index < site->host_count ? site->hosts[index] : NULL;
}

static struct conf_place host_place(const struct conf_site *site)
{
    return given(site->hosts_place) ? site->hosts_place : site->canonical_place;
}

static const char *common_host(const struct conf_site *a, const struct conf_site *b)
{
    const char *host, *other;
    for (size_t i = 0; (host = host_at(a, i)) != NULL; i++) {
        for (size_t j = 0; (other = host_at(b, j)) != NULL; j++) {
            if (same_host(host, other)) {
                return host;
            }
        }
    }
    return NULL;
}

static void check_two(const struct conf_listener *listener, const struct conf_sites *sites, const char *path,
                      const struct conf_site *a, const struct conf_site *b, struct conf_problems *problems)
{
    const char *host = common_host(a, b);
    if (a == b) {
        check_add_listener(problems, sites->place, listener, path,
                           "\"%s\" stands here twice: delete one of the two", a->name);
    } else if (!given(a->hosts_place) && !given(b->hosts_place)) {
        check_add_listener(
            problems, sites->place, listener, path,
            "\"%s\" and \"%s\" are both for every host that no other site has: give one of them "
            "`hosts`",
            a->name, b->name);
    } else if (host != NULL) {
        check_add_listener(
            problems, sites->place, listener, path,
            "\"%s\" and \"%s\" both have the host \"%s\" (lines %d and %d): delete it from one of "
            "them",
            a->name, b->name, host, host_place(a).line, host_place(b).line);
    }
}

void check_sites(const struct conf_listener *listener, const struct conf_sites *sites, const char *path,
                 struct conf_problems *problems)
{
    for (size_t i = 0; i < sites->count; i++) {
        const struct conf_site *site = sites->items[i];
        if (site == NULL) {
            continue; /* there is none of that name: reported */
        }
        if (given(listener->tls_place) && !given(site->paths_place)) {
            check_add_listener(problems, sites->place, listener, path,
                               "\"%s\" has no `paths`, and so nothing to answer over TLS: add them there, or "
                               "take it away here",
                               site->name);
        }
        for (size_t j = 0; j < i; j++) {
            if (sites->items[j] != NULL) {
                check_two(listener, sites, path, sites->items[j], site, problems);
            }
        }
    }
}
