/* See srv_reply.h. The records are c-ares's to parse; it leaves out their time to live, which is read here.
 * Refuses to know sockets and what the records are for. */
#include "proxy/names/srv_reply.h"

#include <ares.h>
#include <limits.h>
#include <string.h>

#define HEADER_SIZE 12
#define RECORD_FIXED_SIZE 10 /* type, class, time to live, length of the data */
#define QUESTION_FIXED_SIZE 4

static uint32_t read_number(const unsigned char *bytes, int size)
{
    uint32_t number = 0;

    for (int i = 0; i < size; i++)
        number = number << 8 | bytes[i];
    return number;
}

/* Past a name: labels up to an empty one or a pointer (RFC 1035, 4.1.4). `size` or more: it ends too soon. */
static size_t skip_name(const unsigned char *bytes, size_t size, size_t at)
{
    while (at < size && bytes[at] != 0) {
        if ((bytes[at] & 0xc0) == 0xc0)
            return at + 2;
        at += 1 + (size_t)bytes[at];
    }
    return at + 1;
}

/* The shortest time to live in the answer section. false: it is malformed. */
static bool read_ttl(const unsigned char *bytes, size_t size, uint32_t *ttl_s)
{
    uint32_t questions, answers, ttl;
    size_t at = HEADER_SIZE;

    if (size < HEADER_SIZE)
        return false;
    questions = read_number(bytes + 4, 2);
    answers = read_number(bytes + 6, 2);
    for (uint32_t i = 0; i < questions && at < size; i++)
        at = skip_name(bytes, size, at) + QUESTION_FIXED_SIZE;
    *ttl_s = UINT32_MAX;
    for (uint32_t i = 0; i < answers; i++) {
        at = skip_name(bytes, size, at);
        if (at + RECORD_FIXED_SIZE > size)
            return false;
        ttl = read_number(bytes + at + 4, 4);
        if (ttl > INT32_MAX) /* RFC 2181, 8: as if it were 0 */
            ttl = 0;
        if (ttl < *ttl_s)
            *ttl_s = ttl;
        at += RECORD_FIXED_SIZE + read_number(bytes + at + 8, 2);
    }
    return at <= size;
}

static bool take_record(const struct ares_srv_reply *from, struct srv_record *record)
{
    const size_t length = strlen(from->host);

    if (length == 0 || strcmp(from->host, ".") == 0 || length >= sizeof(record->host) || from->port == 0)
        return false;
    *record = (struct srv_record){.priority = from->priority, .weight = from->weight, .port = from->port};
    memcpy(record->host, from->host, length + 1);
    if (record->host[length - 1] == '.')
        record->host[length - 1] = '\0';
    return true;
}

bool srv_reply_parse(const unsigned char *bytes, size_t size, struct srv_reply *reply)
{
    struct ares_srv_reply *first = NULL;

    reply->count = 0;
    reply->cut = false;
    if (size > INT_MAX || ares_parse_srv_reply(bytes, (int)size, &first) != ARES_SUCCESS)
        return false;
    for (const struct ares_srv_reply *next = first; next != NULL; next = next->next) {
        reply->cut = reply->count == SRV_RECORDS_MAX;
        if (reply->cut)
            break;
        reply->count += take_record(next, &reply->records[reply->count]);
    }
    ares_free_data(first);
    return read_ttl(bytes, size, &reply->ttl_s);
}
