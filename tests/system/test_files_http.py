"""Files over HTTP in every mode: content, accounting, and what goes wrong with a file that is being served."""
import os

import pytest

from support import http, records, streams
from support.env import MIB, wait_for
from support.payload import Payload, digest_of

RELAYS = ("auto", "sendfile", "mmap", "copy")
SIZES = (0, 1, 16383, 16384, 16385, 65535, 65536, 65537, MIB)


@pytest.mark.parametrize("relay", RELAYS)
def test_sizes(relay, file_server, tmp_path):
    for size in SIZES:
        Payload(size).write_to(tmp_path / f"f{size}.bin")
    daemon = file_server(tmp_path, {"relay": relay})
    for number, size in enumerate(SIZES):
        http.curl_fetch(daemon.url("web", f"/f{size}.bin")).assert_all(Payload(size))
        record = daemon.wait_records(number + 1)[-1]
        records.check_file(record, relay, size)
        assert record["request"] == f"GET /f{size}.bin HTTP/1.1" and record["target"] == "files:media", record
        assert record["directions"]["to_client"]["head_bytes"] > 100, record
        assert record["directions"]["to_server"]["head_bytes"] > 50, record


@pytest.mark.parametrize("relay", RELAYS)
def test_big(relay, file_server, big, big_root):
    daemon = file_server(big_root, {"relay": relay})
    http.curl_fetch(daemon.url("web", "/big")).assert_all(big)
    record = daemon.wait_record()
    records.check_file(record, relay, big.size)
    assert len(record["directions"]["to_client"]["segments"]) == 1, record


@pytest.mark.parametrize("relay", RELAYS)
def test_eight_at_once_and_a_slow_reader(relay, file_server, closing, big_root):
    payload = Payload(5 * MIB)
    payload.write_to(big_root / "five")
    daemon = file_server(big_root, {"relay": relay})
    slow = closing(daemon.connect("web", rcvbuf=4096))
    slow.sendall(http.request("/five", Connection="close"))
    fetches = [streams.Sender(closing(daemon.connect("web")), _Request("/five"), half_close=False) for _ in range(8)]
    for fetch in fetches:
        fetch.join()
        _receive_body(fetch.sock).assert_all(payload)
    _receive_body(slow, chunk=50_000).assert_all(payload)
    for record in daemon.wait_records(9):
        records.check_file(record, relay, payload.size)


class _Request(Payload):
    def __init__(self, path):
        self.raw = http.request(path, Connection="close")
        super().__init__(len(self.raw))

    def chunks(self, length=1 << 16):
        yield self.raw


def _receive_body(sock, chunk=1 << 18):
    """Reads one answer's head, then its body to the end of the stream."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        assert byte, head
        head += byte
    assert head.startswith(b"HTTP/1.1 200"), head
    return streams.receive(sock, chunk)


@pytest.mark.parametrize("relay", RELAYS)
@pytest.mark.parametrize("size", [1, 1000, 20_000])
def test_head_and_first_bytes_leave_together(relay, size, file_server, tmp_path):
    """One segment: the first look at the socket shows head and body (up to what a segment holds on loopback)."""
    payload = Payload(size)
    payload.write_to(tmp_path / "f")
    daemon = file_server(tmp_path, {"relay": relay})
    with daemon.connect("web") as sock:
        for _ in range(20):
            sock.sendall(http.request("/f"))
            first = sock.recv(65536)
            head, _, body = first.partition(b"\r\n\r\n")
            assert body, f"the head came alone: {head}"
            body += streams.receive_exactly(sock, size - len(body))
            assert body == payload.bytes()


@pytest.mark.parametrize("relay", RELAYS)
def test_ranges_and_head(relay, file_server, tmp_path):
    payload = Payload(200_000)
    payload.write_to(tmp_path / "f")
    data = payload.bytes()
    daemon = file_server(tmp_path, {"relay": relay})
    cases = [("0-0", 0, 1), ("100-199", 100, 100), ("199999-", 199_999, 1), ("-1", 199_999, 1),
             ("65535-131072", 65_535, 65_538), ("-500000", 0, 200_000), ("150000-999999", 150_000, 50_000)]
    with daemon.connect("web") as sock:
        reader = http.Reader(sock)
        for number, (spec, start, size) in enumerate(cases):
            sock.sendall(http.request("/f", Range=f"bytes={spec}"))
            answer = reader.answer()
            assert answer.status == 206 and answer.body == data[start:start + size], spec
            assert answer.headers["content-range"] == f"bytes {start}-{start + size - 1}/200000"
            records.check_file(daemon.wait_records(number + 1)[-1], relay, size)
        sock.sendall(http.request("/f", method="HEAD"))
        answer = reader.answer(head=True)
        assert answer.status == 200 and answer.headers["content-length"] == "200000"
        record = daemon.wait_records(len(cases) + 1)[-1]
        assert records.moved(record, "to_client") == 0, record


@pytest.mark.parametrize("relay", RELAYS)
def test_truncated_while_served(relay, file_server, memory_path):
    """The client must see a reset: not padding, not a clean end, not an endless loop."""
    size = 40 * MIB
    Payload(size).write_to(memory_path / "f")
    daemon = file_server(memory_path, {"relay": relay})
    with daemon.connect("web", rcvbuf=4096) as sock:
        sock.sendall(http.request("/f"))
        streams.receive_exactly(sock, 1000)
        os.truncate(memory_path / "f", 100_000)
        rest = streams.receive(sock)
    assert rest.end == "reset" and rest.size < size, rest
    record = daemon.wait_record()
    assert record["outcome"] == "truncated" and record["closed_by"] == "sluice", record
    assert records.moved(record, "to_client") < size, record
    assert records.kinds(record, "to_client") == {records.file_kind(relay)}, record


@pytest.mark.parametrize("change", ["deleted", "replaced"])
@pytest.mark.parametrize("relay", RELAYS)
def test_deleted_or_replaced_while_served(relay, change, file_server, tmp_path):
    """The old content comes whole; the next request sees the new state."""
    old, new = Payload(40 * MIB, seed=2), Payload(1000, seed=3)
    old.write_to(tmp_path / "f")
    daemon = file_server(tmp_path, {"relay": relay})
    with daemon.connect("web", rcvbuf=4096) as sock:
        sock.sendall(http.request("/f", Connection="close"))
        first = sock.recv(1)
        if change == "deleted":
            (tmp_path / "f").unlink()
        else:
            new.write_to(tmp_path / "fresh")
            os.replace(tmp_path / "fresh", tmp_path / "f")
        streams.widen(sock)
        rest = first + b""
        while b"\r\n\r\n" not in rest:
            rest += sock.recv(1)
        streams.receive(sock).assert_all(old)
    records.check_file(daemon.wait_record(), relay, old.size)
    after = http.curl("-w", "%{http_code}", daemon.url("web", "/f"))
    if change == "deleted":
        assert after.stdout.endswith(b"404"), after
    else:
        assert digest_of(after.stdout[:-3]) == new.digest, after


@pytest.mark.parametrize("relay", RELAYS)
def test_a_file_that_grows_ends_where_it_was_promised(relay, file_server, tmp_path):
    old = Payload(20 * MIB)
    old.write_to(tmp_path / "f")
    daemon = file_server(tmp_path, {"relay": relay})
    with daemon.connect("web", rcvbuf=4096) as sock:
        sock.sendall(http.request("/f", Connection="close"))
        head = sock.recv(1)
        with open(tmp_path / "f", "ab") as file:
            file.write(b"x" * MIB)
        while b"\r\n\r\n" not in head:
            head += sock.recv(1)
        streams.receive(sock).assert_all(old)
    records.check_file(daemon.wait_record(), relay, old.size)


def test_the_client_leaves_in_mid_transfer(file_server, big_root):
    daemon = file_server(big_root)
    with daemon.connect("web") as sock:
        sock.sendall(http.request("/big"))
        streams.receive_exactly(sock, 100_000)
        streams.reset(sock)
    record = daemon.wait_record()
    assert record["outcome"] == "reset" and record["closed_by"] == "client", record
    http.curl_fetch(daemon.url("web", "/small")).assert_all(Payload(1000))


def test_what_changes_between_two_requests_is_seen(file_server, tmp_path):
    """Files are kept open for the next request, on the same connection or another."""
    root = tmp_path / "root"
    (root / "old").mkdir(parents=True)
    (root / "new").mkdir()
    (root / "old" / "page").write_text("old")
    (root / "new" / "page").write_text("new")
    (root / "current").symlink_to("old")
    page = root / "page"
    page.write_text("first")
    daemon = file_server(root, {"relay": "sendfile"})
    with daemon.connect("web") as sock:
        def get(path):
            return http.ask(sock, http.request(path))
        for _ in range(3):
            assert get("/page").body == b"first"
        os.replace(_written(root / "other", "second"), page)
        second = get("/page")
        assert second.body == b"second"
        page.write_text("longer than second")
        third = get("/page")
        assert third.body == b"longer than second" and third.headers["etag"] != second.headers["etag"]
        page.unlink()
        assert get("/page").status == 404
        for record in daemon.wait_records(6)[:5]:
            assert record["status"] == 200
            records.check_file(record, "sendfile", record["directions"]["to_client"]["bytes"])
        # A link on the way to it is followed anew after a second.
        assert get("/current/page").body == b"old"
        os.replace(_linked(root / "next", "new"), root / "current")
        wait_for(lambda: get("/current/page").body == b"new", "the link to be followed anew")


def test_nothing_is_kept_open_for_long(file_server, tmp_path):
    """The space of a deleted file is free again, although nobody asks for anything any more."""
    (tmp_path / "page").write_text("x")
    daemon = file_server(tmp_path)
    http.curl_fetch(daemon.url("web", "/page"))
    (tmp_path / "page").unlink()
    wait_for(lambda: not any(str(tmp_path / "page") in target for target in open_targets(daemon.pid)),
             "the file to be closed")


def open_targets(pid):
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            yield os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            pass


def _written(path, text):
    path.write_text(text)
    return path


def _linked(path, target):
    path.symlink_to(target)
    return path
