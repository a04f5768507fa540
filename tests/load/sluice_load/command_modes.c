/* `sluice-load modes`: the command line of the comparison of relay modes.
 * Refuses to know how it is made and shown. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sluice_load/clock.h"
#include "sluice_load/command.h"
#include "sluice_load/modes.h"
#include "sluice_load/report.h"
#include "sluice_load/units.h"

enum {
    OPTION_SLUICE = 256,
    OPTION_COLD,
    OPTION_DRAIN,
    OPTION_GROUPS,
    OPTION_HTML,
    OPTION_JSON,
    OPTION_NO_PIN,
    OPTION_ORIGIN_SENDFILE,
    OPTION_PIPE_SIZE,
    OPTION_QUICK,
    OPTION_QUIET,
    OPTION_REPEAT,
    OPTION_SIZES,
};

static const struct option options_known[] = {{"connections", required_argument, NULL, 'c'},
                                              {"threads", required_argument, NULL, 't'},
                                              {"duration", required_argument, NULL, 'd'},
                                              {"help", no_argument, NULL, 'h'},
                                              {"sluice", required_argument, NULL, OPTION_SLUICE},
                                              {"cold", no_argument, NULL, OPTION_COLD},
                                              {"drain", required_argument, NULL, OPTION_DRAIN},
                                              {"groups", required_argument, NULL, OPTION_GROUPS},
                                              {"html", required_argument, NULL, OPTION_HTML},
                                              {"json", no_argument, NULL, OPTION_JSON},
                                              {"no-pin", no_argument, NULL, OPTION_NO_PIN},
                                              {"origin-sendfile", no_argument, NULL, OPTION_ORIGIN_SENDFILE},
                                              {"pipe-size", required_argument, NULL, OPTION_PIPE_SIZE},
                                              {"quick", no_argument, NULL, OPTION_QUICK},
                                              {"quiet", no_argument, NULL, OPTION_QUIET},
                                              {"repeat", required_argument, NULL, OPTION_REPEAT},
                                              {"sizes", required_argument, NULL, OPTION_SIZES},
                                              {NULL, 0, NULL, 0}};

struct command_line {
    struct modes_options modes;
    const char *html;
    bool json;
};

/* Calls take for each part of a list that is separated by commas. */
static void each_part(const char *list, void (*take)(struct modes_options *options, const char *part),
                      struct modes_options *options)
{
    char part[32];

    for (const char *at = list;; at++) {
        size_t length = strcspn(at, ",");

        if (length >= sizeof(part))
            command_usage_error("%s: too long", at);
        memcpy(part, at, length);
        part[length] = '\0';
        take(options, part);
        at += length;
        if (*at == '\0')
            return;
    }
}

static void take_size(struct modes_options *options, const char *part)
{
    if (options->size_count == MODES_SIZES)
        command_usage_error("--sizes: more than %d", MODES_SIZES);
    options->sizes[options->size_count] = command_size("--sizes", part);
    if (options->sizes[options->size_count++] == 0)
        command_usage_error("--sizes: 0 is not a size to measure");
}

static void take_connections(struct modes_options *options, const char *part)
{
    if (options->connections_count == MODES_CONNECTIONS)
        command_usage_error("-c: more than %d", MODES_CONNECTIONS);
    options->connections[options->connections_count++] =
        (unsigned)command_count("-c", part, 1, LOAD_CONNECTIONS_MAX);
}

static void take_drain(struct modes_options *options, const char *part)
{
    if (options->drain_count == MODES_DRAINS ||
        drain_parse(part, &options->drains[options->drain_count]) == -1)
        command_usage_error("--drain is of copy, trunc and verify");
    options->drain_count++;
}

static void take_group(struct modes_options *options, const char *part)
{
    (void)options;
    for (size_t i = 0; i < modes_count; i++) {
        if (strcmp(modes_all[i].group, part) == 0)
            return;
    }
    command_usage_error("--groups is of relay, files, files-tls and relay-tls");
}

/* A look, in a minute or two. */
static void set_quick(struct modes_options *options)
{
    options->size_count = options->connections_count = 0;
    each_part("1KiB,64KiB,10MB", take_size, options);
    each_part("20", take_connections, options);
    options->bench.seconds_ns = 300 * NS_PER_MS;
}

static void print_usage(void)
{
    puts("usage: sluice-load modes [options]\n"
         "Runs sluice with every relay mode forced, and tells what each costs, and where zero copy loses. "
         "Rows "
         "that did not\n"
         "take their mode have no figures.\n"
         "  --sizes LIST     (1KiB,16KiB,256KiB,4MiB,100MB)\n"
         "  -c LIST          connections at a time (1,20,100)\n"
         "  --drain LIST     of copy, trunc, verify (trunc; over TLS always copy instead)\n"
         "  --groups LIST    of relay, files, files-tls, relay-tls (all)\n"
         "  -d TIME          of one run (500ms); those in flight then are waited for\n"
         "  --repeat N       runs of each row (5)\n"
         "  -t N             threads of the client (1)\n"
         "  --cold           also files that are not in the page cache, one request each\n"
         "  --pipe-size SIZE sluice's pipe_size\n"
         "  --origin-sendfile  what is relayed is sent by sendfile instead of from memory\n"
         "  --no-pin         do not keep sluice on the last processor and all else on the others\n"
         "  --quick          1KiB,64KiB,10MB x 20, 300ms\n"
         "  --sluice PROGRAM (the one beside this program)\n"
         "  --json           the result as JSON on stdout; --html FILE: as a page; --quiet: no progress\n"
         "Exit status: 0 good, 1 a row fell back or failed, 2 usage.");
}

static void parse_bench_option(struct command_line *line, int option)
{
    struct bench_options *bench = &line->modes.bench;

    switch (option) {
    case 'd':
        bench->seconds_ns = command_duration("-d", optarg);
        break;
    case 't':
        bench->threads = (unsigned)command_count("-t", optarg, 1, 256);
        break;
    case OPTION_REPEAT:
        bench->repeat = (unsigned)command_count("--repeat", optarg, 1, SPREAD_MAX);
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
    case OPTION_HTML:
        line->html = optarg;
        break;
    case OPTION_JSON:
        line->json = true;
        break;
    default:
        command_usage_error("bad options");
    }
}

static void parse_option(struct command_line *line, int option)
{
    struct modes_options *modes = &line->modes;

    switch (option) {
    case 'c':
        modes->connections_count = 0;
        each_part(optarg, take_connections, modes);
        break;
    case OPTION_SIZES:
        modes->size_count = 0;
        each_part(optarg, take_size, modes);
        break;
    case OPTION_DRAIN:
        modes->drain_count = 0;
        each_part(optarg, take_drain, modes);
        break;
    case OPTION_GROUPS:
        each_part(optarg, take_group, modes);
        modes->only = optarg;
        break;
    case OPTION_PIPE_SIZE:
        command_size("--pipe-size", optarg);
        modes->pipe_size = optarg;
        break;
    case OPTION_COLD:
        modes->cold = true;
        break;
    case OPTION_QUICK:
        set_quick(modes);
        break;
    default:
        parse_bench_option(line, option);
    }
}

static void set_defaults(struct modes_options *modes)
{
    *modes = (struct modes_options){
        .bench = {.seconds_ns = 500 * NS_PER_MS, .repeat = 5, .threads = 1, .pin = true},
        .drains = {DRAIN_TRUNC},
        .drain_count = 1,
    };
    each_part("1KiB,16KiB,256KiB,4MiB,100MB", take_size, modes);
    each_part("1,20,100", take_connections, modes);
}

static uint64_t largest_size(const struct modes_options *options)
{
    uint64_t largest = 0;

    for (size_t i = 0; i < options->size_count; i++)
        largest = options->sizes[i] > largest ? options->sizes[i] : largest;
    return largest;
}

int command_modes(int argc, char **argv)
{
    struct command_line line = {0};
    struct modes_result result = {0};
    struct bench bench;
    int status = 1;

    set_defaults(&line.modes);
    for (int option; (option = getopt_long(argc, argv, "c:t:d:h", options_known, NULL)) != -1;) {
        if (option == 'h') {
            print_usage();
            return 0;
        }
        parse_option(&line, option);
    }
    if (optind != argc)
        command_usage_error("modes takes options only");
    if (bench_open(&bench, &line.modes.bench, largest_size(&line.modes)) == 0 &&
        modes_run(&bench, &line.modes, &result) == 0) {
        status = modes_result_good(&result) ? 0 : 1;
        if (!line.json)
            modes_print(stdout, &line.modes, &result);
        if (report_give(modes_json(&bench, &line.modes, &result), line.json, line.html) == -1)
            status = 1;
    }
    modes_result_free(&result);
    bench_close(&bench);
    return status;
}
