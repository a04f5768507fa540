/* sluice-load: what relaying costs, mode by mode and beside others.
 * Refuses to know more than the names of the subcommands. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "sluice_load/command.h"
#include "sluice_load/load.h"

static const struct {
    const char *name, *help;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"http", "URL...   load an HTTP server", command_http},
    {"tcp", "ADDRESS  load a TCP server or proxy", command_tcp},
    {"modes", "what each relay mode of sluice costs", command_modes},
    {"peers", "sluice beside HAProxy, nginx and hitch", command_peers},
    {"origin", "the server behind the proxies that modes and peers load", command_origin},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_usage(FILE *file)
{
    fputs("usage: sluice-load COMMAND [options]\n", file);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(file, "  %-6s %s\n", commands[i].name, commands[i].help);
    fputs("sluice-load COMMAND --help tells its options. Only loopback is loaded, unless --allow-remote says "
          "otherwise.\n",
          file);
}

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    load_interrupt();
}

/* The first Ctrl-C ends the load and prints what there is, the second ends the program. */
static void set_up_process(void)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    struct rlimit limit;

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("sluice-load %s\n", SLUICE_VERSION);
        return 0;
    }
    set_up_process();
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    command_usage_error("no such command: %s", argv[1]);
}
