"""What a connection took is given back, however it ended: descriptors, pipes, memory, places in the list."""
import os
import socket
import threading

from support import http, streams, tls
from support.backends import BlackHole, converser, dead_address, echo
from support.env import MIB, SLOW, wait_for
from support.payload import Payload

ROUNDS = 105 if SLOW else 350
# The pipes that each of two workers keeps for the next transfer, 8 of two descriptors each.
POOLED = 2 * 8 * 2


def abuse(daemon, name, number):
    """One connection, ended in one of several ways."""
    sock = daemon.connect(name)
    try:
        if number % 5 == 0:
            streams.reset(sock)
            return
        sock.sendall(Payload(10_000 * (number % 7)).bytes() or b"x")
        if number % 5 == 1:
            streams.reset(sock)
        elif number % 5 == 2:
            sock.shutdown(socket.SHUT_WR)
            streams.receive(sock)
        elif number % 5 == 3:
            sock.recv(1)
    except OSError:
        pass
    finally:
        sock.close()


def test_connections_that_end_in_every_way(sluice, backend, closing, certs, big_root):
    good, hole = backend(echo), closing(BlackHole())
    local = "127.0.0.1:0"
    daemon = sluice(
        listeners={"app": {"address": local, "proxy": "app"},
                   "splice": {"address": local, "proxy": "app", "relay": "splice"},
                   "dead": {"address": local, "proxy": "dead"}, "hole": {"address": local, "proxy": "hole"},
                   "secure": {"address": local, "proxy": "app", "tls": "main"},
                   "web": {"address": local, "files": "media"},
                   "https": {"address": local, "files": "media", "tls": "main"}},
        backends={"app": {"servers": (good.address,)}, "dead": {"servers": (dead_address(),)},
                  "hole": {"servers": (hole.address,)}},
        files={"media": {"root": big_root}}, tls={"main": certs.tls()}, log={"access": "off"},
        timeouts={"connect": "100ms", "handshake": "100ms", "linger": "100ms", "header": "100ms", "idle": "2s"})
    names = list(daemon.status()["listeners"])

    def all_over():
        return not any(daemon.connections_open(name) for name in names)

    def one_round(count):
        for number in range(count):
            try:
                abuse(daemon, names[number % len(names)], number)
            except OSError:
                pass  # reset before connect() returned
            if number % 5:
                continue
            with daemon.connect("web") as sock:
                sock.sendall(http.request("/big"))
                sock.recv(1000)
            with daemon.connect("https") as raw:
                tls.TlsSocket(raw, tls.context(certs)).sendall(http.request("/small"))
        wait_for(all_over, "all connections to be over", timeout=15)

    one_round(ROUNDS // 4)  # allocators and pools warm up
    fds, rss = daemon.open_fds(), daemon.rss()
    one_round(ROUNDS)
    wait_for(lambda: daemon.open_fds() <= fds + POOLED, f"descriptors to come back to {fds}")
    assert daemon.connections() == []
    if not SLOW:  # sanitizers keep what was freed
        assert daemon.rss() - rss < 4 * MIB, "memory grows with the connections that have been"


def test_reloads_under_traffic(proxy, backend, certs):
    """Fifty reloads while connections come and go: none is hurt, and old generations are freed."""
    payload, stop, problems = Payload(300_000), threading.Event(), []
    server = backend(converser(payload))
    daemon = proxy(server.address, log={"access": "off"})

    def traffic():
        while not stop.is_set():
            try:
                with daemon.connect("app") as sock:
                    streams.converse(sock, Payload(1000)).assert_all(payload)
            except (OSError, AssertionError) as problem:
                problems.append(problem)
                return

    threads = [threading.Thread(target=traffic) for _ in range(4)]
    text = daemon.file.read_text()
    reload_and_wait(daemon, text)
    fds, rss = daemon.open_fds(), daemon.rss()
    for thread in threads:
        thread.start()
    for _ in range(50):
        reload_and_wait(daemon, text)
    stop.set()
    for thread in threads:
        thread.join()
    assert not problems, problems
    wait_for(lambda: daemon.connections_open("app") == 0, "all to be over")
    wait_for(lambda: daemon.open_fds() <= fds + POOLED, "descriptors to come back")
    if not SLOW:
        assert daemon.rss() - rss < 8 * MIB, "generations are kept"


def reload_and_wait(daemon, text):
    generation = daemon.status()["generation"]
    daemon.reload(text=text)
    wait_for(lambda: daemon.status()["generation"] != generation, "the reload")


def test_requests_without_end_and_nobody_reads_the_answers(file_server, big_root):
    """Pipelined requests are not read ahead of their answers: memory stays where it is, and so do the requests."""
    daemon = file_server(big_root, log={"access": "off"})
    before = daemon.rss()
    with daemon.connect("web", rcvbuf=4096) as sock:
        sock.settimeout(1)
        sent, raw = 0, http.request("/big") * 1000
        try:
            while sent < 64 * MIB:
                sent += sock.send(raw)
        except TimeoutError:
            pass
        assert sent < 32 * MIB, "every request was read although no answer was"
        assert SLOW or daemon.rss() - before < 8 * MIB
    assert os.path.exists(f"/proc/{daemon.pid}")
