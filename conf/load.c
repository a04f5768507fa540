/* From text to struct conf: the lexical pass, libconfig's tree, then the schema over the tree, the
 * references, the checks. All problems of the last three are told at once. Refuses to know keys by name (but
 * one: a server is called by its address). */
#include "conf/load.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/lexical.h"
#include "conf/memory.h"
#include "conf/path.h"
#include "conf/suggest.h"

/* Far above any configuration; libconfig compares each key with all others of its group. */
#define FILE_MAX ((size_t)1 << 20)
/* Names are labels of metrics and parts of file names. */
#define NAME_MAX_LENGTH 63

static void load_group(struct load *load, const struct schema_section *section, const config_setting_t *group,
                       bool defaults, const char *path, void *object);

struct conf_place load_place(const struct load *load, const config_setting_t *setting)
{
    /* A hook, where there is one, holds the right line of a string in a list (lexical.h). */
    const int *line = config_setting_get_hook(setting);
    int own = (int)config_setting_source_line(setting);
    /* The top level has line 0: what is missing there is told at the beginning of the file. */
    return (struct conf_place){load->conf->file, line != NULL ? *line : own > 0 ? own : 1};
}

static char *join(const char *path, const char *name)
{
    return path[0] != '\0' ? memory_format("%s.%s", path, name) : memory_strdup(name);
}

static void report_kind(struct load *load, const struct schema_key *key, const config_setting_t *setting,
                        const char *path)
{
    char text[SCHEMA_EXPECTED_MAX];
    schema_describe(key, text);
    conf_problem_add(load->problems, load_place(load, setting), path, "expected %s, such as %s; found %s",
                     text, key->example, value_kind(setting));
}

static void report_unknown(struct load *load, const struct schema_section *section,
                           const config_setting_t *setting, const char *path)
{
    const char **known = memory_calloc(section->count, sizeof(char *));
    size_t length = 1;
    for (size_t i = 0; i < section->count; i++) {
        known[i] = section->keys[i].name;
        length += strlen(known[i]) + 2;
    }
    const char *nearest = suggest_nearest(config_setting_name(setting), known, section->count);
    if (nearest != NULL) {
        conf_problem_add(load->problems, load_place(load, setting), path, "unknown key: did you mean `%s`?",
                         nearest);
    } else {
        char *list = memory_calloc(length, 1);
        for (size_t i = 0, at = 0; i < section->count; i++) {
            at += (size_t)snprintf(list + at, length - at, "%s%s", i > 0 ? ", " : "", known[i]);
        }
        conf_problem_add(load->problems, load_place(load, setting), path, "unknown key: known here are %s",
                         list);
        free(list);
    }
    free(known);
}

/* Adds a problem if `name` can't be one. */
static void check_name(struct load *load, const config_setting_t *setting, const char *path)
{
    const char *name = config_setting_name(setting);
    size_t length = 0;
    while (isalnum((unsigned char)name[length]) || name[length] == '_' || name[length] == '-') {
        length++;
    }
    if (name[length] != '\0' || !isalpha((unsigned char)name[0])) {
        conf_problem_add(load->problems, load_place(load, setting), path,
                         "not a name: use letters, digits, _ and -, a letter first");
    } else if (length > NAME_MAX_LENGTH) {
        conf_problem_add(load->problems, load_place(load, setting), path,
                         "too long a name: it has %zu letters, and %d are allowed", length, NAME_MAX_LENGTH);
    }
}

static void load_element(struct load *load, const struct schema_section *section,
                         const config_setting_t *element, const char *path, char *object)
{
    if (section->name_offset != SCHEMA_NOWHERE && config_setting_name(element) != NULL) {
        check_name(load, element, path);
        *(char **)(void *)(object + section->name_offset) = memory_strdup(config_setting_name(element));
    }
    *(struct conf_place *)(void *)(object + section->place_offset) = load_place(load, element);
    if (config_setting_is_group(element)) {
        load_group(load, section, element, true, path, object);
        return;
    }
    /* The shorthand: one key given, the others left to their defaults. */
    load_group(load, section, NULL, true, path, object);
    const struct schema_key *key = schema_find(section, section->shorthand);
    char *inner = join(path, key->name);
    value_load(load, key, element, inner, object);
    free(inner);
}

/* NAMED and LIST. The array has its final size at once: references point into it. */
static void load_elements(struct load *load, const struct schema_key *key, const config_setting_t *setting,
                          const char *path, char *object)
{
    const struct schema_section *section = key->section;
    size_t count = (size_t)config_setting_length(setting);
    if (count < key->min) {
        conf_problem_add(load->problems, load_place(load, setting), path,
                         "empty: at least one is needed, such as %s", key->example);
    }
    char *array = memory_calloc(count, section->size);
    *(void **)(void *)(object + key->offset) = array;
    *(size_t *)(void *)(object + key->count_offset) = count;
    for (size_t i = 0; i < count; i++) {
        const config_setting_t *element = config_setting_get_elem(setting, (unsigned)i);
        char *inner = key->type == SCHEMA_NAMED ? join(path, config_setting_name(element))
                                                : memory_format("%s[%zu]", path, i);
        if (config_setting_is_group(element) ||
            (section->shorthand != NULL && config_setting_type(element) == CONFIG_TYPE_STRING)) {
            load_element(load, section, element, inner, array + i * section->size);
        } else {
            conf_problem_add(load->problems, load_place(load, element), inner,
                             "expected a group in braces; %s is, for example, %s", key->name, key->example);
        }
        free(inner);
    }
}

static bool holds(enum schema_type type, const config_setting_t *setting)
{
    if (type == SCHEMA_LIST) {
        return config_setting_is_list(setting) || config_setting_is_array(setting);
    }
    return config_setting_is_group(setting);
}

/* What is inherited is shared with the global group until it has memory of its own; a key that is given next
 * owes none. */
static void own_inherited(const struct schema_section *section, const config_setting_t *group, char *object)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct schema_key *key = &section->keys[i];
        if (key->type != SCHEMA_STRINGS) {
            continue; /* no other type that owns memory is inherited; a test holds the schema to that */
        }
        char ***slot = (char ***)(void *)(object + key->offset), **shared = *slot;
        size_t *count = (size_t *)(void *)(object + key->count_offset);
        if (group != NULL && config_setting_get_member(group, key->name) != NULL) {
            *slot = NULL;
            *count = 0;
            continue;
        }
        *slot = memory_calloc(*count, sizeof(char *));
        for (size_t j = 0; j < *count; j++) {
            (*slot)[j] = memory_strdup(shared[j]);
        }
    }
}

static void load_key(struct load *load, const struct schema_key *key, const config_setting_t *setting,
                     const char *path, char *object)
{
    if (setting != NULL && key->place_offset != 0) {
        *(struct conf_place *)(void *)(object + key->place_offset) = load_place(load, setting);
    }
    if (key->section == NULL) {
        if (setting != NULL) {
            value_load(load, key, setting, path, object);
        } else {
            value_default(load, key, path, object);
        }
        return;
    }
    bool usable = setting != NULL && holds(key->type, setting);
    if (setting != NULL && !usable) {
        report_kind(load, key, setting, path);
    }
    if (key->type != SCHEMA_GROUP) {
        if (usable) {
            load_elements(load, key, setting, path, object);
        }
        return;
    }
    if (key->given_offset != 0) {
        *(bool *)(void *)(object + key->given_offset) = usable;
        if (!usable) {
            return;
        }
    }
    void *inner = object + key->offset;
    if (key->inherits_offset != 0) {
        memcpy(inner, (const char *)load->conf + key->inherits_offset, key->section->size);
        own_inherited(key->section, usable ? setting : NULL, inner);
    }
    load_group(load, key->section, usable ? setting : NULL, key->inherits_offset == 0, path, inner);
}

/* group NULL: every key has its default, and none is missing. defaults false: keys that aren't given are left
 * as they are. */
static void load_group(struct load *load, const struct schema_section *section, const config_setting_t *group,
                       bool defaults, const char *path, void *object)
{
    for (int i = 0; group != NULL && i < config_setting_length(group); i++) {
        const config_setting_t *member = config_setting_get_elem(group, (unsigned)i);
        if (schema_find(section, config_setting_name(member)) == NULL) {
            char *inner = join(path, config_setting_name(member));
            report_unknown(load, section, member, inner);
            free(inner);
        }
    }
    for (size_t i = 0; i < section->count; i++) {
        const struct schema_key *key = &section->keys[i];
        const config_setting_t *setting = group != NULL ? config_setting_get_member(group, key->name) : NULL;
        char *inner = join(path, key->name);
        if (setting == NULL && key->required && group != NULL) {
            conf_problem_add(load->problems, load_place(load, group), inner, "missing: add %s = %s;",
                             key->name, key->example);
        } else if (setting != NULL || defaults) {
            load_key(load, key, setting, inner, object);
        }
        free(inner);
    }
}

static void resolve(struct load *load, const struct load_reference *reference)
{
    const struct schema_key *target = schema_find(&schema_root, reference->key->target);
    const struct schema_section *section = target->section;
    const char *root = (const char *)load->conf;
    const char *array = *(char *const *)(const void *)(root + target->offset);
    size_t count = *(const size_t *)(const void *)(root + target->count_offset);
    const char **names = memory_calloc(count, sizeof(char *));
    size_t known = 0;
    bool found = false;
    for (size_t i = 0; i < count && !found; i++) {
        const char *element = array + i * section->size;
        const char *name = *(char *const *)(const void *)(element + section->name_offset);
        if (name != NULL && strcmp(name, reference->name) == 0) {
            *(const void **)reference->slot = element;
            found = true;
        } else if (name != NULL) {
            names[known++] = name;
        }
    }
    if (!found) {
        const char *nearest = suggest_nearest(reference->name, names, known);
        if (nearest == NULL && known == 1) {
            nearest = names[0];
        }
        conf_problem_add(load->problems, reference->place, reference->path,
                         "there is no \"%s\" under `%s`: %s%s%s", reference->name, target->name,
                         nearest != NULL ? "did you mean \"" : "define it there as ",
                         nearest != NULL ? nearest : target->example, nearest != NULL ? "\"?" : "");
    }
    free(names);
}

/* Hangs the right line on each string in a list, in the order of the text. */
static size_t place_strings(config_setting_t *setting, const struct lexical *lexical, size_t next)
{
    bool is_list = config_setting_is_list(setting) || config_setting_is_array(setting);
    for (int i = 0; i < config_setting_length(setting); i++) {
        config_setting_t *element = config_setting_get_elem(setting, (unsigned)i);
        if (config_setting_is_aggregate(element)) {
            next = place_strings(element, lexical, next);
        } else if (is_list && config_setting_type(element) == CONFIG_TYPE_STRING &&
                   next < lexical->string_count) {
            config_setting_set_hook(element, &lexical->string_lines[next++]);
        }
    }
    return next;
}

static void name_servers(struct conf *conf)
{
    for (size_t i = 0; i < conf->backend_count; i++) {
        struct conf_backend *backend = &conf->backends[i];
        for (size_t j = 0; j < backend->server_count; j++) {
            const char *text = backend->servers[j].address.text;
            backend->servers[j].name = memory_strdup(text != NULL ? text : "");
        }
    }
}

static void load_tree(struct load *load, const config_setting_t *root)
{
    load_group(load, &schema_root, root, true, "", load->conf);
    for (size_t i = 0; i < load->reference_count; i++) {
        struct load_reference *reference = &load->references[i];
        resolve(load, reference);
        free(reference->path);
        free(reference->name);
    }
    free(load->references);
    name_servers(load->conf);
    check_conf(load->conf, load->problems);
}

/* `text` ends with a newline (libconfig 1.5 takes a last line without one as an error if it is a comment),
 * and a NUL at text[length]. */
static struct conf *load_buffer(const char *text, size_t length, const char *name, const char *directory,
                                struct conf_problems *problems)
{
    size_t before = problems->count;
    struct conf *conf = memory_calloc(1, sizeof(*conf));
    conf->file = name != NULL ? memory_strdup(name) : NULL;
    struct load load = {.conf = conf, .directory = directory, .problems = problems};

    /* The mark with which some editors begin a file; libconfig doesn't know it. */
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        length -= 3;
    }
    struct lexical lexical;
    if (lexical_check(text, length, conf->file, problems, &lexical)) {
        config_t config;
        config_init(&config);
        if (config_read_string(&config, text) == CONFIG_TRUE) {
            config_setting_t *root = config_root_setting(&config);
            place_strings(root, &lexical, 0);
            load_tree(&load, root);
        } else {
            const char *problem = config_error_text(&config);
            struct conf_place place = {conf->file, config_error_line(&config)};
            conf_problem_add(problems, place, NULL, "%s%s", problem != NULL ? problem : "can't be read",
                             problem != NULL && strcmp(problem, "syntax error") == 0
                                 ? ": keys are given as `key = value;`, groups in { }, lists in ( )"
                                 : "");
        }
        config_destroy(&config);
    }
    lexical_clear(&lexical);
    if (problems->count > before) {
        conf_free(conf);
        return NULL;
    }
    return conf;
}

/* At most FILE_MAX bytes, then a newline and a NUL. NULL: a problem was added. */
static char *read_file(const char *path, size_t *length, struct conf_problems *problems)
{
    struct conf_place place = {path, 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd == -1) {
        conf_problem_add(problems, place, NULL, "can't read: %s", strerror(errno));
        return NULL;
    }
    char *buffer = memory_calloc(FILE_MAX + 2, 1);
    size_t filled = 0;
    ssize_t got = 1;
    while (got != 0 && filled <= FILE_MAX) {
        got = read(fd, buffer + filled, FILE_MAX + 1 - filled);
        if (got == -1 && errno != EINTR) {
            conf_problem_add(problems, place, NULL, "can't read: %s", strerror(errno));
            goto fail;
        }
        filled += got > 0 ? (size_t)got : 0;
    }
    if (filled > FILE_MAX) {
        conf_problem_add(problems, place, NULL, "can't read: larger than 1 MiB, which is no configuration");
        goto fail;
    }
    close(fd);
    buffer[filled++] = '\n';
    buffer[filled] = '\0';
    *length = filled;
    return buffer;

fail:
    close(fd);
    free(buffer);
    return NULL;
}

struct conf *conf_load(const char *path, struct conf_problems *problems)
{
    size_t length = 0;
    char *buffer = read_file(path, &length, problems);
    if (buffer == NULL) {
        return NULL;
    }
    char *directory = path_directory_of_file(path);
    struct conf *conf = load_buffer(buffer, length, path, directory, problems);
    free(directory);
    free(buffer);
    return conf;
}

struct conf *conf_load_text(const char *text, const char *name, const char *directory,
                            struct conf_problems *problems)
{
    char *buffer = memory_format("%s\n", text);
    char *resolved = path_resolve(directory, "");
    struct conf *conf = load_buffer(buffer, strlen(buffer), name, resolved, problems);
    free(resolved);
    free(buffer);
    return conf;
}
