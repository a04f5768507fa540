"""What the configuration asks of sockets, as the kernel says it is: seen in Sluice's own descriptors, by ss, and by
the peers."""
import grp
import os
import pwd
import socket
import stat
import subprocess

import pytest

from support import kernel, records, streams
from support.backends import Backend, converser, echo
from support.daemon import run_cli
from support.config import config_text
from support.env import seconds, wait_for
from support.payload import Payload

TCP = socket.IPPROTO_TCP
NAMES = {"keepalive": (socket.SOL_SOCKET, socket.SO_KEEPALIVE), "idle": (TCP, socket.TCP_KEEPIDLE),
         "interval": (TCP, socket.TCP_KEEPINTVL), "count": (TCP, socket.TCP_KEEPCNT),
         "user_timeout": (TCP, socket.TCP_USER_TIMEOUT), "congestion": (TCP, socket.TCP_CONGESTION)}
DEFAULT_CONGESTION = open("/proc/sys/net/ipv4/tcp_congestion_control").read().strip()
USUAL = {"keepalive": 0, "user_timeout": 0, "congestion": DEFAULT_CONGESTION}


@pytest.fixture(autouse=True)
def as_root():
    assert os.geteuid() == 0, "run these as root: they look into another process's sockets"


def told(daemon, matches):
    found = kernel.options(daemon.pid, matches, NAMES)
    return {name: found[name] for name in (NAMES if found["keepalive"] else USUAL)}


def client_side(daemon, sock):
    return told(daemon, lambda s: s.getpeername() == sock.getsockname())


def server_side(daemon, server):
    port = int(server.address.rsplit(":", 1)[1])
    return told(daemon, lambda s: s.getpeername()[1] == port)


def settings(server, tcp=None, backend_tcp=None, **keys):
    listener = {"address": "127.0.0.1:0", "proxy": "app", **({"tcp": tcp} if tcp else {}), **keys}
    target = {"servers": (server.address,), **({"tcp": backend_tcp} if backend_tcp else {})}
    return {"listeners": {"app": listener}, "backends": {"app": target}}


def reload(daemon, generation, **changed):
    daemon.reload({"workers": 2, "admin": {"listen": "127.0.0.1:0"}, "log": {"access": daemon.log_path},
                   "timeouts": {"drain": "3s"}, **changed})
    wait_for(lambda: f"sluice: reloaded, generation {generation}" in daemon.stdout_lines, "the reload")


def opened(daemon, closing):
    sock = closing(daemon.connect("app"))
    sock.sendall(b"x")
    assert sock.recv(1) == b"x"
    return sock


@pytest.mark.parametrize("relay", ["auto", "splice", "copy"])
def test_tcp_options(relay, sluice, backend, closing):
    """Both sides, each its own; a reload changes those of later connections, also back to nothing."""
    server = backend(echo)
    front = {"keepalive": {"idle": "61s", "interval": "7s", "count": 4}, "user_timeout": "31s", "congestion": "reno"}
    back = {"keepalive": {"idle": "90500ms"}, "user_timeout": "1500ms"}
    daemon = sluice(**settings(server, front, back, relay=relay))
    first = opened(daemon, closing)
    front_told = {"keepalive": 1, "idle": 61, "interval": 7, "count": 4, "user_timeout": 31000, "congestion": "reno"}
    assert client_side(daemon, first) == front_told
    assert server_side(daemon, server) == {"keepalive": 1, "idle": 91, "interval": 10, "count": 3,
                                           "user_timeout": 1500, "congestion": DEFAULT_CONGESTION}
    shown = subprocess.run(["ss", "-tnoH", "dport", "=", f":{first.getsockname()[1]}"], capture_output=True,
                           text=True, check=True).stdout
    assert "timer:(keepalive," in shown, shown

    reload(daemon, 2, **settings(server, {"keepalive": {"idle": "5s"}}))
    second = opened(daemon, closing)
    assert client_side(daemon, second) == {"keepalive": 1, "idle": 5, "interval": 10, "count": 3, "user_timeout": 0,
                                           "congestion": DEFAULT_CONGESTION}
    assert client_side(daemon, first) == front_told
    first.close()
    wait_for(lambda: daemon.connections_open("app") == 1, "the first to be over")
    assert server_side(daemon, server) == USUAL

    reload(daemon, 3, **settings(server))
    assert client_side(daemon, opened(daemon, closing)) == USUAL


def test_backlog(sluice, backend):
    server = backend(echo)
    daemon = sluice(**settings(server, backlog=77))

    def backlogs():
        shown = subprocess.run(["ss", "-ltnH", "sport", "=", f":{daemon.port('app')}"], capture_output=True,
                               text=True, check=True).stdout
        return [int(line.split()[2]) for line in shown.splitlines()]
    assert backlogs() == [77, 77]
    reload(daemon, 2, **settings(server, backlog=33))
    assert backlogs() == [33, 33]


def test_source(sluice, backend, closing):
    """Fifty connections from an address of choice, for the server to see; a reload changes it."""
    server = backend(lambda sock: (sock.getpeername()[0], echo(sock)))
    daemon = sluice(listeners={"app": {"address": "127.0.0.1:0", "proxy": "app"}},
                    backends={"app": {"servers": (server.address,), "source": "127.0.0.77"}})
    socks = [opened(daemon, closing) for _ in range(50)]
    reload(daemon, 2, listeners={"app": {"address": "127.0.0.1:0", "proxy": "app"}},
           backends={"app": {"servers": (server.address,), "source": "127.0.0.78"}})
    socks += [opened(daemon, closing) for _ in range(50)]
    assert sorted(s.getpeername()[0] for s in server.sockets) == ["127.0.0.77"] * 50 + ["127.0.0.78"] * 50
    for sock in socks:
        sock.close()
    wait_for(lambda: daemon.connections_open("app") == 0, "all to be over")


def refused_start(tmp_path, **changed):
    path = tmp_path / "refused.conf"
    path.write_text(config_text({"workers": 1, **changed}))
    done = run_cli("run", "-c", path)
    assert done.returncode == 1
    return done.stderr


def test_what_this_host_refuses(tmp_path, sluice, backend):
    """Told at the start and at a reload, with place and remedy; nothing is served by halves."""
    server = backend(echo)
    error = refused_start(tmp_path, **settings(server, {"congestion": "carrier-pigeon"}))
    assert "refused.conf:" in error and 'listeners.app.tcp.congestion: "carrier-pigeon" can\'t be had: this kernel ' \
        "has reno" in error, error
    error = refused_start(tmp_path, listeners={"app": {"address": "127.0.0.1:0", "proxy": "app"}},
                          backends={"app": {"servers": (server.address,), "source": "192.0.2.1"}})
    assert "backends.app.source: can't connect from 192.0.2.1: Cannot assign requested address: write an address " \
        "of this host" in error, error
    daemon = sluice(**settings(server))
    daemon.write({"workers": 2, "admin": {"listen": "127.0.0.1:0"}, "log": {"access": daemon.log_path},
                  **settings(server, {"congestion": "carrier-pigeon"})})
    daemon.signal(1)
    wait_for(lambda: "carrier-pigeon" in daemon.stderr and "generation 1 serves on" in daemon.stderr, "the refusal")
    with daemon.connect("app") as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"


# UNIX sockets


def as_nobody(path):
    """Whether nobody may connect to it."""
    code = f"import os, socket; os.setgroups([]); os.setgid(65534); os.setuid(65534); " \
           f"socket.socket(socket.AF_UNIX).connect({str(path)!r})"
    return subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True).returncode == 0


@pytest.mark.parametrize("relay", ["auto", "splice", "copy"])
def test_unix_both_sides(relay, sluice, backend, open_path):
    """Files with the mode and owner that were asked for, in every mode; a reload changes them."""
    payload = Payload(3 << 20)
    server = backend(converser(payload), path=open_path / "server")
    path = open_path / "front"

    def wanted(**keys):
        return {"listeners": {"app": {"address": f"unix:{path}", "proxy": "app", "relay": relay, **keys}},
                "backends": {"app": {"servers": (server.address,)}}}
    daemon = sluice(**wanted(unix_mode="0660", unix_user="daemon", unix_group="games"))
    status = path.stat()
    assert stat.S_IMODE(status.st_mode) == 0o660
    assert (status.st_uid, status.st_gid) == (pwd.getpwnam("daemon").pw_uid, grp.getgrnam("games").gr_gid)
    assert not as_nobody(path)
    with daemon.connect("app") as sock:
        streams.converse(sock, payload).assert_all(payload)
    server.result().assert_all(payload)
    record = daemon.wait_record()
    for direction in records.DIRECTIONS:
        records.check_plain_relay(record, direction, relay, payload.size)
    reload(daemon, 2, **wanted(unix_mode="666"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 and as_nobody(path)
    assert "listener app" not in daemon.stderr


def test_unix_owners_that_are_not(tmp_path, backend, open_path):
    server = backend(echo)
    error = refused_start(tmp_path, **{**settings(server), "listeners": {"app": {
        "address": f"unix:{open_path}/x", "proxy": "app", "unix_group": "no-such-group"}}})
    assert 'unix_group: there is no group "no-such-group"' in error, error
    assert not (open_path / "x").exists()


# What loopback doesn't show


@pytest.fixture
def networks(sluice, closing):
    """client (10.1.0.2) -- proxy (10.1.0.1, 10.2.0.1) -- server (10.2.0.2)"""
    assert sluice
    client, proxy, server = (closing(kernel.Network(name)) for name in ("c", "p", "s"))
    kernel.link(client, "10.1.0.2/24", proxy, "10.1.0.1/24")
    device, _ = kernel.link(proxy, "10.2.0.1/24", server, "10.2.0.2/24")
    server.ip("route", "add", "default", "via", "10.2.0.1")
    # The server's answers to the client are for us: what `transparent` asks of the network.
    proxy.ip("rule", "add", "iif", device, "lookup", "100")
    proxy.ip("route", "add", "local", "default", "dev", "lo", "table", "100")
    return client, proxy, server


def connect(network, address, port, source=None):
    def make():
        sock = socket.socket()
        sock.settimeout(seconds(20))
        if source:
            sock.bind((source, 0))
        sock.connect((address, port))
        return sock
    return network.call(make)


@pytest.mark.parametrize("user", [None, "nobody"])
def test_transparent(user, networks, sluice, closing, open_path):
    """The server sees the client's own address, also when Sluice has stepped down from root."""
    client, proxy, server = networks
    payload = Payload(1 << 20)
    backend = closing(server.call(lambda: Backend(converser(payload), host="10.2.0.2")))
    stepped_down = {"user": user, "group": "nogroup", "capabilities": ["net_admin"]} if user else {}
    daemon = proxy.call(lambda: sluice(
        listeners={"app": {"address": "10.1.0.1:0", "proxy": "app", "relay": "splice"}}, directory=open_path,
        log={"access": open_path / "access.log"},
        backends={"app": {"servers": (backend.address,), "transparent": True}}, **stepped_down))
    with connect(client, "10.1.0.1", daemon.port("app")) as sock:
        streams.converse(sock, payload).assert_all(payload)
    backend.result().assert_all(payload)
    record = daemon.wait_record()
    assert record["outcome"] == "complete" and record["client"].startswith("10.1.0.2:"), record
    assert backend.peers == ["10.1.0.2"]
    records.check_plain_relay(record, "to_client", "splice", payload.size)


def test_a_peer_that_is_gone_is_found(networks, sluice, closing):
    """The cable is cut: keepalive finds it on an idle connection."""
    client, proxy, server = networks
    backend = closing(server.call(lambda: Backend(echo, host="10.2.0.2")))
    keepalive = {"keepalive": {"idle": "1s", "interval": "1s", "count": 1}}
    daemon = proxy.call(lambda: sluice(
        listeners={"app": {"address": "10.1.0.1:0", "proxy": "app", "tcp": keepalive}},
        backends={"app": {"servers": (backend.address,)}}))
    sock = closing(connect(client, "10.1.0.1", daemon.port("app")))
    sock.sendall(b"x")
    assert sock.recv(1) == b"x"
    client.ip("link", "set", "dev", client_device(client), "down")
    record = daemon.wait_record(timeout=20)
    assert record["outcome"] == "reset" and record["closed_by"] == "client", record
    assert record["detail"] == "Connection timed out", record
    assert record["duration_ms"] >= 1000


def client_device(network):
    shown = subprocess.run(["ip", "-n", network.name, "-o", "link"], capture_output=True, text=True, check=True)
    return next(line.split(": ")[1].split("@")[0] for line in shown.stdout.splitlines() if ": v" in line)


@pytest.mark.parametrize("relay", ["auto", "splice", "copy"])
def test_fast_open(relay, sluice, closing):
    """Within a network of its own, where it is switched on: data comes in with the SYN, and goes out with it where
    the first bytes are copied."""
    network = closing(kernel.Network("f"))
    network.sysctl("net.ipv4.tcp_fastopen", 3)

    def make_server():
        backend = Backend(echo)
        backend.listener.setsockopt(TCP, socket.TCP_FASTOPEN, 16)
        return backend
    server = closing(network.call(make_server))
    daemon = network.call(lambda: sluice(**settings(server, {"fast_open": 64}, {"fast_open": True}, relay=relay)))
    assert "fast_open" not in daemon.stderr

    def exchange():
        sock = socket.socket()  # blocking: without a cookie, the data has to wait for the handshake
        sock.sendto(b"hello", socket.MSG_FASTOPEN, ("127.0.0.1", daemon.port("app")))
        sock.settimeout(seconds(20))
        assert sock.recv(5) == b"hello"
        sock.close()
    network.call(exchange)
    network.call(exchange)
    wait_for(lambda: len(daemon.records()) == 2, "both records")
    before = network.counter("TCPFastOpenPassive")
    network.call(exchange)
    # The client's data came with the SYN; and ours went to the server so, but for splice, which can't.
    gained = network.counter("TCPFastOpenPassive") - before
    assert gained == (1 if relay == "splice" else 2), gained
    found = daemon.wait_records(3)
    for record in found:
        assert record["outcome"] == "complete", record
        records.check_plain_relay(record, "to_server", relay, 5)


def test_fast_open_for_servers_that_speak_first(sluice, closing):
    """No client byte, no deferred SYN: the greeting comes."""
    network = closing(kernel.Network("g"))
    network.sysctl("net.ipv4.tcp_fastopen", 3)

    def greet(sock):
        sock.sendall(b"220 ready")
        return echo(sock)

    def make_server():
        backend = Backend(greet)
        backend.listener.setsockopt(TCP, socket.TCP_FASTOPEN, 16)
        return backend
    server = closing(network.call(make_server))
    daemon = network.call(lambda: sluice(**settings(server, None, {"fast_open": True})))
    for _ in range(3):
        with network.call(lambda: daemon.connect("app")) as sock:
            assert streams.receive_exactly(sock, 9) == b"220 ready"


def test_fast_open_that_is_switched_off_is_told(sluice, backend, closing):
    network = closing(kernel.Network("h"))
    network.sysctl("net.ipv4.tcp_fastopen", 0)
    server = closing(network.call(lambda: Backend(echo)))
    daemon = network.call(lambda: sluice(**settings(server, {"fast_open": 64}, {"fast_open": True})))
    assert "listener app: tcp.fast_open has no effect: bit 2 of net.ipv4.tcp_fastopen is off" in daemon.stderr
    assert "backend app: tcp.fast_open has no effect: bit 1 of net.ipv4.tcp_fastopen is off" in daemon.stderr
