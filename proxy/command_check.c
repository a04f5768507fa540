/* `sluice check`: everything about a configuration that can be known without binding and without becoming
 * another user. Silent when it is good. */
#include <getopt.h>
#include <stdio.h>

#include "proxy/commands.h"
#include "proxy/generation.h"
#include "proxy/privileges.h"

#define CHECK_USAGE "sluice check -c FILE"

static void check(const char *path, struct conf_problems *problems)
{
    struct stats_registry *registry = stats_registry_new(1);
    struct backend_registry *backends = backend_registry_new();
    struct conf *conf = conf_load(path, problems);
    struct generation *generation = NULL;
    struct privileges privileges;
    struct conf_problems warnings = {0};

    if (registry != NULL && backends != NULL && conf != NULL) {
        privileges_resolve(conf, &privileges, problems); /* for its problems: it goes on all the same */
        generation = generation_new(&(struct generation_options){.conf = conf,
                                                                 .number = 1,
                                                                 .worker_count = 1,
                                                                 .registry = registry,
                                                                 .backends = backends,
                                                                 .warnings = &warnings},
                                    problems);
    }
    conf_problems_print(&warnings, stderr); /* they are no reason to fail */
    conf_problems_clear(&warnings);
    if (generation != NULL)
        generation_unref(generation);
    else
        conf_free(conf);
    stats_registry_free(registry);
    backend_registry_free(backends);
}

int command_check(int argc, char **argv)
{
    static const struct option options[] = {{"conf", required_argument, NULL, 'c'}, {NULL, 0, NULL, 0}};
    struct conf_problems problems = {0};
    const char *path = NULL;
    int option, status;

    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (option != 'c')
            return command_usage("check", CHECK_USAGE, "unknown or incomplete option: %s", argv[optind - 1]);
        path = optarg;
    }
    if (optind != argc)
        return command_usage("check", CHECK_USAGE, "unexpected argument: %s", argv[optind]);
    if (path == NULL)
        return command_usage("check", CHECK_USAGE, "-c FILE is missing");
    check(path, &problems);
    status = problems.count == 0 ? EXIT_GOOD : EXIT_FAILED;
    conf_problems_print(&problems, stderr);
    conf_problems_clear(&problems);
    return status;
}
