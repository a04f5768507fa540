"""What Sluice says of itself: live connections, status, metrics that agree with the access log, health."""
import json
import os
import re
import urllib.error

import pytest

from support import http, records, streams, tls
from support.backends import converser
from support.env import MIB, wait_for
from support.payload import Payload

RELAYS = ("auto", "splice", "copy")


@pytest.mark.parametrize("relay", RELAYS)
def test_a_connection_is_seen_while_it_lives(relay, proxy, backend):
    payload = Payload(60 * MIB)
    server = backend(converser(payload))
    daemon = proxy(server.address, listener={"relay": relay})
    assert daemon.connections() == []
    with daemon.connect("app", rcvbuf=4096) as sock:
        name = "%s:%d" % sock.getsockname()
        streams.receive(sock, limit=20 * MIB)
        live = wait_for(daemon.connections, "the connection to be listed")
        assert len(live) == 1 and live[0]["client"] == name and live[0]["outcome"] == "open", live
        first = live[0]
        records.check_direction(first["directions"]["to_client"])
        assert records.moved(first, "to_client") >= 20 * MIB and first["target"] == server.address, first
        if relay == "splice":
            assert records.kinds(first, "to_client") == {records.SPLICE_FORCED}, first
        elif relay == "auto":
            assert records.SPLICE in records.kinds(first, "to_client"), first
        streams.receive(sock, limit=20 * MIB)
        second = daemon.connections()[0]
        assert records.moved(second, "to_client") >= 40 * MIB and second["id"] == first["id"]
        sock.shutdown(1)
        streams.receive(sock)
    record = daemon.wait_record()
    assert record["id"] == first["id"] and records.moved(record, "to_client") == payload.size
    wait_for(lambda: daemon.connections() == [], "the list to be empty")


def test_a_response_is_seen_while_it_lives(file_server, big, big_root):
    daemon = file_server(big_root)
    with daemon.connect("web", rcvbuf=4096) as sock:
        sock.sendall(http.request("/big"))
        streams.receive(sock, limit=10_000_000)
        live = daemon.connections()
        assert len(live) == 1 and live[0]["request"] == "GET /big HTTP/1.1" and live[0]["status"] == 200, live
        assert records.kinds(live[0], "to_client") == {records.SENDFILE}, live
        assert records.moved(live[0], "to_client") > 9_000_000


def collect(found):
    """Sums of records as the metrics should have them: {(name, labels): value}."""
    sums = {}

    def add(name, value, **labels):
        key = (name, frozenset(labels.items()))
        sums[key] = sums.get(key, 0) + value
    for record in found:
        listener = record["listener"]
        for name, direction in record["directions"].items():
            add("sluice_user_bytes_total", direction["user_bytes"], listener=listener)
            add("sluice_kernel_bytes_total", direction["kernel_bytes"], listener=listener)
            add("sluice_head_bytes_total", direction["head_bytes"], listener=listener)
            for segment in direction["segments"]:
                path = {key: segment[key] for key in ("mode", "source_crypto", "sink_crypto")}
                add("sluice_relay_bytes_total", segment["bytes"], listener=listener, direction=name, **path)
                add("sluice_relay_segments_total", 1, listener=listener, direction=name, reason=segment["reason"],
                    **path)
    return {key: value for key, value in sums.items() if value}


@pytest.mark.ktls
def test_metrics_agree_with_the_access_log(sluice, backend, certs, big_root):
    payload = Payload(3 * MIB)
    server = backend(converser(payload))
    local = "127.0.0.1:0"
    daemon = sluice(
        listeners={"app": {"address": local, "proxy": "app"},
                   "forced": {"address": local, "proxy": "app", "relay": "copy"},
                   "secure": {"address": local, "proxy": "app", "tls": "main"},
                   "web": {"address": local, "files": "media"},
                   "https": {"address": local, "files": "media", "tls": "main"}},
        backends={"app": {"servers": (server.address,)}}, files={"media": {"root": big_root}},
        tls={"main": certs.tls()})
    for name in ("app", "forced", "secure", "app"):
        with daemon.connect(name) as raw:
            sock = tls.TlsSocket(raw, tls.context(certs)) if name == "secure" else raw
            streams.converse(sock, Payload(200_000)).assert_all(payload)
    for path in ("/small", "/none", "/empty"):
        http.curl(daemon.url("web", path))
        http.curl(daemon.url("https", path, "https"), ca=certs.ca)
    found = daemon.wait_records(10)
    wait_for(lambda: not any(daemon.connections_open(name) for name in daemon.status()["listeners"]),
             "connections to be over")
    metrics = daemon.metrics()
    wanted = collect(found)
    sums = {key: value for key, value in metrics.items() if value and key[0] in {name for name, _ in wanted}
            and ("listener", "admin") not in key[1]}
    assert sums == wanted
    counts = {dict(labels)["listener"]: value for (name, labels), value in metrics.items()
              if name == "sluice_connections_total"}
    assert {name: counts[name] for name in ("app", "forced", "secure", "web", "https")} == \
        {"app": 2, "forced": 1, "secure": 1, "web": 3, "https": 3}
    up = {labels: value for (name, labels), value in metrics.items() if name == "sluice_backend_up"}
    assert up == {frozenset({("backend", "app"), ("server", server.address)}): 1}
    calls = {dict(labels)["call"]: value for (name, labels), value in metrics.items()
             if name == "sluice_syscalls_total"}
    assert calls["splice"] > 0 and calls["sendfile"] > 0 and calls["recv"] > 0, calls

    status = daemon.status()
    assert status["workers"] == 2 and status["generation"] >= 1 and status["version"] and status["uptime_s"] >= 0
    for name, listener in status["listeners"].items():
        assert listener["address"] == daemon.addresses[name]
        assert (listener["connections"], listener["total"]) == (0, counts[name])
        for direction, sums in listener["directions"].items():
            mine = [r["directions"][direction] for r in found if r["listener"] == name]
            assert sums["bytes"] == sum(d["bytes"] for d in mine), (name, direction)
            assert sums["user_bytes"] + sums["kernel_bytes"] == sums["bytes"]
    servers = status["backends"]["app"]["servers"]
    assert servers[0]["address"] == server.address and servers[0]["up"] is True


def test_exposition_format(file_server, big_root):
    """Each name has one HELP and one TYPE before its samples; labels are quoted."""
    daemon = file_server(big_root)
    http.curl(daemon.url("web", "/small"))
    daemon.wait_record()
    typed, sampled = set(), set()
    for line in daemon.admin("/metrics").splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            assert name not in typed and kind in ("counter", "gauge"), line
            assert (kind == "counter") == name.endswith("_total"), line
            typed.add(name)
        elif not line.startswith("#"):
            match = re.fullmatch(r'(\w+)(\{\w+="[^"]*"(,\w+="[^"]*")*\})? -?[0-9.e+]+', line)
            assert match and match[1] in typed, line
            assert line.rsplit(" ", 1)[0] not in sampled, f"twice: {line}"
            sampled.add(line.rsplit(" ", 1)[0])
    assert {"sluice_relay_bytes_total", "sluice_relay_segments_total", "sluice_user_bytes_total",
            "sluice_kernel_bytes_total", "sluice_head_bytes_total", "sluice_connections_total",
            "sluice_connections", "sluice_syscalls_total"} <= typed


def test_pages(file_server, big_root):
    daemon = file_server(big_root)
    assert daemon.admin("/healthz").strip() == "ok"
    page = http.curl("-i", f"http://{daemon.addresses['admin']}/").stdout.decode()
    assert page.startswith("HTTP/1.1 200") and "text/html" in page and "<html" in page.lower()
    assert json.loads(daemon.admin("/status.json")) and json.loads(daemon.admin("/connections.json")) == []
    for path, status in (("/none", 404), ("/metrics/x", 404), ("/../etc/passwd", 400)):
        done = http.curl("--path-as-is", "-o", "/dev/null", "-w", "%{http_code}",
                         f"http://{daemon.addresses['admin']}{path}")
        assert done.stdout.decode() in (str(status), "404"), (path, done)
    done = http.curl("-d", "x", "-o", "/dev/null", "-w", "%{http_code}", f"http://{daemon.addresses['admin']}/")
    assert done.stdout == b"405"


def test_a_hostile_request_line_stays_one_record(file_server, big_root):
    """Quotes, control characters and invalid UTF-8 in a request: still one valid JSON line."""
    daemon = file_server(big_root)
    for path in (b"/a\"b\\c", b"/%0a%22", b"/\xff\xfe", b"/" + b"x" * 3000):
        with daemon.connect("web") as sock:
            http.ask(sock, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    found = daemon.wait_records(4)
    assert all(r["status"] in (400, 404) for r in found), found


def test_names_of_no_listener_are_not_served(file_server, big_root):
    daemon = file_server(big_root)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        daemon.admin("/small")


def test_a_log_that_can_not_be_written_stops_nobody(file_server, big_root):
    """The disk is full: answers still come, and the lines that are lost are counted."""
    daemon = file_server(big_root, log={"access": "/dev/full"})
    for _ in range(20):
        http.curl_fetch(daemon.url("web", "/small")).assert_all(Payload(1000))
    wait_for(lambda: daemon.metrics()[("sluice_log_dropped_total", frozenset())] >= 20, "the lost lines to be counted")


def test_a_log_that_is_not_read_stops_nobody(file_server, big_root, tmp_path):
    """The log is a pipe whose reader sleeps: the queue fills up, answers still come, drops are counted."""
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        daemon = file_server(big_root, log={"access": fifo}, http={"keepalive_requests": 0})
        dropped = ("sluice_log_dropped_total", frozenset())
        with daemon.connect("web") as sock:
            answers = http.Reader(sock)
            for _ in range(200):
                sock.sendall(http.request("/empty", Connection="keep-alive") * 50)
                for _ in range(50):
                    assert answers.answer().status == 200
                if daemon.metrics()[dropped]:
                    break
        assert daemon.metrics()[dropped] > 0, "10,000 lines fit into a queue that is said to be bounded"
    finally:
        os.close(reader)
