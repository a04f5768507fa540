/* Whether this kernel has the TLS ULP: asked of a real connection, since the socket must be ESTABLISHED and a
 * version number proves nothing. Refuses to know versions and ciphers (the program's probe tries those). */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/tls_conn.h"

static pthread_once_t asked = PTHREAD_ONCE_INIT;
static bool has_ktls;

static void ask(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener != -1 && client != -1 && bind(listener, (struct sockaddr *)&address, length) == 0 &&
        listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&address, &length) == 0 &&
        connect(client, (struct sockaddr *)&address, length) == 0)
        has_ktls = setsockopt(client, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) == 0;
    if (client != -1)
        close(client);
    if (listener != -1)
        close(listener);
}

bool tls_kernel_has_ktls(void)
{
    pthread_once(&asked, ask);
    return has_ktls;
}
