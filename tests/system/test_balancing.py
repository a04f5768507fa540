"""Whom a connection goes to: by the client's address, the same on every host; backups; and the queue of a backend
whose servers are full."""
import random
import socket
import threading
import time

import pytest

from support import streams
from support.backends import converser, dead_address, echo
from support.daemon import parse_address
from support.env import seconds, wait_for
from support.payload import Payload

HELLO = Payload(1000)


def backends(*servers, **settings):
    return {"app": {"servers": tuple(servers), **settings}}


@pytest.fixture
def balanced(sluice):
    """balanced(server..., balance=..., ...) starts a daemon whose listener `app` relays to the backend."""
    def start(*servers, workers=2, timeouts=None, **settings):
        return sluice(listeners={"app": {"address": "127.0.0.1:0", "proxy": "app"}}, workers=workers,
                      backends=backends(*servers, **settings), timeouts=timeouts or {})
    return start


def connect_from(daemon, host):
    """A client with an address of its own: all of 127/8 is ours."""
    sock = socket.socket()
    sock.settimeout(seconds(20))
    sock.bind((host, 0))
    sock.connect(parse_address(daemon.addresses["app"])[1])
    return sock


def targets(daemon, hosts):
    """The server that each client's connection went to, by the access log."""
    done = len(daemon.records())
    for host in hosts:
        with connect_from(daemon, host) as sock:
            streams.converse(sock, Payload(10)).assert_all(HELLO)
    found = daemon.wait_records(done + len(hosts))[done:]
    return {r["client"].rsplit(":", 1)[0]: r["target"] for r in found}


HOSTS = [f"127.{i}.{i * 7 % 250}.{i * 3 % 250 + 1}" for i in range(1, 41)]


@pytest.mark.parametrize("balance", ["source_hash", "maglev"])
def test_a_client_keeps_its_server_on_every_host(balance, balanced, backend):
    servers = [backend(converser(HELLO)) for _ in range(4)]
    addresses = [s.address for s in servers]
    one = balanced(*addresses, balance=balance)
    first = targets(one, HOSTS)
    assert set(first.values()) == set(addresses), "40 clients, and a server has none"
    assert targets(one, HOSTS) == first
    shuffled = addresses[:]
    random.Random(3).shuffle(shuffled)
    assert targets(balanced(*shuffled, balance=balance, workers=1), HOSTS) == first
    # One server dies: its clients go elsewhere, and nobody else's.
    servers[0].close()
    after = targets(one, HOSTS)
    assert all(after[host] == first[host] for host in HOSTS if first[host] != addresses[0])
    assert addresses[0] not in after.values()


def test_random(balanced, backend):
    servers = [backend(converser(HELLO)) for _ in range(3)]
    daemon = balanced(*(s.address for s in servers), balance="random")
    for _ in range(60):
        with daemon.connect("app") as sock:
            streams.converse(sock, Payload(10)).assert_all(HELLO)
    assert sum(s.accepted for s in servers) == 60 and min(s.accepted for s in servers) >= 4
    assert daemon.status()["backends"]["app"]["balance"] == "random"


def test_a_backup_is_used_only_while_nobody_else_is_there(balanced, backend):
    address = dead_address()
    spare = backend(converser(HELLO))
    daemon = balanced(address, {"address": spare.address, "backup": True}, workers=1)
    for _ in range(3):
        with daemon.connect("app") as sock:
            streams.converse(sock, Payload(10)).assert_all(HELLO)
    assert spare.accepted == 3
    main = backend(converser(HELLO), port=int(address.rsplit(":", 1)[1]))

    def used_again():
        with daemon.connect("app") as sock:
            streams.converse(sock, Payload(10)).assert_all(HELLO)
        return main.accepted
    wait_for(used_again, "the server that is no backup to be used again")  # failures are remembered for a second
    before = spare.accepted
    for _ in range(5):
        assert used_again()
    assert spare.accepted == before


# --- The queue ---


def held(daemon, closing):
    """A connection that has a server."""
    sock = closing(daemon.connect("app"))
    sock.sendall(b"x")
    assert sock.recv(1) == b"x"
    return sock


def how_it_ends(daemon):
    """The end that a client sees; a reset may come before connect() has returned."""
    try:
        with daemon.connect("app") as sock:
            return streams.receive(sock).end
    except ConnectionResetError:
        return "reset"


def queue(daemon):
    return daemon.status()["backends"]["app"]["queue"]


def test_a_place_that_becomes_free_goes_to_who_waits_longest(balanced, backend, closing):
    """With two workers, so that one's end must wake another's connection."""
    server = backend(echo)
    daemon = balanced({"address": server.address, "max_connections": 2}, workers=2, queue={"timeout": "1h"})
    holders = [held(daemon, closing) for _ in range(2)]
    waiting = []
    for i in range(6):
        sock = closing(daemon.connect("app"))
        sock.sendall(bytes([i]))
        wait_for(lambda n=i + 1: queue(daemon)["length"] == n, f"{i + 1} in the queue")
        waiting.append(sock)
    assert server.accepted == 2
    assert len(daemon.connections()) >= 8  # those that wait are shown, too
    for holder, sock, i in zip(holders + waiting, waiting, range(6)):
        holder.close()
        assert sock.recv(1) == bytes([i])
        assert server.accepted == 3 + i
        assert queue(daemon)["length"] == 5 - i
    for sock in waiting[-2:]:
        sock.close()
    daemon.wait_records(8)
    assert queue(daemon) == {"length": 0, "size": 1000, "waited": 6, "overflowed": 0, "timed_out": 0}


def test_the_queue_overflows(balanced, backend, closing):
    server = backend(echo)
    daemon = balanced({"address": server.address, "max_connections": 1}, queue={"size": 1, "timeout": "1h"})
    holder = held(daemon, closing)
    waiting = closing(daemon.connect("app"))
    wait_for(lambda: queue(daemon)["length"] == 1, "one in the queue")
    assert how_it_ends(daemon) == "reset"
    record = daemon.wait_record()
    assert record["outcome"] == "no_server" and "queue is full" in record["detail"], record
    assert queue(daemon)["overflowed"] == 1
    holder.close()
    waiting.sendall(b"y")
    assert waiting.recv(1) == b"y"


def test_waiting_in_vain(balanced, backend, closing):
    server = backend(echo)
    daemon = balanced({"address": server.address, "max_connections": 1}, queue={"timeout": "300ms"},
                      timeouts={"connect": "100ms"})
    held(daemon, closing)
    start = time.monotonic()
    assert how_it_ends(daemon) == "reset"
    assert 0.25 < time.monotonic() - start < seconds(5)
    record = daemon.wait_record()
    assert record["outcome"] == "timeout" and record["detail"] == "queue" and record["closed_by"] == "sluice", record
    assert queue(daemon)["timed_out"] == 1 and queue(daemon)["length"] == 0
    metrics = daemon.metrics()
    labels = frozenset({("backend", "app")})
    assert metrics["sluice_backend_queue_timed_out_total", labels] == 1
    assert metrics["sluice_backend_queue", labels] == 0


def test_who_leaves_the_queue_is_forgotten(balanced, backend, closing):
    server = backend(echo)
    daemon = balanced({"address": server.address, "max_connections": 1}, queue={"timeout": "1h"})
    holder = held(daemon, closing)
    leaving = daemon.connect("app")
    wait_for(lambda: queue(daemon)["length"] == 1, "one in the queue")
    staying = closing(daemon.connect("app"))
    wait_for(lambda: queue(daemon)["length"] == 2, "two in the queue")
    streams.reset(leaving)
    wait_for(lambda: queue(daemon)["length"] == 1, "the reset to be seen")
    holder.close()
    staying.sendall(b"z")
    assert staying.recv(1) == b"z"


def test_a_reload_keeps_count_and_queue(balanced, backend, closing):
    """The places taken and those who wait belong to the server, not to the configuration they began with."""
    server = backend(echo)
    limited = {"address": server.address, "max_connections": 1}
    daemon = balanced(limited, queue={"timeout": "1h"})
    holder = held(daemon, closing)
    waiting = closing(daemon.connect("app"))
    wait_for(lambda: queue(daemon)["length"] == 1, "one in the queue")
    daemon.reload({"workers": 2, "admin": {"listen": "127.0.0.1:0"}, "log": {"access": daemon.log_path},
                   "listeners": {"app": {"address": "127.0.0.1:0", "proxy": "app"}},
                   "backends": backends(limited, balance="least_conn", queue={"size": 5, "timeout": "1h"})})
    wait_for(lambda: "sluice: reloaded, generation 2" in daemon.stdout_lines, "the reload")
    later = closing(daemon.connect("app"))
    wait_for(lambda: queue(daemon)["length"] == 2, "two in the queue")
    holder.close()
    waiting.sendall(b"1")
    assert waiting.recv(1) == b"1" and server.accepted == 2
    waiting.close()
    later.sendall(b"2")
    assert later.recv(1) == b"2" and server.accepted == 3


def test_many_clients_through_a_narrow_place(balanced, backend):
    """200 clients at once, 4 at a time: everybody is served, and the server never sees a fifth."""
    lock, state = threading.Lock(), {"now": 0, "most": 0}

    def counted(sock):
        with lock:
            state["now"] += 1
            state["most"] = max(state["most"], state["now"])
        streams.receive(sock)
        with lock:
            state["now"] -= 1
        streams.send(sock, HELLO)  # only now can the connection end, and the next one begin

    server = backend(counted)
    daemon = balanced({"address": server.address, "max_connections": 4}, workers=2, queue={"timeout": "1m"})
    failures = []

    def client():
        try:
            with daemon.connect("app", timeout=60) as sock:
                streams.converse(sock, Payload(10)).assert_all(HELLO)
        except Exception as problem:
            failures.append(problem)

    clients = [threading.Thread(target=client) for _ in range(200)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    assert not failures, failures[:3]
    assert server.accepted == 200 and state["most"] <= 4, state
    waited = queue(daemon)
    assert waited["length"] == 0 and waited["overflowed"] == waited["timed_out"] == 0, waited
    print(f"\n{waited['waited']} of 200 clients waited; at most {state['most']} at once")
