/* `sluice relay`: a TCP proxy from the command line. Writes a configuration and serves by it.
 * Refuses to know what its values mean: the loader says what is wrong with them. */
#include <getopt.h>
#include <unistd.h>

#include "proxy/command_server.h"
#include "proxy/commands.h"

#define RELAY_USAGE "sluice relay ADDR TARGET... [--relay MODE] [--admin ADDR]"

struct relay_arguments {
    struct command_common common;
    char **targets;
    int target_count;
};

static void write_text(struct command_text *text, const void *arg)
{
    const struct relay_arguments *arguments = arg;

    fputs("log = { access = \"stderr\"; };\n", text->stream);
    if (arguments->common.admin != NULL) {
        fputs("admin = { listen = ", text->stream);
        command_text_quote(text, arguments->common.admin);
        fputs("; };\n", text->stream);
    }
    fputs("backends = { relay = { servers = (", text->stream);
    for (int i = 0; i < arguments->target_count; i++) {
        fputs(i == 0 ? " " : ", ", text->stream);
        command_text_quote(text, arguments->targets[i]);
    }
    fputs(" ); }; };\nlisteners = { relay = { proxy = \"relay\"; address = ", text->stream);
    command_text_quote(text, arguments->common.listen);
    fputs("; relay = ", text->stream);
    command_text_quote(text, arguments->common.mode);
    fputs("; }; };\n", text->stream);
}

static int serve(const struct relay_arguments *arguments)
{
    struct command_server server = {0};

    return command_server_run_text(&server, "relay", write_text, arguments);
}

int command_relay(int argc, char **argv)
{
    static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
                                            {"relay", required_argument, NULL, 'r'},
                                            {"admin", required_argument, NULL, 'a'},
                                            {NULL, 0, NULL, 0}};
    struct relay_arguments arguments = {.common = {.mode = "auto"}};
    int option;

    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "l:", options, NULL)) != -1) {
        if (option == 'l')
            arguments.common.listen = optarg;
        else if (option == 'r')
            arguments.common.mode = optarg;
        else if (option == 'a')
            arguments.common.admin = optarg;
        else
            return command_usage("relay", RELAY_USAGE, "unknown or incomplete option: %s", argv[optind - 1]);
    }
    if (arguments.common.listen == NULL && optind < argc)
        arguments.common.listen = argv[optind++];
    if (optind == argc)
        return command_usage("relay", RELAY_USAGE,
                             "an address to listen on and at least one target are needed");
    arguments.targets = argv + optind;
    arguments.target_count = argc - optind;
    for (int i = 0; i < arguments.target_count; i++)
        if (!command_target_check(arguments.targets[i], "relay", RELAY_USAGE))
            return EXIT_USAGE;
    if (!command_common_check(&arguments.common, "relay", RELAY_USAGE))
        return EXIT_USAGE;
    return serve(&arguments);
}
