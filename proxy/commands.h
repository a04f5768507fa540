/* The subcommands of sluice: each gets its own argv (argv[0] is its name) and returns the exit status.
 * 0: good. 1: configuration or run-time failure, told on stderr. 2: usage, told on stderr. */
#pragma once

#define EXIT_GOOD 0
#define EXIT_FAILED 1
#define EXIT_USAGE 2

int command_run(int argc, char **argv);
int command_check(int argc, char **argv);
int command_plan(int argc, char **argv);
int command_probe(int argc, char **argv);
int command_serve(int argc, char **argv);
int command_relay(int argc, char **argv);
int command_demo(int argc, char **argv);
int command_reference(int argc, char **argv);

/* "sluice: COMMAND: ..." and the usage line on stderr; returns EXIT_USAGE. */
int command_usage(const char *command, const char *usage, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
