/* Fetches one thing over many connections at the same time and holds every byte to what it should be: the
 * client of the benchmark. One thread, level-triggered epoll; http, https and bare TCP, loopback only.
 * Refuses to know which server answers, and what it costs that one. */
#include <errno.h>
#include <inttypes.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "options.h"

#define EVENTS 256

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Everybody left when the time is up has failed. */
static void run_all(struct run *run, struct client *clients)
{
    double deadline = now() + run->options->timeout_s;
    for (int i = 0; i < run->options->connections; i++) {
        client_start(&clients[i], run);
    }
    while (run->active > 0) {
        struct epoll_event events[EVENTS];
        double left = deadline - now();
        int n = left > 0 ? epoll_wait(run->epoll, events, EVENTS, (int)(left * 1000) + 1) : 0;
        if (n == -1 && errno != EINTR) {
            die("epoll_wait: %s", strerror(errno));
        }
        for (int i = 0; i < n; i++) {
            client_turn(events[i].data.ptr);
        }
        for (int i = 0; n == 0 && i < run->options->connections; i++) {
            if (clients[i].state != STATE_DONE) {
                client_fail(&clients[i], "not done within %d s", run->options->timeout_s);
            }
        }
    }
}

int main(int argc, char **argv)
{
    struct options options;
    struct run run = {.options = &options};
    options_parse(&options, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    struct client *clients = calloc((size_t)options.connections, sizeof(*clients));
    run.buffer = malloc(BUFFER_SIZE);
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (clients == NULL || run.buffer == NULL || run.epoll == -1) {
        die("out of memory or descriptors");
    }
    double began = now();
    run_all(&run, clients);
    double seconds = now() - began;

    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    printf("{\"connections\": %d, \"bytes\": %" PRIu64 ", \"seconds\": %.6f, \"ok\": %d, \"failed\": %d, "
           "\"client_cpu_s\": %.3f, \"sha256\": \"%s\"}\n",
           options.connections, run.bytes, seconds, run.ok, run.failed, cpu, run.sha256);
    SSL_CTX_free(options.tls);
    free(run.buffer);
    free(clients);
    close(run.epoll);
    return run.failed == 0 && run.ok == options.connections ? 0 : 1;
}
