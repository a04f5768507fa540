"""A hundred reloads under load, each with other limits, backends, filters and sockets: no connection is lost, none is
told a wrong thing, nothing is left behind."""
import itertools
import os
import signal
import socket
import threading
import time

import pytest

from support import http, records, streams, tls
from support.backends import Backend, echo
from support.daemon import plan_of
from support.env import SLOW, seconds, wait_for
from support.payload import Payload

RELOADS = 30 if SLOW else 100
BALANCES = ("round_robin", "least_conn", "random", "source_hash", "maglev")
LIMITS = ({}, {"max_connections": 5000}, {"max_connections_per_client": 3000, "client_prefix_v4": 8},
          {"connection_rate": 100000, "max_clients": 1024}, {"bandwidth": {"to_client": "200MiB"}},
          {"max_connections": 4000, "connection_rate": 90000, "bandwidth": {"to_server": "100MiB", "burst": "2MiB"}})
TCP = ({}, {"keepalive": {"idle": "30s"}}, {"user_timeout": "20s"}, {"congestion": "reno", "keepalive": {}})
FILTERS = ((), ({"type": "log"},), ({"type": "deny", "patterns": ["never sent by anyone"]},))
MESSAGE = Payload(150_000, seed=5)


class Storm:
    """The servers, and one configuration after the other."""

    def __init__(self, closing, certs, root, directory):
        self.servers = [closing(Backend(echo)) for _ in range(4)]
        self.servers[3:] = [closing(Backend(echo, path=directory / "server"))]
        self.certs, self.root, self.directory = certs, root, directory

    def settings(self, turn):
        addresses = [server.address for server in self.servers]
        addresses = [addresses[(turn + n) % 4] for n in range(1 + turn % 4)]  # others each time
        queued = {"max_connections": 100 + turn} if turn % 2 else {}
        servers = tuple({"address": a, "weight": 1 + (turn + n) % 3, **queued} for n, a in enumerate(addresses))
        app = {"address": "127.0.0.1:0", "proxy": "app", "relay": ("auto", "splice", "auto", "copy")[turn % 4],
               "limits": LIMITS[turn % 6], "tcp": TCP[turn % 4], "backlog": 512 + turn % 7}
        if app["relay"] != "splice" and FILTERS[turn % 3]:
            app["filters"] = FILTERS[turn % 3]
        backend = {"servers": servers, "balance": BALANCES[turn % 5], "tcp": TCP[(turn + 1) % 4]}
        if turn % 2:
            backend["source"] = f"127.0.0.{2 + turn % 9}"
            backend["queue"] = {"size": 1000 + turn}
        listeners = {"app": app,
                     "web": {"address": "127.0.0.1:0", "files": "media", "tls": "main", "limits":
                             LIMITS[turn % 5], "relay": ("auto", "copy")[turn % 2]},
                     "local": {"address": f"unix:{self.directory}/front", "proxy": "app",
                               "unix_mode": ("0666", "0600")[turn % 2]}}
        if turn % 3 == 1:
            listeners["passing"] = {"address": "127.0.0.1:0", "proxy": "app"}
        return {"listeners": listeners, "backends": {"app": backend, "other": {"servers": (self.servers[0].address,)}},
                "files": {"media": {"root": self.root}}, "tls": {"main": self.certs.tls()},
                "workers": 2, "admin": {"listen": "127.0.0.1:0"},
                "timeouts": {"drain": "3s", "idle": f"{60 + turn}s"}}


class Load:
    """Threads that do one thing again and again until told to stop; the first mistake of each is kept."""

    def __init__(self):
        self.over, self.counts, self.errors, self.threads = threading.Event(), {}, [], []

    def add(self, name, once):
        def run():
            try:
                while not self.over.is_set():
                    once()
                    self.counts[name] = self.counts.get(name, 0) + 1
            except Exception as error:
                self.errors.append((name, repr(error)))
        thread = threading.Thread(target=run, name=name, daemon=True)
        self.threads.append(thread)
        thread.start()

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(seconds(30))
            assert not thread.is_alive(), f"{thread.name} never came to an end"


@pytest.fixture
def storm(closing, certs, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    MESSAGE.write_to(root / "file")
    return Storm(closing, certs, root, tmp_path)


def converse_once(daemon, name):
    with daemon.connect(name) as sock:
        streams.converse(sock, MESSAGE).assert_all(MESSAGE)


def fetch_once(daemon, context):
    sock = tls.TlsSocket(daemon.connect("web"), context)
    answer = http.ask(sock, http.request("/file", connection="close"))
    assert answer.status == 200 and len(answer.body) == MESSAGE.size and answer.body == MESSAGE.bytes()
    sock.close()


class Lasting:
    """One connection that stays for the whole storm."""

    def __init__(self, daemon, name):
        self.sock = daemon.connect(name)
        self.sent = 0

    def once(self):
        part = MESSAGE.bytes()[:1000 + self.sent % 50000]
        self.sock.sendall(part)
        assert streams.receive_exactly(self.sock, len(part)) == part
        self.sent += len(part)
        time.sleep(0.01)


def start_load(daemon, certs):
    load, lasting = Load(), [Lasting(daemon, name) for name in ("app", "app", "local")]
    context = tls.context(certs)
    for n in range(3):
        load.add(f"app {n}", lambda: converse_once(daemon, "app"))
    load.add("local", lambda: converse_once(daemon, "local"))
    load.add("web", lambda: fetch_once(daemon, context))
    for n, connection in enumerate(lasting):
        load.add(f"lasting {n}", connection.once)
    return load, lasting


def test_a_hundred_reloads_lose_nothing(storm, sluice, certs):
    daemon = sluice(names=["app", "web", "local", "admin"], **storm.settings(0))
    log = {"log": {"access": daemon.log_path}}
    kinds = {}
    for turn in range(60):  # what plan() tells depends on these alone
        listeners = storm.settings(turn)["listeners"]
        kinds.setdefault((listeners["app"]["relay"], str(listeners["app"].get("filters")),
                          listeners["web"]["relay"], "passing" in listeners), turn)
    for turn in kinds.values():
        daemon.write({**storm.settings(turn), **log})
        daemon.plans += plan_of(daemon.file)
    idle_fds = not_pipes(daemon)
    load, lasting = start_load(daemon, certs)
    start = time.monotonic()
    for turn in range(1, RELOADS + 1):
        daemon.write({**storm.settings(turn), **log})
        daemon.signal(signal.SIGHUP)
        wait_for(lambda: f"sluice: reloaded, generation {turn + 1}" in daemon.stdout_lines or load.errors,
                 f"reload {turn}: {daemon.stderr}")
        assert not load.errors, (turn, load.errors, daemon.stderr)
        if turn == RELOADS // 2:
            half_rss = daemon.rss()
    took = time.monotonic() - start
    rss = daemon.rss()
    load.stop()
    assert not load.errors, load.errors
    for connection in lasting:
        connection.sock.shutdown(socket.SHUT_WR)
        assert connection.sock.recv(1) == b""
        connection.sock.close()
    wait_for(lambda: all(daemon.connections_open(name) == 0 for name in ("app", "web", "local")), "all to be over")
    print(f"{RELOADS} reloads in {took:.1f} s; done meanwhile: {load.counts}; {rss - half_rss >> 10} KiB more than "
          f"half-way")
    wait_for(lambda: not_pipes(daemon) <= idle_fds + 8, "descriptors to be given back")
    print(f"{daemon.open_fds() - not_pipes(daemon)} ends of pipes kept")
    assert SLOW or rss - half_rss < 12 << 20
    check_records(daemon, load, lasting)


def not_pipes(daemon):
    """Open descriptors but for pipes, some of which are kept for the next connections."""
    count = 0
    for name in os.listdir(f"/proc/{daemon.pid}/fd"):
        try:
            count += not os.readlink(f"/proc/{daemon.pid}/fd/{name}").startswith("pipe:")
        except FileNotFoundError:
            pass
    return count


def check_records(daemon, load, lasting):
    done = {name: sum(n for thread, n in load.counts.items() if thread.split()[0] == name)
            for name in ("app", "local", "web")}
    done["app"] += 2  # the lasting ones
    done["local"] += 1
    wait_for(lambda: len(daemon.records()) >= sum(done.values()), "every record")
    found = daemon.records()
    assert {name: sum(r["listener"] == name for r in found) for name in done} == done
    bad = [r for r in found if r["outcome"] != "complete"]
    assert not bad, bad[:3]
    longest = sorted((records.moved(r, "to_client") for r in found), reverse=True)[:3]
    assert sorted(longest) == sorted(connection.sent for connection in lasting), "a lasting connection lost its count"


def test_signals_that_come_faster_than_reloads(storm, sluice, certs):
    """They are not counted one by one, but the last configuration is the one that serves."""
    daemon = sluice(names=["app", "web", "local", "admin"], **storm.settings(0))
    log = {"log": {"access": daemon.log_path}}
    load, lasting = start_load(daemon, certs)
    for turn in itertools.islice(itertools.cycle((0, 12)), 100):  # the same modes, other limits
        replace(daemon, {**storm.settings(turn), **log})
        daemon.signal(signal.SIGHUP)
    last = storm.settings(24)
    last["backends"]["last"] = {"servers": ("127.0.0.1:9",)}
    replace(daemon, {**last, **log})
    daemon.signal(signal.SIGHUP)
    wait_for(lambda: "last" in daemon.status()["backends"], f"the last one to serve: {daemon.stderr}")
    load.stop()
    assert not load.errors, load.errors
    for connection in lasting:
        connection.sock.close()
    assert "refused" not in daemon.stderr, daemon.stderr


def replace(daemon, settings):
    """As one should: a reload may be reading the file just now."""
    whole = daemon.file
    daemon.file = whole.with_suffix(".new")
    daemon.write(settings)
    daemon.file.rename(whole)
    daemon.file = whole
