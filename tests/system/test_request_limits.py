"""How much an HTTP client may ask for, how often and how slowly: what is refused gets an answer that says so, the log
and the metrics name the key, and everyone else is served. Plain and over TLS."""
import os
import subprocess
import threading
import time

import pytest

from support import http, tls
from support.env import MIB, seconds, wait_for
from support.payload import Payload

SMALL = Payload(1000)


@pytest.fixture(params=["plain", "tls"])
def serve(request, file_server, certs, tmp_path):
    """serve(http keys, limits=..., **settings): a daemon for `small` and `large`, and how to reach it."""
    root = tmp_path / "root"
    root.mkdir()
    SMALL.write_to(root / "small")
    Payload(4 * MIB).write_to(root / "large")

    def start(keys, listener=None, **settings):
        listener = {"http": keys, **(listener or {})}
        if start.is_tls:
            listener["tls"] = "main"
            settings["tls"] = {"main": certs.tls()}
        daemon = file_server(root, listener, admin={"listen": "127.0.0.1:0"}, **settings)
        return Web(daemon, certs if start.is_tls else None)
    start.is_tls = request.param == "tls"
    return start


class Web:
    """One daemon and its listener `web`."""

    def __init__(self, daemon, certs):
        self.daemon, self.certs = daemon, certs
        self.trust = ["--cacert", certs.ca] if certs else []

    def connect(self, **options):
        sock = self.daemon.connect("web", **options)
        return tls.context(self.certs).wrap_socket(sock, server_hostname="localhost") if self.certs else sock

    def url(self, path):
        return self.daemon.url("web", path, scheme="https" if self.certs else "http")

    def curl(self, *args):
        """(exit, lines of -w)"""
        done = http.curl(*args, ca=self.certs and self.certs.ca)
        return done.returncode, done.stdout.decode().split()

    def limited(self, limit):
        """By /metrics; /status.json says the same."""
        value = self.daemon.metrics()["sluice_requests_limited_total", frozenset({("listener", "web"), ("limit", limit)})]
        assert value <= self.daemon.status()["listeners"]["web"]["limited"][limit]
        return value

    def refusals(self, limit, count):
        """The log's lines of `count` requests and clients that passed the limit, and no other line tells it."""
        found = wait_for(lambda: [r for r in self.daemon.records() if r["outcome"] == "limited"][:count]
                         if self.limited(limit) >= count else None, f"{count} refusals by {limit}")
        assert len(found) == count == self.limited(limit), found
        assert all(r["detail"] == limit and r["closed_by"] == "sluice" for r in found), found
        return found


@pytest.mark.parametrize("limit, status, args", [
    ("max_uri", 414, ["-s", "{url}" + "?" + "a" * 600]),
    ("max_head", 431, ["-s", "-H", "X: " + "a" * 3000, "{url}"]),
    ("max_fields", 431, ["-s"] + [arg for i in range(20) for arg in ("-H", f"X{i}: a")] + ["{url}"]),
    ("max_body", 413, ["-s", "-H", "Expect:", "--data-binary", "a" * 3000, "{url}"]),
    ("max_body", 413, ["-s", "-H", "Expect:", "-H", "Transfer-Encoding: chunked", "--data-binary", "a" * 3000, "{url}"])])
def test_sizes(limit, status, args, serve):
    web = serve({"max_uri": "512", "max_head": "2KiB", "max_fields": 16, "max_body": "2KiB"})
    args = [arg.format(url=web.url("/small")) for arg in args]
    code, lines = web.curl("-o", os.devnull, "-w", "%{http_code}\n", *args)
    assert (code, lines) == (0, [str(status)])
    assert web.refusals(limit, 1)[0]["status"] == status
    assert web.curl("-s", "-o", os.devnull, "-w", "%{http_code}\n", web.url("/small")) == (0, ["200"])


def test_a_body_leaves_the_connection_usable(serve):
    web = serve({"max_body": "100KiB"})
    ask = ["-s", "-o", os.devnull, "-w", "%{http_code} %{num_connects}\n", "-H", "Expect:", web.url("/small")]
    chunked = ["-H", "Transfer-Encoding: chunked"]
    data = ["--data-binary", "x" * 90_000]
    code, lines = web.curl(*data, *ask, "--next", *web.trust, *data, *chunked, *ask, "--next", *web.trust, *ask)
    assert (code, lines) == (0, ["405", "1", "405", "0", "200", "0"])


@pytest.mark.parametrize("size", [200_000, 20 * MIB])
def test_a_client_that_writes_on_gets_its_answer(size, serve):
    """Nothing is read by it before everything is written: a reset would overtake the answer."""
    web = serve({})
    with web.connect() as sock:
        sock.sendall(b"PUT /small HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(0, size, 100_000):
            sock.sendall(b"x" * 100_000)
        reader = http.Reader(sock)
        answer = reader.answer()
        assert answer.status == 413 and answer.headers["connection"] == "close", answer
        assert reader.at_end()
    web.refusals("max_body", 1)


def test_keepalive_requests(serve):
    web = serve({"keepalive_requests": 3})
    args = []
    for _ in range(7):
        args += ["-o", os.devnull, web.url("/small")]
    code, lines = web.curl("-s", "-w", "%{http_code} %{num_connects}\n", *args)
    assert (code, lines) == (0, ["200", "1", "200", "0", "200", "0"] * 2 + ["200", "1"])


class Others:
    """A client that fetches `small` again and again, each time on a connection of its own, and takes the time."""

    def __init__(self, web):
        self.web, self.done, self.times, self.failures = web, threading.Event(), [], []
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.done.is_set():
            began = time.monotonic()
            try:
                with self.web.connect() as sock:
                    answer = http.ask(sock, http.request("/small", Connection="close"))
                if answer.status != 200 or answer.body != SMALL.bytes():
                    self.failures.append(answer)
            except OSError as error:
                self.failures.append(error)
            self.times.append(time.monotonic() - began)
            self.done.wait(0.02)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *args):
        self.done.set()
        self.thread.join(seconds(20))

    def check(self):
        assert not self.failures and len(self.times) > 20, (self.failures[:3], len(self.times))
        assert max(self.times) < seconds(2), f"{max(self.times):.1f} s for one of {len(self.times)}"


CLIENTS = 30
SLOW_READ = ["-X", "-n", "1", "-w", "200", "-y", "400", "-z", "400", "-k", "3"]


def check_shed(web, args, path, expected):
    """slowhttptest's clients are shed in bounded time, each is told in the log, and another one notices nothing."""
    command = ["slowhttptest", *args, "-c", str(CLIENTS), "-r", str(CLIENTS), "-l", "60", "-p", "5",
               "-u", web.url("/large")]

    def shed():
        return [r for r in web.daemon.records() if r["outcome"] in ("limited", "timeout")]

    with Others(web) as others, open(path / "slow.out", "wb") as out:
        slow = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        try:
            wait_for(lambda: len(shed()) >= CLIENTS, f"{CLIENTS} clients shed", timeout=30)
        finally:
            slow.terminate()
            slow.wait(seconds(20))
    others.check()
    told = set()
    for record in shed():
        found = record["outcome"], record.get("detail", ""), record["status"]
        assert found in expected and record["duration_ms"] < 1000 * seconds(20), record
        if record["outcome"] == "limited":
            told.add(record["detail"])
    assert all(web.limited(limit) >= sum(r.get("detail") == limit for r in shed()) for limit in told), shed()


@pytest.mark.parametrize("keys, timeouts, expected, args", [
    ({"min_receive_rate": 0}, {"header": "2s"}, ("timeout", "the request was not completed in time", 408), ["-H"]),
    ({"min_rate_window": "2s"}, {"header": "60s"}, ("limited", "min_receive_rate", 408), ["-H"]),
    ({"min_rate_window": "2s"}, {}, ("limited", "min_receive_rate", 408), ["-B", "-s", "8000"])])
def test_slow_requests(keys, timeouts, expected, args, serve, tmp_path):
    check_shed(serve(keys, {"timeouts": timeouts}, workers=1), [*args, "-i", "1", "-x", "8"], tmp_path, [expected])


def test_slow_readers(serve, tmp_path):
    """Over TLS slowhttptest takes a whole record as fast as it can, then nothing for long: it is idle, if not slow."""
    idle = {"timeouts": {"idle": "3s"}}
    web = serve({"min_rate_window": "2s", "min_send_rate": "4KiB"}, idle if serve.is_tls else {}, workers=1)
    expected = [("limited", "min_send_rate", 200)] + [("timeout", "", 200)] * serve.is_tls
    check_shed(web, SLOW_READ, tmp_path, expected)
