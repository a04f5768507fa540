"""Nothing on a worker waits for a disk: a FUSE file system that lets every opening and read wait for half a second,
served beside files that are in memory, by one worker."""
import signal
import threading
import time
from contextlib import closing

import pytest

from support import records, streams, tls
from support.env import seconds, wait_for
from support.http import Reader, ask, multipart_body, request
from support.payload import Payload, digest_of
from support.slow_fs import slow_directory

DELAY_MS = 500
CLIENTS = 50
SIZE = 150_000


@pytest.fixture
def slow_root(tmp_path):
    """A directory behind a slow file system: CLIENTS files, each its own. Unmounted after the daemon has ended."""
    shown, mounted = tmp_path / "shown", tmp_path / "slow"
    shown.mkdir(), mounted.mkdir()
    for i in range(CLIENTS):
        Payload(SIZE, seed=i).write_to(shown / str(i))
    with slow_directory(shown, mounted, DELAY_MS) as root:
        yield root


@pytest.fixture
def two_roots(slow_root, sluice, tmp_path, certs):
    def start(relay="auto", with_tls=False, threads=64):
        fast = tmp_path / "fast"
        fast.mkdir(exist_ok=True)
        Payload(1024).write_to(fast / "small")
        keys = {"address": "127.0.0.1:0", "relay": relay, **({"tls": "main"} if with_tls else {})}
        return sluice(workers=1, disk_threads=threads, tls={"main": certs.tls()}, http={"keepalive_requests": 0},
                      files={"slow": {"root": slow_root}, "fast": {"root": fast}},
                      listeners={"slow": {**keys, "files": "slow"}, "fast": {**keys, "files": "fast"}})
    return start


def connect(daemon, name, certs, with_tls):
    sock = daemon.connect(name, timeout=60)
    return closing(tls.TlsSocket(sock, tls.context(certs)) if with_tls else sock)


def fetch_slow(daemon, i, certs, with_tls, results):
    with connect(daemon, "slow", certs, with_tls) as sock:
        sock.sendall(request(f"/{i}"))
        answer = Reader(sock).answer()
        results[i] = (answer.status, digest_of(answer.body))


@pytest.mark.parametrize("relay, with_tls", [("auto", False), ("mmap", False), ("copy", False), ("auto", True)])
def test_a_slow_disk_holds_up_nobody_else(relay, with_tls, two_roots, certs):
    daemon = two_roots(relay, with_tls)
    results, times = {}, []
    threads = [threading.Thread(target=fetch_slow, args=(daemon, i, certs, with_tls, results)) for i in range(CLIENTS)]
    with connect(daemon, "fast", certs, with_tls) as sock:
        reader = Reader(sock)
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            began = time.monotonic()
            sock.sendall(request("/small"))
            assert digest_of(reader.answer().body) == Payload(1024).digest
            times.append(time.monotonic() - began)
            time.sleep(0.002)
    assert results == {i: (200, Payload(SIZE, seed=i).digest) for i in range(CLIENTS)}
    times.sort()
    assert len(times) > 100 and times[len(times) * 99 // 100] < seconds(0.05), times[-20:]
    assert daemon.metrics()[("sluice_disk_jobs_total", frozenset())] >= 2 * CLIENTS
    slow = daemon.wait_records(CLIENTS, "slow", timeout=30)
    expected = records.file_kind(relay, with_tls)
    assert {kind for record in slow for kind in records.kinds(record, "to_client")} == {expected}
    assert min(record["duration_ms"] for record in slow) >= DELAY_MS


@pytest.mark.parametrize("relay", ["auto", "mmap", "copy"])
def test_ranges_of_a_slow_file(relay, two_roots):
    """Each range is waited for by itself, and its text with it."""
    daemon, data, ranges = two_roots(relay), Payload(SIZE, seed=1).bytes(), [(140_000, 149_999), (0, 99)]
    with daemon.connect("slow", timeout=60) as sock:
        answer = ask(sock, request("/1", Range="bytes=140000-,0-99"))
    assert answer.body == multipart_body(answer, data, ranges)
    assert daemon.metrics()[("sluice_disk_jobs_total", frozenset())] >= 2
    records.check_parts(daemon.wait_record("slow"), relay, len(answer.body), ranges)


def test_clients_that_leave_while_the_disk_is_waited_for(two_roots, certs):
    daemon = two_roots(threads=4)
    socks = [daemon.connect("slow") for _ in range(10)]
    for i, sock in enumerate(socks):
        sock.sendall(request(f"/{i}"))
    wait_for(lambda: daemon.metrics()[("sluice_disk_jobs_total", frozenset())] >= 10, "the files to be asked for")
    for i, sock in enumerate(socks):
        streams.reset(sock) if i % 2 else sock.close()
    results = {}
    fetch_slow(daemon, 30, certs, False, results)
    assert results[30] == (200, Payload(SIZE, seed=30).digest)
    wait_for(lambda: daemon.connections_open("slow") == 0, "the others to be gone", timeout=30)


def test_the_end_does_not_wait_for_the_disk(two_roots):
    daemon = two_roots(threads=1)
    socks = [daemon.connect("slow") for _ in range(10)]
    for i, sock in enumerate(socks):
        sock.sendall(request(f"/{i}"))
    wait_for(lambda: daemon.metrics()[("sluice_disk_jobs_total", frozenset())] >= 10, "the files to be asked for")
    daemon.signal(signal.SIGQUIT)
    began = time.monotonic()
    assert daemon.wait_exit() == 0
    assert time.monotonic() - began < seconds(4)
    for sock in socks:
        sock.close()
