/* Fuzzes what a peer puts into records that aren't data: whole, and a byte at a time, which must come to the
 * same. The first byte is version and role; then records as type, size and body. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "relay/tls_control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_end(enum tls_control control)
{
    return control == TLS_CONTROL_CLOSE || control == TLS_CONTROL_KEY_UPDATE || control == TLS_CONTROL_FATAL;
}

/* The gravest of the verdicts on a record's bytes, one by one, up to an end. */
static enum tls_control read_in_pieces(struct tls_control_reader *reader, const uint8_t *body, size_t size)
{
    enum tls_control gravest = TLS_CONTROL_IGNORE;
    const char *why = NULL;
    for (size_t i = 0; i < size && !is_end(gravest); i++) {
        enum tls_control control = tls_control_read(reader, TLS_RECORD_HANDSHAKE, body + i, 1, &why);
        gravest = control > gravest ? control : gravest;
    }
    return gravest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct tls_control_reader whole = {.tls13 = (data[0] & 1) != 0, .from_server = (data[0] & 2) != 0};
    struct tls_control_reader pieces = whole;
    for (size_t at = 1; size - at >= 2;) {
        uint8_t type = data[at];
        size_t length = data[at + 1];
        at += 2;
        if (length > size - at)
            length = size - at;
        const char *why = NULL;
        enum tls_control control = tls_control_read(&whole, type, data + at, length, &why);
        if ((control == TLS_CONTROL_FATAL) != (why != NULL))
            abort();
        if (type == TLS_RECORD_HANDSHAKE && length != 0 &&
            read_in_pieces(&pieces, data + at, length) != control)
            abort();
        if (is_end(control))
            return 0;
        if (whole.have != pieces.have || whole.left != pieces.left)
            abort();
        at += length;
    }
    return 0;
}
