/* See host_name.h. Refuses to know what names stand for. */
#include "conf/host_name.h"

#include <ctype.h>

#define LABEL_MAX 63 /* RFC 1035, 2.3.4 */
#define NAME_MAX_LENGTH 253

static bool is_label(const char *text, size_t length)
{
    if (length == 0 || length > LABEL_MAX || text[0] == '-' || text[length - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)text[i]) && text[i] != '-' && text[i] != '_') {
            return false;
        }
    }
    return true;
}

bool host_name_check(const char *text, size_t length, const char **problem)
{
    *problem =
        "is not a host name: parts of letters, digits, - and _, at most 63 each and 253 in all, with dots "
        "between them, such as \"app.internal:8080\"";
    if (length > 0 && text[length - 1] == '.') {
        length--;
    }
    if (length > NAME_MAX_LENGTH) {
        return false;
    }
    size_t start = 0, digits = 0;
    for (size_t i = 0; i <= length; i++) {
        if (i < length && text[i] != '.') {
            digits += isdigit((unsigned char)text[i]) != 0;
            continue;
        }
        if (!is_label(text + start, i - start)) {
            return false;
        }
        /* "10.0.0.256x" may be a name; "host.1" is a mistyped address to most who read it. */
        if (i == length && digits == i - start) {
            *problem = "is neither an address nor a host name: the last part of a name is not a number";
            return false;
        }
        start = i + 1;
        digits = 0;
    }
    return true;
}
