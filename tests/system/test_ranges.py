"""Several ranges in one answer, byte for byte and in every mode; what is asked for too much, and when a range counts."""
import email
import os
import time

import pytest

from support import env, http, records, streams, tls
from support.env import MIB, wait_for
from support.payload import Payload

RELAYS = ("auto", "sendfile", "mmap", "copy")
TLS_RELAYS = ("auto", "copy", *(("sendfile", "mmap") if env.KTLS else ()))
SIZE = 700_000
CASES = [
    ("0-99,1000-1099", [(0, 99), (1000, 1099)]),
    ("300000-599999, 0-0, -1", [(300_000, 599_999), (0, 0), (699_999, 699_999)]),
    ("-100,16383-32768,100-299", [(699_900, 699_999), (16_383, 32_768), (100, 299)]),
    (",".join(f"{i * 10_000}-{i * 10_000 + i}" for i in range(64)), [(i * 10_000, i * 10_000 + i) for i in range(64)]),
]


@pytest.fixture
def data(tmp_path):
    payload = Payload(SIZE)
    payload.write_to(tmp_path / "f.bin")
    os.utime(tmp_path / "f.bin", (time.time() - 100,) * 2)
    return payload.bytes()


def fetch_all(daemon, sock, data, relay, tls=False):
    """Every case on one connection, the requests sent at once."""
    sock.sendall(b"".join(http.request("/f.bin", Range=f"bytes={spec}") for spec, _ in CASES))
    reader = http.Reader(sock)
    answers = [reader.answer() for _ in CASES]
    for (spec, ranges), answer, record in zip(CASES, answers, daemon.wait_records(len(CASES))):
        assert answer.status == 206 and "content-range" not in answer.headers, (spec, answer.headers)
        assert answer.body == http.multipart_body(answer, data, ranges), spec
        records.check_parts(record, relay, len(answer.body), ranges, tls)


@pytest.mark.parametrize("relay", RELAYS)
def test_every_mode(relay, file_server, tmp_path, data):
    daemon = file_server(tmp_path, {"relay": relay})
    with daemon.connect("web") as sock:
        fetch_all(daemon, sock, data, relay)


@pytest.mark.ktls
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("relay", TLS_RELAYS)
def test_every_mode_over_tls(relay, version, file_server, certs, tmp_path, data, closing):
    daemon = file_server(tmp_path, {"tls": "main", "relay": relay}, tls={"main": certs.tls()})
    sock = tls.TlsSocket(closing(daemon.connect("web")), tls.context(certs, version))
    fetch_all(daemon, sock, data, relay, tls=True)


def test_zero_copy_where_text_is_needed(file_server, tmp_path, data):
    """The text between the ranges is exempt, as an answer's head is."""
    daemon = file_server(tmp_path, {"require_zero_copy": True})
    with daemon.connect("web") as sock:
        fetch_all(daemon, sock, data, "auto")


def test_as_curl_and_a_mail_reader_see_it(file_server, tmp_path):
    text = "".join(f"line {i}\n" for i in range(2000))
    (tmp_path / "f.txt").write_text(text)
    daemon = file_server(tmp_path)
    done = http.curl("-i", "-r", "0-99,200-299,1000-1099,-7", daemon.url("web", "/f.txt"))
    assert done.returncode == 0, done
    status, _, rest = done.stdout.partition(b"\r\n")
    assert status == b"HTTP/1.1 206 Partial Content"
    message = email.message_from_bytes(rest)
    assert message.get_content_type() == "multipart/byteranges" and message.is_multipart()
    parts = [(part["Content-Range"], part.get_payload()) for part in message.get_payload()]
    assert parts == [(f"bytes {first}-{last}/{len(text)}", text[first:last + 1])
                     for first, last in [(0, 299), (1000, 1099), (len(text) - 7, len(text) - 1)]], parts
    assert int(message["Content-Length"]) == len(rest) - rest.index(b"\r\n\r\n") - 4


@pytest.mark.parametrize("spec, expected", [
    ("0-99,100-199", "0-199"),                                  # adjacent
    ("150-249,0-199", "0-249"),                                 # overlapping
    ("0-9,20-29", "0-29"),                                      # nearer than a part's text is long
    (",".join(["0-"] * 100), f"0-{SIZE - 1}"),                  # a hundred times the file
    (",".join(f"{i}-" for i in range(100)), f"0-{SIZE - 1}"),
    ("5-,-1", f"5-{SIZE - 1}"),
    ("0-0,999999-", "0-0"),                                     # what can't be satisfied is left out
    (",".join(f"{i * 10_000}-{i * 10_000}" for i in range(65)), None),  # more parts than an answer has
    (",".join(["0-0"] * 129), None),                            # more than is looked at
    ("0-0,9-5", None), ("0-0,x", None),
])
def test_what_becomes_one(spec, expected, file_server, tmp_path, data):
    daemon = file_server(tmp_path)
    with daemon.connect("web") as sock:
        answer = http.ask(sock, http.request("/f.bin", Range=f"bytes={spec}"))
    if expected is None:
        assert answer.status == 200 and answer.body == data
    else:
        first, last = map(int, expected.split("-"))
        assert answer.status == 206 and answer.headers["content-range"] == f"bytes {expected}/{SIZE}"
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.body == data[first:last + 1]
    records.check_file(daemon.wait_record(), "auto", len(answer.body))


def test_when_several_ranges_count(file_server, tmp_path, data):
    daemon = file_server(tmp_path)
    with daemon.connect("web") as sock:
        reader = http.Reader(sock)

        def status(method="GET", **fields):
            sock.sendall(http.request("/f.bin", method, Range="bytes=0-0,1000-1000", **fields))
            return reader.answer(head=method == "HEAD")
        etag, modified = status().headers["etag"], status().headers["last-modified"]
        assert etag.startswith('"')
        for wanted, fields in [(206, {}), (206, {"If_Range": etag}), (206, {"If_Range": modified}),
                               (200, {"If_Range": f"W/{etag}"}), (200, {"If_Range": '"old"'}), (200, {"method": "HEAD"}),
                               (206, {"If_Match": etag}), (412, {"If_Match": '"old"'}), (412, {"If_Match": f"W/{etag}"}),
                               (304, {"If_None_Match": etag}), (304, {"If_None_Match": etag, "If_Range": '"old"'}),
                               (206, {"If_None_Match": '"old"'}), (304, {"If_Modified_Since": modified})]:
            answer = status(**fields)
            assert answer.status == wanted, (fields, answer)
            assert wanted != 200 or "method" in fields or answer.body == data


def test_a_file_just_written_is_not_pinned_down(file_server, tmp_path, data):
    """What may change again within the same tick of a file system's clock has a weak tag, and one that the same file
    doesn't keep: nothing is resumed or confirmed by it later."""
    daemon = file_server(tmp_path)
    path = tmp_path / "f.bin"
    with daemon.connect("web") as sock:
        reader = http.Reader(sock)

        def ask(**fields):
            sock.sendall(http.request("/f.bin", **fields))
            return reader.answer()

        def weak_and_confirmed():
            os.utime(path)
            tag = ask(method="GET").headers["etag"]
            again = ask(If_None_Match=tag)
            part = ask(If_Range=tag, Range="bytes=0-0")
            return tag if tag.startswith("W/") and again.status == 304 and part.status == 200 else None
        weak = wait_for(weak_and_confirmed, "a weak tag")
        wait_for(lambda: ask().headers["etag"].startswith('"'), "the tag to become strong")
        assert ask(If_None_Match=weak).status == 200
        strong = ask().headers["etag"]
        assert ask(If_None_Match=strong).status == 304
        assert ask(If_Range=strong, Range="bytes=0-0").status == 206


@pytest.mark.parametrize("relay", RELAYS)
def test_a_slow_reader_gets_all_of_it(relay, file_server, tmp_path):
    payload = Payload(6 * MIB)
    payload.write_to(tmp_path / "f.bin")
    ranges = [(4 * MIB, 6 * MIB - 1), (0, 2 * MIB)]
    daemon = file_server(tmp_path, {"relay": relay})
    with daemon.connect("web", rcvbuf=4096) as sock:
        sock.sendall(http.request("/f.bin", Range=f"bytes={ranges[0][0]}-,0-{ranges[1][1]}"))
        reader = http.Reader(sock)
        answer = reader.answer(head=True)
        missing = int(answer.headers["content-length"]) - len(reader.buffer)
        answer.body = reader.buffer + streams.receive_exactly(sock, missing)
        assert answer.body == http.multipart_body(answer, payload.bytes(), ranges)
    records.check_parts(daemon.wait_record(), relay, len(answer.body), ranges)


@pytest.mark.parametrize("relay", RELAYS)
def test_truncated_within_a_later_part(relay, file_server, memory_path):
    size = 40 * MIB
    Payload(size).write_to(memory_path / "f")
    daemon = file_server(memory_path, {"relay": relay})
    with daemon.connect("web", rcvbuf=4096) as sock:
        sock.sendall(http.request("/f", Range=f"bytes=0-99999,{20 * MIB}-,200000-200099"))
        streams.receive_exactly(sock, 100_500)  # the first part is through
        os.truncate(memory_path / "f", 25 * MIB)
        rest = streams.receive(sock)
    assert rest.end == "reset" and rest.size < size, rest
    record = daemon.wait_record()
    assert record["outcome"] == "truncated" and record["status"] == 206 and record["closed_by"] == "sluice", record
