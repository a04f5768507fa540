"""Who may come in: connections of a listener, of a client, and new ones a second. From many addresses of
127.0.0.0/8, which are all this host's."""
import random
import socket
import threading
import time

import pytest

from support import streams
from support.backends import ManyEcho, echo
from support.env import SLOW, seconds, wait_for


def settings(server, **limits):
    listener = {"address": "127.0.0.1:0", "proxy": "app"}
    if limits:
        listener["limits"] = limits
    return {"workers": 2, "admin": {"listen": "127.0.0.1:0"}, "listeners": {"app": listener},
            "backends": {"app": {"servers": (server,)}}}


def client(daemon, source="127.0.0.1"):
    """A connection from an address of one's choice."""
    sock = socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET)
    sock.settimeout(seconds(20))
    try:
        sock.bind((source, 0))
        sock.connect(("::1" if ":" in source else "127.0.0.1", daemon.port("app")))
    except OSError:
        sock.close()
        raise
    return sock


def is_served(sock):
    """Whether it gets an answer; else it was reset, never ended in order, never left waiting."""
    try:
        sock.sendall(b"x")
        answer = sock.recv(1)
    except streams.RESETS:
        return False
    assert answer == b"x", "an orderly end instead of a reset"
    return True


def attempt(daemon, source="127.0.0.1"):
    """The connection, if it is served; else None."""
    try:
        sock = client(daemon, source)
    except streams.RESETS:
        return None
    if is_served(sock):
        return sock
    sock.close()
    return None


def limited(daemon, limit):
    """By /metrics, and /status.json says the same: it may still be counting."""
    def status():
        return daemon.status()["listeners"]["app"]["limited"][limit]
    before = status()
    value = daemon.metrics()["sluice_connections_limited_total", frozenset({("listener", "app"), ("limit", limit)})]
    assert before <= value <= status()
    return value


def refusals(daemon):
    return [r for r in daemon.records() if r["outcome"] == "limited"]


def check_refusals(daemon, limit, count, source=None):
    """`count` connections were refused: the log tells each, the metrics the sum, and nothing else refused any."""
    found = wait_for(lambda: len(refusals(daemon)) >= count and refusals(daemon), f"{count} refusals in the log")
    assert len(found) == count == limited(daemon, limit)
    for record in found:
        assert record["detail"] == limit and record["closed_by"] == "sluice" and record["target"] == "", record
        assert source is None or record["client"].startswith(source + ":"), record


@pytest.mark.parametrize("relay", ["auto", "splice", "copy"])
def test_max_connections(relay, proxy, backend, closing):
    """Over both workers exactly so many are served, whichever came first; one that goes makes room for one."""
    server = backend(echo)
    daemon = proxy(server.address, listener={"relay": relay, "limits": {"max_connections": 20}})
    served = [sock for sock in (attempt(daemon) for _ in range(60)) if sock]
    assert len(served) == 20
    check_refusals(daemon, "max_connections", 40)
    assert daemon.connections_open("app") == 20
    assert server.accepted == 20, "a refused connection reached the backend"
    for sock in served[:5]:
        sock.close()
    wait_for(lambda: daemon.connections_open("app") == 15, "five to be over")
    more = [closing(sock) for sock in (attempt(daemon) for _ in range(10)) if sock]
    assert len(more) == 5
    for sock in served[5:]:
        assert is_served(sock)
        sock.close()


def test_connections_per_client(proxy, backend, closing):
    """Three for each of thirty addresses, whatever one of them tries."""
    server = backend(echo)
    daemon = proxy(server.address, listener={"limits": {"max_connections_per_client": 3}})
    greedy = [sock for sock in (attempt(daemon, "127.9.9.9") for _ in range(50)) if sock]
    assert len(greedy) == 3
    check_refusals(daemon, "max_connections_per_client", 47, "127.9.9.9")
    for n in range(1, 31):
        assert all(closing(sock) for sock in [attempt(daemon, f"127.0.1.{n}") for _ in range(3)])
    greedy.pop().close()
    again = wait_for(lambda: attempt(daemon, "127.9.9.9"), "a place to be free again")
    greedy.append(again)
    assert attempt(daemon, "127.9.9.9") is None
    for sock in greedy:
        assert is_served(closing(sock))


def test_a_client_is_a_prefix(proxy, backend, closing):
    server = backend(echo)
    limits = {"max_connections_per_client": 2, "client_prefix_v4": 24}
    daemon = proxy(server.address, listener={"limits": limits})
    assert [bool(closing(s) if (s := attempt(daemon, f"127.0.5.{n}")) else None) for n in (1, 2, 3, 4)] == \
        [True, True, False, False]
    assert closing(attempt(daemon, "127.0.6.1"))


def test_ipv6_clients_are_networks(proxy, backend, closing):
    """::1 twice is one client; IPv4 on the same dual-stack socket is another."""
    server = backend(echo)
    daemon = proxy(server.address, listener={"address": ":0", "limits": {"max_connections_per_client": 1}})
    for source in ("::1", "127.0.0.1"):
        assert closing(attempt(daemon, source)) and not attempt(daemon, source)


def test_connection_rate(proxy, backend, closing):
    """Five at once and ten a second, measured over some seconds; a client that keeps trying is let in at its rate,
    and others don't notice."""
    server = closing(ManyEcho())
    daemon = proxy(server.address, listener={"limits": {"connection_rate": 10, "connection_burst": 5}})
    start = time.monotonic()
    admitted = tried = 0
    while time.monotonic() - start < 3 or tried < 100:
        sock = attempt(daemon, "127.8.8.8")
        took = time.monotonic() - start
        tried += 1
        if sock:
            admitted += 1
            sock.close()
        if tried % 20 == 0:
            closing(attempt(daemon, f"127.7.{tried // 20}.1")).close()
        time.sleep(0.005)
    print(f"{admitted} of {tried} in {took:.2f} s, {5 + 10 * took:.1f} to be had")
    assert admitted <= 5 + 10 * took + 1
    assert admitted >= (5 + 10 * took) * (0.5 if SLOW else 0.85)
    check_refusals(daemon, "connection_rate", tried - admitted, "127.8.8.8")


def test_connection_rate_is_for_all_workers(proxy, backend, closing):
    """A burst in one go, spread over two workers by the kernel: what is let in is counted once."""
    server = closing(ManyEcho())
    daemon = proxy(server.address, listener={"limits": {"connection_rate": 1, "connection_burst": 30}})
    start = time.monotonic()
    served = [closing(sock) for sock in (attempt(daemon) for _ in range(200)) if sock]
    assert 30 <= len(served) <= 31 + (time.monotonic() - start)


def test_reload_keeps_what_is_counted(sluice, backend, closing):
    """Limits that come, change and go by reload; connections from before count where they can."""
    server = backend(echo)
    daemon = sluice(**settings(server.address))
    generation = 1

    def reload(**limits):
        nonlocal generation
        generation += 1
        daemon.reload({**settings(server.address, **limits), "log": {"access": daemon.log_path},
                       "timeouts": {"drain": "3s"}})
        wait_for(lambda: f"sluice: reloaded, generation {generation}" in daemon.stdout_lines, "the reload")

    first = [closing(attempt(daemon)) for _ in range(4)]
    reload(max_connections=5)
    fifth = attempt(daemon)
    assert fifth and not attempt(daemon), "those from before the limit count"
    reload(max_connections=50, max_connections_per_client=2, connection_rate=1, connection_burst=10)
    ninth = [attempt(daemon) for _ in range(3)]
    assert [bool(sock) for sock in ninth] == [True, True, False]
    # The table goes on where it was: three tokens of ten are gone (a refused one costs none).
    reload(max_connections=50, max_connections_per_client=20, connection_rate=1, connection_burst=10)
    start = time.monotonic()
    more = [sock for sock in (attempt(daemon) for _ in range(20)) if sock]
    assert 8 <= len(more) <= 9 + (time.monotonic() - start)
    reload()
    unlimited = [closing(attempt(daemon)) for _ in range(40)]
    for sock in first + [fifth] + ninth[:2] + more + unlimited:
        assert is_served(sock)
        sock.close()
    wait_for(lambda: daemon.connections_open("app") == 0, "all to be over")
    # And nothing was leaked in the count.
    reload(max_connections=3)
    assert [bool(closing(s) if (s := attempt(daemon)) else None) for _ in range(5)] == [True] * 3 + [False] * 2


def test_a_flood_harms_nobody(proxy, backend, closing):
    """Two addresses open connections as fast as they can; fifty well-behaved clients all get all answers, and
    the one that floods gets no more than its share. Figures are printed."""
    server = closing(ManyEcho())
    limits = {"max_connections_per_client": 5, "connection_rate": 20, "connection_burst": 20, "max_clients": 1024}
    daemon = proxy(server.address, listener={"limits": limits}, log={"access": "off"})
    over, counts = threading.Event(), [0, 0]

    def flood(n):
        while not over.is_set():
            try:
                client(daemon, f"127.66.6.{n + 1}").close()
                counts[n] += 1
            except OSError:
                pass
    floods = [threading.Thread(target=flood, args=(n,)) for n in range(2)]
    for thread in floods:
        thread.start()
    rng, worst, start = random.Random(1), 0.0, time.monotonic()
    try:
        for turn in range(10):
            for n in range(50):
                began = time.monotonic()
                sock = attempt(daemon, f"127.50.{n}.{1 + rng.randrange(250)}")
                assert sock, f"client {n} was refused in turn {turn}"
                sock.close()
                worst = max(worst, time.monotonic() - began)
    finally:
        over.set()
        for thread in floods:
            thread.join()
    took = time.monotonic() - start
    refused = limited(daemon, "connection_rate") + limited(daemon, "max_connections_per_client")
    print(f"{sum(counts)} connections by two in {took:.1f} s, {refused} of them refused; 500 others served, "
          f"the slowest in {worst * 1000:.0f} ms")
    assert refused >= sum(counts) - 2 * (20 + 20 * took + 1)
    wait_for(lambda: daemon.connections_open("app") == 0, "all to be over")


def test_many_clients_stay_within_bounds(proxy, closing):
    """Six thousand addresses, a table for 1,024: all are served, memory stays where it was."""
    server = closing(ManyEcho())
    limits = {"max_connections_per_client": 5, "connection_rate": 5, "max_clients": 1024}
    daemon = proxy(server.address, listener={"limits": limits}, log={"access": "off"})
    count = 1000 if SLOW else 6000
    for n in range(count):
        sock = attempt(daemon, f"127.{20 + n // 250}.{n % 250}.1")
        assert sock, n
        sock.close()
        if n == count // 3:
            before = daemon.rss()
    assert SLOW or daemon.rss() - before < 1 << 20
    assert limited(daemon, "max_clients") == 0


def test_files_and_their_pages_are_limited_too(file_server, big_root, closing):
    daemon = file_server(big_root, listener={"limits": {"max_connections": 2}})
    answers = []
    for _ in range(3):
        try:
            sock = closing(daemon.connect("web"))  # the reset may be there before it returns
            sock.sendall(b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n")
            answers.append(sock.recv(12))
        except streams.RESETS:
            answers.append(b"reset")
    assert sorted(answers) == [b"HTTP/1.1 200"] * 2 + [b"reset"]
    assert daemon.admin("/healthz"), "admin has no limit"


def test_clients_behind_a_proxy_are_told_apart(proxy, backend, closing):
    """The address in the PROXY header counts, not the proxy's own, which brings them all."""
    server = backend(echo)
    daemon = proxy(server.address, listener={"limits": {"max_connections_per_client": 1},
                                             "proxy_protocol": {"trusted": ["127.0.0.1"]}})

    def come(original):
        sock = closing(client(daemon))
        sock.sendall(f"PROXY TCP4 {original} 10.9.9.9 1234 80\r\n".encode())
        return is_served(sock)
    assert [come(f"10.1.1.{n}") for n in (1, 2, 3, 1, 2, 4)] == [True, True, True, False, False, True]
    check_refusals(daemon, "max_connections_per_client", 2)

