/* A path walked by hand, segment by segment, for one question that the kernel doesn't answer: whether each
 * symbolic link on the way belongs to the owner of what it leads to.
 * No race decides it: a link is read through the descriptor that told its owner, what was compared is what
 * is returned, and each step is an openat2() that stays beneath where it began and follows nothing.
 * Costs about two system calls a segment and five a link. Refuses to know why links are mistrusted. */
#pragma once

#include <sys/stat.h>

/* path: relative; may have ".." only inside links. flags as for open(), of what the path leads to in the end.
 * The errno, or 0: *fd and *stat are set. ELOOP: a link of somebody else's, or too many. EXDEV: a link that
 * is absolute or leads out of the root. */
int link_walk(int root_fd, const char *path, int flags, int *fd, struct stat *stat);
