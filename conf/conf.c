/* The end of a configuration: releases what the schema says was loaded.
 * Refuses to know keys by name. */
#include "conf/conf.h"

#include <stdlib.h>

#include "conf/schema.h"

static void free_group(const struct schema_section *section, char *object);

static void free_elements(const struct schema_key *key, char *array, size_t count)
{
    const struct schema_section *section = key->section;
    for (size_t i = 0; i < count; i++) {
        char *element = array + i * section->size;
        free_group(section, element);
        if (section->name_offset != SCHEMA_NOWHERE) {
            free(*(char **)(void *)(element + section->name_offset));
        }
    }
    free(array);
}

static void free_value(const struct schema_key *key, char *object)
{
    void *slot = object + key->offset;
    switch (key->type) {
    case SCHEMA_STRING:
    case SCHEMA_PATH:
        free(*(char **)slot);
        break;
    case SCHEMA_LOG:
        free(*(char **)(void *)(object + key->count_offset));
        break;
    case SCHEMA_ADDRESS:
        conf_address_clear(slot);
        break;
    case SCHEMA_INTEGERS:
        free(*(unsigned **)slot);
        break;
    case SCHEMA_CIDRS:
        free(*(struct conf_cidr **)slot);
        break;
    case SCHEMA_REFERENCES:
        free(*(void **)slot);
        break;
    case SCHEMA_STRINGS: {
        char **strings = *(char ***)slot;
        size_t count = *(size_t *)(void *)(object + key->count_offset);
        for (size_t i = 0; i < count; i++) {
            free(strings[i]);
        }
        free(strings);
        break;
    }
    case SCHEMA_GROUP:
        free_group(key->section, slot);
        break;
    case SCHEMA_NAMED:
    case SCHEMA_LIST:
        free_elements(key, *(char **)slot, *(size_t *)(void *)(object + key->count_offset));
        break;
    case SCHEMA_INTEGER:
    case SCHEMA_BOOLEAN:
    case SCHEMA_DURATION:
    case SCHEMA_AGE:
    case SCHEMA_SIZE:
    case SCHEMA_CHOICE:
    case SCHEMA_REFERENCE:
        break;
    }
}

static void free_group(const struct schema_section *section, char *object)
{
    for (size_t i = 0; i < section->count; i++) {
        free_value(&section->keys[i], object);
    }
}

void conf_free(struct conf *conf)
{
    if (conf == NULL) {
        return;
    }
    free_group(&schema_root, (char *)conf);
    free(conf->file);
    free(conf);
}
