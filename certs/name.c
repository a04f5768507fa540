/* DNS names folded and matched. Locale-free on purpose: tolower() of a Turkish locale would turn I into
 * something else. Refuses to know where a name comes from. */
#include "certs/name.h"

#include <string.h>

#define LABEL_MAX 63

static bool label_character(char *c)
{
    if (*c >= 'A' && *c <= 'Z') {
        *c = (char)(*c - 'A' + 'a');
        return true;
    }
    return (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '-' || *c == '_';
}

bool cert_name_fold(const char *name, size_t length, char folded[CERT_NAME_SIZE])
{
    if (length > 0 && name[length - 1] == '.') {
        length--;
    }
    if (length == 0 || length >= CERT_NAME_SIZE) {
        return false;
    }
    size_t label = 0;
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        if (c == '.') {
            if (label == 0) {
                return false;
            }
            label = 0;
        } else if (!label_character(&c) || ++label > LABEL_MAX) {
            return false;
        }
        folded[i] = c;
    }
    folded[length] = '\0';
    return label > 0;
}

bool cert_name_fold_pattern(const char *pattern, size_t length, char folded[CERT_NAME_SIZE])
{
    if (length < 2 || memcmp(pattern, "*.", 2) != 0) {
        return cert_name_fold(pattern, length, folded);
    }
    char rest[CERT_NAME_SIZE];
    if (!cert_name_fold(pattern + 2, length - 2, rest)) {
        return false;
    }
    size_t rest_length = strlen(rest);
    if (rest_length + 2 >= CERT_NAME_SIZE) {
        return false;
    }
    memcpy(folded, "*.", 2);
    memcpy(folded + 2, rest, rest_length + 1);
    return true;
}

bool cert_name_match(const char *pattern, const char *name)
{
    if (strncmp(pattern, "*.", 2) != 0) {
        return strcmp(pattern, name) == 0;
    }
    const char *dot = strchr(name, '.');
    return dot != NULL && dot != name && strcmp(pattern + 1, dot) == 0;
}
