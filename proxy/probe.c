/* Shows a probe's findings as JSON and as a table.
 * Refuses to know how they were found out. */
#include "proxy/probe.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <string.h>

static const char *ktls_reason(const struct probe_ktls *ktls)
{
    if (!ktls->tx)
        return relay_reason_name(ktls->tx_reason);
    return ktls->rx ? NULL : relay_reason_name(ktls->rx_reason);
}

/* The known holes are in kTLS receive: a kernel without kTLS isn't exposed through us. */
static const char *warning(const struct probe *probe)
{
    return probe->ktls_kernel ? probe_kernel_warning(probe->kernel_release, probe->kernel_version) : NULL;
}

static json_t *ktls_to_json(const struct probe *probe)
{
    json_t *versions = json_object();

    for (int version = 0; version < PROBE_VERSION_COUNT; version++) {
        json_t *ciphers = json_object();

        for (int cipher = 0; cipher < PROBE_CIPHER_COUNT; cipher++) {
            const struct probe_ktls *ktls = &probe->ktls[version][cipher];

            json_object_set_new(
                ciphers, probe_cipher_name(cipher),
                json_pack("{s:b, s:b, s:s?}", "tx", ktls->tx, "rx", ktls->rx, "reason", ktls_reason(ktls)));
        }
        json_object_set_new(versions, probe_version_name(version), ciphers);
    }
    return versions;
}

static json_t *limit_to_json(uint64_t limit)
{
    return limit > INT64_MAX ? json_null() : json_integer((json_int_t)limit);
}

static json_t *pipe_to_json(const struct probe_pipe *pipe)
{
    return json_pack("{s:I, s:o, s:I, s:I, s:I, s:o, s:o}", "max_size", (json_int_t)pipe->max_size,
                     "user_pages_soft",
                     pipe->user_pages_soft == 0 ? json_null() : limit_to_json(pipe->user_pages_soft),
                     "default_size", (json_int_t)pipe->default_size, "asked_size",
                     (json_int_t)pipe->asked_size, "got_size", (json_int_t)pipe->got_size,
                     "default_pipes_per_user", limit_to_json(probe_pipes_of_size(pipe, pipe->default_size)),
                     "pipes_per_user", limit_to_json(probe_pipes_of_size(pipe, pipe->got_size)));
}

json_t *probe_to_json(const struct probe *probe)
{
    json_t *root =
        json_pack("{s:s, s:s, s:b, s:b, s:b, s:o, s:o}", "kernel", probe->kernel_release, "openssl",
                  OpenSSL_version(OPENSSL_VERSION_STRING), "splice", probe->splice.works, "sendfile",
                  probe->sendfile.works, "mmap", probe->mmap.works, "ktls", ktls_to_json(probe), "pipe",
                  pipe_to_json(&probe->pipe));

    if (root != NULL && probe->ktls_limits.known)
        json_object_set_new(root, "ktls_limits",
                            json_pack("{s:b, s:b}", "full_pipe", probe->ktls_limits.full_pipe, "rekey",
                                      probe->ktls_limits.rekey));
    if (root != NULL && warning(probe) != NULL)
        json_object_set_new(root, "warning", json_string(warning(probe)));
    return root;
}

static void print_call(FILE *stream, const char *name, const struct probe_call *call)
{
    if (call->works)
        fprintf(stream, "%-10s yes\n", name);
    else
        fprintf(stream, "%-10s no (%s)\n", name, strerror(call->error));
}

static void print_limit(FILE *stream, const char *what, uint64_t limit)
{
    if (limit == UINT64_MAX)
        fprintf(stream, "  %-44s no limit\n", what);
    else
        fprintf(stream, "  %-44s %" PRIu64 "\n", what, limit);
}

static void print_pipe(FILE *stream, const struct probe_pipe *pipe)
{
    fprintf(stream, "pipes\n");
    print_limit(stream, "fs.pipe-max-size, bytes", pipe->max_size);
    print_limit(stream, "fs.pipe-user-pages-soft, pages",
                pipe->user_pages_soft == 0 ? UINT64_MAX : pipe->user_pages_soft);
    print_limit(stream, "size of a new pipe, bytes", pipe->default_size);
    print_limit(stream, "size asked for, bytes", pipe->asked_size);
    print_limit(stream, "size got, bytes", pipe->got_size);
    print_limit(stream, "new pipes for an unprivileged user", probe_pipes_of_size(pipe, pipe->default_size));
    print_limit(stream, "pipes of the size got, for the same", probe_pipes_of_size(pipe, pipe->got_size));
}

void probe_print(const struct probe *probe, FILE *stream)
{
    fprintf(stream, "%-10s %s (%s)\n", "kernel", probe->kernel_release, probe->kernel_version);
    fprintf(stream, "%-10s %s\n", "openssl", OpenSSL_version(OPENSSL_VERSION_STRING));
    print_call(stream, "splice", &probe->splice);
    print_call(stream, "sendfile", &probe->sendfile);
    print_call(stream, "mmap", &probe->mmap);
    fprintf(stream, "%-10s %s\n\n", "ktls", probe->ktls_kernel ? "in the kernel" : "not in the kernel");
    fprintf(stream, "%-8s  %-17s  %-3s  %-3s  %s\n", "TLS", "cipher", "tx", "rx", "reason");
    for (int version = 0; version < PROBE_VERSION_COUNT; version++) {
        for (int cipher = 0; cipher < PROBE_CIPHER_COUNT; cipher++) {
            const struct probe_ktls *ktls = &probe->ktls[version][cipher];
            const char *reason = ktls_reason(ktls);

            fprintf(stream, "%-8s  %-17s  %-3s  %-3s  %s\n", probe_version_name(version),
                    probe_cipher_name(cipher), ktls->tx ? "yes" : "no", ktls->rx ? "yes" : "no",
                    reason != NULL ? reason : "");
        }
    }
    if (probe->ktls_limits.known) {
        fprintf(stream, "%-27s  %s\n", "splice into a full pipe",
                probe->ktls_limits.full_pipe ? "keeps all bytes"
                                             : "loses bytes (Sluice splices TLS into empty pipes only)");
        fprintf(stream, "%-27s  %s\n", "new keys in mid-connection",
                probe->ktls_limits.rekey ? "yes (not used: a KeyUpdate ends the connection)"
                                         : "no (a KeyUpdate ends the connection)");
    }
    fputc('\n', stream);
    print_pipe(stream, &probe->pipe);
    if (warning(probe) != NULL)
        fprintf(stream, "\nwarning: %s\n", warning(probe));
}
