"""Two thousand connections at once, and too few descriptors for those who come."""
import resource
import selectors
import socket
import time

import pytest

from support import records, streams
from support.backends import ManyEcho, echo
from support.env import MIB, SLOW, seconds, wait_for, wait_until_still
from support.payload import Payload

COUNT = 500 if SLOW else 2000
MESSAGE = Payload(4096).bytes()


def open_many(daemon, count, closing):
    """`count` connections; each has got its first byte back, so that all of them are through."""
    socks = []
    for _ in range(count):
        sock = closing(daemon.connect("app"))
        sock.sendall(b"x")
        socks.append(sock)
    for sock in socks:
        assert sock.recv(1) == b"x"
    return socks


@pytest.mark.parametrize("relay", ["auto", "splice", "copy"])
def test_two_thousand_connections(relay, proxy, closing):
    server = closing(ManyEcho())
    daemon = proxy(server.address, listener={"relay": relay}, log={"access": "off"})
    empty_fds, empty_rss = daemon.open_fds(), daemon.rss()
    socks = open_many(daemon, COUNT, closing)
    assert daemon.connections_open("app") == COUNT and server.open == COUNT
    assert daemon.open_fds() - empty_fds < 2 * COUNT + 100, "an idle connection owns a pipe"
    if not SLOW:
        assert (daemon.rss() - empty_rss) / COUNT < 16_000, "an idle connection owns a buffer"

    selector = selectors.DefaultSelector()
    got = dict.fromkeys(socks, 0)
    for sock in socks:
        sock.sendall(MESSAGE)
        selector.register(sock, selectors.EVENT_READ)
    deadline = time.monotonic() + seconds(20)
    while selector.get_map():
        assert time.monotonic() < deadline, f"{len(selector.get_map())} of {COUNT} still wait"
        for key, _ in selector.select(1):
            data = key.fileobj.recv(8192)
            assert data == MESSAGE[got[key.fileobj]:][:len(data)] and data
            got[key.fileobj] += len(data)
            if got[key.fileobj] == len(MESSAGE):
                selector.unregister(key.fileobj)
    selector.close()
    for sock in socks:
        sock.shutdown(socket.SHUT_WR)
    wait_for(lambda: daemon.connections_open("app") == 0, "all to be over")
    total = {name: value for (name, labels), value in daemon.metrics().items() if ("listener", "app") in labels
             and name in ("sluice_user_bytes_total", "sluice_kernel_bytes_total")}
    assert sum(total.values()) == 2 * COUNT * (len(MESSAGE) + 1), total
    assert total["sluice_user_bytes_total" if relay == "splice" else "sluice_kernel_bytes_total"] == 0, total


def limited(count):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def test_too_few_descriptors(proxy, backend, closing):
    """Accepting pauses, without a spin; those who are in are served; then accepting goes on."""
    server = backend(echo)
    daemon = proxy(server.address, preexec=limited(64), log={"access": "off"})
    served, waiting = [], []
    for _ in range(100):
        sock = closing(daemon.connect("app"))
        sock.settimeout(seconds(20))
        sock.sendall(b"x")
        waiting.append(sock)

    def some_served():
        selector = selectors.DefaultSelector()
        for sock in waiting:
            selector.register(sock, selectors.EVENT_READ)
        ready = [key.fileobj for key, _ in selector.select(0)]
        selector.close()
        return ready
    wait_for(lambda: len(some_served()) >= 5, "the first connections to be served")
    time.sleep(seconds(0.2))  # let it run into the limit, and see what it does there
    before, start = daemon.cpu_seconds(), time.monotonic()
    time.sleep(seconds(1))
    used = (daemon.cpu_seconds() - before) / (time.monotonic() - start)
    assert used < 0.2, f"{used:.0%} of a CPU while out of descriptors"
    refused = 0
    for _ in range(200):
        ready = some_served()
        if not ready:
            break
        for sock in ready:
            try:
                assert sock.recv(1) in (b"x", b"")
                served.append(sock)
            except ConnectionResetError:
                refused += 1
            waiting.remove(sock)
            sock.close()
        wait_for(lambda: some_served() or not waiting, "those who wait to get their turn")
    assert not waiting and len(served) + refused == 100
    assert len(served) >= 20, "most of the waiting were turned away"
    with daemon.connect("app") as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
    paused = sum(value for (name, _), value in daemon.metrics().items() if name == "sluice_accept_paused_total")
    assert paused >= 1
    wait_for(lambda: daemon.connections_open("app") == 0, "all to be over")


def test_too_few_pipes_is_no_loss(proxy, backend, open_path):
    """An unprivileged user may have 64 pipes of 1 MiB; past that the kernel gives crippled ones. Those who get
    none copy for a while, saying pipe_limit; all bytes arrive."""
    payload = Payload(5 * MIB)
    server = backend(lambda sock: streams.converse(sock, payload))
    daemon = proxy(server.address, user="nobody", group="nogroup", directory=open_path,
                   log={"access": open_path / "access.log"})
    socks = [daemon.connect("app", rcvbuf=4096) for _ in range(80)]
    for sock in socks:
        sock.shutdown(socket.SHUT_WR)
    wait_until_still(lambda: sum(map(lambda r: records.moved(r, "to_client"), daemon.connections())),
                     "every connection to stall")
    for sock in socks:
        streams.widen(sock)
        streams.receive(sock).assert_all(payload)
        sock.close()
    reasons = {s["reason"] for r in daemon.wait_records(80) for s in r["directions"]["to_client"]["segments"]}
    assert reasons <= {"small_transfers", "passthrough", "pipe_limit"}, reasons
    assert {"passthrough", "pipe_limit"} <= reasons, reasons
