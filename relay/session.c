/* Steps both flows of a connection at every edge, passes a loss on as a reset, and ends once.
 * Refuses to know who the two sides are. */
#include "relay/session.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "relay/mover.h"

struct session {
    struct loop *loop;
    struct endpoint *client, *server;
    struct loop_task task; /* the next turn; the burial, once it is freed */
    uint64_t last_activity, last_moved;
    int last_unsent[2];              /* by enum session_side */
    enum session_side first_end : 4; /* whose end came first; NEITHER: none yet */
    uint8_t bulk;                    /* turns, from now on, in which it counts as one that moves much */
    bool ended : 1;
    struct session_end end;
    void (*on_end)(void *arg, const struct session_end *end);
    void *arg;
    struct flow flows[2]; /* by enum session_direction */
};

/* A turn that moves this much makes the next ones wait for the end of the loop's turn: those who move little
 * come first. On one worker with 20 bulk transfers a request of 1 KiB waits for one of them instead of for
 * all. */
#define SESSION_BULK (64u << 10)
#define SESSION_BULK_TURNS 16

static const enum session_side source_side[2] = {
    [SESSION_TO_SERVER] = SESSION_CLIENT,
    [SESSION_TO_CLIENT] = SESSION_SERVER,
};
static const enum session_side sink_side[2] = {
    [SESSION_TO_SERVER] = SESSION_SERVER,
    [SESSION_TO_CLIENT] = SESSION_CLIENT,
};

static const char no_detail[] = "";

/* The end is told from a turn of the queue of its own, so that on_end is free to free everything. */
static void conclude(struct session *session, const struct session_end *end)
{
    session->ended = true;
    session->end = *end;
    if (session->end.detail == NULL)
        session->end.detail = no_detail;
    endpoint_on_ready(session->client, NULL, NULL);
    endpoint_on_ready(session->server, NULL, NULL);
    loop_queue(session->loop, &session->task);
}

static void lose(struct session *session, const struct session_end *end)
{
    endpoint_reset(session->client);
    endpoint_reset(session->server);
    conclude(session, end);
}

/* Who is to blame for a flow's end, and whether it was a loss at all. */
static void on_flow_lost(struct session *session, enum session_direction direction)
{
    const struct flow *flow = &session->flows[direction];
    enum flow_end end = flow_end(flow);
    enum session_side side = end == FLOW_END_SINK ? sink_side[direction] : source_side[direction];
    if (end == FLOW_END_REFUSED || end == FLOW_END_DENIED)
        side = SESSION_NEITHER;

    /* A TLS client that has had the server's end, close_notify and all, and then just closes: sloppy, common,
     * and no loss of anything the server still wanted for certain. Whether bytes were cut off nobody can
     * know, so the server, if it still listens, sees a reset; the log tells a complete connection. */
    if (direction == SESSION_TO_SERVER && end == FLOW_END_TRUNCATED &&
        flow_end(&session->flows[SESSION_TO_CLIENT]) == FLOW_END_COMPLETE) {
        endpoint_reset(session->server);
        conclude(session, &(struct session_end){.closed_by = SESSION_SERVER, .end = FLOW_END_COMPLETE});
        return;
    }
    const char *detail = flow_detail(flow);
    lose(session, &(struct session_end){
                      .closed_by = side,
                      .end = end,
                      .error = flow_error(flow),
                      .refusal = end == FLOW_END_REFUSED ? flow_refusal(flow) : 0,
                      .detail = detail[0] != '\0' ? strdup(detail) : NULL, /* its endpoint is about to go */
                  });
}

/* A reset shows when its socket is read or written. A socket that is doing neither (its flow waits for the
 * other side, or has ended) must be asked. */
static bool notice_reset(struct session *session, enum session_direction direction)
{
    const struct flow *flow = &session->flows[direction];
    struct endpoint *source = direction == SESSION_TO_SERVER ? session->client : session->server;
    if (flow_end(flow) == FLOW_END_NONE && !flow_waits_for_sink(flow))
        return false;
    int error = endpoint_check(source);
    if (error == 0)
        return false;
    lose(session,
         &(struct session_end){.closed_by = source_side[direction], .end = FLOW_END_SOURCE, .error = error});
    return true;
}

/* The source of a flow that is complete has said its last byte, and once the other flow is, too, the owner
 * closes it, which ends its stream as well as a shutdown would. But for TLS, whose close_notify is the flow's
 * to send. */
static void spare_shutdown(struct session *session, enum session_direction direction)
{
    struct flow *other = &session->flows[!direction];
    if (other->sink->kind == ENDPOINT_SOCKET)
        other->shutdown_sink = false;
}

static void turn(struct session *session)
{
    bool again = false;
    for (int d = 0; d < 2; d++) {
        struct flow *flow = &session->flows[d];
        enum flow_status status = flow_step(flow);
        if (session->first_end == SESSION_NEITHER && flow_source_ended(flow))
            session->first_end = source_side[d];
        if (status == FLOW_ENDED && flow_end(flow) != FLOW_END_COMPLETE) {
            on_flow_lost(session, (enum session_direction)d);
            return;
        }
        if (status == FLOW_ENDED)
            spare_shutdown(session, (enum session_direction)d);
        again = again || status == FLOW_READY;
    }
    const uint64_t moved = flow_moved(&session->flows[0]) + flow_moved(&session->flows[1]);
    if (moved - session->last_moved >= SESSION_BULK)
        session->bulk = SESSION_BULK_TURNS;
    else if (session->bulk != 0)
        session->bulk--;
    if (moved != session->last_moved) {
        session->last_moved = moved;
        session->last_activity = loop_now_ms();
    }
    if (flow_end(&session->flows[0]) == FLOW_END_COMPLETE &&
        flow_end(&session->flows[1]) == FLOW_END_COMPLETE) {
        conclude(session, &(struct session_end){.closed_by = session->first_end, .end = FLOW_END_COMPLETE});
        return;
    }
    if (notice_reset(session, SESSION_TO_SERVER) || notice_reset(session, SESSION_TO_CLIENT))
        return;
    if (again)
        loop_queue(session->loop, &session->task);
}

static void on_ready(void *arg)
{
    struct session *session = arg;
    if (session->ended)
        return;
    if (session->bulk != 0)
        loop_queue(session->loop, &session->task);
    else
        turn(session);
}

static void on_task(struct loop_task *task)
{
    struct session *session = (struct session *)((char *)task - offsetof(struct session, task));
    if (session->ended)
        session->on_end(session->arg, &session->end);
    else
        turn(session);
}

static void on_burial(struct loop_task *task)
{
    struct session *session = (struct session *)((char *)task - offsetof(struct session, task));
    if (session->end.detail != no_detail)
        free((char *)(uintptr_t)session->end.detail);
    free(session);
}

struct session *session_start(const struct session_options *options)
{
    struct session *session = calloc(1, sizeof(*session));
    if (session == NULL)
        return NULL;
    session->loop = options->loop;
    session->client = options->client;
    session->server = options->server;
    session->first_end = SESSION_NEITHER;
    session->on_end = options->on_end;
    session->arg = options->arg;
    session->task.run = on_task;
    session->last_activity = loop_now_ms();
    for (int d = 0; d < 2; d++) {
        const struct flow_options flow = {
            .source = d == SESSION_TO_SERVER ? options->client : options->server,
            .sink = d == SESSION_TO_SERVER ? options->server : options->client,
            .policy = options->policy,
            .counters = options->counters[d],
            .filters = options->filters[d],
            .shutdown_sink = true,
            .pace = options->paces[d],
            .resume = &session->task,
        };
        flow_init(&session->flows[d], &flow);
    }
    endpoint_on_ready(options->client, on_ready, session);
    endpoint_on_ready(options->server, on_ready, session);
    loop_queue(session->loop, &session->task); /* edges that came before are not told again */
    return session;
}

void session_free(struct session *session)
{
    if (session == NULL)
        return;
    if (!session->ended) {
        endpoint_on_ready(session->client, NULL, NULL);
        endpoint_on_ready(session->server, NULL, NULL);
    }
    session->ended = true;
    loop_unqueue(session->loop, &session->task);
    flow_release(&session->flows[SESSION_TO_SERVER]);
    flow_release(&session->flows[SESSION_TO_CLIENT]);
    session->task.run = on_burial;
    loop_bury(session->loop, &session->task);
}

uint64_t session_last_activity(const struct session *session)
{
    return session->last_activity;
}

void session_look(struct session *session)
{
    const struct endpoint *sides[2] = {session->client, session->server};
    for (int side = 0; side < 2; side++) {
        int unsent = endpoint_unsent(sides[side]);
        if (unsent != session->last_unsent[side] || flow_is_paused(&session->flows[side]))
            session->last_activity = loop_now_ms();
        session->last_unsent[side] = unsent;
    }
}

struct flow *session_flow(struct session *session, enum session_direction direction)
{
    return &session->flows[direction];
}
