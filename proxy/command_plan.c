/* `sluice plan -c FILE [--json]`: what each listener of a configuration can do on this host.
 * Refuses to know how modes are chosen: relay's plan does, for live connections too. */
#include <getopt.h>
#include <stdio.h>

#include "conf/conf.h"
#include "proxy/commands.h"
#include "proxy/generation.h"
#include "proxy/plan_report.h"
#include "proxy/stats_registry.h"

#define USAGE "sluice plan -c FILE [--json]"

static int finish(int status)
{
    if (fflush(stdout) == EOF || ferror(stdout)) {
        perror("sluice: plan: standard output");
        return EXIT_FAILED;
    }
    return status;
}

static int print_plan(const struct conf *conf, bool json)
{
    struct probe probe;
    json_t *report;
    int status = EXIT_GOOD;

    probe_run(&probe, conf->pipe_size);
    report = plan_report_build(conf, &probe);
    if (report == NULL) {
        fprintf(stderr, "sluice: plan: out of memory\n");
        return EXIT_FAILED;
    }
    if (!json)
        plan_report_print(report, stdout);
    else if (json_dumpf(report, stdout, JSON_INDENT(2)) == -1 || putchar('\n') == EOF)
        status = EXIT_FAILED;
    json_decref(report);
    return finish(status);
}

int command_plan(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    struct conf_problems problems = {0};
    struct stats_registry *registry;
    struct backend_registry *backends;
    struct generation *generation = NULL;
    struct conf *conf = NULL;
    const char *path = NULL;
    bool json = false;
    int option, status = EXIT_FAILED;

    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (option == 'c')
            path = optarg;
        else if (option == 'j')
            json = true;
        else
            return command_usage("plan", USAGE, "unknown or incomplete option: %s", argv[optind - 1]);
    }
    if (optind != argc)
        return command_usage("plan", USAGE, "unexpected argument: %s", argv[optind]);
    if (path == NULL)
        return command_usage("plan", USAGE, "-c FILE is missing");
    /* A generation that nobody serves by: what `check` finds wrong, this must find too. */
    registry = stats_registry_new(1);
    backends = backend_registry_new();
    if (registry != NULL && backends != NULL)
        conf = conf_load(path, &problems);
    if (conf != NULL) {
        generation = generation_new(
            &(struct generation_options){
                .conf = conf, .number = 1, .worker_count = 1, .registry = registry, .backends = backends},
            &problems);
        if (generation == NULL)
            conf_free(conf);
    }
    if (generation != NULL)
        status = print_plan(generation->conf, json);
    else if (problems.count > 0)
        conf_problems_print(&problems, stderr);
    else
        fprintf(stderr, "sluice: plan: out of memory\n");
    conf_problems_clear(&problems);
    generation_unref(generation);
    stats_registry_free(registry);
    backend_registry_free(backends);
    return status;
}
