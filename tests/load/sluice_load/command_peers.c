/* `sluice-load peers`: the command line of the comparison with HAProxy, nginx and hitch.
 * Refuses to know how it is made and shown. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "sluice_load/clock.h"
#include "sluice_load/command.h"
#include "sluice_load/peers.h"
#include "sluice_load/report.h"

enum {
    OPTION_SLUICE = 256,
    OPTION_CONFIGS,
    OPTION_FILES,
    OPTION_IDLE,
    OPTION_HTML,
    OPTION_JSON,
    OPTION_LIST,
    OPTION_NO_PIN,
    OPTION_ONLY,
    OPTION_ORIGIN_SENDFILE,
    OPTION_QUICK,
    OPTION_QUIET,
    OPTION_REPEAT,
    OPTION_ROOT,
    OPTION_SIZE,
    OPTION_STRICT,
};

static const struct option options_known[] = {{"threads", required_argument, NULL, 't'},
                                              {"duration", required_argument, NULL, 'd'},
                                              {"help", no_argument, NULL, 'h'},
                                              {"sluice", required_argument, NULL, OPTION_SLUICE},
                                              {"configs", required_argument, NULL, OPTION_CONFIGS},
                                              {"files", required_argument, NULL, OPTION_FILES},
                                              {"idle", required_argument, NULL, OPTION_IDLE},
                                              {"html", required_argument, NULL, OPTION_HTML},
                                              {"json", no_argument, NULL, OPTION_JSON},
                                              {"list", no_argument, NULL, OPTION_LIST},
                                              {"no-pin", no_argument, NULL, OPTION_NO_PIN},
                                              {"only", required_argument, NULL, OPTION_ONLY},
                                              {"origin-sendfile", no_argument, NULL, OPTION_ORIGIN_SENDFILE},
                                              {"peers", required_argument, NULL, OPTION_ROOT},
                                              {"quick", no_argument, NULL, OPTION_QUICK},
                                              {"quiet", no_argument, NULL, OPTION_QUIET},
                                              {"repeat", required_argument, NULL, OPTION_REPEAT},
                                              {"size", required_argument, NULL, OPTION_SIZE},
                                              {"strict", no_argument, NULL, OPTION_STRICT},
                                              {NULL, 0, NULL, 0}};

struct command_line {
    struct peers_options peers;
    const char *html;
    bool json, list, strict;
};

static void print_usage(void)
{
    puts("usage: sluice-load peers [options]\n"
         "The same work through Sluice and through HAProxy, nginx or hitch in turn; prints the ratios.\n"
         "  --only LIST      names of contests (--list tells them)\n"
         "  --repeat N       turns of each side (5)\n"
         "  -d TIME          of a turn that is not a number of transfers (1s)\n"
         "  --size SIZE      of what is called 100 MB (100MB)\n"
         "  --idle N         connections of the idle contest (9000)\n"
         "  --files N        of what is called 100,000 files (100000)\n"
         "  -t N             threads of the client (1)\n"
         "  --quick          10MB, 300ms, 3 turns, 1000 idle connections, 10000 files: a look\n"
         "  --no-pin         do not keep the servers on the last processor and all else on the others\n"
         "  --origin-sendfile  what is relayed is sent by sendfile instead of from memory\n"
         "  --sluice PROGRAM (the one beside this program)\n"
         "  --peers DIR      where tests/peers unpacked them (build/peers/root; $SLUICE_PEERS)\n"
         "  --configs DIR    their configurations (tests/load/peers)\n"
         "  --json           the result as JSON on stdout; --html FILE: as a page; --quiet: no progress\n"
         "  --strict         exit status 1 if a target is missed, too\n"
         "Exit status: 0 good, 1 a contest could not be carried out, 2 usage.");
}

static void check_only(const char *list)
{
    char name[64];

    for (const char *at = list;; at++) {
        size_t length = strcspn(at, ","), i = 0;

        snprintf(name, sizeof(name), "%.*s", (int)length, at);
        while (i < contests_count && strcmp(contests_all[i].name, name) != 0)
            i++;
        if (i == contests_count)
            command_usage_error("--only: there is no contest %s (--list)", name);
        at += length;
        if (*at == '\0')
            return;
    }
}

/* Those of every comparison. */
static void parse_bench_option(struct command_line *line, int option)
{
    struct bench_options *bench = &line->peers.bench;

    switch (option) {
    case 'd':
        bench->seconds_ns = command_duration("-d", optarg);
        break;
    case 't':
        bench->threads = (unsigned)command_count("-t", optarg, 1, 256);
        break;
    case OPTION_SLUICE:
        bench->sluice = optarg;
        break;
    case OPTION_NO_PIN:
        bench->pin = false;
        break;
    case OPTION_ORIGIN_SENDFILE:
        bench->sendfile = true;
        break;
    case OPTION_QUIET:
        bench->quiet = true;
        break;
    case OPTION_REPEAT:
        bench->repeat = (unsigned)command_count("--repeat", optarg, 1, SPREAD_MAX);
        break;
    default:
        command_usage_error("bad options");
    }
}

static void parse_option(struct command_line *line, int option)
{
    struct peers_options *peers = &line->peers;

    switch (option) {
    case OPTION_CONFIGS:
        peers->templates = optarg;
        break;
    case OPTION_ROOT:
        peers->root = optarg;
        break;
    case OPTION_FILES:
        peers->files = (unsigned)command_count("--files", optarg, 1, 150000);
        break;
    case OPTION_IDLE:
        peers->idle = (unsigned)command_count("--idle", optarg, 1, LOAD_CONNECTIONS_MAX);
        break;
    case OPTION_ONLY:
        check_only(optarg);
        peers->only = optarg;
        break;
    case OPTION_SIZE:
        peers->bulk_size = command_size("--size", optarg);
        if (peers->bulk_size < 4096)
            command_usage_error("--size: 4096 bytes at least");
        break;
    case OPTION_QUICK:
        peers->bulk_size = 10000000;
        peers->idle = 1000;
        peers->files = 10000;
        peers->bench.seconds_ns = 300 * NS_PER_MS;
        peers->bench.repeat = 3;
        break;
    case OPTION_HTML:
        line->html = optarg;
        break;
    case OPTION_JSON:
        line->json = true;
        break;
    case OPTION_LIST:
        line->list = true;
        break;
    case OPTION_STRICT:
        line->strict = true;
        break;
    default:
        parse_bench_option(line, option);
    }
}

static int exit_status(const struct command_line *line, const struct peers_result *result)
{
    for (size_t i = 0; i < result->count; i++) {
        const struct contest_result *row = &result->rows[i];

        if (row->failed)
            return 1;
        CONTEST_FOREACH_GOAL(goal, row->contest)
        {
            struct spread ratios;
            double ratio;

            if (peers_verdict(row, goal, &ratio, &ratios) == VERDICT_MISSED && line->strict)
                return 1;
        }
    }
    return result->count > 0 ? 0 : 1;
}

static int list_contests(void)
{
    for (size_t i = 0; i < contests_count; i++)
        printf("%-16s %s, against %s\n", contests_all[i].name, contests_all[i].text, contests_all[i].against);
    return 0;
}

int command_peers(int argc, char **argv)
{
    struct command_line line = {
        .peers = {.bench = {.seconds_ns = NS_PER_S, .repeat = 5, .threads = 1, .pin = true},
                  .bulk_size = 100000000,
                  .idle = 9000,
                  .files = 100000},
    };
    struct peers_result result = {0};
    struct bench bench;
    int status = 1;

    for (int option; (option = getopt_long(argc, argv, "t:d:h", options_known, NULL)) != -1;) {
        if (option == 'h') {
            print_usage();
            return 0;
        }
        parse_option(&line, option);
    }
    if (optind != argc)
        command_usage_error("peers takes options only");
    if (line.list)
        return list_contests();
    if (bench_open(&bench, &line.peers.bench, line.peers.bulk_size) == 0 &&
        peers_run(&bench, &line.peers, &result) == 0) {
        status = exit_status(&line, &result);
        if (!line.json)
            peers_print(stdout, &line.peers, &result);
        if (report_give(peers_json(&bench, &line.peers, &result), line.json, line.html) == -1)
            status = 1;
    }
    peers_result_free(&result);
    bench_close(&bench);
    return status;
}
