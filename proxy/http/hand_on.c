/* See hand_on.h. */
#include "proxy/http/hand_on.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "proxy/http/http_conn_state.h"

void http_exchange_hand_on(struct http_exchange *exchange, const struct http_handler *handler, size_t strip)
{
    struct http_target *target = &exchange->request.resolved;
    target->prefix = strip + (strip > 0 && target->size > strip);
    http_exchange_hand(exchange, handler);
}

void http_exchange_set_site(struct http_exchange *exchange, const char *name)
{
    snprintf(exchange->report.site, sizeof(exchange->report.site), "%s", name);
}

void http_exchange_set_target(struct http_exchange *exchange, const char *name)
{
    snprintf(exchange->report.target, sizeof(exchange->report.target), "%s", name);
}

const struct tls_facts *http_exchange_tls(const struct http_exchange *exchange)
{
    return exchange->report.has_tls ? &exchange->report.tls : NULL;
}

unsigned http_exchange_port(const struct http_exchange *exchange)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    if (getsockname(exchange->conn->client->fd, (struct sockaddr *)&address, &length) == -1)
        return 0;
    if (address.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&address)->sin_port);
    if (address.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&address)->sin6_port);
    return 0;
}
