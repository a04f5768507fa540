/* See capture_filter.h. Refuses to know how a file is written. */
#include "proxy/filters/capture_filter.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct capture_filter {
    struct filter filter; /* first */
    struct capture_stream *stream;
    enum session_direction direction;
    uint64_t left;
};

static void unmap(struct sockaddr_storage *address)
{
    const struct sockaddr_in6 mapped = *(const struct sockaddr_in6 *)address;
    struct sockaddr_in plain = {.sin_family = AF_INET, .sin_port = mapped.sin6_port};

    if (address->ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&mapped.sin6_addr))
        return;
    memcpy(&plain.sin_addr, mapped.sin6_addr.s6_addr + 12, 4);
    memset(address, 0, sizeof(*address));
    memcpy(address, &plain, sizeof(plain));
}

static void invent(struct sockaddr_storage *address, unsigned port)
{
    const struct sockaddr_in loopback = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    memset(address, 0, sizeof(*address));
    memcpy(address, &loopback, sizeof(loopback));
}

void capture_stream_init(struct capture_stream *stream, struct capture *capture,
                         const struct sockaddr_storage *client, const struct sockaddr_storage *server,
                         uint64_t id)
{
    *stream = (struct capture_stream){.capture = capture, .client = *client, .server = *server};
    unmap(&stream->client);
    unmap(&stream->server);
    if ((stream->client.ss_family == AF_INET || stream->client.ss_family == AF_INET6) &&
        stream->client.ss_family == stream->server.ss_family)
        return;
    invent(&stream->client, 1024 + (unsigned)(id % 60000));
    invent(&stream->server, 1);
}

static bool add(struct capture_stream *stream, enum session_direction direction, unsigned flags,
                const uint8_t *data, size_t size)
{
    const bool from_client = direction == SESSION_TO_SERVER;
    const struct sockaddr *client = (const struct sockaddr *)&stream->client,
                          *server = (const struct sockaddr *)&stream->server;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    const struct pcapng_packet packet = {
        .time_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000,
        .from = from_client ? client : server,
        .to = from_client ? server : client,
        .seq = stream->next_seq[direction],
        .ack = (flags & PCAPNG_ACK) != 0 ? stream->next_seq[!direction] : 0,
        .flags = flags,
        .payload = data,
        .payload_size = size,
    };
    stream->next_seq[direction] += (uint32_t)size + ((flags & (PCAPNG_SYN | PCAPNG_FIN)) != 0 ? 1u : 0u);
    return capture_add(stream->capture, &packet);
}

static void begin(struct capture_stream *stream)
{
    stream->begun = true;
    (void)add(stream, SESSION_TO_SERVER, PCAPNG_SYN, NULL, 0);
    (void)add(stream, SESSION_TO_CLIENT, PCAPNG_SYN | PCAPNG_ACK, NULL, 0);
    (void)add(stream, SESSION_TO_SERVER, PCAPNG_ACK, NULL, 0);
}

static enum filter_status feed(struct filter *filter, const uint8_t *data, size_t size, bool end,
                               struct filter_output *output)
{
    struct capture_filter *capture = (struct capture_filter *)filter;
    struct capture_stream *stream = capture->stream;
    bool open = true;

    (void)output;
    if (!stream->begun)
        begin(stream);
    while (size > 0 && capture->left > 0) {
        size_t n = size < PCAPNG_PAYLOAD_MAX ? size : PCAPNG_PAYLOAD_MAX;

        if (n > capture->left)
            n = (size_t)capture->left;
        open = add(stream, capture->direction, PCAPNG_PSH | PCAPNG_ACK, data, n);
        data += n;
        size -= n;
        capture->left -= n;
    }
    if (end && size == 0)
        (void)add(stream, capture->direction, PCAPNG_FIN | PCAPNG_ACK, NULL, 0);
    return end || capture->left == 0 || !open ? FILTER_DONE : FILTER_MORE;
}

static void capture_filter_free(struct filter *filter)
{
    free(filter);
}

static const struct filter_class capture_class = {.feed = feed, .free = capture_filter_free};

struct filter *capture_filter_new(struct capture_stream *stream, enum session_direction direction,
                                  uint64_t limit)
{
    struct capture_filter *capture = calloc(1, sizeof(*capture));

    if (capture == NULL)
        return NULL;
    capture->filter.class = &capture_class;
    capture->stream = stream;
    capture->direction = direction;
    capture->left = limit;
    return &capture->filter;
}
