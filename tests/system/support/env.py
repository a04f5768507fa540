"""Where the programs are, what this host can do, and how long to wait. Knows nothing of any one test.

Every number that depends on the host stands here: a kernel with kTLS is taken to be the test guest (one slow
CPU, little memory), and SLUICE_SLOW=1 says that the program runs under a sanitizer.
"""
import os
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(os.environ.get("SLUICE_BIN", ROOT / "build" / "sluice"))
PEERS = Path(os.environ.get("SLUICE_PEERS", ROOT / "build" / "peers" / "root"))
TOOLS = Path(os.environ.get("SLUICE_TOOLS", ROOT / "build" / "tests"))
WRAP = os.environ.get("SLUICE_WRAP", "").split()  # valgrind and the like, before the program

SLOW = os.environ.get("SLUICE_SLOW") == "1"


def kernel_has_ktls():
    try:
        return "tls" in Path("/proc/sys/net/ipv4/tcp_available_ulp").read_text().split()
    except OSError:
        return False


KTLS = kernel_has_ktls()

MIB = 1 << 20
BIG = (12 if KTLS else 100) * 10**6 // (5 if SLOW else 1)


def seconds(natural):
    """A deadline: what a healthy native run never needs, longer where everything is slower."""
    return natural * (5 if SLOW else 1) * (4 if KTLS else 1)


def wait_for(condition, what, timeout=10.0, interval=0.005):
    """Polls until condition() is true and returns its value; fails with `what` after the deadline."""
    deadline = time.monotonic() + seconds(timeout)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds(timeout):g} s in vain for: {what}")
        time.sleep(interval)


def wait_until_still(read, what, quiet=0.3, timeout=20.0):
    """Polls until read() has kept one value for `quiet` seconds, and returns it."""
    state = {"value": read(), "since": time.monotonic()}

    def still():
        value = read()
        if value != state["value"]:
            state.update(value=value, since=time.monotonic())
        return time.monotonic() - state["since"] > seconds(quiet)

    wait_for(still, what, timeout, interval=0.02)
    return state["value"]
