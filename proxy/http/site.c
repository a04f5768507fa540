/* See site.h. Hosts are found by halving a sorted table: a listener may have thousands. */
#include "proxy/http/site.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* --- Hosts --- */

/* "[::1]" or "[0:0::1]:80". */
static bool fold_ipv6(struct http_slice text, char folded[CERT_NAME_SIZE])
{
    const char *end = memchr(text.at, ']', text.size);
    size_t size = end ? (size_t)(end - text.at) - 1 : 0;
    char inner[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (!end || size >= sizeof(inner))
        return false;
    memcpy(inner, text.at + 1, size);
    inner[size] = '\0';
    if (inet_pton(AF_INET6, inner, &address) != 1)
        return false;
    folded[0] = '[';
    inet_ntop(AF_INET6, &address, folded + 1, INET6_ADDRSTRLEN);
    strcat(folded, "]");
    return true;
}

bool site_host_fold(struct http_slice text, char folded[CERT_NAME_SIZE])
{
    if (text.size > 0 && text.at[0] == '[')
        return fold_ipv6(text, folded);
    const char *colon = memchr(text.at, ':', text.size);
    return cert_name_fold(text.at, colon ? (size_t)(colon - text.at) : text.size, folded);
}

bool site_host_fold_pattern(const char *text, char folded[CERT_NAME_SIZE])
{
    size_t size = strlen(text);
    if (text[0] == '[')
        return text[size - 1] == ']' && fold_ipv6((struct http_slice){text, size}, folded);
    return cert_name_fold_pattern(text, size, folded);
}

static int compare_hosts(const void *a, const void *b)
{
    return strcmp(((const struct site_host *)a)->pattern, ((const struct site_host *)b)->pattern);
}

int site_hosts_add(struct site_hosts *hosts, const char *pattern, size_t site)
{
    struct site_host *items = realloc(hosts->items, (hosts->count + 1) * sizeof(*items));
    if (!items)
        return -1;
    hosts->items = items;
    items[hosts->count] = (struct site_host){.pattern = strdup(pattern), .site = site};
    if (!items[hosts->count].pattern)
        return -1;
    hosts->count++;
    return 0;
}

void site_hosts_sort(struct site_hosts *hosts)
{
    if (hosts->count > 0)
        qsort(hosts->items, hosts->count, sizeof(*hosts->items), compare_hosts);
}

static const struct site_host *find_pattern(const struct site_hosts *hosts, char *pattern)
{
    const struct site_host wanted = {.pattern = pattern};
    if (hosts->count == 0)
        return NULL;
    return bsearch(&wanted, hosts->items, hosts->count, sizeof(*hosts->items), compare_hosts);
}

size_t site_hosts_find(const struct site_hosts *hosts, const char *folded)
{
    char name[CERT_NAME_SIZE];
    strcpy(name, folded);
    char *at = name;
    const struct site_host *found = find_pattern(hosts, name);
    /* From the longest wildcard to the shortest: the star is written over what precedes each dot. */
    while (!found && (at = strchr(at + 1, '.'))) {
        at[-1] = '*';
        found = find_pattern(hosts, at - 1);
    }
    return found ? found->site : SITE_NONE;
}

void site_hosts_clear(struct site_hosts *hosts)
{
    for (size_t i = 0; i < hosts->count; i++)
        free(hosts->items[i].pattern);
    free(hosts->items);
    *hosts = (struct site_hosts){0};
}

/* --- Paths --- */

struct site_path site_path_make(const char *text, bool is_exact)
{
    struct site_path path = {.is_exact = is_exact};
    path.text = text + (text[0] == '/');
    path.size = strlen(path.text);
    path.is_directory = path.size == 0 || path.text[path.size - 1] == '/';
    if (path.size > 0 && path.is_directory)
        path.size--;
    return path;
}

bool site_path_matches(const struct site_path *path, const struct http_target *target)
{
    if (target->size < path->size || memcmp(target->path, path->text, path->size) != 0)
        return false;
    if (path->is_exact)
        return target->size == path->size && target->is_directory == path->is_directory;
    return path->size == 0 || target->size == path->size || target->path[path->size] == '/';
}

int site_path_order(const void *a, const void *b)
{
    const struct site_path *x = a, *y = b;
    if (x->is_exact != y->is_exact)
        return x->is_exact ? -1 : 1;
    return (x->size < y->size) - (x->size > y->size);
}

/* --- Redirects --- */

char *site_location(const char *base, const struct http_target *target, size_t prefix)
{
    static const char name[] = "Location: ";
    const char *rest = target->path + prefix + (prefix > 0 && target->size > prefix);
    size_t rest_size = target->size - (size_t)(rest - target->path);
    size_t base_size = strlen(base);
    /* Three bytes for each of the path at most; two slashes, a question mark and the end of the line. */
    char *line = malloc(sizeof(name) + base_size + 3 * rest_size + target->query.size + 6);
    if (!line)
        return NULL;
    char *at = mempcpy(line, name, sizeof(name) - 1);
    if ((rest_size > 0 || target->is_directory) && base_size > 0 && base[base_size - 1] == '/')
        base_size--;
    at = mempcpy(at, base, base_size);
    if (rest_size > 0) {
        *at++ = '/';
        at += http_target_encode(rest, rest_size, at);
    }
    if (target->is_directory)
        *at++ = '/';
    if (target->has_query) {
        *at++ = '?';
        at = mempcpy(at, target->query.at, target->query.size);
    }
    memcpy(at, "\r\n", 3);
    return line;
}
