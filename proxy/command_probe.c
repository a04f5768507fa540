/* `sluice probe [--json]`: tries what this host can do and shows it.
 * Refuses to know configuration: the findings are the host's. */
#include <getopt.h>
#include <stdio.h>

#include "proxy/commands.h"
#include "proxy/probe.h"

int command_probe(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    struct probe probe;
    bool json = false;
    json_t *root;
    int option, status = EXIT_GOOD;

    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 'j')
            return command_usage("probe", "sluice probe [--json]", "unknown or incomplete option: %s",
                                 argv[optind - 1]);
        json = true;
    }
    if (optind != argc)
        return command_usage("probe", "sluice probe [--json]", "unexpected argument: %s", argv[optind]);
    probe_run(&probe, 0);
    if (!json) {
        probe_print(&probe, stdout);
    } else {
        root = probe_to_json(&probe);
        if (root == NULL || json_dumpf(root, stdout, JSON_INDENT(2)) == -1)
            status = EXIT_FAILED;
        json_decref(root);
        putchar('\n');
    }
    if (fflush(stdout) == EOF || ferror(stdout)) {
        perror("sluice: probe: standard output");
        status = EXIT_FAILED;
    }
    return status;
}
