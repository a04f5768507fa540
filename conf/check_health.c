/* What the keys of a backend's health checks and ejection mean together. */
#include <stdlib.h>
#include <string.h>

#include "conf/check.h"
#include "conf/memory.h"

bool conf_status_range_parse(const char *text, unsigned *low, unsigned *high)
{
    size_t length = strspn(text, "0123456789");
    bool range = length == 3 && text[3] == '-' && strspn(text + 4, "0123456789") == 3 && text[7] == '\0';
    if (length != 3 || (text[3] != '\0' && !range)) {
        return false;
    }
    *low = (unsigned)strtoul(text, NULL, 10);
    *high = range ? (unsigned)strtoul(text + 4, NULL, 10) : *low;
    return *low >= 100 && *low <= *high && *high <= 599;
}

static bool is_token(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f) {
            return false;
        }
    }
    return true;
}

static void check_request(const struct conf_backend *backend, struct conf_problems *problems)
{
    const struct conf_health *health = &backend->health;
    if (health->path != NULL && (health->path[0] != '/' || !is_token(health->path))) {
        check_add_backend(
            problems, health->path_place, backend, "health.path",
            "\"%s\" is no path of a request: begin it with /, and write spaces and the like as %%20",
            health->path);
    }
    if (health->host != NULL && !is_token(health->host)) {
        check_add_backend(problems, health->host_place, backend, "health.host",
                          "\"%s\" is no host name: write one such as \"app.example.org\"", health->host);
    }
    for (size_t i = 0; i < health->status_count; i++) {
        unsigned low, high;
        if (!conf_status_range_parse(health->status[i], &low, &high)) {
            check_add_backend(
                problems, health->status_place, backend, "health.status",
                "\"%s\" is no status: write one such as \"200\", or a range such as \"200-399\"",
                health->status[i]);
        }
    }
    if (health->status_count == 0) {
        check_add_backend(problems, health->status_place, backend, "health.status",
                          "empty, so that no answer would do: write the good ones, such as [ \"200-399\" ]");
    }
}

/* Keys that the type has no use for. */
static void check_type(const struct conf_backend *backend, struct conf_problems *problems)
{
    static const char *const names[] = {"tcp", "tls", "http", "https"};
    const struct conf_health *health = &backend->health;
    bool http = health->type == CONF_HEALTH_HTTP || health->type == CONF_HEALTH_HTTPS;
    const struct {
        const char *key;
        struct conf_place place;
        bool used;
    } keys[] = {
        {"health.path", health->path_place, http},
        {"health.host", health->host_place, http || health->type == CONF_HEALTH_TLS},
        {"health.status", health->status_place, http},
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (keys[i].place.line != 0 && !keys[i].used) {
            check_add_backend(
                problems, keys[i].place, backend, keys[i].key,
                "a check of type \"%s\" has no use for it: delete this, or choose type = \"http\"",
                names[health->type]);
        }
    }
    if (health->host_place.line != 0 && health->type == CONF_HEALTH_TLS && backend->has_tls) {
        check_add_backend(problems, health->host_place, backend, "health.host",
                          "checks use the names that connections use: set `tls.server_name` instead");
    }
}

void check_health(const struct conf_backend *backend, struct conf_problems *problems)
{
    if (backend->has_health) {
        check_request(backend, problems);
        check_type(backend, problems);
    }
    if (backend->has_eject && backend->eject.base_ms > backend->eject.max_ms) {
        check_add_backend(problems, backend->eject.base_place, backend, "eject.base",
                          "longer than `max`: choose a shorter one, or a larger `max`");
    }
    /* What is one name here may be many servers. */
    bool named = false;
    for (size_t i = 0; i < backend->server_count; i++) {
        named = named || backend->servers[i].address.host != NULL;
    }
    if (backend->has_eject && !named && backend->eject.share * backend->server_count < 100) {
        check_add_backend(
            problems, backend->place, backend, "eject.share",
            "%u %% of %zu is not one server, so none would ever be ejected: choose a larger share, or "
            "delete `eject`",
            backend->eject.share, backend->server_count);
    }
}
