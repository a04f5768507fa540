/* What the parts of the loader share while one configuration is read.
 * Refuses to know keys by name: schema.h lists them. */
#pragma once

#include <libconfig.h>

#include "conf/conf.h"
#include "conf/schema.h"

/* A reference as read: resolved once everything is there, since it may stand before what it names. */
struct load_reference {
    const struct schema_key *key;
    char *path; /* listeners.web.tls */
    char *name;
    struct conf_place place;
    void *slot; /* the pointer to be set: a const struct conf_tls * or its like */
};

struct load {
    struct conf *conf;
    const char *directory; /* of relative paths */
    struct conf_problems *problems;
    struct load_reference *references;
    size_t reference_count;
};

/* What a setting is, for messages: "a string". */
const char *value_kind(const config_setting_t *setting);

/* Where a setting stands. */
struct conf_place load_place(const struct load *load, const config_setting_t *setting);

/* Reads one value that isn't a group, a NAMED or a LIST into `object`, the struct of the key's section; or
 * adds what is wrong with it, at `path`. */
void value_load(struct load *load, const struct schema_key *key, const config_setting_t *setting,
                const char *path, void *object);

/* The same with the key's default; without one, the value stays zero. */
void value_default(struct load *load, const struct schema_key *key, const char *path, void *object);

/* What the schema can't say key by key: what keys mean together. Called with whatever could be loaded, so
 * that all problems are told at once. */
void check_conf(const struct conf *conf, struct conf_problems *problems);
