"""Servers that die, come back, and vanish from the network while requests come: every one that had no server
yet gets one. In a network of the test's own, where an address can be taken away without a word."""
import contextlib
import json
import subprocess
import threading
import time

import pytest

from support import env, kernel
from support.env import seconds, wait_for
from support.load import run_load

HOSTS = ("10.9.9.11", "10.9.9.12", "10.9.9.13")


@pytest.fixture
def network():
    """Whoever is not at home here is behind a cable at whose other end nobody listens: a black hole."""
    net = kernel.Network("failover")
    net.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1")
    net.ip("address", "add", "10.9.9.1/24", "dev", "v0")
    for device in ("v0", "v1"):
        net.ip("link", "set", device, "up")
    for host in HOSTS:
        net.ip("neigh", "add", host, "lladdr", "02:00:00:00:00:01", "dev", "v0", "nud", "permanent")
        net.ip("address", "add", f"{host}/32", "dev", "lo")
    yield net
    net.close()


class Victim:
    """A file server that can be killed."""

    def __init__(self, host, root):
        self.address, self.root, self.process = f"{host}:8000", root, None
        self.start()

    def start(self):
        self.process = subprocess.Popen([str(env.BIN), "serve", str(self.root), "-l", self.address],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.process.stdout:
            if line.startswith("sluice: listening serve"):
                return
        raise AssertionError("the file server did not start")

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def kill_one(network, victims):
    victims[1].kill()
    time.sleep(1)  # it is the load that goes on meanwhile, not a condition that comes


def flap(network, victims):
    for i in range(6):
        victim = victims[i % 2]
        victim.kill()
        time.sleep(0.25)
        victim.start()
        time.sleep(0.25)


def take_away(network, victims):
    network.ip("address", "del", f"{HOSTS[1]}/32", "dev", "lo")
    time.sleep(1.5)
    network.ip("address", "add", f"{HOSTS[1]}/32", "dev", "lo")
    time.sleep(0.5)


def load(daemon):
    """Requests over new connections for four seconds; what sluice-load says of them."""
    done = run_load("http", "-c", 8, "-t", 1, "-d", "4s", "--no-keepalive", "--timeout", f"{seconds(20):g}s",
                    "--json", "--quiet", daemon.url("app", "/small"))
    return json.loads(done.stdout)


@pytest.mark.parametrize("guard, trouble", [("health", kill_one), ("health", flap), ("eject", take_away)],
                         ids=lambda value: getattr(value, "__name__", value))
def test_every_request_gets_a_server(guard, trouble, network, sluice, big_root, tmp_path):
    guards = {
        "health": {"health": {"type": "http", "path": "/small", "interval": "100ms", "timeout": "500ms", "fall": 2}},
        "eject": {"eject": {"failures": 3, "base": "500ms", "max": "1s"}},
    }

    def scenario():
        victims = [Victim(host, big_root) for host in HOSTS]
        result = {}
        daemon = sluice(listeners={"app": {"address": "127.0.0.1:0", "proxy": "app"}},
                        backends={"app": {"servers": tuple(v.address for v in victims), **guards[guard]}},
                        timeouts={"connect": f"{seconds(6):g}s"})
        client = threading.Thread(target=lambda: result.update(load(daemon)))
        try:
            client.start()
            wait_for(lambda: len(daemon.records()) > 50, "requests to be served")
            trouble(network, victims)
        finally:
            client.join()
            records = daemon.records()
            for victim in victims:
                with contextlib.suppress(ValueError):
                    victim.kill()
        return result, records, daemon.status()["backends"]["app"]["servers"]

    result, records, servers = network.call(scenario)
    failed = [r for r in records if r["outcome"] != "complete" and r["closed_by"] != "client"]
    unreached = [r for r in failed if r["outcome"] == "no_server"]
    unforwarded = [r for r in failed if r["directions"]["to_server"]["bytes"] == 0]
    print(f"\n{guard}, {trouble.__name__}: {len(records)} requests, {len(failed)} lost in servers that were killed, "
          f"{len(unforwarded)} of them before a byte had gone there; "
          f"connects failed: {[s['failures'] for s in servers]}, ejections: {[s['ejections'] for s in servers]}; "
          f"p99 {result['latency_ms']['p99']:.1f} ms, slowest {result['latency_ms']['max']:.0f} ms")
    assert not unreached, unreached[:3]
    # A server that is killed resets what its kernel had accepted for it, also before the first byte has gone there.
    assert all(r["closed_by"] == "server" and r["target"] for r in unforwarded), unforwarded[:3]
    assert trouble is not take_away or not failed, failed[:3]
    assert len(records) > 100
    assert len(failed) <= 8 * (6 if trouble is flap else 1), "more than were under way"
    # A killed server whose kernel owes nothing says goodbye in order, after part of an answer as well: what it relays
    # nobody but the client can know to be short.
    assert result["failed"] - result["failures"].get("short", 0) <= len(failed), result["failures"]
    assert result["failed"] <= 8 * (6 if trouble is flap else 1), result["failures"]
