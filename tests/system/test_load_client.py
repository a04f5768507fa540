"""sluice-load http and tcp: what they tell of servers that are good, slow, wrong, or not to be loaded."""
import hashlib
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from support import env
from support.certs import Certs
from support.load import LOAD, answer, http_server, load_json, run_load

# A slow server's delay: long beside all else here.
DELAY = 0.05


def test_every_request_is_counted(file_server, big_root):
    url = file_server(big_root).url("web", "/small")
    document, _ = load_json("http", "-c", 4, "-t", 2, "-n", 100, url)
    assert document["requests"] == 100
    assert document["bytes"] == 100 * 1000
    assert document["connections_opened"] == 4
    assert document["statuses"] == {"2xx": 100}
    assert document["failed"] == 0 and document["unfinished"] == 0
    assert document["latency_ms"]["count"] == 100
    assert 0 < document["latency_ms"]["p50"] <= document["latency_ms"]["p99"] <= document["latency_ms"]["max"]
    assert document["corrected_latency_ms"] is None


def test_a_connection_for_each_request(file_server, big_root):
    sluice = file_server(big_root)
    document, _ = load_json("http", "-c", 3, "-n", 30, "--no-keepalive", sluice.url("web", "/small"))
    assert document["requests"] == document["connections_opened"] == 30
    assert sluice.status()["listeners"]["web"]["total"] == 30


@pytest.mark.parametrize("drain", ["copy", "trunc", "verify"])
def test_large_bodies_in_every_drain(file_server, big_root, big, drain):
    arguments = ["--file", big_root / "big"] if drain == "verify" else []
    document, _ = load_json("http", "-c", 2, "-n", 4, "--drain", drain, *arguments,
                            file_server(big_root).url("web", "/big"))
    assert document["bytes"] == 4 * big.size
    assert document["requests"] == 4


def test_verified_by_hash_and_by_range(file_server, big_root):
    url = file_server(big_root).url("web", "/small")
    content = (big_root / "small").read_bytes()
    load_json("http", "-n", 3, "--drain", "verify", "--sha256", hashlib.sha256(content).hexdigest(), url)
    document, _ = load_json("http", "-n", 3, "--drain", "verify", "--sha256", "0" * 64, url, status=1)
    assert document["failures"] == {"mismatch": 3}
    document, _ = load_json("http", "-n", 3, "--range", "100-299", "--status", 206, "--drain", "verify", "--file",
                            big_root / "small", url)
    assert document["bytes"] == 600


def test_many_urls_in_turn(file_server, big_root):
    sluice = file_server(big_root)
    document, _ = load_json("http", "-n", 10, sluice.url("web", "/small"), sluice.url("web", "/empty"))
    assert document["bytes"] == 5 * 1000
    assert document["connections_opened"] == 1


def test_a_slow_server_is_told_to_be_slow():
    def respond(_number, _head):
        time.sleep(DELAY)
        return answer(b"x" * 10)
    with http_server(respond) as url:
        document, _ = load_json("http", "-c", 2, "-n", 8, url)
        text = run_load("http", "-c", 2, "-n", 8, url).stdout
    assert document["latency_ms"]["min"] >= DELAY * 1000
    assert document["requests_per_s"] <= 2 / DELAY
    assert document["client_was_the_limit"] is False
    told = re.search(r"^latency +p50 ([\d.]+) (ms|s)", text, re.MULTILINE)
    assert told and (told[2] == "s" or float(told[1]) >= DELAY * 1000), text


def test_an_open_loop_tells_of_a_stall_that_a_closed_loop_hides():
    """One answer of forty takes half a second; those that were due meanwhile waited, too."""
    def respond(number, _head):
        if number == 1:
            time.sleep(0.5)
        return answer(b"")
    with http_server(respond) as url:
        document, _ = load_json("http", "-c", 1, "-n", 40, "--rate", 100, url)
    assert document["loop"] == "open" and document["requests"] == 40
    latency, corrected = document["latency_ms"], document["corrected_latency_ms"]
    assert corrected["count"] == 40
    assert latency["max"] >= 500 and latency["p50"] < 250
    assert corrected["p50"] >= latency["p50"] + 100


def test_what_was_due_and_never_answered_counts():
    with http_server(lambda number, head: time.sleep(30)) as url:
        document, _ = load_json("http", "-c", 1, "-d", "1s", "--rate", 50, url, status=1)
    assert document["requests"] == 0
    assert document["unfinished"] == 1
    assert document["not_started"] >= 40
    assert document["latency_ms"] is None
    assert document["corrected_latency_ms"]["max"] >= 900


@pytest.mark.parametrize("reply, failure", [
    ((answer(b"x" * 10, length=20), None), "short"),
    ((b"HTTP/1.1 200 OK\r\n", None), "short"),
    ((None,), "short"),
    (answer(b"y" * 10), "mismatch"),
    (answer(b"x" * 9), "mismatch"),
    (answer(b"x" * 10, head="HTTP/1.1 500 Broken"), "status"),
    (b"SSH-2.0-something else\r\n\r\n", "protocol"),
    (answer(b"x" * 11, length=10), "protocol"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnothing\r\n", "protocol"),
])
def test_wrong_answers_are_failures(tmp_path, reply, failure):
    (tmp_path / "expected").write_bytes(b"x" * 10)
    with http_server(lambda number, head: reply) as url:
        document, _ = load_json("http", "-n", 2, "--drain", "verify", "--file", tmp_path / "expected", url, status=1)
    assert document["failures"] == {failure: 2}
    assert document["requests"] == 0
    assert document["first_failure"]


def test_chunked_answers():
    body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    digest = hashlib.sha256(b"hello world").hexdigest()
    with http_server(lambda number, head: body) as url:
        document, _ = load_json("http", "-n", 5, "--drain", "verify", "--sha256", digest, url)
    assert document["bytes"] == 55 and document["connections_opened"] == 1


def test_a_request_has_a_limit_in_time():
    with http_server(lambda number, head: time.sleep(30)) as url:
        document, _ = load_json("http", "-n", 2, "-c", 2, "--timeout", "200ms", url, status=1)
    assert document["failures"] == {"timeout": 2}


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    document, _ = load_json("http", "-n", 2, f"http://127.0.0.1:{port}/", status=1)
    assert document["failures"] == {"connect": 2}


@pytest.mark.parametrize("arguments", [
    ("http", "http://192.0.2.1/"), ("http", "http://0.0.0.0:1/"), ("tcp", "192.0.2.1:9"),
    ("tcp", "tls://[2001:db8::1]:9"), ("http", "http://127.0.0.1/", "http://192.0.2.1/"),
])
def test_only_loopback_unless_allowed(arguments):
    done = run_load(*arguments)
    assert done.returncode == 2
    assert "--allow-remote" in done.stderr


@pytest.mark.parametrize("arguments", [
    (), ("fly",), ("http",), ("http", "-c", "0", "http://127.0.0.1/"), ("http", "--drain", "x", "http://127.0.0.1/"),
    ("http", "--drain", "verify", "http://127.0.0.1/"), ("http", "--drain", "trunc", "https://127.0.0.1/"),
    ("http", "ftp://127.0.0.1/"), ("tcp", "--send", "1KiB", "127.0.0.1:1"), ("modes", "--sizes", "0"),
    ("modes", "--groups", "nothing"), ("peers", "--only", "nobody"), ("modes", "more"), ("origin",),
])
def test_usage_errors(arguments):
    done = run_load(*arguments)
    assert done.returncode == 2
    assert done.stderr and not done.stdout


@pytest.mark.parametrize("command", ["http", "tcp", "modes", "peers"])
def test_help(command):
    for option in ("--help", "-h"):
        done = run_load(command, option)
        assert done.returncode == 0 and not done.stderr
        assert done.stdout.startswith(f"usage: sluice-load {command} ")


@pytest.fixture
def tls_server(file_server, big_root, certs):
    return file_server(big_root, tls={"main": certs.tls()}, listener={"tls": "main"})


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_tls(tls_server, certs, version):
    url = tls_server.url("web", "/small", scheme="https")
    for target in (url, url.replace("127.0.0.1", "localhost")):
        document, _ = load_json("http", "-n", 20, "--tls", version, "--ca", certs.ca, "--no-keepalive", target)
        assert document["requests"] == 20 and document["sessions_resumed"] == 0
    document, _ = load_json("http", "-n", 20, "--tls", version, "--resume", "--no-keepalive", url)
    assert document["sessions_resumed"] == 19
    # All but the first of each, although some offer the same session at the same time.
    document, _ = load_json("http", "-c", 5, "-n", 100, "--tls", version, "--resume", "--no-keepalive", url)
    assert document["sessions_resumed"] == 95


def test_an_unknown_certificate_is_refused(tls_server, tmp_path):
    other = Certs(tmp_path)
    document, _ = load_json("http", "-n", 2, "--ca", other.ca, tls_server.url("web", "/small", scheme="https"),
                            status=1)
    assert document["failures"] == {"handshake": 2}


def test_tcp_there_and_back(backend, proxy):
    def echo(sock):
        while data := sock.recv(65536):
            sock.sendall(data)
    sluice = proxy(backend(echo).address)
    address = f"127.0.0.1:{sluice.port('app')}"
    document, _ = load_json("tcp", "-c", 3, "-n", 30, "--send", "1KiB", "--receive", "1KiB", "--drain", "verify",
                            address)
    assert document["bytes"] == document["bytes_sent"] == 30 * 1024
    assert document["connections_opened"] == 3
    document, _ = load_json("tcp", "-c", 2, "-n", 4, "--send", "3MB", "--receive", "3MB", "--drain", "verify",
                            "--no-keepalive", address)
    assert document["bytes"] == 4 * 3000000
    assert document["connections_opened"] == 4


def test_tcp_until_the_end(backend, proxy, big, tmp_path):
    big.write_to(tmp_path / "big")

    def send(sock):
        for chunk in big.chunks():
            sock.sendall(chunk)
    sluice = proxy(backend(send).address)
    document, _ = load_json("tcp", "-c", 2, "-n", 2, "--drain", "verify", "--file", tmp_path / "big",
                            f"127.0.0.1:{sluice.port('app')}")
    assert document["bytes"] == 2 * big.size


def test_a_signal_gives_what_there_is():
    with http_server(lambda number, head: answer(b"x")) as url:
        process = subprocess.Popen([LOAD, "http", "-d", "60s", url], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True)
        line = process.stderr.readline()  # the first second is over
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=env.seconds(10))
    assert re.match(r" +1 s  [\d,]+ requests/s  .* done, 0 failed$", line), line
    assert "interrupted" in stdout
    assert re.search(r"^requests +[1-9]", stdout, re.MULTILINE), stdout
    assert process.returncode == 0


def test_a_servers_processor_time(file_server, big_root, big):
    sluice = file_server(big_root)
    document, _ = load_json("http", "-n", 3, "--pid", sluice.pid, sluice.url("web", "/big"))
    server = document["server"]
    assert server["pids"] == [sluice.pid]
    assert 0 < server["cpu_s"] < document["seconds"] * os.cpu_count() + 0.1
    assert server["cpu_s_per_gb"] == pytest.approx(server["cpu_s"] * 1e9 / (3 * big.size))
    assert server["cpu_us_per_request"] == pytest.approx(server["cpu_s"] * 1e6 / 3)
