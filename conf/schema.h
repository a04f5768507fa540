/* The only list of keys. The loader, the checks of type and range, the suggestions, the comparison for a
 * reload, the release of memory, the reference manual and the completeness test all read it.
 * Refuses to know how a value is parsed (value.c) and what keys mean together (check.c). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Each type names the C type that a value is stored as. */
enum schema_type {
    SCHEMA_INTEGER,    /* unsigned */
    SCHEMA_BOOLEAN,    /* bool */
    SCHEMA_STRING,     /* char *, not empty */
    SCHEMA_PATH,       /* char *, made absolute */
    SCHEMA_DURATION,   /* uint32_t, milliseconds */
    SCHEMA_AGE,        /* uint64_t, seconds: a duration that may last for years */
    SCHEMA_SIZE,       /* uint64_t, bytes */
    SCHEMA_CHOICE,     /* an enum: the index in `choices` */
    SCHEMA_LOG,        /* an enum as CHOICE, whose last value stands for a path: char *, absolute */
    SCHEMA_ADDRESS,    /* struct conf_address */
    SCHEMA_REFERENCE,  /* pointer to an element of the NAMED key `target` of the top level */
    SCHEMA_REFERENCES, /* an array of such pointers and a count */
    SCHEMA_INTEGERS,   /* unsigned * and a count, at least one */
    SCHEMA_CIDRS,      /* struct conf_cidr * and a count */
    SCHEMA_STRINGS,    /* char ** and a count; each of `choices`, if there are any */
    SCHEMA_GROUP,      /* a nested group, at a fixed place */
    SCHEMA_NAMED,      /* a group of groups whose keys are names: an array and a count */
    SCHEMA_LIST,       /* a list of groups: an array and a count */
};

struct schema_key {
    const char *name;
    enum schema_type type;
    const char *help;     /* one line */
    const char *example;  /* a value, as it is written in a file */
    const char *fallback; /* the default, without quotes, read as a written value would be; NULL: none. Of
                             STRINGS what stands between the outermost quotes: several have `", "` between */
    bool required;
    bool fixed; /* a reload can't change it */
    /* INTEGER, each of INTEGERS, DURATION and AGE (ms), SIZE (bytes); of other lists: min elements */
    uint64_t min, max;
    const char *const *choices;           /* ends with NULL */
    const char *forbidden;                /* STRINGS: characters that none may contain */
    bool single;                          /* STRINGS: one may stand without brackets */
    const char *target;                   /* REFERENCE, REFERENCES */
    bool takes_names;                     /* ADDRESS: a server's, which may be a name */
    const struct schema_section *section; /* GROUP, NAMED, LIST: the keys inside */
    /* Where the value lives in the struct of its section. 0 for all but `offset`: there is none. */
    size_t offset;
    size_t count_offset; /* of several: size_t; LOG: the path */
    size_t place_offset; /* struct conf_place, set if the key is given */
    size_t given_offset; /* GROUP: bool, set if the group is given; else it is left out with its defaults */
    /* GROUP: its defaults are the values of the same section at this offset of struct conf, loaded earlier.
     */
    size_t inherits_offset;
};

#define SCHEMA_NOWHERE ((size_t)-1)

struct schema_section {
    const struct schema_key *keys;
    size_t count;
    /* NAMED, LIST, and a GROUP that inherits: the size of the struct. NAMED and LIST: where its name and
     * place live (SCHEMA_NOWHERE: it has none). */
    size_t size, name_offset, place_offset;
    /* LIST: an element that isn't a group stands for a group with this key alone. NULL: must be a group. */
    const char *shorthand;
};

/* The top level; its struct is struct conf. Keys are loaded in this order. */
extern const struct schema_section schema_root;

/* NULL: no such key. */
const struct schema_key *schema_find(const struct schema_section *section, const char *name);

/* What a value of this key looks like: "a duration", "one of "auto", "off"". Written into text. */
#define SCHEMA_EXPECTED_MAX 512
void schema_describe(const struct schema_key *key, char text[SCHEMA_EXPECTED_MAX]);

/* The reference manual: one Markdown table a section. */
void schema_print_reference(FILE *stream);
