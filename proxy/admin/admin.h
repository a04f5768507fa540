/* The admin pages: the page, /metrics, /status.json, /connections.json and /healthz. Reads only; changes
 * nothing. Refuses to know HTTP (http/ does) and how the figures come about. */
#pragma once

#include "proxy/http/http_conn.h"

struct server;

/* The handler of the admin listener; server is borrowed and outlives every exchange. To be called before the
 * workers start; the handler itself runs on any worker's thread, on several at a time. */
struct http_handler admin_handler(struct server *server);
