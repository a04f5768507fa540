/* The configuration as the operator wrote it: typed, complete with defaults, every value with its place.
 * Loading reports all semantic errors at once and never returns half a configuration.
 * Refuses to know sockets, TLS contexts and what a relay mode means (relay's names are held to the schema's
 * by a test). Not thread-safe: load and read on one thread; a loaded conf is immutable and may be shared. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Where a value stands. file NULL: a built-in default, or the command line. */
struct conf_place {
    const char *file;
    int line;
};

/* A growing list of problems, printed as FILE:LINE: key: problem. Zero-initialise. */
struct conf_problems {
    struct conf_problem {
        char *file; /* NULL: none */
        int line;   /* 0: none */
        char *key;  /* dotted path as the user knows it, listeners.web.address; NULL: none */
        char *text; /* what is wrong, and the remedy */
    } * items;
    size_t count;
};
void conf_problem_add(struct conf_problems *problems, struct conf_place place, const char *key,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));
void conf_problems_print(const struct conf_problems *problems,
                         FILE *stream); /* in the order of file and line */
void conf_problems_clear(struct conf_problems *problems);

/* "127.0.0.1:80" "[::]:443" ":443" (dual-stack) "localhost:80"?: no, numeric only; "unix:/run/x.sock". */
struct conf_address {
    struct sockaddr_storage addr;
    socklen_t length;
    bool dual_stack; /* written as ":443": [::] with IPV6_V6ONLY off */
    char *text;      /* as written */
    struct conf_place place;
    /* A server's alone: the name that is looked up instead. Then length is 0 and the family AF_UNSPEC. */
    char *host; /* NULL: the address is numeric */
    uint16_t port;
    bool srv; /* written as "srv:NAME": SRV records tell hosts and ports */
};
/* Parses one address. false: *problem (static text) says what is wrong. text is not kept by reference. */
bool conf_address_parse(const char *text, struct conf_address *address, const char **problem)
    __attribute__((warn_unused_result));
/* The same for a server's, which may also be "app.internal:8080" or "srv:_http._tcp.app.internal". */
bool conf_address_parse_server(const char *text, struct conf_address *address, const char **problem)
    __attribute__((warn_unused_result));
void conf_address_clear(struct conf_address *address);
bool conf_address_equal(const struct conf_address *a, const struct conf_address *b);

/* "200" or "200-399", within 100 and 599. false: it is neither. */
bool conf_status_range_parse(const char *text, unsigned *low, unsigned *high)
    __attribute__((warn_unused_result));

/* A range of addresses. An IPv4 client of a dual-stack socket is matched as IPv4. */
struct conf_cidr {
    int family;      /* AF_INET, AF_INET6, AF_UNIX */
    unsigned prefix; /* bits */
    uint8_t address[16];
};
struct conf_cidrs {
    struct conf_cidr *items;
    size_t count;
};
bool conf_cidrs_contain(const struct conf_cidrs *cidrs, const struct sockaddr_storage *address);

struct conf_timeouts { /* milliseconds, all finite and > 0 */
    uint32_t connect_ms, handshake_ms, header_ms, idle_ms, linger_ms, drain_ms;
};

/* How much an HTTP client may ask for. Line 0 where a key isn't given. */
struct conf_http {
    uint64_t max_head, max_uri, max_body; /* bytes */
    unsigned max_fields, keepalive_requests;
    uint32_t keepalive_time, min_rate_window; /* milliseconds */
    uint64_t min_receive_rate, min_send_rate; /* bytes a second; 0: none */
    struct conf_place max_head_place, max_uri_place, max_body_place, max_fields_place,
        keepalive_requests_place, keepalive_time_place, min_receive_rate_place, min_send_rate_place,
        min_rate_window_place;
};

/* Of a socket; what isn't given stays as the system has it. Line 0 where a key isn't given. */
struct conf_keepalive {
    uint32_t idle_ms, interval_ms;
    unsigned count;
};
struct conf_tcp {
    struct conf_keepalive keepalive;
    bool has_keepalive;
    uint32_t user_timeout;    /* milliseconds; 0: the system's */
    char *congestion;         /* NULL: the system's */
    unsigned fast_open_queue; /* of a listener; 0: none */
    bool fast_open;           /* of a backend */
    struct conf_place keepalive_place, user_timeout_place, congestion_place, fast_open_queue_place,
        fast_open_place;
};

enum conf_ktls { CONF_KTLS_AUTO, CONF_KTLS_OFF, CONF_KTLS_REQUIRE };

/* What one side of TLS is ready to speak. Places have line 0 where the key isn't given. */
enum conf_tls_version { CONF_TLS_1_2, CONF_TLS_1_3 };
struct conf_tls_policy {
    enum conf_tls_version min_version, max_version;
    char **suites, **groups, **alpn; /* in order of preference; none: the defaults, and no ALPN */
    size_t suite_count, group_count, alpn_count;
    struct conf_place min_version_place, max_version_place, suites_place, groups_place, alpn_place;
};
/* TLS 1.2 names its suites by key exchange and signature too. */
enum conf_tls_version conf_tls_suite_version(const char *suite);
/* Whether a connection can come to speak this version: in its range, and with a suite of it. */
bool conf_tls_speaks(const struct conf_tls_policy *policy, enum conf_tls_version version);

struct conf_cert {
    char *cert, *key, *ocsp; /* paths, made absolute against the file that names them; ocsp NULL: none */
    struct conf_place place, cert_place, key_place, ocsp_place;
};
enum conf_verify { CONF_VERIFY_NONE, CONF_VERIFY_OPTIONAL, CONF_VERIFY_REQUIRED };
struct conf_tls_client {
    enum conf_verify verify;
    char *ca, *crl; /* NULL: none */
    unsigned depth;
    struct conf_place verify_place, ca_place, crl_place;
};
struct conf_tls {
    char *name;
    struct conf_place place, ktls_place;
    struct conf_cert *certs;
    size_t cert_count; /* at least one */
    enum conf_ktls ktls;
    struct conf_tls_policy policy;
    bool has_client;
    struct conf_tls_client client; /* zeros without it: clients aren't asked for a certificate */
};

/* How names of servers are looked up. */
enum conf_family { CONF_FAMILY_ANY, CONF_FAMILY_IPV4, CONF_FAMILY_IPV6 };
struct conf_resolve {
    char **servers; /* each "127.0.0.1", "127.0.0.1:53", "[::1]" or "[::1]:53"; none: /etc/resolv.conf's */
    size_t server_count;
    struct conf_place servers_place, interval_min_place, interval_max_place;
    uint32_t timeout_ms, interval_min_ms, interval_max_ms, hold_ms;
    enum conf_family family;
};

/* TLS to the servers of a backend. */
struct conf_server_tls {
    bool verify;
    char *ca, *crl;    /* ca NULL: the system's; crl NULL: none */
    char *server_name; /* NULL: each server's own */
    char *cert, *key;  /* shown to servers; NULL: none */
    enum conf_ktls ktls;
    struct conf_tls_policy policy;
    struct conf_place verify_place, ca_place, crl_place, server_name_place, cert_place, key_place, ktls_place;
};

struct conf_server {
    char *name; /* as written: its address */
    struct conf_address address;
    unsigned weight;          /* 1 .. 256, default 1 */
    unsigned max_connections; /* 0: no limit */
    bool backup;
    struct conf_place place, max_connections_place;
};
enum conf_balance {
    CONF_BALANCE_ROUND_ROBIN,
    CONF_BALANCE_LEAST_CONN,
    CONF_BALANCE_RANDOM,
    CONF_BALANCE_SOURCE_HASH,
    CONF_BALANCE_MAGLEV,
};
enum conf_health_type { CONF_HEALTH_TCP, CONF_HEALTH_TLS, CONF_HEALTH_HTTP, CONF_HEALTH_HTTPS };
struct conf_health {
    enum conf_health_type type;
    uint32_t interval_ms, timeout_ms;
    unsigned jitter; /* per cent */
    unsigned rise, fall;
    char *path;          /* "/" unless given */
    char *host;          /* NULL: the server's address */
    char **status;       /* conf_status_range_parse() takes each */
    size_t status_count; /* at least one */
    struct conf_place path_place, host_place, status_place;
};
struct conf_eject {
    unsigned failures;
    uint32_t base_ms, max_ms;
    unsigned share; /* per cent */
    struct conf_place base_place;
};
struct conf_queue {
    unsigned size;
    uint32_t timeout_ms;
};
struct conf_outgoing {
    struct conf_tcp tcp;
    char *source; /* as conf_source_parse() takes it; NULL: the kernel chooses */
    bool transparent;
    struct conf_place source_place, transparent_place;
};
/* An address without a port, "127.0.0.2" or "::1"; port 0 in *address. false: it is none. */
bool conf_source_parse(const char *text, struct conf_address *address) __attribute__((warn_unused_result));

/* The PROXY header that a server is sent first. */
enum conf_proxy_header { CONF_PROXY_HEADER_OFF, CONF_PROXY_HEADER_V1, CONF_PROXY_HEADER_V2 };
struct conf_backend {
    char *name;
    struct conf_place place;
    struct conf_server *servers;
    size_t server_count; /* at least one */
    enum conf_balance balance;
    uint32_t slow_start_ms; /* 0: none */
    struct conf_queue queue;
    struct conf_outgoing outgoing;
    bool panic;
    bool has_health, has_eject; /* else all of it has no meaning */
    struct conf_health health;
    struct conf_eject eject;
    struct conf_place slow_start_place, queue_place; /* line 0 where the key isn't given */
    struct conf_resolve resolve;                     /* the global one where the backend says nothing */
    struct conf_place resolve_place;
    enum conf_proxy_header proxy_header;
    bool has_tls;
    struct conf_server_tls tls; /* unless has_tls: plain */
    struct conf_place tls_place;
};

enum conf_autoindex { CONF_AUTOINDEX_OFF, CONF_AUTOINDEX_HTML, CONF_AUTOINDEX_JSON };
enum conf_symlinks { CONF_SYMLINKS_ON, CONF_SYMLINKS_SAME_OWNER, CONF_SYMLINKS_OFF };
enum conf_dotfiles { CONF_DOTFILES_DENY, CONF_DOTFILES_ALLOW };
/* What a `files` adds to its answers. */
struct conf_header {
    char *name, *value;
    bool always; /* on errors too */
    struct conf_place place, name_place, value_place;
};
struct conf_hsts {
    uint64_t max_age; /* seconds */
    bool include_subdomains, preload;
    struct conf_place preload_place;
};
struct conf_cache_rule {
    char **match; /* patterns, see proxy/http/glob.h */
    size_t match_count;
    char *value;
    struct conf_place place, match_place, value_place;
};
struct conf_mime_type {
    char **extensions; /* without the dot */
    size_t extension_count;
    char *type;
    struct conf_place place, extensions_place, type_place;
};
struct conf_error_page {
    unsigned *status; /* 400 .. 599 */
    size_t status_count;
    char *path; /* beneath the root, a slash first */
    struct conf_place place, status_place, path_place;
};
struct conf_http_policy {
    char *server; /* the Server field's value; "off": none */
    struct conf_header *headers;
    size_t header_count;
    bool has_hsts;
    struct conf_hsts hsts;
    struct conf_cache_rule *cache_rules; /* the first that matches holds */
    size_t cache_rule_count;
    struct conf_error_page *error_pages; /* no status twice */
    size_t error_page_count;
    struct conf_mime_type *mime_types;
    size_t mime_type_count;
    char *default_type;
    char *charset; /* "off": none is told */
    struct conf_place server_place, default_type_place, charset_place;
};

/* Compression on the fly. Line 0 where a key isn't given. */
struct conf_compress {
    char **encodings, **types; /* codings by name, in order of preference; content types */
    size_t encoding_count, type_count;
    uint64_t min_size, max_size;
    unsigned level, max_at_once;
    struct conf_place encodings_place, types_place, min_size_place, max_size_place;
};

struct conf_files {
    char *name;
    struct conf_place place, root_place;
    char *root; /* absolute */
    struct conf_http_policy policy;
    char **index;
    size_t index_count;
    char **try_files;
    size_t try_count;
    struct conf_place try_place;
    enum conf_autoindex autoindex;
    enum conf_symlinks symlinks;
    enum conf_dotfiles dotfiles;
    char **precompressed; /* codings by name, in order of preference */
    size_t precompressed_count;
    struct conf_place precompressed_place;
    bool has_compress;
    struct conf_compress compress;
};

/* One path of a site and what is done beneath it. */
struct conf_site_path {
    char *prefix;                   /* as written; has no meaning where exact is set */
    char *exact;                    /* NULL: the prefix counts */
    const struct conf_files *files; /* exactly one of files, redirect and, alone, status is set */
    bool strip;
    char *redirect; /* with status */
    bool append;
    unsigned status;
    struct conf_place place;
    /* Line 0 where the key isn't given. */
    struct conf_place prefix_place, exact_place, files_place, strip_place, redirect_place, append_place,
        status_place;
};
struct conf_site {
    char *name;
    struct conf_place place;
    char **hosts; /* as written; none: for every host that no other site of the listener has */
    size_t host_count;
    char *canonical; /* NULL: none */
    bool redirect_https;
    unsigned https_port;
    struct conf_site_path *paths; /* none: only with redirect_https */
    size_t path_count;
    struct conf_place hosts_place, canonical_place, redirect_https_place, https_port_place, paths_place;
};
/* Those of a listener, or of a route. */
struct conf_sites {
    const struct conf_site **items;
    size_t count;
    struct conf_place place; /* line 0: not given */
};

/* As relay's enum relay_force, by name; a test holds the two to each other. */
enum conf_relay { CONF_RELAY_AUTO, CONF_RELAY_SPLICE, CONF_RELAY_SENDFILE, CONF_RELAY_MMAP, CONF_RELAY_COPY };

enum conf_filter_type { CONF_FILTER_LOG, CONF_FILTER_CAPTURE, CONF_FILTER_DENY, CONF_FILTER_SUBSTITUTE };
enum conf_filter_direction { CONF_FILTER_BOTH, CONF_FILTER_TO_CLIENT, CONF_FILTER_TO_SERVER };
struct conf_filter {
    enum conf_filter_type type;
    enum conf_filter_direction direction;
    uint64_t bytes;    /* LOG, CAPTURE, DENY: of each direction; 0: the type's default */
    char *file;        /* CAPTURE: absolute */
    uint64_t max_size; /* CAPTURE: of the file */
    char **patterns;   /* DENY: as written (bytes.h), each good */
    size_t pattern_count;
    char *find, *replace; /* SUBSTITUTE, likewise; replace NULL: nothing takes its place */
    struct conf_place place, type_place, bytes_place, file_place, max_size_place, patterns_place, find_place,
        replace_place;
};
/* How many bytes of a direction it wants; UINT64_MAX: all. */
uint64_t conf_filter_bytes(const struct conf_filter *filter);
bool conf_filter_reads(const struct conf_filter *filter, enum conf_filter_direction direction);

struct conf_listening {
    struct conf_tcp tcp;
    unsigned backlog;
    char *unix_mode, *unix_user, *unix_group; /* NULL: as the process creates it */
    struct conf_place unix_mode_place, unix_user_place, unix_group_place;
};
/* "0660" or "660". false: it is no mode. */
bool conf_mode_parse(const char *text, unsigned *mode) __attribute__((warn_unused_result));

/* 0: no limit. Line 0 where a key isn't given. */
struct conf_limits {
    unsigned max_connections, max_connections_per_client; /* at a time */
    unsigned connection_rate, connection_burst;           /* a second and client; burst 0: as the rate */
    unsigned client_prefix_v4, client_prefix_v6, max_clients;
    uint64_t to_client, to_server; /* bytes a second and connection */
    uint64_t bandwidth_burst;      /* 0: chosen by the rate */
    struct conf_place max_connections_place, max_connections_per_client_place, connection_rate_place,
        connection_burst_place, client_prefix_v4_place, client_prefix_v6_place, max_clients_place,
        to_client_place, to_server_place, bandwidth_burst_place;
};
#define CONF_BURST_SECONDS 60u /* connection_burst is at most so many seconds of connection_rate */
/* One route of a listener: every key of sni, alpn and source that is given must match. */
struct conf_route {
    char **sni; /* as written */
    char **alpn;
    size_t sni_count, alpn_count;
    struct conf_cidrs source;
    const struct conf_backend *backend; /* exactly one of backend, files, sites and deny is set */
    const struct conf_files *files;
    struct conf_sites sites;
    bool deny;
    struct conf_place place;
    /* Line 0 where the key isn't given. */
    struct conf_place sni_place, alpn_place, source_place, proxy_place, files_place, deny_place;
};

/* Who is in front of a listener. */
struct conf_proxy_protocol {
    struct conf_cidrs trusted; /* at least one */
    struct conf_place trusted_place;
};

struct conf_listener {
    char *name;
    struct conf_place place;
    struct conf_address address;
    const struct conf_tls *tls;         /* NULL: plain */
    const struct conf_backend *backend; /* exactly one of backend, files, sites and routes is set */
    const struct conf_files *files;
    struct conf_sites sites;
    struct conf_route *routes;
    size_t route_count;
    struct conf_cidrs allow, deny; /* none: everyone, nobody */
    bool has_proxy_protocol;
    struct conf_proxy_protocol proxy_protocol;
    enum conf_relay relay;
    bool require_zero_copy;
    struct conf_filter *filters; /* of what it proxies, in their order */
    size_t filter_count;
    struct conf_place filters_place;
    /* Line 0 where the key isn't given. */
    struct conf_place tls_place, proxy_place, files_place, relay_place, require_zero_copy_place;
    struct conf_place routes_place, allow_place, deny_place;
    struct conf_timeouts timeouts; /* the global ones where the listener says nothing */
    struct conf_http http;         /* likewise */
    struct conf_place http_place;
    struct conf_limits limits;
    struct conf_listening listening;
};

enum conf_log_to { CONF_LOG_OFF, CONF_LOG_STDERR, CONF_LOG_STDOUT, CONF_LOG_FILE };
enum conf_log_format { CONF_LOG_JSON, CONF_LOG_COMBINED };

struct conf {
    char *file;       /* as given to conf_load; NULL: from text without a name */
    unsigned workers; /* 0: one per CPU */
    unsigned disk_threads;
    struct conf_place workers_place, disk_threads_place, pipe_size_place;
    char *user, *group; /* NULL: stay */
    struct conf_place user_place, group_place;
    char **capabilities; /* kept after the change of user, "net_bind_service" by default */
    size_t capability_count;
    struct conf_place capabilities_place;
    struct {
        enum conf_log_to access;
        char *path; /* for FILE: absolute */
        enum conf_log_format format;
        struct conf_place place;
        bool request_id_header;
        struct conf_cidrs request_id_trusted;
    } log;
    bool has_admin;
    struct conf_address admin;
    struct conf_timeouts timeouts;
    struct conf_http http;
    struct conf_resolve resolve;
    uint64_t pipe_size; /* bytes asked of each splice pipe, default 1 MiB */
    struct conf_tls *tls;
    size_t tls_count;
    struct conf_backend *backends;
    size_t backend_count;
    struct conf_files *files;
    size_t files_count;
    struct conf_site *sites;
    size_t site_count;
    struct conf_listener *listeners;
    size_t listener_count;
};

/* Reads, checks the grammar, types, ranges and cross-references within the configuration (unknown backend,
 * two listeners on one address, a root that isn't a directory, a forced mode that the kind of listener can
 * never have ...). Certificates are only checked to be named; proxy checks them with certs. NULL: problems
 * has at least one entry. With problems added but a result returned: never. */
struct conf *conf_load(const char *path, struct conf_problems *problems);

/* As conf_load, from text in libconfig syntax; `name` stands for the file in messages, relative paths are
 * relative to `directory`. NULL for either: no file, the working directory. For `serve`, `relay`, `demo` and
 * tests. */
struct conf *conf_load_text(const char *text, const char *name, const char *directory,
                            struct conf_problems *problems);
void conf_free(struct conf *conf);

/* Keys that a reload can't change (workers, disk_threads, user, group, capabilities, pipe_size): each that
 * differs is added to problems. true: none does. */
bool conf_reloadable(const struct conf *old, const struct conf *fresh, struct conf_problems *problems);
