/* See bytes.h. Refuses to know what the bytes are for. */
#include "conf/bytes.h"

#include <stdlib.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool parse_hex(const char *text, uint8_t *bytes, size_t *size, const char **problem)
{
    const size_t length = strlen(text);

    if (length == 0 || length % 2 != 0) {
        *problem = "after \"hex:\" there are two hexadecimal digits for each byte";
        return false;
    }
    for (size_t i = 0; i < length; i += 2) {
        const int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);

        if (high == -1 || low == -1) {
            *problem = "after \"hex:\" there are hexadecimal digits only";
            return false;
        }
        bytes[i / 2] = (uint8_t)(high << 4 | low);
    }
    *size = length / 2;
    return true;
}

bool conf_bytes_parse(const char *text, uint8_t **bytes, size_t *size, const char **problem)
{
    const size_t length = strlen(text);

    *problem = "it is empty";
    if (length == 0)
        return false;
    *problem = NULL;
    *bytes = malloc(length);
    if (*bytes == NULL)
        return false;
    if (strncmp(text, "hex:", 4) != 0) {
        memcpy(*bytes, text, length);
        *size = length;
        return true;
    }
    if (parse_hex(text + 4, *bytes, size, problem))
        return true;
    free(*bytes);
    *bytes = NULL;
    return false;
}
