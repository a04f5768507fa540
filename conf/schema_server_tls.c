/* The keys of backends.NAME.tls: TLS to the servers. */
#include "conf/schema_tls.h"

static const struct schema_key server_tls_keys[] = {
    {
        .name = "verify",
        .type = SCHEMA_BOOLEAN,
        .help = "Whether a server must prove who it is. Without it anybody on the way can read and change "
                "everything",
        .example = "false",
        .fallback = "true",
        .offset = offsetof(struct conf_server_tls, verify),
        .place_offset = offsetof(struct conf_server_tls, verify_place),
    },
    {
        .name = "ca",
        .type = SCHEMA_PATH,
        .help = "PEM file: the certificates that a server's has to come from, or to be. Without it: the "
                "system's CAs",
        .example = "\"certs/servers-ca.pem\"",
        .offset = offsetof(struct conf_server_tls, ca),
        .place_offset = offsetof(struct conf_server_tls, ca_place),
    },
    {
        .name = "crl",
        .type = SCHEMA_PATH,
        .help = "PEM file: a list of revoked certificates of each CA in `ca`; a reload reads it again",
        .example = "\"certs/servers-crl.pem\"",
        .offset = offsetof(struct conf_server_tls, crl),
        .place_offset = offsetof(struct conf_server_tls, crl_place),
    },
    {
        .name = "server_name",
        .type = SCHEMA_STRING,
        .help = "The name sent as SNI that the certificate must be for. Without it: the server's host name, "
                "or else "
                "its address, which is checked and not sent",
        .example = "\"app.example.org\"",
        .offset = offsetof(struct conf_server_tls, server_name),
        .place_offset = offsetof(struct conf_server_tls, server_name_place),
    },
    {
        .name = "cert",
        .type = SCHEMA_PATH,
        .help = "PEM file: the certificate shown to servers that ask for one, then its intermediates",
        .example = "\"certs/sluice.pem\"",
        .offset = offsetof(struct conf_server_tls, cert),
        .place_offset = offsetof(struct conf_server_tls, cert_place),
    },
    {
        .name = "key",
        .type = SCHEMA_PATH,
        .help = "PEM file: its private key, unencrypted. May be readable by root alone",
        .example = "\"certs/sluice.key\"",
        .offset = offsetof(struct conf_server_tls, key),
        .place_offset = offsetof(struct conf_server_tls, key_place),
    },
    {
        .name = "ktls",
        .type = SCHEMA_CHOICE,
        .help = "Whether the kernel encrypts: wherever it can, never, or else the connection is refused",
        .example = "\"require\"",
        .fallback = "auto",
        .choices = schema_ktls_choices,
        .offset = offsetof(struct conf_server_tls, ktls),
        .place_offset = offsetof(struct conf_server_tls, ktls_place),
    },
    TLS_POLICY_KEYS(struct conf_server_tls),
    {
        .name = "alpn",
        .type = SCHEMA_STRINGS,
        .help = "Protocols offered by ALPN, in this order of preference. Without it: none",
        .example = "[ \"http/1.1\" ]",
        .offset = offsetof(struct conf_server_tls, policy.alpn),
        .count_offset = offsetof(struct conf_server_tls, policy.alpn_count),
        .place_offset = offsetof(struct conf_server_tls, policy.alpn_place),
    },
};
const struct schema_section schema_server_tls = {SECTION_KEYS(server_tls_keys),
                                                 .size = sizeof(struct conf_server_tls)};
