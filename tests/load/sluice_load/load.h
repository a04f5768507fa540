/* One load: so many connections that ask so many times, or for so long, and what came of it.
 * Refuses to know what the target costs: process.h measures that. */
#ifndef SLUICE_LOAD_LOAD_H
#define SLUICE_LOAD_LOAD_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sluice_load/content.h"
#include "sluice_load/stream.h"

struct histogram;
struct target;

#define LOAD_UNTIL_END UINT64_MAX
#define LOAD_CONNECTIONS_MAX 30000

enum load_failure {
    LOAD_FAILED_CONNECT,
    LOAD_FAILED_HANDSHAKE,
    LOAD_FAILED_BROKEN,   /* a reset, or an error while reading or writing */
    LOAD_FAILED_SHORT,    /* the connection ended before the answer did */
    LOAD_FAILED_PROTOCOL, /* an answer that is not HTTP, or longer than it says */
    LOAD_FAILED_STATUS,   /* not the status that was expected */
    LOAD_FAILED_MISMATCH, /* the body is not what it should be */
    LOAD_FAILED_TIMEOUT,
    LOAD_FAILURES
};

const char *load_failure_name(enum load_failure failure);

struct load_options {
    const struct target *targets; /* the requests go round them; all http or all not */
    size_t target_count;
    unsigned connections, threads;
    uint64_t requests;    /* 0: no limit */
    uint64_t duration_ns; /* 0: no limit */
    double rate;          /* of all requests, per second, timed from the intended start; 0: closed loop */
    bool keep_alive;
    bool finish;         /* when the time is up let those in flight end; they count */
    uint64_t timeout_ns; /* of one request */
    enum drain drain;
    const struct content *content; /* for DRAIN_VERIFY; NULL (tcp): what comes is what was sent */
    struct stream_tls_options tls;

    /* http */
    const char *const
        *paths; /* the requests go round these, each to the next target; NULL: the targets' own */
    size_t path_count;
    bool draw;           /* one of the paths at random, instead of one after the other */
    bool head;           /* HEAD instead of GET */
    const char *headers; /* further field lines, each with CR LF; NULL: none */
    const char *range;   /* as in "Range: bytes=…"; NULL: none */
    int status;          /* the one expected; 0: any below 400 */

    /* tcp */
    const struct content *payload; /* cyclic; NULL: nothing is sent */
    uint64_t send_size;
    uint64_t receive_size; /* LOAD_UNTIL_END: until the peer ends */

    const cpu_set_t *cpus; /* NULL: where the system likes */
    unsigned sources; /* connect from so many of 127.0.0.0/8 in turn, to targets on loopback; 0: from any */
    bool urgent;      /* its threads run before ordinary ones, where that is allowed */
    const char *live; /* a line per second on stderr begins with this; NULL: none */
};

struct load_result {
    double seconds; /* from the first request until the last answer */
    uint64_t requests, failures[LOAD_FAILURES], failed;
    uint64_t unfinished;  /* in flight at the end */
    uint64_t not_started; /* open loop: due before the end, but no connection was free */
    uint64_t bytes, bytes_sent;
    uint64_t connections, resumed;
    uint64_t statuses[6]; /* [2]: 200 to 299 … [0]: none of these */
    double client_cpu;    /* seconds, user and system, of the load's threads */
    bool interrupted;
    char first_failure[200];
    /* In nanoseconds, of requests that succeeded: from the actual start; open loop: from the intended start,
     * with those that never ended taken for as long as they had waited; of a connection's establishment. */
    struct histogram *latency, *corrected, *connect;
};

/* Returns when the load is over; other loads may run in other threads at the same time. -1 with a message on
 * stderr if it could not begin. *result is to be freed in either case. */
int load_run(const struct load_options *options, struct load_result *result)
    __attribute__((warn_unused_result));
void load_result_free(struct load_result *result);

/* Ends all loads soon; async-signal-safe. */
void load_interrupt(void);
bool load_interrupted(void);

#endif
