/* `sluice demo [--once] [--port N]`: reads the arguments and minds the signals that come before the server
 * does. Refuses to know what the demo shows. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/commands.h"
#include "proxy/demo.h"

#define USAGE "sluice demo [--once] [--port N]"

static volatile int stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

/* The first of five ports, or 0 for any. false: no such number. */
static bool parse_port(const char *text, unsigned *port)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end != '\0' || number > 65536 - DEMO_PORT_COUNT)
        return false;
    *port = (unsigned)number;
    return true;
}

int command_demo(int argc, char **argv)
{
    static const struct option options[] = {
        {"once", no_argument, NULL, 'o'}, {"port", required_argument, NULL, 'p'}, {NULL, 0, NULL, 0}};
    struct demo_options demo = {.port = DEMO_PORT, .stop = &stop};
    const struct sigaction action = {.sa_handler = on_signal};
    int option;

    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'o')
            demo.once = true;
        else if (option != 'p')
            return command_usage("demo", USAGE, "unknown or incomplete option: %s", argv[optind - 1]);
        else if (!parse_port(optarg, &demo.port))
            return command_usage("demo", USAGE, "--port: not a port that has four more above it: %s", optarg);
    }
    if (optind != argc)
        return command_usage("demo", USAGE, "unexpected argument: %s", argv[optind]);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    return demo_run(&demo);
}
