/* `sluice run`: the daemon, in the foreground. Refuses to know how it serves. */
#include <getopt.h>
#include <stddef.h>

#include "proxy/command_server.h"
#include "proxy/commands.h"

#define RUN_USAGE "sluice run [-c FILE]"
#define RUN_DEFAULT_FILE "conf/sluice.conf"

int command_run(int argc, char **argv)
{
    static const struct option options[] = {{"conf", required_argument, NULL, 'c'}, {NULL, 0, NULL, 0}};
    const char *path = RUN_DEFAULT_FILE;
    struct command_server server = {0};
    int option;

    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (option != 'c')
            return command_usage("run", RUN_USAGE, "unknown or incomplete option: %s", argv[optind - 1]);
        path = optarg;
    }
    if (optind != argc)
        return command_usage("run", RUN_USAGE, "unexpected argument: %s", argv[optind]);
    server.conf_path = path;
    server.conf = conf_load(path, &server.problems);
    return command_server_run(&server);
}
