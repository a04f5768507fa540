/* `sluice demo --once`: fetches the file through each listener, compares hashes, and prints what admin says
 * of the paths that the bytes took. Refuses to know how the demo was set up. */
#include <inttypes.h>
#include <jansson.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/demo.h"
#include "proxy/demo_client.h"
#include "proxy/server.h"

/* Counters are written after the bytes have gone: how long to wait until they have caught up. */
#define SETTLE_TRIES 500
#define SETTLE_MS 10

static const struct {
    enum demo_listener listener;
    int tls_version; /* -1: plain */
} fetches[] = {
    {DEMO_PROXY, -1},
    {DEMO_HTTP, -1},
    {DEMO_HTTPS, TLS1_3_VERSION},
    {DEMO_HTTPS, TLS1_2_VERSION},
};
#define FETCH_COUNT (sizeof(fetches) / sizeof(fetches[0]))

static bool fetch_one(const struct server *server, const struct demo_site *site, size_t i,
                      const volatile int *stop)
{
    const char *name = demo_listener_name(fetches[i].listener);
    struct demo_fetch fetch = {
        .address = server_address(server, name),
        .path = "/" DEMO_FILE_NAME,
        .ca = fetches[i].tls_version != -1 ? site->ca : NULL,
        .tls_version = fetches[i].tls_version != -1 ? fetches[i].tls_version : 0,
        .stop = stop,
    };
    bool good = demo_fetch(&fetch), same;

    if (!good) {
        printf("%-8s  FAILED: %s\n", name, fetch.error);
        return false;
    }
    same = fetch.status == 200 && fetch.bytes == DEMO_FILE_SIZE &&
           memcmp(fetch.digest, site->digest, sizeof(fetch.digest)) == 0;
    printf("%-8s  %-8s %-40s  status %d  %" PRIu64 " bytes  %" PRIu64 ".%03" PRIu64 " s  %s\n", name,
           fetch.tls[0] != '\0' ? fetch.tls : "plain", fetch.cipher, fetch.status, fetch.bytes,
           fetch.milliseconds / 1000, fetch.milliseconds % 1000, same ? "SHA-256 equal" : "SHA-256 DIFFERS");
    return same;
}

/* The admin's /status.json; NULL after telling why. */
static json_t *get_status(const struct server *server, const volatile int *stop)
{
    struct demo_fetch fetch = {
        .address = server_address(server, demo_listener_name(DEMO_ADMIN)),
        .path = "/status.json",
        .keep_body = true,
        .stop = stop,
    };
    json_error_t error;
    json_t *status = NULL;

    if (!demo_fetch(&fetch))
        printf("admin     FAILED: %s\n", fetch.error);
    else if (fetch.status != 200)
        printf("admin     FAILED: status %d\n", fetch.status);
    else if ((status = json_loads(fetch.body, 0, &error)) == NULL)
        printf("admin     FAILED: %s\n", error.text);
    free(fetch.body);
    return status;
}

static const json_t *get_direction(const json_t *status, const char *listener, const char *direction)
{
    const json_t *of = json_object_get(json_object_get(status, "listeners"), listener);

    return json_object_get(json_object_get(of, "directions"), direction);
}

/* Whether every listener accounts for at least the bytes that were fetched through it. */
static bool settled(const json_t *status)
{
    uint64_t wanted[DEMO_PORT_COUNT] = {0};

    for (size_t i = 0; i < FETCH_COUNT; i++)
        wanted[fetches[i].listener] += DEMO_FILE_SIZE;
    wanted[DEMO_BACKEND] = wanted[DEMO_PROXY];
    for (unsigned i = 0; i < DEMO_ADMIN; i++) {
        const json_t *direction =
            get_direction(status, demo_listener_name((enum demo_listener)i), "to_client");

        if ((uint64_t)json_integer_value(json_object_get(direction, "bytes")) < wanted[i])
            return false;
    }
    return true;
}

static json_t *wait_for_status(const struct server *server, const volatile int *stop)
{
    const struct timespec pause = {.tv_nsec = SETTLE_MS * 1000000L};

    for (int try = 0; try < SETTLE_TRIES; try++) {
        json_t *status = get_status(server, stop);

        if (status == NULL || settled(status))
            return status;
        json_decref(status);
        nanosleep(&pause, NULL);
    }
    printf("admin     FAILED: its counters don't account for what was fetched\n");
    return NULL;
}

/* "forced, generated" */
static void join_reasons(const json_t *segment, char *text, size_t size)
{
    size_t length = 0;
    const char *reason;
    json_t *count;

    text[0] = '\0';
    json_object_foreach(json_object_get(segment, "reasons"), reason, count)
    {
        int n = snprintf(text + length, size - length, "%s%s", length > 0 ? ", " : "", reason);

        if (n < 0 || (size_t)n >= size - length)
            return;
        length += (size_t)n;
    }
}

static void print_modes(const json_t *status)
{
    static const char *const directions[] = {"to_client", "to_server"};

    printf("\n%-8s  %-9s  %-8s  %-6s  %-4s  %12s  %s\n", "LISTENER", "DIRECTION", "MODE", "SOURCE", "SINK",
           "BYTES", "REASONS");
    for (unsigned i = 0; i < DEMO_ADMIN; i++) {
        const char *name = demo_listener_name((enum demo_listener)i);

        for (int d = 0; d < 2; d++) {
            const json_t *segments = json_object_get(get_direction(status, name, directions[d]), "segments");
            const json_t *segment;
            size_t index;

            json_array_foreach(segments, index, segment)
            {
                char reasons[300];

                join_reasons(segment, reasons, sizeof(reasons));
                printf("%-8s  %-9s  %-8s  %-6s  %-4s  %12" JSON_INTEGER_FORMAT "  %s\n", name, directions[d],
                       json_string_value(json_object_get(segment, "mode")),
                       json_string_value(json_object_get(segment, "source_crypto")),
                       json_string_value(json_object_get(segment, "sink_crypto")),
                       json_integer_value(json_object_get(segment, "bytes")), reasons);
            }
        }
    }
}

int demo_check(const struct server *server, const struct demo_site *site, const volatile int *stop)
{
    bool good = true;
    json_t *status;

    for (size_t i = 0; i < FETCH_COUNT && good; i++) {
        good = fetch_one(server, site, i, stop);
        fflush(stdout);
    }
    status = good ? wait_for_status(server, stop) : get_status(server, stop);
    if (status != NULL)
        print_modes(status);
    good = good && status != NULL;
    json_decref(status);
    printf("\n%s\n", good ? "All hashes equal." : "FAILED.");
    return good ? 0 : 1;
}
