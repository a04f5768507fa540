/* `sluice plan`: what each listener of a configuration can do on this host, by listener, route, TLS version
 * and direction. What really happens is always among what is said here (a test holds the two together). Pure:
 * the configuration and a probe's findings in, JSON out. Refuses to know sockets and certificates. */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "conf/conf.h"
#include "relay/probe.h"

/* [{"listener","route","tls_version"|null,"server_tls_version"|null,"direction","modes":[...],"source_crypto","sink_crypto",
 *   "reasons":[...],"refusals":[...]}]: one entry for every pair of cryptos that can come about, over all
 * ciphers of the TLS versions. modes and reasons have the best case first; refusals are the reasons for which
 * the policy resets the connection instead. For files only to_client carries payload: the file itself, and
 * pages made in memory (reason generated). A new reference; NULL: out of memory. */
json_t *plan_report_build(const struct conf *conf, const struct probe *probe);

/* The same as a table. */
void plan_report_print(const json_t *report, FILE *stream);
