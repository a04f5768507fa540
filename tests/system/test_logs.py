"""The access log in its formats: what a line says, that no client can forge one, rotation and reload."""
import json
import os
import re
import signal
import time

import pytest

from support import http, streams
from support.backends import echo
from support.env import seconds, wait_for

FORMATS = ("json", "combined")
LINE = re.compile(r'(\S+) - - \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "([^"]*)" (\d{3}) (\d+) '
                  r'"([^"]*)" "([^"]*)"')


@pytest.fixture
def web(file_server, big_root, tmp_path):
    """web(format, ...) serves files and logs in that format."""
    def start(log_format, **log):
        return file_server(big_root, log={"access": tmp_path / "logs" / "access.log", "format": log_format, **log})
    (tmp_path / "logs").mkdir()
    return start


@pytest.fixture
def log(tmp_path):
    return tmp_path / "logs" / "access.log"


def lines_of(path):
    text = path.read_text() if path.exists() else ""
    return text[:text.rfind("\n") + 1].splitlines()


def wait_lines(path, count):
    return wait_for(lambda: lines_of(path) if len(lines_of(path)) >= count else None, f"{count} lines in {path}")


def fields_of(line):
    found = LINE.fullmatch(line)
    assert found, f"not a combined line: {line!r}"
    return found.groups()


def test_a_combined_line(web, log):
    daemon = web("combined")
    done = http.curl("-e", "https://example.org/a?b", "-A", "tester/1.0", "-r", "0-99", daemon.url("web", "/small"))
    assert len(done.stdout) == 100
    client, when, request, status, size, referer, agent = fields_of(wait_lines(log, 1)[0])
    assert (client, request, status, size) == ("127.0.0.1", "GET /small HTTP/1.1", "206", "100")
    assert (referer, agent) == ("https://example.org/a?b", "tester/1.0")
    told = time.mktime(time.strptime(when[:-6], "%d/%b/%Y:%H:%M:%S"))
    assert abs(told - time.time()) < seconds(30)


def test_a_json_line_tells_the_client_and_the_times(web, log):
    daemon = web("json")
    with daemon.connect("web") as sock:
        sock.sendall(b"GET /small HT")
        wait_for(lambda: daemon.connections_open("web") == 1, "the connection")
        started = time.monotonic()
        wait_for(lambda: time.monotonic() - started > 0.05, "some time to pass")
        raw = b"TP/1.1\r\nHost: a.example:80\r\nReferer: http://b/\r\nUser-Agent: t\xc3\xa4\r\n\r\n"
        assert http.ask(sock, raw).status == 200
    record = json.loads(wait_lines(log, 1)[0])
    assert record["host"] == "a.example:80" and record["referer"] == "http://b/", record
    assert record["user_agent"] == "tä" and record["request"] == "GET /small HTTP/1.1", record
    assert 40 <= record["request_ms"] <= record["ttfb_ms"] <= record["duration_ms"], record


def test_what_is_missing_in_a_combined_line(web, log):
    daemon = web("combined")
    with daemon.connect("web") as sock:
        answer = http.ask(sock, b"GET /none HTTP/1.0\r\n\r\n")
    fields = fields_of(wait_lines(log, 1)[0])
    assert fields[2:] == ("GET /none HTTP/1.0", "404", str(len(answer.body)), "-", "-")


def ids_of(web, log, client_id, **settings):
    """The id in the log and the one in the answer, of a request that brings one along."""
    daemon = web("json", **settings)
    with daemon.connect("web") as sock:
        answer = http.ask(sock, http.request("/small", X_Request_Id=client_id))
    record = json.loads(wait_lines(log, 1)[0])
    return record["request_id"], answer.headers.get("x-request-id")


def test_a_request_id_is_new_and_told_where_asked_for(web, log):
    logged, told = ids_of(web, log, "mine", request_id_header=True)
    assert re.fullmatch("[0-9a-f]{32}", logged) and told == logged


def test_a_request_id_is_told_to_nobody_by_default(web, log):
    logged, told = ids_of(web, log, "mine")
    assert re.fullmatch("[0-9a-f]{32}", logged) and told is None


@pytest.mark.parametrize("trusted, client_id, kept", [
    (["127.0.0.0/8"], "mine-1", True), (["127.0.0.0/8"], "not a token", False), (["10.0.0.0/8"], "mine-1", False)])
def test_a_trusted_client_may_bring_its_request_id(trusted, client_id, kept, web, log):
    logged, told = ids_of(web, log, client_id, request_id_header=True, request_id_trusted=trusted)
    assert told == logged and (logged == client_id) == kept


FORGED = b'x"\\ 200 1\t\xff\xc3\xa4'


@pytest.mark.parametrize("name", ["Referer", "User-Agent"])
def test_no_header_can_forge_a_field(name, web, log):
    daemon = web("combined")
    with daemon.connect("web") as sock:
        raw = b"GET /small HTTP/1.1\r\nHost: x\r\n" + name.encode() + b": " + FORGED + b"\r\n\r\n"
        assert http.ask(sock, raw).status == 200
    fields = fields_of(wait_lines(log, 1)[0])
    assert fields[5 if name == "Referer" else 6] == r"x\x22\x5C 200 1\x09\xFF\xC3\xA4", fields


@pytest.mark.parametrize("raw", [
    b'GET /"\x1b[2J\x07\xff HTTP/1.1\r\n', b"\x16\x03\x01\x02\x00\x01\xfc\n1.2.3.4 - -\r\n", b"G\0T\\ / HTTP/1.1\r\n",
    b"GET / HTTP/1.1\n127.0.0.1 - - [] \"GET / HTTP/1.1\" 200 0 \"-\" \"-\"\r\n"])
def test_no_request_line_can_forge_a_line(raw, web, log):
    daemon = web("combined")
    with daemon.connect("web") as sock:
        assert http.ask(sock, raw + b"\r\n").status == 400
    fields = fields_of(wait_lines(log, 1)[0])
    assert fields[0] == "127.0.0.1" and fields[3] == "400", fields
    assert all(" " <= c <= "~" for field in fields for c in field), fields
    assert len(lines_of(log)) == 1


def test_a_proxied_connection_in_a_combined_line(proxy, backend, log):
    log.parent.mkdir()
    server = backend(echo)
    daemon = proxy(server.address, "127.0.0.1:1", log={"access": log, "format": "combined"})
    with daemon.connect("app") as sock:
        sock.sendall(b"five!")
        assert streams.receive_exactly(sock, 5) == b"five!"
        sock.shutdown(1)
        assert sock.recv(1) == b""
    client, _, request, status, size, referer, agent = fields_of(wait_lines(log, 1)[0])
    assert (client, status, size, referer, agent) == ("127.0.0.1", "200", "5", "-", "-")
    assert request == f"TCP app {server.address}"


@pytest.mark.parametrize("log_format", FORMATS)
def test_rotation(log_format, web, log):
    """As logrotate does: the file is renamed, the process told, and not a line is lost or in both."""
    daemon = web(log_format)
    old = log.with_name("access.log.1")
    assert http.curl(daemon.url("web", "/small?1")).returncode == 0
    wait_lines(log, 1)
    os.rename(log, old)
    assert http.curl(daemon.url("web", "/small?2")).returncode == 0
    wait_lines(old, 2)
    daemon.signal(signal.SIGUSR1)
    wait_for(log.exists, "the new file")
    assert http.curl(daemon.url("web", "/small?3")).returncode == 0
    assert "/small?3" in wait_lines(log, 1)[0]
    assert len(lines_of(log)) == 1 and len(lines_of(old)) == 2
    assert (log.stat().st_mode & 0o777) == 0o640


def test_a_reload_changes_the_format(file_server, big_root, tmp_path):
    log = tmp_path / "access.log"
    settings = {"workers": 1, "admin": {"listen": "127.0.0.1:0"}, "files": {"media": {"root": big_root}},
                "listeners": {"web": {"address": "127.0.0.1:0", "files": "media"}}}
    daemon = file_server(big_root, log={"access": log, "format": "combined"}, workers=1)
    assert http.curl(daemon.url("web", "/small?1")).returncode == 0
    wait_lines(log, 1)
    daemon.reload({**settings, "log": {"access": log, "format": "json"}})
    wait_for(lambda: daemon.status()["generation"] == 2, "the reload")
    assert http.curl(daemon.url("web", "/small?2")).returncode == 0
    first, second = wait_lines(log, 2)
    assert fields_of(first)[2] == "GET /small?1 HTTP/1.1"
    assert second.startswith('{"id":') and "/small?2" in second


@pytest.mark.parametrize("log_format", FORMATS)
def test_drops_are_counted(log_format, file_server, big_root):
    """A disk that is full: service goes on, and what is lost is told."""
    daemon = file_server(big_root, log={"access": "/dev/full", "format": log_format})
    assert http.curl(daemon.url("web", "/small")).returncode == 0
    wait_for(lambda: daemon.metrics()[("sluice_log_dropped_total", frozenset())] == 1, "the count of drops")
    assert "/dev/full" in daemon.stderr
