/* The subcommands, and what their command lines have in common. Each command takes argv with its own name
 * first and returns the exit status: 0 good, 1 the load or the comparison failed, 2 usage. Refuses to know
 * what main is called with besides. */
#ifndef SLUICE_LOAD_COMMAND_H
#define SLUICE_LOAD_COMMAND_H

#include <sched.h>
#include <stdint.h>

int command_http(int argc, char **argv);
int command_tcp(int argc, char **argv);
int command_modes(int argc, char **argv);
int command_peers(int argc, char **argv);
int command_origin(int argc, char **argv);

/* For command lines: the value, or a message on stderr and exit status 2. option: its name, for the message.
 */
uint64_t command_count(const char *option, const char *text, uint64_t minimum, uint64_t maximum);
uint64_t command_size(const char *option, const char *text);
uint64_t command_duration(const char *option, const char *text);
double command_rate(const char *option, const char *text);
void command_cpus(const char *option, const char *text, cpu_set_t *cpus); /* 0,2-3 */

void command_usage_error(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
