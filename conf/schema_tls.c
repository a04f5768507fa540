/* The keys of tls.NAME. */
#include "conf/schema_sections.h"

/* A choice is stored as its index: the list follows its enum. */
static const char *const ktls_choices[] = {"auto", "off", "require", NULL};
_Static_assert(COUNT(ktls_choices) - 2 == CONF_KTLS_REQUIRE, "ktls");

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
};
static const struct schema_section cert_section = {
    SECTION_KEYS(cert_keys),
    .size = sizeof(struct conf_cert),
    .name_offset = SCHEMA_NOWHERE,
    .place_offset = offsetof(struct conf_cert, place),
};

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
        .choices = ktls_choices,
        .offset = offsetof(struct conf_tls, ktls),
        .place_offset = offsetof(struct conf_tls, ktls_place),
    },
};
const struct schema_section schema_tls = {
    SECTION_KEYS(tls_keys),
    .size = sizeof(struct conf_tls),
    .name_offset = offsetof(struct conf_tls, name),
    .place_offset = offsetof(struct conf_tls, place),
};
