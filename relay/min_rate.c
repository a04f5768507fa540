/* See min_rate.h. Only what TCP itself counts holds for every way to send. */
#include "relay/min_rate.h"

#include <linux/sockios.h>
#include <linux/tcp.h> /* not netinet/tcp.h: its tcp_info ends before bytes_acked */
#include <netinet/in.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

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
