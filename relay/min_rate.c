/* See min_rate.h. Only what TCP itself counts holds for every way to send. */
#include "relay/min_rate.h"

#include <linux/sockios.h>
#include <linux/tcp.h> /* not netinet/tcp.h: its tcp_info ends before bytes_acked */
#include <netinet/in.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

void min_rate_begin(struct min_rate_watch *watch, const struct min_rate *rule, uint64_t now_ms,
                    uint64_t moved, uint64_t owed)
{
    *watch = (struct min_rate_watch){
        .since_ms = now_ms, .moved = moved, .owed = owed, .due_ms = now_ms + rule->window_ms};
}

bool min_rate_is_slow(struct min_rate_watch *watch, const struct min_rate *rule, uint64_t now_ms,
                      uint64_t moved, uint64_t owed)
{
    const int64_t did = (int64_t)(moved - watch->moved);
    uint64_t need = rule->rate * (now_ms - watch->since_ms) / 1000;
    need = watch->owed < need ? watch->owed : need;
    if (did <= 0 && need > 0) {
        watch->due_ms = now_ms + rule->window_ms;
        return false;
    }
    min_rate_begin(watch, rule, now_ms, moved, owed);
    return did >= 0 && (uint64_t)did < need;
}

bool min_rate_look(int fd, uint64_t *taken, uint64_t *waiting)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof(info);
    int unsent = 0;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == -1 ||
        length < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked) ||
        ioctl(fd, SIOCOUTQ, &unsent) == -1)
        return false;
    *taken = info.tcpi_bytes_acked;
    *waiting = (uint64_t)unsent;
    return true;
}
