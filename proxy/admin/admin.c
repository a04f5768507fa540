/* Finds the page that a path means and answers it.
 * Refuses to know HTTP and how the figures come about. */
#include "proxy/admin/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin/answer.h"
#include "proxy/admin/connections.h"
#include "proxy/admin/metrics.h"
#include "proxy/admin/page.h"
#include "proxy/admin/status.h"
#include "proxy/http/request.h"
#include "proxy/server.h"
#include "proxy/worker.h"

static void look(struct server *server, struct admin_view *view)
{
    *view = (struct admin_view){
        .generation = worker_generation(worker_self()),
        .workers = server_worker_count(server),
        .uptime_ms = server_uptime_ms(server),
        .log_dropped = server_log_dropped(server),
        .disk_jobs = server_disk_jobs(server),
        .draining = server_draining(server),
    };
    for (unsigned i = 0; i < view->workers; i++) {
        const struct loop *loop = worker_loop(server_worker(server, i));

        for (int call = 0; call < RELAY_SYSCALL_COUNT; call++)
            view->syscalls[call] += relay_counter_get(&loop->syscalls.count[call]);
    }
}

static void answer_page(struct server *server, const struct http_request *request,
                        struct http_exchange *exchange)
{
    char policy[512];
    size_t size;
    char *html = page_html(&size);

    (void)server;
    (void)request;
    if (html == NULL) {
        http_respond_status(exchange, 500, NULL);
        return;
    }
    page_security_policy(policy, sizeof(policy));
    answer_text(exchange, 200, "text/html; charset=utf-8", policy, html, size);
    free(html);
}

static void answer_metrics(struct server *server, const struct http_request *request,
                           struct http_exchange *exchange)
{
    struct admin_view view;
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    (void)request;
    if (stream == NULL) {
        http_respond_status(exchange, 500, NULL);
        return;
    }
    look(server, &view);
    metrics_write(&view, stream);
    if (fclose(stream) == 0)
        answer_text(exchange, 200, "text/plain; version=0.0.4; charset=utf-8", NULL, text, size);
    else
        http_respond_status(exchange, 500, NULL);
    free(text);
}

static void answer_status(struct server *server, const struct http_request *request,
                          struct http_exchange *exchange)
{
    struct admin_view view;

    (void)request;
    look(server, &view);
    answer_json(exchange, status_build(&view), NULL);
}

/* "limit=N" anywhere in the query; what isn't a number in range counts as not said. */
static size_t query_limit(const struct http_slice query)
{
    static const char key[] = "limit=";
    const char *at = query.at, *end = at + query.size;

    while (at < end) {
        const char *next = memchr(at, '&', (size_t)(end - at));
        const char *stop = next != NULL ? next : end;

        if ((size_t)(stop - at) > strlen(key) && memcmp(at, key, strlen(key)) == 0) {
            size_t limit = 0;

            for (at += strlen(key); at < stop && *at >= '0' && *at <= '9' && limit <= CONNECTIONS_LIMIT_MAX;
                 at++)
                limit = limit * 10 + (size_t)(*at - '0');
            if (at == stop && limit <= CONNECTIONS_LIMIT_MAX)
                return limit;
        }
        at = next != NULL ? next + 1 : end;
    }
    return CONNECTIONS_LIMIT;
}

static void answer_connections(struct server *server, const struct http_request *request,
                               struct http_exchange *exchange)
{
    bool asked = request->resolved.has_query && request->resolved.query.size > 0;

    connections_start(server, exchange, asked ? query_limit(request->resolved.query) : CONNECTIONS_LIMIT);
}

static void answer_health(struct server *server, const struct http_request *request,
                          struct http_exchange *exchange)
{
    bool draining = server_draining(server);
    const char *text = draining ? "draining\n" : "ok\n";

    (void)request;
    answer_text(exchange, draining ? 503 : 200, "text/plain; charset=utf-8", NULL, text, strlen(text));
}

static const struct {
    const char *path;
    void (*answer)(struct server *server, const struct http_request *request, struct http_exchange *exchange);
} pages[] = {
    {"", answer_page},
    {"metrics", answer_metrics},
    {"status.json", answer_status},
    {"connections.json", answer_connections},
    {"healthz", answer_health},
};

static void on_request(void *arg, const struct http_request *request, struct http_exchange *exchange)
{
    const struct http_target *target = &request->resolved;

    http_exchange_set_data(exchange, NULL);
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        if (strcmp(target->path, pages[i].path) == 0 && (target->size == 0 || !target->is_directory)) {
            pages[i].answer(arg, request, exchange);
            return;
        }
    }
    http_respond_status(exchange, 404, NULL);
}

static void on_cancel(void *arg, struct http_exchange *exchange)
{
    (void)arg;
    connections_cancel(exchange);
}

struct http_handler admin_handler(struct server *server)
{
    return (struct http_handler){.handle = on_request, .cancel = on_cancel, .arg = server};
}
