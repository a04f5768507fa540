"""Floods of what is legal in small numbers: KeyUpdates, empty records, alerts, TCP urgent bytes. A flood ends the
connection that it came by, with a detail that says why; it costs next to no CPU, and no other connection its service."""
import json
import socket
import subprocess
import threading
import time

import pytest

from support import env, streams, tls
from support.backends import echo
from support.payload import Payload

VERSIONS = ("TLSv1.2", "TLSv1.3")
STORM = 20_000
URGENT = 600
WINDOW = 6 if env.KTLS else 2  # seconds
# Of a CPU, over the window. In the guest six handshakes take most of it, and the time that a busy host takes away from
# the guest counts as used: 0.08 alone, 0.2 beside a build. What spins takes all of it.
CPU_MAX = 0.05 * (8 if env.SLOW or env.KTLS else 1)
STORMS = [(version, kind) for version in VERSIONS for kind in ("empty-records", "warning-alerts")] + [
    ("TLSv1.3", "key-update"), ("TLSv1.3", "key-update request")]
DETAILS = {"empty-records": ("too many TLS records that carry no data", "record too small"),
           "warning-alerts": ("too many TLS records that carry no data", "too many warn alerts"),
           "key-update": ("KeyUpdate",), "key-update request": ("KeyUpdate",)}


class Bystander(threading.Thread):
    """Somebody else's conversation through the same worker."""

    def __init__(self, sock):
        super().__init__(daemon=True)
        self.sock, self.rounds, self.stop, self.error = sock, 0, False, None
        self.start()

    def run(self):
        try:
            while not self.stop:
                message = Payload(100, seed=self.rounds).bytes()
                self.sock.sendall(message)
                assert streams.receive_exactly(self.sock, 100) == message
                self.rounds += 1
                time.sleep(0.05)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def end(self):
        self.stop = True
        self.join()
        assert self.error is None, self.error
        return self.rounds


def tool(daemon, version, kind, path):
    """The misbehaving client; returns what it saw."""
    name, *request = kind.split()
    done = subprocess.run(
        [env.TOOLS / "tls_records", f"127.0.0.1:{daemon.port('app')}", f"--{version.lower().replace('v', '')}",
         "--send", path, f"--{name}", str(STORM), *(f"--{word}" for word in request),
         "--timeout", str(int(env.seconds(20)))],
        capture_output=True, timeout=env.seconds(30), check=False)
    assert done.stdout, done
    return json.loads(done.stdout)


class Watch:
    """The share of a CPU that a daemon takes from now on, over a window that is longer than the storms: what comes
    after them counts as well, so that nothing can spin on."""

    def __init__(self, daemon):
        self.daemon, self.began, self.before = daemon, time.monotonic(), daemon.cpu_seconds()

    def check(self):
        env.wait_for(lambda: time.monotonic() - self.began > WINDOW, "the window's end", timeout=5, interval=0.02)
        share = (self.daemon.cpu_seconds() - self.before) / (time.monotonic() - self.began)
        assert share < CPU_MAX, share


@pytest.mark.ktls
@pytest.mark.parametrize("relay", ["auto", "splice"] if env.KTLS else ["auto"])
def test_storms_of_records(relay, proxy, certs, backend, closing, tmp_path):
    server = backend(echo)
    daemon = proxy(server.address, listener={"tls": "main", "relay": relay}, tls={"main": certs.tls()}, workers=1)
    (tmp_path / "payload").write_bytes(Payload(2000).bytes())
    bystander = Bystander(tls.TlsSocket(closing(daemon.connect("app")), tls.context(certs)))
    env.wait_for(lambda: bystander.rounds > 0 or bystander.error, "the bystander to talk")
    watch = Watch(daemon)
    for number, (version, kind) in enumerate(STORMS, 1):
        saw = tool(daemon, version, kind, tmp_path / "payload")
        assert saw["end"] == "reset" or saw["end"].startswith("alert"), saw  # OpenSSL says why first
        record = daemon.wait_records(number)[-1]
        assert record["outcome"] == "reset" and record["closed_by"] == "client", record
        assert any(detail in record["detail"] for detail in DETAILS[kind]), record
    watch.check()
    assert bystander.end() > 5


@pytest.mark.parametrize("relay", ["auto", "splice", "copy"])
def test_a_storm_of_urgent_bytes(relay, proxy, backend, closing):
    """Where one costs more than the copying of a byte, which is while splicing, a storm is ended; elsewhere it comes
    through."""
    server, sent = backend(echo), 0
    daemon = proxy(server.address, listener={"relay": relay}, workers=1)
    bystander = Bystander(closing(daemon.connect("app")))
    sock = closing(daemon.connect("app"))
    watch = Watch(daemon)
    try:
        while sent < URGENT:  # one by one: marks that come together count as one
            sock.send(b"!", socket.MSG_OOB)
            sent += 1
            assert sock.recv(1) == b"!"
        rate = sent / (time.monotonic() - watch.began)
        assert relay != "splice" or rate <= 256, rate  # a second: so many are allowed
    except streams.RESETS:
        record = daemon.wait_record()
        assert relay == "splice" and record["outcome"] == "reset", record
        assert "urgent" in record["detail"] and record["closed_by"] == "client", record
    watch.check()
    assert bystander.end() > 5
