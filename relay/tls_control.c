/* Reads alerts (RFC 8446 6, RFC 5246 7.2) and the headers of handshake messages (RFC 8446 4).
 * Refuses to know the bodies of messages: none of those that may come here needs one. */
#include "relay/tls_control.h"

#include <openssl/ssl.h>

#define MESSAGE_HELLO_REQUEST 0
#define MESSAGE_CLIENT_HELLO 1
#define MESSAGE_NEW_SESSION_TICKET 4
#define MESSAGE_KEY_UPDATE 24

static enum tls_control fatal(const char **why, const char *text)
{
    *why = text;
    return TLS_CONTROL_FATAL;
}

static enum tls_control read_alert(const struct tls_control_reader *reader, const uint8_t *data, size_t size,
                                   const char **why)
{
    if (size != 2)
        return fatal(why, "a malformed alert");
    bool warning = data[0] == SSL3_AL_WARNING;
    if (data[1] == SSL_AD_CLOSE_NOTIFY && (warning || reader->tls13))
        return TLS_CONTROL_CLOSE;
    /* TLS 1.3 has no other warning than this, whatever the level says. */
    if (reader->tls13 ? data[1] == SSL_AD_USER_CANCELLED : warning && data[1] != SSL_AD_NO_RENEGOTIATION)
        return TLS_CONTROL_IGNORE;
    return fatal(why, SSL_alert_desc_string_long(data[1]));
}

static enum tls_control on_message(const struct tls_control_reader *reader, const char **why)
{
    uint8_t type = reader->header[0];
    if (reader->tls13) {
        if (type == MESSAGE_KEY_UPDATE)
            return TLS_CONTROL_KEY_UPDATE;
        if (type == MESSAGE_NEW_SESSION_TICKET && reader->from_server)
            return TLS_CONTROL_IGNORE;
    } else if (type == (reader->from_server ? MESSAGE_HELLO_REQUEST : MESSAGE_CLIENT_HELLO)) {
        return TLS_CONTROL_RENEGOTIATE;
    }
    return fatal(why, "an unexpected handshake message");
}

static enum tls_control read_handshake(struct tls_control_reader *reader, const uint8_t *data, size_t size,
                                       const char **why)
{
    enum tls_control found = TLS_CONTROL_IGNORE;
    if (size == 0)
        return fatal(why, "an empty handshake record");
    for (size_t at = 0; at < size;) {
        if (reader->left != 0) {
            size_t n = size - at < reader->left ? size - at : reader->left;
            reader->left -= (uint32_t)n;
            at += n;
            continue;
        }
        reader->header[reader->have++] = data[at++];
        if (reader->have < sizeof(reader->header)) {
            /* The type alone decides: the rest of a KeyUpdate may never come. */
            if (reader->have == 1 && reader->header[0] == MESSAGE_KEY_UPDATE && reader->tls13)
                return TLS_CONTROL_KEY_UPDATE;
            continue;
        }
        reader->have = 0;
        reader->left =
            (uint32_t)reader->header[1] << 16 | (uint32_t)reader->header[2] << 8 | reader->header[3];
        enum tls_control control = on_message(reader, why);
        if (control != TLS_CONTROL_IGNORE && control != TLS_CONTROL_RENEGOTIATE)
            return control;
        found = control == TLS_CONTROL_RENEGOTIATE ? control : found;
    }
    return found;
}

enum tls_control tls_control_read(struct tls_control_reader *reader, uint8_t type, const uint8_t *data,
                                  size_t size, const char **why)
{
    switch (type) {
    case TLS_RECORD_ALERT:
        return read_alert(reader, data, size, why);
    case TLS_RECORD_HANDSHAKE:
        return read_handshake(reader, data, size, why);
    default:
        return fatal(why, "a record of an unknown type");
    }
}
