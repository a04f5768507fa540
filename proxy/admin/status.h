/* /status.json: the server at a glance. Its shape is an interface (README).
 * Refuses to know how the figures come about and how they are fetched. */
#pragma once

#include <jansson.h>

#include "proxy/admin/view.h"

/* {"version","uptime_s","generation","workers","draining",
 *  "listeners":{NAME:{"address","tls","target","connections","total","accept_paused","directions":{
 *      "to_client":{"bytes","user_bytes","kernel_bytes","head_bytes","segments":[
 *          {"mode","source_crypto","sink_crypto","bytes","count","reasons":{REASON:COUNT}}]},"to_server":...}}},
 *  "backends":{NAME:{"balance","servers":[{"name","address","up","connections","total","failures"}]}},
 *  "syscalls":{CALL:COUNT},"log_dropped"}, without the admin listener. A new reference; NULL: out of memory.
 */
json_t *status_build(const struct admin_view *view);
