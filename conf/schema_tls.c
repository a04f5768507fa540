/* The keys of tls.NAME. */
#include "conf/schema_tls.h"

/* A choice is stored as its index: the list follows its enum. */
const char *const schema_ktls_choices[] = {"auto", "off", "require", NULL};
_Static_assert(COUNT(schema_ktls_choices) - 2 == CONF_KTLS_REQUIRE, "ktls");
const char *const schema_tls_versions[] = {"1.2", "1.3", NULL};
_Static_assert(COUNT(schema_tls_versions) - 2 == CONF_TLS_1_3, "versions");

/* All of OpenSSL's that are forward secret and authenticate what they encrypt; by its names for them. The
 * kernel's TLS takes no other either. */
const char *const schema_tls_suites[] = {"TLS_AES_128_GCM_SHA256",       "TLS_AES_256_GCM_SHA384",
                                         "TLS_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256",
                                         "ECDHE-RSA-AES128-GCM-SHA256",  "ECDHE-ECDSA-AES256-GCM-SHA384",
                                         "ECDHE-RSA-AES256-GCM-SHA384",  "ECDHE-ECDSA-CHACHA20-POLY1305",
                                         "ECDHE-RSA-CHACHA20-POLY1305",  NULL};
const char *const schema_tls_groups[] = {"X25519", "P-256", "P-384", "P-521", "X448", NULL};

static const struct schema_key cert_keys[] = {
    {
        .name = "cert",
        .type = SCHEMA_PATH,
        .help =
            "PEM file: the certificate, then its intermediates. Its names choose among several (SNI); the "
            "first certificate answers for unknown names",
        .example = "\"certs/example.pem\"",
        .required = true,
        .offset = offsetof(struct conf_cert, cert),
        .place_offset = offsetof(struct conf_cert, cert_place),
    },
    {
        .name = "key",
        .type = SCHEMA_PATH,
        .help = "PEM file: the private key, unencrypted. May be readable by root alone",
        .example = "\"certs/example.key\"",
        .required = true,
        .offset = offsetof(struct conf_cert, key),
        .place_offset = offsetof(struct conf_cert, key_place),
    },
    {
        .name = "ocsp",
        .type = SCHEMA_PATH,
        .help =
            "DER file: an OCSP response for this certificate, stapled while it is valid; a reload reads it "
            "again",
        .example = "\"certs/example.ocsp\"",
        .offset = offsetof(struct conf_cert, ocsp),
        .place_offset = offsetof(struct conf_cert, ocsp_place),
    },
};
static const struct schema_section cert_section = {
    SECTION_KEYS(cert_keys),
    .size = sizeof(struct conf_cert),
    .name_offset = SCHEMA_NOWHERE,
    .place_offset = offsetof(struct conf_cert, place),
};

static const char *const verify_choices[] = {"none", "optional", "required", NULL};
_Static_assert(COUNT(verify_choices) - 2 == CONF_VERIFY_REQUIRED, "verify");

static const struct schema_key client_keys[] = {
    {
        .name = "verify",
        .type = SCHEMA_CHOICE,
        .help =
            "Whether clients are asked for a certificate and must have one. A bad one is refused also where "
            "none is required",
        .example = "\"required\"",
        .required = true,
        .choices = verify_choices,
        .offset = offsetof(struct conf_tls_client, verify),
        .place_offset = offsetof(struct conf_tls_client, verify_place),
    },
    {
        .name = "ca",
        .type = SCHEMA_PATH,
        .help = "PEM file: the certificates of the CAs whose clients are let in",
        .example = "\"certs/clients-ca.pem\"",
        .offset = offsetof(struct conf_tls_client, ca),
        .place_offset = offsetof(struct conf_tls_client, ca_place),
    },
    {
        .name = "crl",
        .type = SCHEMA_PATH,
        .help = "PEM file: a list of revoked certificates of each of these CAs; a reload reads it again. One "
                "that "
                "is over has its CA's clients refused",
        .example = "\"certs/clients-crl.pem\"",
        .offset = offsetof(struct conf_tls_client, crl),
        .place_offset = offsetof(struct conf_tls_client, crl_place),
    },
    {
        .name = "depth",
        .type = SCHEMA_INTEGER,
        .help = "The most intermediate certificates between a client's and its CA's",
        .example = "1",
        .fallback = "9",
        .max = 100,
        .offset = offsetof(struct conf_tls_client, depth),
    },
};
static const struct schema_section client_section = {SECTION_KEYS(client_keys),
                                                     .size = sizeof(struct conf_tls_client)};

static const struct schema_key tls_keys[] = {
    {
        .name = "certs",
        .type = SCHEMA_LIST,
        .help = "The certificates and their keys",
        .example = "( { cert = \"certs/example.pem\"; key = \"certs/example.key\"; } )",
        .required = true,
        .min = 1,
        .section = &cert_section,
        .offset = offsetof(struct conf_tls, certs),
        .count_offset = offsetof(struct conf_tls, cert_count),
    },
    {
        .name = "ktls",
        .type = SCHEMA_CHOICE,
        .help = "Whether the kernel encrypts: wherever it can, never, or else the connection is refused",
        .example = "\"require\"",
        .fallback = "auto",
        .choices = schema_ktls_choices,
        .offset = offsetof(struct conf_tls, ktls),
        .place_offset = offsetof(struct conf_tls, ktls_place),
    },
    {
        .name = "client",
        .type = SCHEMA_GROUP,
        .help = "Certificates that clients show (mTLS). Without it they aren't asked",
        .example = "{ verify = \"required\"; ca = \"certs/clients-ca.pem\"; }",
        .section = &client_section,
        .offset = offsetof(struct conf_tls, client),
        .given_offset = offsetof(struct conf_tls, has_client),
    },
    TLS_POLICY_KEYS(struct conf_tls),
    {
        .name = "alpn",
        .type = SCHEMA_STRINGS,
        .help = "Protocols to choose from by ALPN, in this order of preference; a client that offers others "
                "only is refused. Without it a proxy leaves the question open. Files are `http/1.1` always",
        .example = "[ \"h2\", \"http/1.1\" ]",
        .offset = offsetof(struct conf_tls, policy.alpn),
        .count_offset = offsetof(struct conf_tls, policy.alpn_count),
        .place_offset = offsetof(struct conf_tls, policy.alpn_place),
    },
};
const struct schema_section schema_tls = {
    SECTION_KEYS(tls_keys),
    .size = sizeof(struct conf_tls),
    .name_offset = offsetof(struct conf_tls, name),
    .place_offset = offsetof(struct conf_tls, place),
};
