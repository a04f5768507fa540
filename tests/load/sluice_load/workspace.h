/* A private directory for configurations, certificates and files, and what is written there.
 * Refuses to know what reads it. */
#ifndef SLUICE_LOAD_WORKSPACE_H
#define SLUICE_LOAD_WORKSPACE_H

#include <stddef.h>
#include <stdint.h>

#define WORKSPACE_PATH 512

struct workspace {
    char directory[WORKSPACE_PATH / 2];
};

/* In $TMPDIR or /tmp, for this user alone. -1 with errno. */
int workspace_create(struct workspace *workspace) __attribute__((warn_unused_result));

/* With all that is in it. */
void workspace_remove(struct workspace *workspace);

/* path holds WORKSPACE_PATH bytes and is returned. */
char *workspace_path(const struct workspace *workspace, const char *name, char *path);

/* Each -1 with a message on stderr. */
int workspace_write(const struct workspace *workspace, const char *name, const char *text)
    __attribute__((warn_unused_result));

/* A file whose content has no pattern; the first bytes are the same whatever the size. */
int workspace_write_content(const struct workspace *workspace, const char *name, uint64_t size)
    __attribute__((warn_unused_result));

/* cert.pem and key.pem, and both in pair.pem: ECDSA P-256, for localhost, 127.0.0.1 and ::1, two days. */
int workspace_write_certificate(const struct workspace *workspace) __attribute__((warn_unused_result));

struct workspace_value {
    const char *name, *value;
};

/* Writes a template in which @NAME@ stands for a value; a name that is not among them is an error. */
int workspace_write_template(const struct workspace *workspace, const char *name, const char *template,
                             const struct workspace_value *values, size_t count)
    __attribute__((warn_unused_result));

/* The expanded text, to be freed; NULL with the unknown name in *unknown (24 bytes), "" if memory is short.
 */
char *workspace_expand(const char *text, const struct workspace_value *values, size_t count,
                       char unknown[24]);

#endif
