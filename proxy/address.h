/* Socket addresses as text, as logs and announcements show them. Refuses to know how they are written in a
 * configuration (conf parses those). */
#pragma once

#include <stddef.h>
#include <sys/socket.h>

/* "127.0.0.1:80", "[::1]:443", "unix:/run/x.sock", "unix:" for a nameless one. An IPv4 address mapped into
 * IPv6 (a dual-stack listener's peer) is shown as IPv4. Always terminated; cut if `size` is short. */
void address_format(const struct sockaddr_storage *address, socklen_t length, char *text, size_t size);
