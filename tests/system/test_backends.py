"""Choosing a server: in turn, the next one when one fails, within the connect deadline; none left: a reset."""
import time

import pytest

from support import records, streams
from support.backends import BlackHole, converser, dead_address, echo
from support.env import seconds, wait_for
from support.payload import Payload

HELLO = Payload(1000)


def fetch(daemon):
    with daemon.connect("app") as sock:
        return streams.converse(sock, Payload(10))


def how_it_ends(daemon):
    """The end that a client sees; a reset may come before connect() has returned."""
    try:
        with daemon.connect("app") as sock:
            return streams.receive(sock).end
    except ConnectionResetError:
        return "reset"


def test_servers_take_turns(proxy, backend):
    servers = [backend(converser(HELLO)) for _ in range(3)]
    daemon = proxy(*(s.address for s in servers), workers=1)
    for _ in range(9):
        fetch(daemon).assert_all(HELLO)
    assert [s.accepted for s in servers] == [3, 3, 3]
    targets = [r["target"] for r in daemon.wait_records(9)]
    assert sorted(targets) == sorted([s.address for s in servers] * 3)


def test_weights(proxy, backend):
    one, three = backend(converser(HELLO)), backend(converser(HELLO))
    daemon = proxy({"address": one.address, "weight": 1}, {"address": three.address, "weight": 3}, workers=1)
    for _ in range(16):
        fetch(daemon).assert_all(HELLO)
    assert (one.accepted, three.accepted) == (4, 12)


def test_least_conn(sluice, backend, closing):
    one, other = backend(echo), backend(echo)
    daemon = sluice(listeners={"app": {"address": "127.0.0.1:0", "proxy": "app"}},
                    backends={"app": {"servers": (one.address, other.address), "balance": "least_conn"}})

    def converse_on():
        before = one.accepted
        sock = closing(daemon.connect("app"))
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        return sock, one.accepted != before

    opened = [converse_on() for _ in range(6)]
    assert (one.accepted, other.accepted) == (3, 3)
    for sock, is_one in opened:
        if is_one:
            sock.close()
    wait_for(lambda: daemon.connections_open("app") == 3, "the connections of one server to end")
    for _ in range(3):
        converse_on()
    assert (one.accepted, other.accepted) == (6, 3)


@pytest.mark.parametrize("relay", ["auto", "splice", "copy"])
def test_a_server_is_down_the_next_is_used(relay, proxy, backend):
    good, dead = backend(converser(HELLO)), dead_address()
    daemon = proxy(dead, good.address, listener={"relay": relay})
    for _ in range(6):
        fetch(daemon).assert_all(HELLO)
    assert good.accepted == 6
    for record in daemon.wait_records(6):
        assert record["target"] == good.address and record["outcome"] == "complete", record
        records.check_plain_relay(record, "to_client", relay, HELLO.size)
    metrics = daemon.metrics()
    up = {dict(labels)["server"]: value for (name, labels), value in metrics.items() if name == "sluice_backend_up"}
    assert up == {dead: 0, good.address: 1}, up
    failures = sum(v for (name, labels), v in metrics.items() if name == "sluice_backend_failures_total"
                   and ("server", dead) in labels)
    assert failures >= 1


def test_all_servers_are_down(proxy):
    daemon = proxy(dead_address(), dead_address())
    start = time.monotonic()
    assert how_it_ends(daemon) == "reset", "nobody was there, and the client saw a clean end"
    assert time.monotonic() - start < seconds(2)
    record = daemon.wait_record()
    assert record["outcome"] == "no_server" and record["closed_by"] == "sluice", record
    assert record["directions"]["to_client"]["segments"] == [], record


def test_a_server_that_comes_back_is_used_again(proxy, backend):
    address = dead_address()
    daemon = proxy(address)
    assert how_it_ends(daemon) == "reset"
    backend(converser(HELLO), port=int(address.rsplit(":", 1)[1]))
    fetch(daemon).assert_all(HELLO)


def test_black_hole_within_the_connect_deadline(proxy, closing):
    hole = closing(BlackHole())
    daemon = proxy(hole.address, timeouts={"connect": "400ms"})
    start = time.monotonic()
    with daemon.connect("app") as sock:
        assert streams.receive(sock).end == "reset"
    took = time.monotonic() - start
    assert 0.3 < took < seconds(1.5), took
    record = daemon.wait_record()
    assert record["outcome"] == "no_server" and 300 < record["duration_ms"] < 1500 * seconds(1), record


def test_black_hole_then_the_next_server(proxy, backend, closing):
    """The deadline covers the next servers, too: each gets a share of it."""
    hole, good = closing(BlackHole()), backend(converser(HELLO))
    daemon = proxy(hole.address, good.address, workers=1, timeouts={"connect": "1s"})
    for _ in range(2):
        start = time.monotonic()
        fetch(daemon).assert_all(HELLO)
        assert time.monotonic() - start < seconds(1.2)
    assert good.accepted == 2


def test_bytes_sent_before_the_server_answered_are_kept(proxy, backend, closing):
    """The client speaks and even ends while Sluice is still trying a dead server."""
    hole, good = closing(BlackHole()), backend(streams.receive)
    daemon = proxy(hole.address, good.address, timeouts={"connect": "1s"})
    payload = Payload(50_000)
    with daemon.connect("app") as sock:
        streams.send(sock, payload)
        good.result().assert_all(payload)
        assert streams.receive(sock).end == "eof"


def test_the_client_leaves_while_connecting(proxy, closing):
    hole = closing(BlackHole())
    daemon = proxy(hole.address, timeouts={"connect": "2s"})
    sock = daemon.connect("app")
    streams.reset(sock)
    start = time.monotonic()
    record = daemon.wait_record()
    assert record["closed_by"] in ("client", "sluice") and record["directions"]["to_client"]["bytes"] == 0
    assert time.monotonic() - start < seconds(4)
    assert daemon.connections_open("app") == 0
