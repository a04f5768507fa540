/* Sluice beside HAProxy, nginx and hitch: the same work through each in turn, and the ratio of what it costs.
 * Refuses to know how the results are shown. */
#ifndef SLUICE_LOAD_PEERS_H
#define SLUICE_LOAD_PEERS_H

#include "sluice_load/bench.h"
#include "sluice_load/site.h"

/* ---- who takes part ---- */

enum peer_id {
    PEER_SLUICE,
    PEER_HAPROXY_SPLICE,
    PEER_HAPROXY_SPLICE_1M,
    PEER_HAPROXY_COPY,
    PEER_HAPROXY_TLS,
    PEER_NGINX_FILES,
    PEER_NGINX_STREAM,
    PEER_HITCH,
    PEERS
};

/* What a participant listens with. Sluice has a listener for each, the peers what they can. */
enum peer_port {
    PORT_HTTP, /* relays to the origin, or serves files */
    PORT_ECHO, /* relays to the echo */
    PORT_HTTPS,
    PORT_KTLS,
    PORT_COPY, /* Sluice: relays to the origin by copy */
    PORT_TLS,  /* Sluice: ends TLS, relays to the origin */
    PORT_FILES,
    PEER_PORTS
};

struct peer {
    enum peer_id id;
    struct server server;
    struct measure_pids pids; /* who does the work */
    char addresses[PEER_PORTS][128];
    char admin[128]; /* of Sluice */
};

struct peers_options {
    struct bench_options bench;
    const char *templates; /* directory of their configurations; NULL: the source tree's tests/load/peers */
    const char
        *root; /* where the peers are unpacked; NULL: $SLUICE_PEERS or the source tree's build/peers/root */
    const char *only;        /* names of contests, separated by commas; NULL: all */
    uint64_t bulk_size;      /* of what is called 100 MB */
    unsigned idle;           /* connections of the idle contest */
    unsigned files;          /* of the directory of many files */
    bool ktls;               /* set by peers_run: this kernel has it */
    const struct site *site; /* and what is served */
};

const char *peer_name(enum peer_id id);

/* What Sluice calls the listener of a port (sluice.conf). */
const char *peer_listener(enum peer_port port);

/* -1 with a message. stop is good for one that did not start. */
int peer_start(struct peer *peer, enum peer_id id, const struct bench *bench,
               const struct peers_options *options) __attribute__((warn_unused_result));
void peer_stop(struct peer *peer);

/* ---- what is contested ---- */

enum work {
    WORK_BULK,        /* large answers, a connection each */
    WORK_REQUESTS,    /* small ones on connections that stay */
    WORK_COLD,        /* the same for each file of a directory, none of them in the page cache */
    WORK_CONNECTIONS, /* a connection for each small one */
    WORK_ECHO,        /* so much there, so much back, on connections that stay */
    WORK_ECHO_CONNECTIONS,
    WORK_IDLE,  /* connections on which nothing happens */
    WORK_MIXED, /* one of WORK_ECHO beside bulk on the same worker */
};

enum metric {
    METRIC_NONE,
    METRIC_CPU_PER_GB,
    METRIC_THROUGHPUT,
    METRIC_REQUEST_RATE,
    METRIC_CPU_PER_REQUEST,
    METRIC_P99,
    METRIC_MEMORY,
    METRICS
};

struct metric_goal {
    enum metric metric; /* METRIC_NONE: there is no such goal */
    double target;      /* of the ratio ours / theirs; of METRIC_MEMORY: of ours, in bytes. 0: none was set */
    bool more;          /* the ratio should be at least the target, else at most */
};

#define CONTEST_GOALS 2

/* Each of a contest's goals in turn. */
#define CONTEST_FOREACH_GOAL(goal, contest)                 \
    for (const struct metric_goal *goal = (contest)->goals; \
         goal < (contest)->goals + CONTEST_GOALS && goal->metric != METRIC_NONE; goal++)

struct contest {
    const char *name;
    const char *text; /* the work in words */
    const char *against;
    enum work work;
    enum peer_port ours, theirs;
    enum peer_id peer; /* PEER_SLUICE: against ourselves on another port */
    unsigned connections;
    uint64_t size;                 /* of the file of WORK_REQUESTS, unless it is from */
    enum site_directory directory; /* instead */
    bool https, resume, ktls;
    struct path_expected expected; /* the one path that Sluice may take; no members: any */
    struct metric_goal goals[CONTEST_GOALS];
};

extern const struct contest contests_all[];
extern const size_t contests_count;

/* Of one side. */
struct contest_side {
    struct spread figures[METRICS];
    struct spread others;
    double syscalls_per_byte, syscalls_per_request;
    unsigned client_limited;
};

struct contest_result {
    const struct contest *contest;
    struct contest_side ours, theirs;
    unsigned again;        /* pairs of turns that were disturbed and made again */
    struct paths paths;    /* of Sluice, in the last repetition */
    char unavailable[200]; /* "": it was carried out */
    bool failed;           /* unavailable, and that is an error */
};

struct peers_result {
    struct contest_result *rows;
    size_t count;
    const char *syscalls_why;
    bool interrupted;
};

enum verdict {
    VERDICT_MET,
    VERDICT_MISSED,
    VERDICT_OPEN, /* no target was set */
    VERDICT_NONE, /* it was not carried out */
};

/* By the ratio of the medians. */
enum verdict peers_verdict(const struct contest_result *row, const struct metric_goal *goal, double *ratio,
                           struct spread *ratios);

int peers_run(struct bench *bench, struct peers_options *options, struct peers_result *result)
    __attribute__((warn_unused_result));
void peers_result_free(struct peers_result *result);

/* One turn of a contest on one side; -1 with *why, which is for people. */
int peers_turn(const struct bench *bench, const struct peers_options *options, const struct contest *contest,
               const struct peer *peer, struct contest_side *side, char why[200])
    __attribute__((warn_unused_result));

/* The same with system calls counted, and nothing else. */
int peers_count_turn(const struct bench *bench, const struct peers_options *options,
                     const struct contest *contest, const struct peer *peer, struct contest_side *side,
                     const char **syscalls_why, char why[200]) __attribute__((warn_unused_result));

json_t *peers_json(const struct bench *bench, const struct peers_options *options,
                   const struct peers_result *result);
void peers_print(FILE *file, const struct peers_options *options, const struct peers_result *result);

/* The name and unit of a metric. */
const char *metric_name(enum metric metric);
const char *metric_unit(enum metric metric);

#endif
