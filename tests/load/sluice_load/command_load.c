/* `sluice-load http` and `sluice-load tcp`: one load on any target, and what it was like.
 * Refuses to start or to know the server, but for the processor time of processes it is told of. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluice_load/clock.h"
#include "sluice_load/command.h"
#include "sluice_load/measure.h"
#include "sluice_load/report.h"
#include "sluice_load/target.h"

#define PAYLOAD_SIZE (1u << 20)

struct command_line {
    struct load_options load;
    struct content content, payload;
    struct measure_pids pids;
    cpu_set_t cpus;
    const char *file, *sha256;
    char *headers;
    const char *html;
    bool http, json, quiet, allow_remote;
};

enum {
    OPTION_RATE = 256,
    OPTION_ALLOW_REMOTE,
    OPTION_CA,
    OPTION_CIPHERSUITE,
    OPTION_CPUS,
    OPTION_DRAIN,
    OPTION_FILE,
    OPTION_HEAD,
    OPTION_HTML,
    OPTION_JSON,
    OPTION_NO_KEEPALIVE,
    OPTION_PID,
    OPTION_QUIET,
    OPTION_RANGE,
    OPTION_RECEIVE,
    OPTION_RESUME,
    OPTION_SEND,
    OPTION_SHA256,
    OPTION_SOURCES,
    OPTION_STATUS,
    OPTION_TIMEOUT,
    OPTION_TLS,
};

#define COMMON_OPTIONS                                                                                    \
    {"connections", required_argument, NULL, 'c'}, {"threads", required_argument, NULL, 't'},             \
        {"requests", required_argument, NULL, 'n'}, {"duration", required_argument, NULL, 'd'},           \
        {"rate", required_argument, NULL, OPTION_RATE},                                                   \
        {"allow-remote", no_argument, NULL, OPTION_ALLOW_REMOTE},                                         \
        {"ca", required_argument, NULL, OPTION_CA},                                                       \
        {"ciphersuite", required_argument, NULL, OPTION_CIPHERSUITE},                                     \
        {"cpus", required_argument, NULL, OPTION_CPUS}, {"drain", required_argument, NULL, OPTION_DRAIN}, \
        {"file", required_argument, NULL, OPTION_FILE}, {"help", no_argument, NULL, 'h'},                 \
        {"html", required_argument, NULL, OPTION_HTML}, {"json", no_argument, NULL, OPTION_JSON},         \
        {"no-keepalive", no_argument, NULL, OPTION_NO_KEEPALIVE},                                         \
        {"pid", required_argument, NULL, OPTION_PID}, {"quiet", no_argument, NULL, OPTION_QUIET},         \
        {"resume", no_argument, NULL, OPTION_RESUME}, {"sha256", required_argument, NULL, OPTION_SHA256}, \
        {"sources", required_argument, NULL, OPTION_SOURCES},                                             \
        {"timeout", required_argument, NULL, OPTION_TIMEOUT},                                             \
    {                                                                                                     \
        "tls", required_argument, NULL, OPTION_TLS                                                        \
    }

static const struct option http_options[] = {COMMON_OPTIONS,
                                             {"header", required_argument, NULL, 'H'},
                                             {"head", no_argument, NULL, OPTION_HEAD},
                                             {"range", required_argument, NULL, OPTION_RANGE},
                                             {"status", required_argument, NULL, OPTION_STATUS},
                                             {NULL, 0, NULL, 0}};

static const struct option tcp_options[] = {COMMON_OPTIONS,
                                            {"send", required_argument, NULL, OPTION_SEND},
                                            {"receive", required_argument, NULL, OPTION_RECEIVE},
                                            {NULL, 0, NULL, 0}};

static int parse_tls_version(const char *text)
{
    if (strcmp(text, "1.2") == 0)
        return TLS1_2_VERSION;
    if (strcmp(text, "1.3") != 0)
        command_usage_error("--tls is 1.2 or 1.3");
    return TLS1_3_VERSION;
}

static void add_header(struct command_line *line, const char *text)
{
    char *grown;

    if (strchr(text, ':') == NULL || strpbrk(text, "\r\n") != NULL)
        command_usage_error("-H: %s is not a field like 'Name: value'", text);
    if (asprintf(&grown, "%s%s\r\n", line->headers != NULL ? line->headers : "", text) == -1)
        command_usage_error("no memory");
    free(line->headers);
    line->load.headers = line->headers = grown;
}

static void add_pid(struct command_line *line, const char *text)
{
    if (line->pids.count == MEASURE_PIDS)
        command_usage_error("--pid: more than %d processes", MEASURE_PIDS);
    line->pids.pids[line->pids.count++] = (pid_t)command_count("--pid", text, 1, 1 << 22);
}

static const char *range_value(const char *text)
{
    if (text[0] == '\0' || strspn(text, "0123456789-,") != strlen(text))
        command_usage_error("--range: %s is not a range like 0-999, 1000- or -500", text);
    return text;
}

static void parse_specific(struct command_line *line, int option)
{
    switch (option) {
    case 'H':
        add_header(line, optarg);
        break;
    case OPTION_HEAD:
        line->load.head = true;
        break;
    case OPTION_RANGE:
        line->load.range = range_value(optarg);
        break;
    case OPTION_STATUS:
        line->load.status = (int)command_count("--status", optarg, 100, 599);
        break;
    case OPTION_SEND:
        line->load.send_size = command_size("--send", optarg);
        break;
    case OPTION_RECEIVE:
        line->load.receive_size = command_size("--receive", optarg);
        break;
    default:
        command_usage_error("bad options");
    }
}

static void parse_tls(struct command_line *line, int option)
{
    if (option == OPTION_CA)
        line->load.tls.ca = optarg;
    else if (option == OPTION_CIPHERSUITE)
        line->load.tls.ciphersuite = optarg;
    else if (option == OPTION_RESUME)
        line->load.tls.resume = true;
    else
        line->load.tls.version = parse_tls_version(optarg);
}

static void parse_option(struct command_line *line, int option)
{
    switch (option) {
    case 'c':
        line->load.connections = (unsigned)command_count("-c", optarg, 1, LOAD_CONNECTIONS_MAX);
        break;
    case 't':
        line->load.threads = (unsigned)command_count("-t", optarg, 1, 256);
        break;
    case 'n':
        line->load.requests = command_count("-n", optarg, 1, INT64_MAX);
        break;
    case 'd':
        line->load.duration_ns = command_duration("-d", optarg);
        break;
    case OPTION_RATE:
        line->load.rate = command_rate("--rate", optarg);
        break;
    case OPTION_ALLOW_REMOTE:
        line->allow_remote = true;
        break;
    case OPTION_CPUS:
        command_cpus("--cpus", optarg, &line->cpus);
        line->load.cpus = &line->cpus;
        break;
    case OPTION_DRAIN:
        if (drain_parse(optarg, &line->load.drain) == -1)
            command_usage_error("--drain is copy, trunc or verify");
        break;
    case OPTION_FILE:
        line->file = optarg;
        break;
    case OPTION_SHA256:
        line->sha256 = optarg;
        break;
    case OPTION_SOURCES:
        line->load.sources = (unsigned)command_count("--sources", optarg, 1, 250);
        break;
    case OPTION_HTML:
        line->html = optarg;
        break;
    case OPTION_JSON:
        line->json = true;
        break;
    case OPTION_NO_KEEPALIVE:
        line->load.keep_alive = false;
        break;
    case OPTION_PID:
        add_pid(line, optarg);
        break;
    case OPTION_QUIET:
        line->quiet = true;
        break;
    case OPTION_TIMEOUT:
        line->load.timeout_ns = command_duration("--timeout", optarg);
        break;
    case OPTION_CA:
    case OPTION_CIPHERSUITE:
    case OPTION_RESUME:
    case OPTION_TLS:
        parse_tls(line, option);
        break;
    default:
        parse_specific(line, option);
    }
}

static struct target *parse_targets(struct command_line *line, int count, char **texts)
{
    struct target *targets = calloc((size_t)count, sizeof(*targets));

    for (int i = 0; targets != NULL && i < count; i++) {
        enum target_result result = line->http
                                        ? target_parse_url(texts[i], line->allow_remote, &targets[i])
                                        : target_parse_address(texts[i], line->allow_remote, &targets[i]);

        if (result != TARGET_GOOD)
            command_usage_error("%s: %s", texts[i], target_result_text(result));
        if (targets[i].tls && line->load.drain == DRAIN_TRUNC)
            command_usage_error(
                "--drain trunc: the kernel cannot throw away what is to be decrypted; take copy");
    }
    return targets;
}

static void check_verification(struct command_line *line)
{
    struct load_options *load = &line->load;

    if (load->drain != DRAIN_VERIFY) {
        if (line->file != NULL || line->sha256 != NULL)
            command_usage_error("--file and --sha256 belong to --drain verify");
        return;
    }
    if (line->file != NULL) {
        if (content_open(&line->content, line->file) == -1)
            command_usage_error("%s: %s", line->file, strerror(errno));
        load->content = &line->content;
    } else if (line->sha256 != NULL) {
        if (content_set_sha256(&line->content, line->sha256) == -1)
            command_usage_error("--sha256 takes 64 hexadecimal digits");
        load->content = &line->content;
    } else if (line->http || load->payload == NULL) {
        command_usage_error("--drain verify needs --file or --sha256");
    }
}

static void check_command_line(struct command_line *line)
{
    struct load_options *load = &line->load;

    if (load->send_size > 0) {
        if (content_generate(&line->payload, PAYLOAD_SIZE) == -1)
            command_usage_error("no memory");
        load->payload = &line->payload;
    }
    check_verification(line);
    if (load->requests == 0 && load->duration_ns == 0)
        load->duration_ns = 10 * NS_PER_S;
    if (!line->http && load->receive_size == LOAD_UNTIL_END && load->send_size > 0 && load->keep_alive)
        command_usage_error(
            "--send needs --receive SIZE, or --no-keepalive: until the end there is one exchange");
    if (!line->http && load->receive_size == 0 && load->send_size == 0 && load->keep_alive)
        command_usage_error("--receive 0 without --send is nothing but connections: add --no-keepalive");
}

static void print_usage(const char *command)
{
    bool http = strcmp(command, "http") == 0;

    printf("usage: sluice-load %s\n",
           http ? "http [options] URL..." : "tcp [options] [tcp://|tls://]ADDRESS:PORT");
    puts("  -c N             connections at a time (1)\n"
         "  -t N             threads (1)\n"
         "  -n N, -d TIME    so many requests, or so long (10s); what comes first\n"
         "  --rate N         open loop: N requests per second, timed from when each was meant to start\n"
         "  --no-keepalive   a connection for every request\n"
         "  --sources N      connect from 127.0.0.1 to 127.0.0.N in turn: one address has 28,000 ports\n"
         "  --drain copy|trunc|verify   read the answers (default), let the kernel drop them, or compare "
         "them\n"
         "  --file FILE, --sha256 HEX   what verify compares with\n"
         "  --tls 1.2|1.3    this version only; --ca FILE verifies the server; --resume offers its session "
         "again\n"
         "  --ciphersuite NAME   of TLS 1.3, like TLS_AES_128_GCM_SHA256\n"
         "  --timeout TIME    of one request (30s)\n"
         "  --pid PID        a process of the server: its processor time is told, too\n"
         "  --cpus LIST      processors for the client, like 0,2-3\n"
         "  --allow-remote   targets that are not on loopback\n"
         "  --json           the result as JSON on stdout; --html FILE: as a page; --quiet: no line per "
         "second");
    if (http)
        puts("  --range A-B, --head, -H 'Name: value', --status N (the one expected; any below 400 "
             "otherwise)");
    else
        puts("  --send SIZE      bytes to send (0); --receive SIZE: bytes to wait for (all until the end)");
    puts("Exit status: 0 every request succeeded, 1 not so, 2 usage.");
}

static int run(struct command_line *line, const char *command)
{
    struct measure_point before, after;
    struct measure measure;
    struct load_result result;
    int status = 1;

    if (measure_take(&line->pids, NULL, &before) == -1)
        command_usage_error("--pid: %s", strerror(errno));
    if (load_run(&line->load, &result) == 0) {
        status = result.failed == 0 && result.requests > 0 ? 0 : 1;
        if (measure_take(&line->pids, NULL, &after) == -1) {
            fprintf(stderr, "sluice-load: a process of --pid ended under the load\n");
            line->pids.count = 0;
            after.server_cpu = before.server_cpu;
            status = 1;
        }
        measure_between(&before, &after, &measure);
        if (!line->json)
            report_load_text(stdout, &line->load, &result, &measure, &line->pids);
        if (report_give(report_load_json(command, &line->load, &result, &measure, &line->pids), line->json,
                        line->html) == -1)
            status = 1;
    }
    load_result_free(&result);
    return status;
}

static int command_load(int argc, char **argv, bool http)
{
    struct command_line line = {
        .http = http,
        .load = {.connections = 1,
                 .threads = 1,
                 .keep_alive = true,
                 .timeout_ns = 30 * NS_PER_S,
                 .receive_size = LOAD_UNTIL_END,
                 .live = ""},
    };
    struct target *targets;
    int status;

    for (int option; (option = getopt_long(argc, argv, http ? "c:t:n:d:H:h" : "c:t:n:d:h",
                                           http ? http_options : tcp_options, NULL)) != -1;) {
        if (option == 'h') {
            print_usage(argv[0]);
            return 0;
        }
        parse_option(&line, option);
    }
    if (optind == argc || (!http && optind != argc - 1))
        command_usage_error(http ? "a URL is needed" : "one address is needed");
    check_command_line(&line);
    targets = parse_targets(&line, argc - optind, argv + optind);
    line.load.targets = targets;
    line.load.target_count = (size_t)(argc - optind);
    if (line.quiet)
        line.load.live = NULL;
    status = targets != NULL ? run(&line, argv[0]) : 1;
    content_close(&line.content);
    content_close(&line.payload);
    free(line.headers);
    free(targets);
    return status;
}

int command_http(int argc, char **argv)
{
    return command_load(argc, argv, true);
}

int command_tcp(int argc, char **argv)
{
    return command_load(argc, argv, false);
}
