"""Filters see bytes in user space only as long as they want them, and say so; then splice takes over.

tshark reads what `capture` wrote. Every record is held to `plan` and to user + kernel = bytes by the daemon fixture.
"""
import signal
import socket
import subprocess

import pytest

from support import records, streams, tls
from support.backends import converser, echo
from support.daemon import run_cli
from support.config import config_text
from support.env import MIB, seconds, wait_for
from support.payload import Payload

RELAYS = ("auto", "copy")
INSPECT = ("copy", "none", "none", "inspect")
TRANSFORM = ("copy", "none", "none", "transform")
EVIL = b"/etc/passwd"


@pytest.fixture
def filtered(proxy):
    """filtered(address, filter..., relay=...) starts a proxy with these filters."""
    def start(address, *filters, relay="auto", **settings):
        listener = {"filters": tuple(filters), "relay": relay, **settings.pop("listener", {})}
        return proxy(address, listener=listener, **settings)
    return start


def with_inside(payload, at, what):
    """The payload with `what` written over it at `at`."""
    data = bytearray(payload.bytes())
    data[at:at + len(what)] = what
    return bytes(data)


def exchange(daemon, question):
    """Sends bytes, half-closes, and returns all that comes back."""
    with daemon.connect("app") as sock:
        sender = streams.Sender(sock, Raw(question))
        parts = []
        while part := sock.recv(1 << 18):
            parts.append(part)
        sender.join()
    if sender.error:
        raise sender.error  # a reset is told once, to the sender or to the receiver
    return b"".join(parts)


def stop(daemon):
    """To its end: then all that was captured is in the file."""
    daemon.signal(signal.SIGTERM)
    daemon.wait_exit()


class Raw:
    """Bytes as a payload to send."""

    def __init__(self, data):
        self.data = data

    def chunks(self, length):
        return (self.data[at:at + length] for at in range(0, len(self.data), length))


def collector(answer=b""):
    """A handler that keeps all it receives and then answers."""
    def serve(sock):
        parts = []
        while part := sock.recv(1 << 18):
            parts.append(part)
        sock.sendall(answer)
        return b"".join(parts) or b"(nothing)"
    return serve


# --- log, and the way back to splice ---


@pytest.mark.parametrize("relay", RELAYS)
def test_the_log_has_the_first_bytes_and_then_splice_takes_over(relay, filtered, backend):
    question, answer = Payload(16 * MIB, seed=2), Payload(16 * MIB, seed=3)
    server = backend(converser(answer))
    daemon = filtered(server.address, {"type": "log"}, relay=relay)
    with daemon.connect("app") as sock:
        streams.converse(sock, question).assert_all(answer)
    server.result().assert_all(question)
    record = daemon.wait_record()
    for direction, payload in (("to_server", question), ("to_client", answer)):
        assert record["first_bytes"][direction].encode("latin-1") == payload.bytes()[:64]
        found = records.segments(record, direction)
        if relay == "copy":
            assert set(found) == {records.COPY_FORCED}, record
            continue
        assert found[0] == INSPECT and records.SPLICE in found, record
        assert set(found) <= {INSPECT, records.SPLICE, records.COPY_SMALL}, record
        assert record["directions"][direction]["user_bytes"] <= records.AUTO_COPY_MAX, record


def test_the_log_shows_any_byte_and_one_direction(filtered, backend):
    every = bytes(range(256))
    server = backend(echo)
    daemon = filtered(server.address, {"type": "log", "direction": "to_server", "bytes": "256"})
    assert exchange(daemon, every) == every
    record = daemon.wait_record()
    assert record["first_bytes"] == {"to_server": every.decode("latin-1")}
    assert records.kinds(record, "to_server") == {INSPECT}
    assert records.kinds(record, "to_client") == {records.COPY_SMALL}


# --- deny ---


@pytest.mark.parametrize("relay", RELAYS)
@pytest.mark.parametrize("piece", (1, 7, 4096))
def test_deny_resets_what_shows_a_pattern_across_reads(piece, relay, filtered, backend):
    server = backend(collector())
    daemon = filtered(server.address, {"type": "deny", "patterns": [EVIL.decode(), "hex:90909090"]}, relay=relay)
    question = with_inside(Payload(3000), 2500, EVIL)
    with daemon.connect("app") as sock:
        try:
            for at in range(0, len(question), piece):
                sock.sendall(question[at:at + piece])
            assert streams.receive(sock).end == "reset"
        except streams.RESETS:
            pass
    wait_for(lambda: server.results and server.results[0], "the server to be told")
    record = daemon.wait_record()
    assert (record["outcome"], record["closed_by"]) == ("refused", "sluice"), record
    assert record["detail"] == 'filters[0] met "/etc/passwd"', record
    assert isinstance(server.results[0], ConnectionResetError), server.results
    assert records.moved(record, "to_server") < 2500 + len(EVIL), record


@pytest.mark.parametrize("at, denied", [(0, True), (4096 - len(EVIL), True), (4096 - len(EVIL) + 1, False),
                                        (5 * MIB, False)])
def test_deny_looks_at_the_first_bytes_only(at, denied, filtered, backend):
    server = backend(collector(b"well"))
    daemon = filtered(server.address, {"type": "deny", "patterns": [EVIL.decode()], "direction": "to_server"})
    question = with_inside(Payload(12 * MIB), at, EVIL)
    if denied:
        with pytest.raises(streams.RESETS):
            exchange(daemon, question)
        assert daemon.wait_record()["outcome"] == "refused"
        return
    assert exchange(daemon, question) == b"well"
    assert server.result() == question
    record = daemon.wait_record()
    assert record["outcome"] == "complete" and records.segments(record, "to_server")[0] == INSPECT, record
    assert records.SPLICE in records.kinds(record, "to_server"), record
    assert records.kinds(record, "to_client") == {records.COPY_SMALL}, record


def test_deny_stops_an_answer_and_leaves_others_alone(filtered, backend):
    server = backend(lambda sock: sock.sendall(b"secret: " + streams.receive_exactly(sock, 4)) or streams.receive(sock))
    daemon = filtered(server.address, {"type": "deny", "patterns": ["secret: 1234"], "direction": "to_client"})
    with daemon.connect("app") as other, daemon.connect("app") as sock:
        sock.sendall(b"1234")
        assert streams.receive(sock).end == "reset"
        other.sendall(b"4321")
        other.shutdown(socket.SHUT_WR)
        assert streams.receive(other).end == "eof"
    assert {r["outcome"] for r in daemon.wait_records(2)} == {"refused", "complete"}


# --- substitute ---


@pytest.mark.parametrize("relay", RELAYS)
def test_substitute_replaces_in_a_large_stream(relay, filtered, backend):
    answer = Payload(8 * MIB).bytes().replace(b"\x11", b"http://")
    server = backend(collector(answer))
    daemon = filtered(server.address, {"type": "substitute", "find": "http://", "replace": "https://",
                                       "direction": "to_client"}, relay=relay)
    assert exchange(daemon, b"x" * 100_000) == answer.replace(b"http://", b"https://")
    assert server.result() == b"x" * 100_000
    record = daemon.wait_record()
    expected = TRANSFORM if relay == "auto" else records.COPY_FORCED
    assert records.kinds(record, "to_client") == {expected}, record
    assert records.moved(record, "to_client") == len(answer.replace(b"http://", b"https://"))
    assert TRANSFORM not in records.kinds(record, "to_server"), record


@pytest.mark.parametrize("replace", (None, "hex:" + "00ff" * 512), ids=("shrink", "grow"))
def test_substitute_may_shrink_and_grow_at_a_slow_reader(replace, filtered, backend):
    answer = Payload(8 * MIB).bytes()
    server = backend(collector(answer))
    rule = {"type": "substitute", "find": "hex:41", "direction": "to_client"}
    daemon = filtered(server.address, rule if replace is None else {**rule, "replace": replace})
    with daemon.connect("app", rcvbuf=4096) as sock:
        sock.shutdown(socket.SHUT_WR)
        wait_for(lambda: daemon.connections() and daemon.connections()[0]["directions"]["to_client"]["bytes"],
                 "the first bytes to be relayed")
        streams.widen(sock)
        got = b"".join(iter(lambda: sock.recv(1 << 18), b""))
    assert got == answer.replace(b"A", b"" if replace is None else b"\x00\xff" * 512)
    assert daemon.wait_record()["outcome"] == "complete"


def test_what_might_be_a_match_is_not_held_for_ever(filtered, backend):
    """A server that answers to exactly the beginning of a match: nothing more comes before its answer."""
    server = backend(echo)
    daemon = filtered(server.address, {"type": "substitute", "find": "password", "replace": "********"})
    with daemon.connect("app") as sock:
        sock.sendall(b"my pass")
        assert streams.receive_exactly(sock, 7) == b"my pass"
        sock.sendall(b"word, my password!")
        assert streams.receive_exactly(sock, 18) == b"word, my ********!"


# --- capture ---


def follow(path, *fields, where="tcp"):
    """Rows of these fields of tshark's, one for each packet."""
    command = ["tshark", "-n", "-r", str(path), "-Y", where, "-T", "fields", *(x for f in fields for x in ("-e", f))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds(60), check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def stream_bytes(path, port_field, port):
    rows = follow(path, "tcp.seq", "tcp.payload", where=f"{port_field} == {port} && tcp.len > 0")
    return b"".join(bytes.fromhex(payload) for _, payload in sorted(rows, key=lambda row: int(row[0])))


@pytest.mark.parametrize("host", ("127.0.0.1", "[::1]"))
@pytest.mark.parametrize("relay", RELAYS)
def test_tshark_reads_a_capture(relay, host, filtered, backend, tmp_path):
    question, answer = Payload(70_000, seed=2), Payload(90_001, seed=3)
    server = backend(converser(answer))
    daemon = filtered(server.address, {"type": "capture", "file": tmp_path / "app.pcapng", "bytes": "1MiB"},
                      relay=relay, listener={"address": f"{host}:0"})
    port = int(daemon.addresses["app"].rsplit(":", 1)[1])
    with daemon.connect("app") as sock:
        client = sock.getsockname()[1]
        streams.converse(sock, question).assert_all(answer)
    record = daemon.wait_record()
    expected = INSPECT if relay == "auto" else records.COPY_FORCED
    assert records.kinds(record, "to_client") == {expected}, record
    stop(daemon)
    path = tmp_path / "app.pcapng"
    assert stream_bytes(path, "tcp.dstport", port) == question.bytes()
    assert stream_bytes(path, "tcp.srcport", port) == answer.bytes()
    flags = [int(row[0], 16) for row in follow(path, "tcp.flags")]
    assert flags[:3] == [0x02, 0x12, 0x10] and sorted(flags)[-1] & 0x18, flags
    assert sum(f & 1 for f in flags) == 2, flags
    wrong = 'tcp.analysis.lost_segment || tcp.analysis.retransmission || tcp.checksum.status == "Bad" || _ws.malformed'
    checked = subprocess.run(["tshark", "-n", "-r", str(path), "-o", "tcp.check_checksum:TRUE", "-o",
                              "ip.check_checksum:TRUE", "-Y", wrong], capture_output=True, text=True,
                             timeout=seconds(60), check=True)
    assert checked.stdout == "" and {row[0] for row in follow(path, "tcp.stream")} == {"0"}
    assert {str(client), str(port)} == {row[0] for row in follow(path, "tcp.srcport")}


def test_a_capture_ends_with_its_bytes_and_grows_by_a_reload(filtered, backend, tmp_path):
    path = tmp_path / "app.pcapng"
    server = backend(converser(Payload(16 * MIB, seed=3)))
    listener = {"filters": ({"type": "capture", "file": path, "bytes": "10KiB"},)}
    daemon = filtered(server.address, *listener["filters"])
    for count in (1, 2):
        with daemon.connect("app") as sock:
            streams.converse(sock, Payload(2 * MIB)).assert_all(Payload(16 * MIB, seed=3))
        record = daemon.wait_records(count)[-1]
        assert records.segments(record, "to_client")[0] == INSPECT, record
        assert records.SPLICE in records.kinds(record, "to_client"), record
        if count == 1:
            daemon.signal(signal.SIGHUP)
            wait_for(lambda: daemon.status()["generation"] == 2, "the reload")
    stop(daemon)
    sizes = {}
    for stream, port, length in follow(path, "tcp.stream", "tcp.srcport", "tcp.len"):
        sizes[stream, port] = sizes.get((stream, port), 0) + int(length)
    assert sorted(sizes.values()) == [10 << 10] * 4, sizes


def test_a_full_capture_file_stops_nobody(filtered, backend, tmp_path):
    answer = Payload(4 * MIB, seed=3)
    server = backend(converser(answer))
    path = tmp_path / "app.pcapng"
    daemon = filtered(server.address, {"type": "capture", "file": path, "bytes": "100MiB", "max_size": "100KiB"})
    with daemon.connect("app") as sock:
        streams.converse(sock, Payload(10)).assert_all(answer)
    daemon.wait_record()
    assert daemon.metrics()[("sluice_capture_dropped_total", frozenset())] > 0
    stop(daemon)
    assert path.stat().st_size <= 101 << 10
    assert follow(path, "tcp.len")


def test_a_unix_client_is_captured(filtered, backend, tmp_path, open_path):
    server = backend(echo)
    path = tmp_path / "app.pcapng"
    daemon = filtered(server.address, {"type": "capture", "file": path},
                      listener={"address": f"unix:{open_path}/s"})
    assert exchange(daemon, b"over a path") == b"over a path"
    daemon.wait_record()
    stop(daemon)
    assert stream_bytes(path, "tcp.dstport", 1) == b"over a path"


# --- with TLS, and together ---


@pytest.mark.parametrize("version", ("TLSv1.2", "TLSv1.3"))
def test_filters_see_what_tls_carried(version, filtered, backend, certs, closing, tmp_path):
    server = backend(echo)
    daemon = filtered(server.address, {"type": "log"}, {"type": "capture", "file": tmp_path / "x.pcapng"},
                      {"type": "substitute", "find": "cat", "replace": "tiger", "direction": "to_server"},
                      {"type": "deny", "patterns": ["lion"]}, listener={"tls": "main"}, tls={"main": certs.tls()})
    sock = closing(tls.TlsSocket(closing(daemon.connect("app")), tls.context(certs, version)))
    sock.sendall(b"a cat")
    assert streams.receive_exactly(sock, 7) == b"a tiger"
    sock.sendall(b" and a li")
    assert streams.receive_exactly(sock, 9) == b" and a li"
    with pytest.raises(streams.RESETS):
        sock.sendall(b"on")
        while sock.recv(100):
            pass
    record = daemon.wait_record()
    assert record["outcome"] == "refused" and record["detail"] == 'filters[3] met "lion"', record
    assert record["first_bytes"] == {"to_server": "a cat and a lion", "to_client": "a tiger and a li"}, record
    assert {kind[3] for kind in records.kinds(record, "to_server")} == {"transform"}, record
    assert {kind[3] for kind in records.kinds(record, "to_client")} == {"inspect"}, record
    stop(daemon)
    port = int(daemon.addresses["app"].rsplit(":", 1)[1])
    assert stream_bytes(tmp_path / "x.pcapng", "tcp.dstport", port) == b"a cat and a lion"


# --- what check says ---


@pytest.mark.parametrize("filters, keys, says", [
    ({"type": "deny"}, {}, "filters[0].patterns: missing"),
    ({"type": "deny", "patterns": ["hex:1"]}, {}, "two hexadecimal digits"),
    ({"type": "deny", "patterns": ["x" * 5000], "bytes": "1MiB"}, {}, "more than 4096 bytes"),
    ({"type": "deny", "patterns": ["abc"], "bytes": "2"}, {}, "longer than what is looked at"),
    ({"type": "log", "bytes": "1KiB"}, {}, "keeps 256 bytes at most"),
    ({"type": "log", "find": "x"}, {}, 'type "log" has no such key'),
    ({"type": "substitute", "replace": "x"}, {}, "filters[0].find: missing"),
    ({"type": "capture"}, {}, "filters[0].file: missing"),
    ({"type": "capture", "file": "/nowhere/x"}, {}, "can't write to /nowhere/x"),
    ({"type": "log"}, {"relay": "splice"}, "keeps bytes in the kernel"),
    ({"type": "log"}, {"require_zero_copy": True}, "filters need bytes in user space"),
])
def test_check_names_the_place_and_the_remedy(filters, keys, says, tmp_path):
    path = tmp_path / "x.conf"
    path.write_text(config_text({
        "backends": {"a": {"servers": ("127.0.0.1:1",)}},
        "listeners": {"x": {"address": "127.0.0.1:0", "proxy": "a", "filters": (filters,), **keys}}}))
    done = run_cli("check", "-c", path)
    assert done.returncode == 1 and f"{path}:" in done.stderr and says in done.stderr, done.stderr
