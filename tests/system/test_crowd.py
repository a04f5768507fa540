"""Thousands of idle connections, and hundreds of busy ones beside them: nobody is lost, idle ones cost next to nothing."""
import os
import resource
import subprocess
import time
from pathlib import Path

import pytest

from support import env
from support.env import seconds, wait_for, wait_until_still

ROUNDS, MESSAGE = (10 if env.KTLS else 50), 4096


class Crowd:
    """One end of tests/tools/crowd, told what to do next by say() and heard by hear()."""

    def __init__(self, *args):
        self.process = subprocess.Popen([env.TOOLS / "crowd", *map(str, args)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def hear(self):
        line = self.process.stdout.readline()
        assert line, f"crowd: {self.process.stderr.read()}"
        return line.strip()

    def step(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.hear()

    def close(self):
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()
        self.process.kill()
        self.process.wait(seconds(10))


def cpu_share(daemon, duration):
    before, start = daemon.cpu_seconds(), time.monotonic()
    time.sleep(duration)
    return (daemon.cpu_seconds() - before) / (time.monotonic() - start)


def check_crowd(sluice, closing, idle, busy, relay):
    """All programs raise their soft limit of descriptors to the hard one."""
    needed = 2 * idle + 6 * busy + 200
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= needed, f"needs a hard limit of {needed} descriptors"
    server = closing(Crowd("serve"))
    port = server.hear()
    # For each address of a server there are 28,000 ephemeral ports, and they are found quickly while few are taken.
    daemon = sluice(workers=2, log={"access": "off"},
                    timeouts={"idle": "10m", "connect": "60s"},
                    listeners={"app": {"address": "127.0.0.1:0", "proxy": "app", "relay": relay}},
                    backends={"app": {"servers": tuple(f"127.0.8.{n}:{port}" for n in range(1, 17))}})
    empty_fds, empty_rss = daemon.open_fds(), daemon.rss()
    clients = closing(Crowd("clients", daemon.port("app"), idle, busy, ROUNDS))
    assert clients.step() == f"open {idle}"
    assert daemon.connections_open("app") == idle
    assert daemon.open_fds() - empty_fds < 2 * idle + 100, "an idle connection owns a pipe"
    if not env.SLOW:
        assert (daemon.rss() - empty_rss) / idle < 8_000, "an idle connection owns a buffer"
    # One second of nothing to do: the deadlines of idle connections aren't looked at one by one either.
    assert cpu_share(daemon, 1) < (0.2 if env.SLOW or env.KTLS else 0.05), "idle connections keep it busy"

    assert clients.step() == f"busy {busy * ROUNDS * MESSAGE}"
    wait_for(lambda: daemon.connections_open("app") == idle, "the busy ones to end", timeout=20)
    wait_until_still(daemon.open_fds, "descriptors")
    total = {name: value for (name, labels), value in daemon.metrics().items() if ("listener", "app") in labels
             and name in ("sluice_user_bytes_total", "sluice_kernel_bytes_total")}
    assert sum(total.values()) == 2 * (idle + busy + busy * ROUNDS * MESSAGE), total
    if relay != "auto":
        assert total["sluice_user_bytes_total" if relay == "splice" else "sluice_kernel_bytes_total"] == 0, total
    assert clients.step() == f"alive {idle}"
    assert clients.step() == f"closed {idle}"
    wait_for(lambda: daemon.connections_open("app") == 0, "all to be over", timeout=20)


@pytest.mark.parametrize("relay", ["auto", "splice", "copy"])
def test_seven_thousand_idle_and_five_hundred_busy(relay, sluice, closing):
    idle, busy = (1500, 100) if env.SLOW else (7000, 500)
    check_crowd(sluice, closing, idle, busy, relay)


@pytest.mark.guest_only
def test_fifty_thousand_idle(sluice, closing):
    """In a kernel of its own, where descriptors are for the asking; fewer where the program is a sanitizer's."""
    Path("/proc/sys/fs/file-max").write_text("1000000")
    check_crowd(sluice, closing, 10000 if "UBSAN_OPTIONS" in os.environ else 50000, 500, "auto")
