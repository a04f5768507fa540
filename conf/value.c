/* One value: from libconfig's type or a default's text to the C type that the schema names, within its range.
 * Refuses to know keys by name, and what values mean together. */
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>

#include "conf/address.h"
#include "conf/cidr.h"
#include "conf/load.h"
#include "conf/memory.h"
#include "conf/path.h"
#include "conf/suggest.h"
#include "conf/units.h"

/* A value on its way: where it stands, for messages, and where it goes. */
struct value {
    struct load *load;
    const struct schema_key *key;
    const char *path;
    struct conf_place place;
    char *object;
};

static void *slot(const struct value *value)
{
    return value->object + value->key->offset;
}

static void expected(const struct value *value, const char *found)
{
    char text[SCHEMA_EXPECTED_MAX];
    schema_describe(value->key, text);
    conf_problem_add(value->load->problems, value->place, value->path, "expected %s, such as %s; found %s",
                     text, value->key->example, found);
}

const char *value_kind(const config_setting_t *setting)
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        return "a number";
    case CONFIG_TYPE_FLOAT:
        return "a number with a fraction";
    case CONFIG_TYPE_STRING:
        return "a string";
    case CONFIG_TYPE_BOOL:
        return "a boolean";
    case CONFIG_TYPE_ARRAY:
        return "an array in [ ]";
    case CONFIG_TYPE_LIST:
        return "a list in ( )";
    default:
        return "a group in { }";
    }
}

/* `written`: as the operator wrote it. */
static bool number_allowed(const struct value *value, uint64_t number, bool negative, const char *written)
{
    if (!negative && number >= value->key->min && number <= value->key->max) {
        return true;
    }
    char text[SCHEMA_EXPECTED_MAX];
    schema_describe(value->key, text);
    conf_problem_add(value->load->problems, value->place, value->path, "%s is out of range: choose %s",
                     written, text);
    return false;
}

/* INTEGER, DURATION, AGE and SIZE, each into its own C type. */
static void store_number(const struct value *value, uint64_t number, bool negative, const char *written)
{
    const struct schema_key *key = value->key;
    if (!number_allowed(value, number, negative, written)) {
        return;
    }
    if (key->type == SCHEMA_SIZE) {
        *(uint64_t *)slot(value) = number;
    } else if (key->type == SCHEMA_DURATION) {
        *(uint32_t *)slot(value) = (uint32_t)number;
    } else if (key->type == SCHEMA_AGE) {
        *(uint64_t *)slot(value) = number / 1000;
    } else {
        *(unsigned *)slot(value) = (unsigned)number;
    }
}

static void store_choice(const struct value *value, const char *text)
{
    const struct schema_key *key = value->key;
    size_t count = 0;
    for (; key->choices[count] != NULL; count++) {
        if (strcmp(key->choices[count], text) == 0) {
            *(unsigned *)slot(value) = (unsigned)count;
            return;
        }
    }
    /* Without a slash it is sooner a misspelt choice than a file in this directory. */
    if (key->type == SCHEMA_LOG && strchr(text, '/') != NULL) {
        *(unsigned *)slot(value) = (unsigned)count;
        *(char **)(void *)(value->object + key->count_offset) = path_resolve(value->load->directory, text);
        return;
    }
    const char *nearest = suggest_nearest(text, key->choices, count);
    char described[SCHEMA_EXPECTED_MAX];
    schema_describe(key, described);
    conf_problem_add(value->load->problems, value->place, value->path, "\"%s\" is not %s%s%s%s", text,
                     described, nearest != NULL ? ": did you mean \"" : "", nearest != NULL ? nearest : "",
                     nearest != NULL ? "\"?" : "");
}

static void store_address(const struct value *value, const char *text)
{
    struct conf_address address;
    const char *problem = NULL;
    bool parsed = value->key->takes_names
                      ? address_parse_server(text, value->load->directory, &address, &problem)
                      : address_parse(text, value->load->directory, &address, &problem);
    if (parsed) {
        address.place = value->place;
        *(struct conf_address *)slot(value) = address;
    } else {
        conf_problem_add(value->load->problems, value->place, value->path, "\"%s\" %s", text, problem);
    }
}

/* to: the pointer to be set. */
static void store_reference(const struct value *value, const char *text, void *to)
{
    struct load *load = value->load;
    load->references = memory_grow(load->references, load->reference_count + 1, sizeof(load->references[0]));
    load->references[load->reference_count++] = (struct load_reference){
        .key = value->key,
        .path = memory_strdup(value->path),
        .name = memory_strdup(text),
        .place = value->place,
        .slot = to,
    };
}

static void store_units(const struct value *value, const char *text)
{
    uint64_t number = 0;
    const char *problem = NULL;
    bool parsed = value->key->type == SCHEMA_SIZE ? units_parse_size(text, &number, &problem)
                                                  : units_parse_duration(text, &number, &problem);
    if (parsed) {
        store_number(value, number, false, text);
    } else {
        conf_problem_add(value->load->problems, value->place, value->path, "\"%s\" %s, such as %s", text,
                         problem, value->key->example);
    }
}

/* STRINGS of one. */
static void store_single(const struct value *value, const char *text)
{
    char **strings = memory_calloc(1, sizeof(char *));
    strings[0] = memory_strdup(text);
    *(char ***)slot(value) = strings;
    *(size_t *)(void *)(value->object + value->key->count_offset) = 1;
}

/* What was in quotes. */
static void store_text(const struct value *value, const char *text)
{
    if (text[0] == '\0') {
        expected(value, "an empty string");
        return;
    }
    switch (value->key->type) {
    case SCHEMA_STRING:
        *(char **)slot(value) = memory_strdup(text);
        break;
    case SCHEMA_PATH:
        *(char **)slot(value) = path_resolve(value->load->directory, text);
        break;
    case SCHEMA_DURATION:
    case SCHEMA_AGE:
    case SCHEMA_SIZE:
        store_units(value, text);
        break;
    case SCHEMA_CHOICE:
    case SCHEMA_LOG:
        store_choice(value, text);
        break;
    case SCHEMA_ADDRESS:
        store_address(value, text);
        break;
    case SCHEMA_REFERENCE:
        store_reference(value, text, slot(value));
        break;
    default:
        expected(value, "a string");
        break;
    }
}

/* One element of STRINGS. The choices, where there are any, are only checked: the strings are stored. */
static bool string_allowed(const struct value *value, const char *text)
{
    const char *const *choices = value->key->choices;
    if (text[0] == '\0') {
        expected(value, "an empty string");
        return false;
    }
    size_t count = 0;
    for (; choices != NULL && choices[count] != NULL; count++) {
        if (strcmp(choices[count], text) == 0) {
            return true;
        }
    }
    if (value->key->forbidden != NULL && strpbrk(text, value->key->forbidden) != NULL) {
        conf_problem_add(value->load->problems, value->place, value->path, "\"%s\" contains %c: leave it out",
                         text, *strpbrk(text, value->key->forbidden));
        return false;
    }
    if (choices == NULL) {
        return true;
    }
    const char *nearest = suggest_nearest(text, choices, count);
    char described[SCHEMA_EXPECTED_MAX];
    schema_describe(value->key, described);
    conf_problem_add(value->load->problems, value->place, value->path, "\"%s\" is unknown: expected %s%s%s%s",
                     text, described, nearest != NULL ? ": did you mean \"" : "",
                     nearest != NULL ? nearest : "", nearest != NULL ? "\"?" : "");
    return false;
}

/* One element of CIDRS; those before it are in the array already. */
static bool cidr_allowed(const struct value *value, const char *text, struct conf_cidr *cidr)
{
    const char *problem = NULL;
    if (cidr_parse(text, cidr, &problem)) {
        return true;
    }
    conf_problem_add(value->load->problems, value->place, value->path, "\"%s\" %s", text, problem);
    return false;
}

/* One element of STRINGS, CIDRS or REFERENCES, into the array. false: it can't be stored, which was reported.
 */
static bool store_element(const struct value *value, const char *text, void *element)
{
    switch (value->key->type) {
    case SCHEMA_CIDRS:
        return cidr_allowed(value, text, element);
    case SCHEMA_REFERENCES:
        store_reference(value, text, element);
        return true;
    default:
        if (!string_allowed(value, text)) {
            return false;
        }
        *(char **)element = memory_strdup(text);
        return true;
    }
}

static bool is_number(const config_setting_t *setting)
{
    return config_setting_type(setting) == CONFIG_TYPE_INT ||
           config_setting_type(setting) == CONFIG_TYPE_INT64;
}

static void store_integers(const struct value *value, const config_setting_t *setting)
{
    int length = config_setting_length(setting);
    unsigned *numbers = memory_calloc((size_t)length, sizeof(*numbers));
    size_t count = 0;
    if (length == 0) {
        conf_problem_add(value->load->problems, value->place, value->path,
                         "empty: at least one is needed, such as %s", value->key->example);
    }
    for (int i = 0; i < length; i++) {
        const config_setting_t *element = config_setting_get_elem(setting, (unsigned)i);
        struct value one = *value;
        char *path = memory_format("%s[%d]", value->path, i), written[32];
        long long number = config_setting_get_int64(element);
        one.path = path;
        one.place = load_place(value->load, element);
        snprintf(written, sizeof(written), "%lld", number);
        if (!is_number(element)) {
            expected(&one, value_kind(element));
        } else if (number_allowed(&one, (uint64_t)number, number < 0, written)) {
            numbers[count++] = (unsigned)number;
        }
        free(path);
    }
    *(unsigned **)slot(value) = numbers;
    *(size_t *)(void *)(value->object + value->key->count_offset) = count;
}

/* STRINGS, CIDRS and REFERENCES. */
static void store_strings(const struct value *value, const config_setting_t *setting)
{
    int length = config_setting_length(setting);
    const size_t size = value->key->type == SCHEMA_CIDRS ? sizeof(struct conf_cidr) : sizeof(void *);
    char *array = memory_calloc((size_t)length, size); /* references point into it: its final size at once */
    size_t count = 0;
    if ((uint64_t)length < value->key->min) {
        conf_problem_add(value->load->problems, value->place, value->path,
                         "empty: at least one is needed, such as %s", value->key->example);
    }
    for (int i = 0; i < length; i++) {
        const config_setting_t *element = config_setting_get_elem(setting, (unsigned)i);
        struct value one = *value;
        char *path = memory_format("%s[%d]", value->path, i);
        one.path = path;
        one.place = load_place(value->load, element);
        const char *text = config_setting_get_string(element);
        if (text == NULL) {
            expected(&one, value_kind(element));
        } else {
            count += store_element(&one, text, array + count * size);
        }
        free(path);
    }
    *(void **)slot(value) = array;
    *(size_t *)(void *)(value->object + value->key->count_offset) = count;
}

void value_load(struct load *load, const struct schema_key *key, const config_setting_t *setting,
                const char *path, void *object)
{
    struct value value = {load, key, path, load_place(load, setting), object};
    int type = config_setting_type(setting);
    const char *text = config_setting_get_string(setting);
    bool takes_number = key->type == SCHEMA_INTEGER || key->type == SCHEMA_SIZE;
    if (text != NULL && key->type == SCHEMA_STRINGS && key->single) {
        if (string_allowed(&value, text)) {
            store_single(&value, text);
        }
    } else if (text != NULL) {
        store_text(&value, text);
    } else if (takes_number && is_number(setting)) {
        long long number = config_setting_get_int64(setting);
        char written[32];
        snprintf(written, sizeof(written), "%lld", number);
        store_number(&value, (uint64_t)number, number < 0, written);
    } else if (key->type == SCHEMA_BOOLEAN && type == CONFIG_TYPE_BOOL) {
        *(bool *)slot(&value) = config_setting_get_bool(setting) != 0;
    } else if ((key->type == SCHEMA_STRINGS || key->type == SCHEMA_CIDRS || key->type == SCHEMA_REFERENCES) &&
               (type == CONFIG_TYPE_ARRAY || type == CONFIG_TYPE_LIST)) {
        store_strings(&value, setting);
    } else if (key->type == SCHEMA_INTEGERS && (type == CONFIG_TYPE_ARRAY || type == CONFIG_TYPE_LIST)) {
        store_integers(&value, setting);
    } else {
        expected(&value, value_kind(setting));
    }
}

static void store_default_strings(const struct value *value)
{
    static const char between[] = "\", \"";
    const char *at = value->key->fallback;
    char **strings = memory_calloc(strlen(at) / strlen(between) + 1, sizeof(char *));
    size_t count = 0;
    while (at != NULL) {
        const char *next = strstr(at, between);
        strings[count] = memory_strdup(at);
        if (next != NULL) {
            strings[count][next - at] = '\0';
            next += strlen(between);
        }
        count++;
        at = next;
    }
    *(char ***)slot(value) = strings;
    *(size_t *)(void *)(value->object + value->key->count_offset) = count;
}

void value_default(struct load *load, const struct schema_key *key, const char *path, void *object)
{
    struct value value = {load, key, path, {0}, object};
    if (key->fallback == NULL) {
        return;
    }
    switch (key->type) {
    case SCHEMA_INTEGER:
        store_number(&value, strtoull(key->fallback, NULL, 10), false, key->fallback);
        break;
    case SCHEMA_BOOLEAN:
        *(bool *)slot(&value) = strcmp(key->fallback, "true") == 0;
        break;
    case SCHEMA_STRINGS:
        store_default_strings(&value);
        break;
    default:
        store_text(&value, key->fallback);
        break;
    }
}
