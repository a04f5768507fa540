/* Asks each worker for its connections' reports and answers once all have come.
 * Every worker, one's own included, is sent a part to fill and sends it back. The gathering belongs to the
 * worker that was asked; parts may outlive it by then, so they share it by a count.
 * Refuses to know what a connection is and how a report is shown. */
#include "proxy/admin/connections.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/admin/admin.h"
#include "proxy/admin/answer.h"
#include "proxy/conn.h"
#include "proxy/report.h"
#include "proxy/report_json.h"
#include "proxy/server.h"
#include "proxy/worker.h"

struct gathering {
    _Atomic unsigned references; /* the exchange's and one per part */
    struct worker *home;

    /* On home's thread only. */
    struct http_exchange *exchange; /* NULL: answered or ended */
    size_t limit, total;
    unsigned missing; /* parts not back yet */
    struct part *parts;
};

struct part {
    struct gathering *gathering;
    struct part *next;
    struct report *reports;
    size_t count, capacity, limit, total;
};

static void gathering_unref(struct gathering *gathering)
{
    if (atomic_fetch_sub_explicit(&gathering->references, 1, memory_order_acq_rel) == 1)
        free(gathering);
}

static void part_free(struct part *part)
{
    gathering_unref(part->gathering);
    free(part->reports);
    free(part);
}

static int compare_reports(const void *a, const void *b)
{
    const struct report *const *x = a, *const *y = b;

    if ((*x)->began.tv_sec != (*y)->began.tv_sec)
        return (*x)->began.tv_sec < (*y)->began.tv_sec ? -1 : 1;
    if ((*x)->began.tv_nsec != (*y)->began.tv_nsec)
        return (*x)->began.tv_nsec < (*y)->began.tv_nsec ? -1 : 1;
    return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

/* As elements of an array. */
static void write_reports(FILE *stream, const struct report *const *reports, size_t count)
{
    char text[REPORT_JSON_MAX];

    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            fputc(',', stream);
        const size_t size = report_write_json(reports[i], text);
        fwrite(text, 1, size, stream);
    }
}

/* All parts' reports in order of time, the newest `limit` of those that were handed in. false: out of memory.
 */
static bool write_merged(FILE *stream, const struct part *parts, size_t limit)
{
    const struct report **all;
    size_t count = 0, n = 0, first;

    for (const struct part *part = parts; part != NULL; part = part->next)
        count += part->count;
    all = calloc(count + 1, sizeof(const struct report *));
    if (all == NULL)
        return false;
    for (const struct part *part = parts; part != NULL; part = part->next) {
        for (size_t i = 0; i < part->count; i++)
            all[n++] = &part->reports[i];
    }
    qsort(all, count, sizeof(const struct report *), compare_reports);
    first = count > limit ? count - limit : 0;
    fputc('[', stream);
    write_reports(stream, all + first, count - first);
    fputc(']', stream);
    free(all);
    return true;
}

static void answer(const struct gathering *gathering, const struct part *parts,
                   struct http_exchange *exchange)
{
    char header[64], *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    bool written = stream != NULL && write_merged(stream, parts, gathering->limit);

    if (stream != NULL && fclose(stream) != 0)
        written = false;
    snprintf(header, sizeof(header), "Sluice-Total: %zu\r\n", gathering->total);
    if (written)
        answer_text(exchange, 200, "application/json", header, text, size);
    else
        http_respond_status(exchange, 500, NULL);
    free(text);
}

/* Everything is there: answers, unless the exchange has ended. Drops the exchange's reference. */
static void finish(struct gathering *gathering)
{
    struct part *part = gathering->parts;
    struct http_exchange *exchange = gathering->exchange;

    gathering->parts = NULL;
    if (exchange != NULL) {
        gathering->exchange = NULL;
        http_exchange_set_data(exchange, NULL);
        answer(gathering, part, exchange);
        gathering_unref(gathering);
    }
    while (part != NULL) {
        struct part *next = part->next;

        part_free(part);
        part = next;
    }
}

/* On home's thread: a part has come back. */
static void on_part(struct worker *home, void *arg)
{
    struct part *part = arg;
    struct gathering *gathering = part->gathering;

    (void)home;
    if (gathering->exchange == NULL) {
        part_free(part);
        return;
    }
    part->next = gathering->parts;
    gathering->parts = part;
    gathering->total += part->total;
    if (--gathering->missing == 0)
        finish(gathering);
}

static void on_conn(void *arg, const struct conn *conn)
{
    struct part *part = arg;

    if (conn_is_admin(conn))
        return;
    if (part->count == part->capacity && part->count < part->limit) {
        size_t capacity = part->capacity == 0 ? 64 : part->capacity * 2;
        struct report *reports = realloc(part->reports, capacity * sizeof(*reports));

        if (reports != NULL) {
            part->reports = reports;
            part->capacity = capacity;
        }
    }
    if (part->count < part->capacity && part->count < part->limit) {
        if (!conn_report(conn, &part->reports[part->count]))
            return;
        part->count++;
    }
    part->total++;
}

/* On each worker's thread. If home has stopped, so have its exchanges: the part is nobody's then. */
static void on_collect(struct worker *worker, void *arg)
{
    struct part *part = arg;

    worker_each_conn(worker, on_conn, part);
    if (!worker_post(part->gathering->home, on_part, part))
        part_free(part);
}

/* A worker that can't be asked (it is stopping) is left out. */
static bool ask(struct gathering *gathering, struct worker *worker)
{
    struct part *part = calloc(1, sizeof(*part));

    if (part == NULL)
        return false;
    part->gathering = gathering;
    part->limit = gathering->limit;
    atomic_fetch_add_explicit(&gathering->references, 1, memory_order_relaxed);
    if (!worker_post(worker, on_collect, part)) {
        part_free(part);
        return false;
    }
    return true;
}

void connections_start(struct server *server, struct http_exchange *exchange, size_t limit)
{
    struct gathering *gathering = calloc(1, sizeof(*gathering));

    if (gathering == NULL) {
        http_respond_status(exchange, 500, NULL);
        return;
    }
    atomic_init(&gathering->references, 1);
    gathering->home = worker_self();
    gathering->exchange = exchange;
    gathering->limit = limit;
    http_exchange_set_data(exchange, gathering);
    /* Parts come back as messages, so not before this function has returned. */
    for (unsigned i = 0; i < server_worker_count(server); i++) {
        if (ask(gathering, server_worker(server, i)))
            gathering->missing++;
    }
    if (gathering->missing == 0)
        finish(gathering);
}

void connections_cancel(struct http_exchange *exchange)
{
    struct gathering *gathering = http_exchange_data(exchange);
    struct part *part;

    if (gathering == NULL)
        return;
    http_exchange_set_data(exchange, NULL);
    part = gathering->parts;
    gathering->parts = NULL;
    gathering->exchange = NULL;
    while (part != NULL) {
        struct part *next = part->next;

        part_free(part);
        part = next;
    }
    gathering_unref(gathering);
}
