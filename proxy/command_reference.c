/* `sluice reference`: the manual of the configuration, from the schema. */
#include <stdio.h>

#include "conf/schema.h"
#include "proxy/commands.h"

int command_reference(int argc, char **argv)
{
    if (argc != 1)
        return command_usage("reference", "sluice reference", "unexpected argument: %s", argv[1]);
    schema_print_reference(stdout);
    if (fflush(stdout) == EOF || ferror(stdout)) {
        perror("sluice: reference: standard output");
        return EXIT_FAILED;
    }
    return EXIT_GOOD;
}
