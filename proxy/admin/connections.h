/* /connections.json: the open connections of every worker, asked for by message and put together on the
 * worker that was asked. No locks: a worker's connections are read on its own thread only. Refuses to know
 * what a connection is (conn.h) and how a report is shown (report.h). */
#pragma once

#include <stddef.h>

#include "proxy/http/http_conn.h"

struct server;

/* A report is some 2 KiB and is turned into JSON on a worker, which serves others too. */
#define CONNECTIONS_LIMIT 1000u
#define CONNECTIONS_LIMIT_MAX 10000u

/* Answers the exchange later: a JSON array of at most `limit` reports (which, if there are more, isn't
 * defined), the newest last, without admin's own; the header Sluice-Total says how many there are. */
void connections_start(struct server *server, struct http_exchange *exchange, size_t limit);

/* The exchange has ended first; the answers still under way are dropped. */
void connections_cancel(struct http_exchange *exchange);
