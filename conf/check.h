/* The checks of single things, by noun (check_*.c); check_conf() (load.h) calls them all and adds what holds
 * between things. Each is called with whatever could be loaded: what is missing was reported.
 * Refuses to know syntax, types and ranges. */
#pragma once

#include <stdarg.h>

#include "conf/conf.h"

void check_backend(const struct conf_backend *backend, struct conf_problems *problems);
void check_names(const struct conf *conf, struct conf_problems *problems);
void check_health(const struct conf_backend *backend, struct conf_problems *problems);
/* precompressed and compress. */
void check_compress(const struct conf_files *files, struct conf_problems *problems);
void check_files(const struct conf_files *files, struct conf_problems *problems);
/* A part of check_files(): what it adds to its answers. */
void check_http_policy(const struct conf_files *files, struct conf_problems *problems);
/* TLS to the servers of a backend; and whether a listener's mode can be had with it. */
void check_server_tls(const struct conf_backend *backend, struct conf_problems *problems);
void check_mode_of_server_tls(const struct conf_listener *listener, const struct conf_backend *backend,
                              struct conf_problems *problems);
void check_site(const struct conf_site *site, struct conf_problems *problems);
/* The sites of a listener, or of one of its routes; key: which, "sites". A part of check_listener(). */
void check_sites(const struct conf_listener *listener, const struct conf_sites *sites, const char *key,
                 struct conf_problems *problems);
void check_tls(const struct conf_tls *tls, struct conf_problems *problems);
/* owner: where its keys stand, "tls.main". */
void check_tls_policy(const char *owner, const struct conf_tls_policy *policy,
                      struct conf_problems *problems);
void check_listening(const struct conf_listener *listener, struct conf_problems *problems);
void check_outgoing(const struct conf_backend *backend, struct conf_problems *problems);
void check_transparent(const struct conf *conf, struct conf_problems *problems);
void check_http(const struct conf_http *http, struct conf_problems *problems);
/* Where its keys differ from the global ones. */
void check_listener_http(const struct conf *conf, const struct conf_listener *listener,
                         struct conf_problems *problems);
void check_limits(const struct conf_listener *listener, struct conf_problems *problems);
void check_listener(const struct conf_listener *listener, struct conf_problems *problems);
void check_filters(const struct conf_listener *listener, struct conf_problems *problems);

/* What the functions below are made of: a problem at path, which it frees. */
void check_add_at(struct conf_problems *problems, struct conf_place place, char *path, const char *format,
                  va_list arguments) __attribute__((format(printf, 4, 0)));

/* A problem of backends.NAME.KEY. */
void check_add_backend(struct conf_problems *problems, struct conf_place place,
                       const struct conf_backend *backend, const char *key, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Whether one of its segments is "." or "..". */
bool check_has_dots(const char *path);

/* A problem of files.NAME.KEY. */
void check_add_files(struct conf_problems *problems, struct conf_place place, const struct conf_files *files,
                     const char *key, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* A part of check_listener(). */
void check_routes(const struct conf_listener *listener, struct conf_problems *problems);

/* A problem of listeners.NAME.KEY; key NULL: of the listener as a whole. */
void check_add_listener(struct conf_problems *problems, struct conf_place place,
                        const struct conf_listener *listener, const char *key, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
