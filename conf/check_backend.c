/* What the keys of a backend mean together: servers that can be connected to. */
#include <stdlib.h>

#include "conf/address.h"
#include "conf/check.h"
#include "conf/memory.h"

void check_backend(const struct conf_backend *backend, struct conf_problems *problems)
{
    for (size_t i = 0; i < backend->server_count; i++) {
        const struct conf_address *address = &backend->servers[i].address;
        if (address->length == 0 || address->addr.ss_family == AF_UNIX) {
            continue;
        }
        const char *problem = NULL;
        if (address_port(address) == 0) {
            problem = "has port 0, to which nothing connects: write the port that the server listens on";
        } else if (address->dual_stack) {
            problem = "names no host: write the server's, such as \"127.0.0.1:9001\"";
        }
        if (problem != NULL) {
            char *path = memory_format("backends.%s.servers[%zu].address", backend->name, i);
            conf_problem_add(problems, address->place, path, "\"%s\" %s", address->text, problem);
            free(path);
        }
    }
}
