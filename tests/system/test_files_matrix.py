"""Every byte of every answer: sizes, ranges and codings, in every mode, over plain TCP and TLS, to fast and slow
readers.

One server for all of it; each reader keeps its connection. What arrives is compared with the file on the disk, and the
mode in which it went with the one that the listener is about.
"""
import re

import pytest

from support import env, http, records, streams, tls
from support.env import MIB
from support.payload import Payload, digest_of

pytestmark = pytest.mark.ktls

SIZES = (0, 1, 1023, 16383, 16384, 16385, MIB + 3)
LARGE = 64 * MIB if not (env.KTLS or env.SLOW) else 6 * MIB
CODINGS = {"identity": "", "br": ".br", "zstd": ".zst", "gzip": ".gz"}

PLAIN = ("auto", "sendfile", "mmap", "copy")
SECURE = ("auto", "copy", *(("sendfile", "mmap") if env.KTLS else ()))
LISTENERS = {**{f"plain_{relay}": (relay, False) for relay in PLAIN},
             **{f"tls_{relay}": (relay, True) for relay in SECURE}}


def payload_of(size, coding):
    """What lies ready in a coding is not what it claims to be: nobody looks into it, and each has bytes of its own."""
    return Payload(size, seed=1 + list(CODINGS).index(coding))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    directory = tmp_path_factory.mktemp("matrix")
    for size in (*SIZES, LARGE):
        for coding, suffix in CODINGS.items():
            if size != LARGE or coding == "identity":
                payload_of(size, coding).write_to(directory / f"f{size}.bin{suffix}")
    return directory


@pytest.fixture
def server(sluice, certs, root):
    return sluice(tls={"main": certs.tls()}, files={"site": {"root": root, "precompressed": ["br", "zstd", "gzip"]}},
                  listeners={name: {"address": "127.0.0.1:0", "files": "site", "relay": relay,
                                    **({"tls": "main"} if secure else {})}
                             for name, (relay, secure) in LISTENERS.items()})


class Client:
    """One connection that stays. slow: it reads little at a time, into a small buffer."""

    def __init__(self, server, name, certs, slow=False):
        self.server, self.name, self.slow = server, name, slow
        self.sock = server.connect(name, rcvbuf=4096 if slow else None)
        self.stream = tls.TlsSocket(self.sock, tls.context(certs)) if LISTENERS[name][1] else self.sock

    def get(self, path, **headers):
        """(status, headers, size, digest, body) of an answer; no body where it is long."""
        self.stream.sendall(http.request(path, **headers))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += streams.receive_exactly(self.stream, 1)
        lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:] if line)}
        size = int(fields["content-length"])
        if size <= 2 * MIB and not self.slow:
            body = streams.receive_exactly(self.stream, size)
            return int(lines[0].split()[1]), fields, size, digest_of(body), body
        got = streams.receive(self.stream, chunk=9000 if self.slow else 1 << 18, limit=size)
        return int(lines[0].split()[1]), fields, got.size, got.digest, None

    def close(self):
        self.sock.close()


def ranges_of(size):
    """Range fields and the bytes that each asks for, [first, end). Several are far apart: none is joined to another."""
    if size == 0:
        return {}
    found = {"bytes=0-0": [(0, 1)], f"bytes={size // 2}-": [(size // 2, size)], "bytes=-1": [(size - 1, size)],
             f"bytes={size // 3}-{size + 5}": [(size // 3, size)]}
    if size > 16000:
        found[f"bytes=1-100,{size // 2}-{size // 2 + 999},-7"] = [(1, 101), (size // 2, size // 2 + 1000),
                                                                  (size - 7, size)]
    return found


def parts_of(answer_type, body):
    """[(first, end, bytes)] of a multipart/byteranges body, read strictly."""
    boundary = re.fullmatch(r"multipart/byteranges; boundary=\"?([^\"]+)\"?", answer_type)[1].encode()
    assert body.endswith(b"\r\n--" + boundary + b"--\r\n"), body[-200:]
    pieces = (b"\r\n" + body.removeprefix(b"\r\n")).split(b"\r\n--" + boundary)
    assert pieces[0] == b"" and pieces[-1] == b"--\r\n", pieces[0]
    for piece in pieces[1:-1]:
        head, data = piece.removeprefix(b"\r\n").split(b"\r\n\r\n", 1)
        first, last = re.search(rb"(?i)content-range: bytes (\d+)-(\d+)/\d+", head).groups()
        yield int(first), int(last) + 1, data


def check_mode(server, name, count, sizes):
    """The latest records: `sizes` of payload went, by the listener's mode and no other; only what stands between the
    parts of an answer is made here."""
    relay, secure = LISTENERS[name]
    kind = records.file_kind(relay, secure)
    for record, size in zip(server.wait_records(count, name)[-len(sizes):], sizes):
        moved = sum(s["bytes"] for s in record["directions"]["to_client"]["segments"]
                    if (s["mode"], s["source_crypto"], s["sink_crypto"], s["reason"]) == kind)
        others = {found[3] for found in records.kinds(record, "to_client") - {kind}}
        assert record["outcome"] == "complete" and others <= {"generated"}, record
        assert moved == size, record
        if record["status"] == 200 or size == 0:
            assert not others, record


@pytest.mark.parametrize("name", LISTENERS)
def test_whole_files_and_ranges(name, server, certs, closing):
    client, asked = closing(Client(server, name, certs)), []
    for size in SIZES:
        data = payload_of(size, "identity").bytes()
        status, fields, got, digest, _ = client.get(f"/f{size}.bin")
        assert (status, got, digest) == (200, size, payload_of(size, "identity").digest), (size, fields)
        asked.append(size)
        for spec, wanted in ranges_of(size).items():
            status, fields, _, digest, body = client.get(f"/f{size}.bin", Range=spec)
            assert status == 206, (size, spec, fields)
            if len(wanted) == 1:
                (first, end), = wanted
                assert fields["content-range"] == f"bytes {first}-{end - 1}/{size}", spec
                assert digest == digest_of(data[first:end]), (size, spec)
            else:
                assert list(parts_of(fields["content-type"], body)) == [
                    (first, end, data[first:end]) for first, end in wanted], (size, spec)
            asked.append(sum(end - first for first, end in wanted))
    check_mode(server, name, len(asked), asked)


@pytest.mark.parametrize("name", LISTENERS)
def test_codings_that_lie_ready(name, server, certs, closing):
    """Each coding's own file, whole and in part; a part is one of the coded bytes, and says so."""
    client, asked = closing(Client(server, name, certs)), []
    for size in (1, 16385, MIB + 3):
        for coding in CODINGS:
            payload = payload_of(size, coding)
            status, fields, got, digest, _ = client.get(f"/f{size}.bin", Accept_Encoding=coding)
            assert (status, got, digest) == (200, size, payload.digest), (size, coding, fields)
            assert fields.get("content-encoding", "identity") == coding, fields
            assert "accept-encoding" in fields["vary"].lower(), fields
            status, fields, _, digest, _ = client.get(f"/f{size}.bin", Accept_Encoding=coding, Range="bytes=-1")
            data = payload_of(size, fields.get("content-encoding", "identity")).bytes()
            assert (status, digest) == (206, digest_of(data[-1:])), (size, coding, fields)
            assert fields["content-range"] == f"bytes {size - 1}-{size - 1}/{size}", fields
            asked += [size, 1]
    check_mode(server, name, len(asked), asked)


@pytest.mark.parametrize("name", LISTENERS)
def test_a_slow_reader(name, server, certs, closing):
    client, asked = closing(Client(server, name, certs, slow=True)), []
    for size in (1023, 16385, MIB + 3):
        for coding in ("identity", "br"):
            status, _, got, digest, _ = client.get(f"/f{size}.bin", Accept_Encoding=coding)
            assert (status, got, digest) == (200, size, payload_of(size, coding).digest), (size, coding)
            asked.append(size)
    check_mode(server, name, len(asked), asked)


@pytest.mark.parametrize("name", ["plain_auto", "tls_auto"])
def test_a_large_file(name, server, certs, closing):
    client, data = closing(Client(server, name, certs)), Payload(LARGE)
    status, _, size, digest, _ = client.get(f"/f{LARGE}.bin")
    assert (status, size, digest) == (200, LARGE, data.digest)
    status, fields, size, digest, _ = client.get(f"/f{LARGE}.bin", Range=f"bytes={LARGE - 3 * MIB}-")
    assert (status, size, digest) == (206, 3 * MIB, digest_of(data.bytes()[-3 * MIB:])), fields
    check_mode(server, name, 2, [LARGE, 3 * MIB])
