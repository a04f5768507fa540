/* What generation.c is made of: each part translates one kind of thing, in the order of generation_new().
 * Private to generation*.c. */
#pragma once

#include "proxy/generation.h"

void generation_report_memory(struct conf_problems *problems);

/* generation_tls.c. false: problems says why. Also certificates that no listener names are read: a mistake in
 * them is told before it matters. */
bool generation_build_stores(struct generation *generation, const struct generation_options *options,
                             struct conf_problems *problems) __attribute__((warn_unused_result));
bool generation_build_connects(struct generation *generation, const struct generation_options *options,
                               struct conf_problems *problems) __attribute__((warn_unused_result));
/* Of a listener with `tls`; borrowed. */
struct cert_store *generation_store_of(const struct generation *generation,
                                       const struct conf_listener *listener);
/* Hosts of sites that no certificate of their listener is for. */
void generation_warn_hosts(const struct generation *generation, struct conf_problems *warnings);
void generation_free_tls(struct generation *generation); /* however far it was built */

/* generation_files.c, likewise. */
bool generation_build_files(struct generation *generation, struct conf_problems *problems)
    __attribute__((warn_unused_result));
/* After targets of `files` were built. */
bool generation_build_sites(struct generation *generation, struct conf_problems *problems)
    __attribute__((warn_unused_result));
/* The target of these sites, not asked for before. NULL: problems says why. */
const struct generation_target *generation_sites_target(struct generation *generation,
                                                        const struct conf_sites *sites,
                                                        struct conf_problems *problems);
void generation_free_files(struct generation *generation); /* and sites */

/* generation.c: of an element of conf->files. */
struct generation_target *generation_files_target(const struct generation *generation,
                                                  const struct conf_files *files);
