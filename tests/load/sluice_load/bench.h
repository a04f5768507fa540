/* Where a comparison takes place: a private directory, processors divided between server and client, an
 * origin behind the proxies, and one measured run. Refuses to know which servers are compared. */
#ifndef SLUICE_LOAD_BENCH_H
#define SLUICE_LOAD_BENCH_H

#include "sluice_load/load.h"
#include "sluice_load/measure.h"
#include "sluice_load/paths.h"
#include "sluice_load/server.h"
#include "sluice_load/spread.h"
#include "sluice_load/workspace.h"

struct bench_options {
    const char *sluice;  /* the program; NULL: the one beside this program */
    uint64_t seconds_ns; /* of one run */
    unsigned repeat, threads;
    bool pin;      /* the servers on the last processor, all else on the others; not with one processor */
    bool sendfile; /* the origin sends by sendfile instead of from its memory */
    bool quiet;
};

/* The origin echoes on one port of 127.0.0.1 and of the addresses after it, so many in all: a proxy that
 * opens a connection for each of its clients' would run out of ports for a single one (see stream_open). */
#define BENCH_ORIGIN_ADDRESSES 8

struct bench {
    struct bench_options options;
    char sluice[WORKSPACE_PATH], self[WORKSPACE_PATH];
    struct workspace workspace;
    cpu_set_t server_cpus, client_cpus;
    bool pinned;
    struct server origin;
    struct measure_pids helpers; /* the origin's process */
    char origin_http[128], origin_echo[128];
};

/* Largest: of what the origin can send. close is needed after a failure, too. */
int bench_open(struct bench *bench, const struct bench_options *options, uint64_t largest)
    __attribute__((warn_unused_result));
void bench_close(struct bench *bench);

/* Whether the origin runs before ordinary processes, as it does at first: what is bulk comes in large pieces
 * then, as from a server that isn't the limit; small answers cost it a change of process each. Refused to
 * ordinary users, which is no error. */
void bench_hurry_origin(const struct bench *bench, bool urgent);
#define BENCH_URGENT (-15)

/* Options of the load that the bench decides: threads, processors, timeout; closed loop, keep-alive, one
 * request. */
void bench_load_options(const struct bench *bench, struct load_options *options);

/* One run. */
struct bench_sample {
    struct load_result load;
    struct measure measure;
    bool client_limited;
    double others; /* of all processors' time, what went to strangers: 0 to 1 */
};

/* -1 with a message if a process is gone or the load could not begin; a load of which a request failed is
 * also one. sample is to be freed after success. */
int bench_run(const struct bench *bench, const struct load_options *options,
              const struct measure_pids *server, struct bench_sample *sample)
    __attribute__((warn_unused_result));
void bench_sample_free(struct bench_sample *sample);

/* The same, counting system calls: what else it gives is disturbed and thrown away. Both are 0 where they
 * cannot be counted; *why says why. */
int bench_count_syscalls(const struct bench *bench, const struct load_options *options,
                         const struct measure_pids *server, double *per_byte, double *per_request,
                         const char **why) __attribute__((warn_unused_result));

/* Waits until the listener has no connection, then reads its account. -1 with a message. */
int bench_account(const char *admin_address, const char *listener, struct paths *paths)
    __attribute__((warn_unused_result));

/* Whether a name is among those of a list that are separated by commas; NULL lists all. */
bool bench_is_listed(const char *list, const char *name);

/* {"kernel", "processor", "processors", "openssl"}. New reference. */
json_t *bench_machine(void);

/* {"repeat", "seconds", "pinned", "origin"}. New reference. */
json_t *bench_json(const struct bench *bench);

/* A line of progress on stderr: how much of all is done, and what comes. */
void bench_progress(const struct bench *bench, uint64_t began_ns, unsigned done, unsigned all,
                    const char *what);

#endif
