/* The command line: finds the subcommand and leaves everything else to it. */
#include <stdio.h>
#include <string.h>

#include "proxy/commands.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *usage, *help;
} commands[] = {
    {"run", command_run, "[-c FILE]", "serve by a configuration, in the foreground"},
    {"check", command_check, "-c FILE", "say what is wrong with a configuration"},
    {"plan", command_plan, "-c FILE [--json]", "which ways bytes can take by it on this host"},
    {"probe", command_probe, "[--json]", "what kernel and OpenSSL can do here"},
    {"serve", command_serve, "DIR [-l ADDR] [--tls]", "files of a directory over http or https"},
    {"relay", command_relay, "ADDR TARGET...", "a TCP proxy"},
    {"demo", command_demo, "[--once] [--port N]", "everything at once, to look at or to check itself"},
    {"reference", command_reference, "", "every configuration key"},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_usage(FILE *stream)
{
    fputs("usage: sluice COMMAND ...\n\n", stream);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(stream, "  %-9s %-22s %s\n", commands[i].name, commands[i].usage, commands[i].help);
    fputs("\n  serve and relay also take --relay MODE and --admin ADDR\n"
          "  --help, --version\n",
          stream);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_usage(stdout);
        return EXIT_GOOD;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("sluice " SLUICE_VERSION);
        return EXIT_GOOD;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "sluice: unknown command: %s (sluice --help lists them)\n", argv[1]);
    return EXIT_USAGE;
}
