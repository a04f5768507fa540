/* Whether the directory of a `files` is there. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/check.h"
#include "conf/memory.h"

void check_files(const struct conf_files *files, struct conf_problems *problems)
{
    char *path = memory_format("files.%s.root", files->name);
    if (files->root != NULL) {
        int fd = open(files->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
        if (fd == -1) {
            conf_problem_add(problems, files->root_place, path, "%s: %s: name a directory that can be read",
                             files->root, strerror(errno));
        } else {
            close(fd);
        }
    }
    free(path);
}
