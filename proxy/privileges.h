/* From root to the configured user, keeping the named capabilities only, and verified: or the process must
 * not go on. Refuses to know why they are kept. Before any thread is started. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "conf/conf.h"

struct privileges {
    bool change; /* false: stay who we are */
    uid_t uid;   /* -1: not configured */
    gid_t gid;
};

/* Looks up `user` and `group` (the user's own by default). false: problems says which doesn't exist. */
bool privileges_resolve(const struct conf *conf, struct privileges *privileges,
                        struct conf_problems *problems);

/* Whether this process may become them. false: problems says why not. */
bool privileges_permitted(const struct privileges *privileges, const struct conf *conf,
                          struct conf_problems *problems) __attribute__((warn_unused_result));

/* Becomes them. false: problems says why, and nothing is certain about what this process still may. */
bool privileges_drop(const struct privileges *privileges, const struct conf *conf,
                     struct conf_problems *problems) __attribute__((warn_unused_result));
