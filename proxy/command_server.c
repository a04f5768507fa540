/* See command_server.h. Refuses to know where a configuration comes from. */
#include "proxy/command_server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/commands.h"
#include "proxy/errlog.h"
#include "relay/mode.h"

int command_usage(const char *command, const char *usage, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "sluice: %s: ", command);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\nusage: %s\n", usage);
    return EXIT_USAGE;
}

int command_server_run(struct command_server *command)
{
    const struct server_options options = {
        .conf = command->conf, .conf_path = command->conf_path, .announce = stdout, .handle_signals = true};
    struct server *server = command->conf != NULL ? server_new(&options, &command->problems) : NULL;
    int status = EXIT_FAILED;

    if (server == NULL) {
        conf_problems_print(&command->problems, stderr);
        conf_free(command->conf);
    } else if (server_start(server) == -1) {
        errlog("can't start: %s", strerror(errno));
    } else {
        if (command->on_started != NULL)
            command->on_started(server, command->arg);
        status = server_run(server) == 0 ? EXIT_GOOD : EXIT_FAILED;
    }
    conf_problems_clear(&command->problems);
    server_free(server);
    return status;
}

typedef bool parse_fn(const char *text, struct conf_address *address, const char **problem);

static bool check_address(const char *address, parse_fn *parse, const char *command, const char *usage)
{
    struct conf_address parsed = {0};
    const char *problem = "";
    const bool good = parse(address, &parsed, &problem);

    if (good)
        conf_address_clear(&parsed);
    else
        command_usage(command, usage, "\"%s\" %s", address, problem);
    return good;
}

bool command_target_check(const char *address, const char *command, const char *usage)
{
    return check_address(address, conf_address_parse_server, command, usage);
}

bool command_common_check(const struct command_common *common, const char *command, const char *usage)
{
    enum relay_force force;

    if (!check_address(common->listen, conf_address_parse, command, usage))
        return false;
    if (common->admin != NULL && !check_address(common->admin, conf_address_parse, command, usage))
        return false;
    if (relay_force_parse(common->mode, &force))
        return true;
    command_usage(command, usage, "--relay: \"%s\" is not auto, splice, sendfile, mmap or copy",
                  common->mode);
    return false;
}

void command_text_quote(struct command_text *text, const char *value)
{
    fputc('"', text->stream);
    for (; *value != '\0'; value++) {
        const unsigned char byte = (unsigned char)*value;

        if (byte == '"' || byte == '\\')
            fprintf(text->stream, "\\%c", byte);
        else if (byte < 0x20 || byte == 0x7f)
            fprintf(text->stream, "\\x%02x", byte);
        else
            fputc(byte, text->stream);
    }
    fputc('"', text->stream);
}

int command_server_run_text(struct command_server *command, const char *name,
                            void (*write)(struct command_text *text, const void *arguments),
                            const void *arguments)
{
    struct command_text text = {0};

    text.stream = open_memstream(&text.text, &text.size);
    if (text.stream == NULL)
        goto failed;
    write(&text, arguments);
    if (fclose(text.stream) != 0)
        goto failed;
    command->conf = conf_load_text(text.text, name, ".", &command->problems);
    free(text.text);
    return command_server_run(command);

failed:
    errlog("%s: %s", name, strerror(errno));
    free(text.text);
    return EXIT_FAILED;
}
