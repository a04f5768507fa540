/* What the parts of the schema share: one file for each noun (schema_*.c), all reached from schema_root.
 * Refuses to be included outside the schema. */
#pragma once

#include "conf/conf.h"
#include "conf/schema.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define HOUR_MS UINT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECTION_KEYS(array) .keys = (array), .count = COUNT(array)

extern const struct schema_section schema_tls;                              /* struct conf_tls */
extern const struct schema_section schema_backend;                          /* struct conf_backend */
extern const struct schema_section schema_compress;                         /* struct conf_compress */
extern const struct schema_section schema_files;                            /* struct conf_files */
extern const struct schema_section schema_site;                             /* struct conf_site */
extern const struct schema_section schema_header;                           /* struct conf_header */
extern const struct schema_section schema_cache_rule;                       /* struct conf_cache_rule */
extern const struct schema_section schema_error_page;                       /* struct conf_error_page */
extern const struct schema_section schema_mime_type;                        /* struct conf_mime_type */
extern const struct schema_section schema_hsts;                             /* struct conf_hsts */
extern const struct schema_section schema_listener;                         /* struct conf_listener */
extern const struct schema_section schema_limits;                           /* struct conf_limits */
extern const struct schema_section schema_resolve;                          /* struct conf_resolve */
extern const struct schema_section schema_proxy_protocol;                   /* struct conf_proxy_protocol */
extern const struct schema_section schema_route;                            /* struct conf_route */
extern const struct schema_section schema_listener_tcp, schema_backend_tcp; /* struct conf_tcp */
extern const struct schema_section schema_http;                             /* struct conf_http */
extern const struct schema_section schema_timeouts;                         /* struct conf_timeouts */
extern const struct schema_section schema_filter;                           /* struct conf_filter */
extern const struct schema_section schema_health;                           /* struct conf_health */
extern const struct schema_section schema_eject;                            /* struct conf_eject */
extern const struct schema_section schema_server_tls;                       /* struct conf_server_tls */
