/* Opens the files beside the one that was found, in the order in which the client likes their codings, until
 * there is one. That there is none is remembered with the original, as long as that is kept open: a second at
 * most. Refuses to compare ages: the file beside is taken for what it says it is. */
#include "proxy/http/files_encoding.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "proxy/http/compression.h"
#include "proxy/http/files_lookup.h"
#include "proxy/http/open_files.h"
#include "proxy/http/policy.h"
#include "proxy/http/request.h"

/* "page.html.gz" is served as what it is, and has nothing beside it. */
static bool is_encoded(const char *path)
{
    const size_t size = strlen(path);
    for (unsigned coding = HTTP_CODING_IDENTITY + 1; coding < HTTP_CODING_COUNT; coding++) {
        const char *suffix = http_coding_suffix(coding);
        const size_t length = strlen(suffix);
        if (size > length && strcmp(path + size - length, suffix) == 0)
            return true;
    }
    return false;
}

static void close_file(int fd, struct open_file *open)
{
    if (open)
        open_file_unref(open);
    else
        close(fd);
}

void files_encoding_drop(struct files_lookup *lookup)
{
    struct files_encoding *encoding = &lookup->encoding;
    if (encoding->looking)
        close_file(encoding->fd, encoding->open);
    encoding->looking = false;
}

/* Of the original's path again. */
static void answer(struct files_lookup *lookup, int fd, const struct stat *stat, struct open_file *open,
                   const struct http_offer *chosen)
{
    lookup->path[lookup->encoding.path_size] = '\0';
    files_answer_file(lookup, fd, stat, open,
                      &(struct files_representation){
                          .coding = chosen->coding, .on_the_fly = chosen->on_the_fly, .varies = true});
}

static void answer_original(struct files_lookup *lookup, const struct http_offer *chosen)
{
    struct files_encoding *encoding = &lookup->encoding;
    encoding->looking = false; /* the answer has it now */
    answer(lookup, encoding->fd, &encoding->stat, encoding->open, chosen);
}

/* Whether there is no need to look for it. */
static bool is_out_of_question(const struct files_encoding *encoding, const struct http_offer *offer)
{
    if (offer->on_the_fly)
        return !encoding->on_the_fly;
    return !encoding->beside || (encoding->open && (encoding->open->absent & 1u << offer->coding) != 0);
}

static void look_on(struct files_lookup *lookup)
{
    static const struct http_offer as_it_is = {HTTP_CODING_IDENTITY, false};
    struct files_encoding *encoding = &lookup->encoding;
    while (encoding->next < encoding->count) {
        const struct http_offer *offer = &encoding->ranked[encoding->next];
        if (is_out_of_question(encoding, offer)) {
            encoding->next++;
            continue;
        }
        if (offer->on_the_fly) {
            answer_original(lookup, offer);
            return;
        }
        strcpy(lookup->path + encoding->path_size, http_coding_suffix(offer->coding));
        files_lookup_open(lookup);
        return;
    }
    answer_original(lookup, &as_it_is);
}

/* What there was no descriptor or memory for may well be there. */
static bool tells_of_file(int error)
{
    return error != EMFILE && error != ENFILE && error != ENOMEM && error != EAGAIN && error != EINTR;
}

void files_encoding_missing(struct files_lookup *lookup, int error)
{
    struct files_encoding *encoding = &lookup->encoding;
    if (encoding->open && tells_of_file(error))
        encoding->open->absent |= 1u << encoding->ranked[encoding->next].coding;
    encoding->next++;
    look_on(lookup);
}

void files_encoding_found(struct files_lookup *lookup, int fd, const struct stat *stat,
                          struct open_file *open)
{
    struct files_encoding *encoding = &lookup->encoding;
    /* No coding makes nothing out of something: it is being written. */
    if (!S_ISREG(stat->st_mode) || (stat->st_size == 0 && encoding->stat.st_size > 0)) {
        close_file(fd, open);
        files_encoding_missing(lookup, EINVAL);
        return;
    }
    files_encoding_drop(lookup);
    answer(lookup, fd, stat, open, &encoding->ranked[encoding->next]);
}

static bool is_covered(const struct files_lookup *lookup, const struct stat *stat)
{
    const struct http_files *files = lookup->files;
    if (!files->compression ||
        !http_compression_covers(files->compression, files_type(lookup), (uint64_t)stat->st_size))
        return false;
    const struct http_cache_rule *rule = http_policy_cache_rule(files->policy, lookup->path);
    return !rule || !rule->no_transform;
}

void files_encoding_choose(struct files_lookup *lookup, int fd, const struct stat *stat,
                           struct open_file *open)
{
    const struct http_files *files = lookup->files;
    struct files_encoding *encoding = &lookup->encoding;
    struct http_accept_encoding accept;
    const bool beside = files->precompressed && !is_encoded(lookup->path);
    const bool covered = is_covered(lookup, stat);
    if (!beside && !covered) {
        files_answer_file(lookup, fd, stat, open,
                          &(struct files_representation){.coding = HTTP_CODING_IDENTITY});
        return;
    }
    http_accept_encoding_parse(http_exchange_request(lookup->exchange), &accept);
    *encoding = (struct files_encoding){
        .looking = true,
        .fd = fd,
        .open = open,
        .stat = *stat,
        .path_size = strlen(lookup->path),
        .beside = beside,
        .on_the_fly = covered && http_exchange_takes_stream(lookup->exchange),
    };
    encoding->count = (uint8_t)http_offers_rank(files->offers, files->offer_count, &accept, encoding->ranked);
    look_on(lookup);
}
