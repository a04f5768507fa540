"""HTTP/1.1 as RFC 9110 and 9112 have it: what is answered, and what is refused."""
import email.utils
import os
import time

import pytest

from support import http, records, streams
from support.payload import Payload


@pytest.fixture
def site(tmp_path):
    """A small tree, with things outside its root that must not be served."""
    root = tmp_path / "site"
    (root / "dir").mkdir(parents=True)
    (root / "noindex").mkdir()
    (root / "index.html").write_text("<p>top</p>")
    (root / "dir" / "index.html").write_text("<p>dir</p>")
    (root / "a.txt").write_text("text\n")
    os.utime(root / "a.txt", (1_700_000_000,) * 2)  # settled: its tag is strong
    (root / "with space.txt").write_text("space\n")
    (root / "café.txt").write_text("unicode\n")
    for name in ("style.css", "script.js", "data.json", "pic.png", "page.html", "movie.mp4", "unknown.xyz1"):
        (root / name).write_text("x")
    (tmp_path / "secret.txt").write_text("secret\n")
    (root / "out.txt").symlink_to("../secret.txt")
    (root / "out-absolute.txt").symlink_to(tmp_path / "secret.txt")
    (root / "outdir").symlink_to("..")
    (root / "inside.txt").symlink_to("a.txt")
    os.mkfifo(root / "fifo")
    return root


@pytest.fixture
def web(file_server, site):
    return file_server(site)


def get(daemon, raw, head=False):
    with daemon.connect("web") as sock:
        return http.ask(sock, raw, head)


def test_real_curl(web):
    done = http.curl("-i", web.url("web", "/a.txt"))
    head, body = done.stdout.split(b"\r\n\r\n", 1)
    assert done.returncode == 0 and body == b"text\n" and head.startswith(b"HTTP/1.1 200 OK\r\n")
    done = http.curl("-v", web.url("web", "/a.txt"), web.url("web", "/dir/"))
    assert done.stdout == b"text\n<p>dir</p>" and b"Re-using existing connection" in done.stderr, done
    assert http.curl("-I", web.url("web", "/a.txt")).stdout.startswith(b"HTTP/1.1 200 ")
    assert http.curl("-L", web.url("web", "/dir")).stdout == b"<p>dir</p>"
    assert http.curl("-r", "1-2", web.url("web", "/a.txt")).stdout == b"ex"
    assert http.curl("--http1.0", web.url("web", "/a.txt")).stdout == b"text\n"
    done = http.curl("-d", "x=1", "-w", "%{http_code}", web.url("web", "/a.txt"))
    assert done.returncode == 0 and done.stdout.endswith(b"405"), done


def test_headers_of_a_file(web, site):
    answer = get(web, http.request("/a.txt"))
    assert answer.status == 200 and answer.body == b"text\n"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-length"] == "5" and answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["etag"].startswith('"') and answer.headers["etag"].endswith('"')
    modified = email.utils.parsedate_to_datetime(answer.headers["last-modified"]).timestamp()
    assert modified == int((site / "a.txt").stat().st_mtime)
    assert abs(email.utils.parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()) < 60


@pytest.mark.parametrize("path, wanted", [
    ("/page.html", "text/html; charset=utf-8"), ("/style.css", "text/css; charset=utf-8"),
    ("/script.js", "text/javascript; charset=utf-8"), ("/data.json", "application/json"),
    ("/pic.png", "image/png"), ("/movie.mp4", "video/mp4"), ("/unknown.xyz1", "application/octet-stream"),
    ("/", "text/html; charset=utf-8")])
def test_mime_types(web, path, wanted):
    assert get(web, http.request(path)).headers["content-type"] == wanted


@pytest.mark.parametrize("path, body", [
    ("/", b"<p>top</p>"), ("/dir/", b"<p>dir</p>"), ("/a.txt?query=1", b"text\n"), ("/%61.txt", b"text\n"),
    ("/with%20space.txt", b"space\n"), ("/caf%C3%A9.txt", b"unicode\n"), ("/dir/../a.txt", b"text\n"),
    ("/./a.txt", b"text\n"), ("/inside.txt", b"text\n"), ("http://localhost/a.txt", b"text\n")])
def test_paths_that_are_served(web, path, body):
    answer = get(web, http.request(path))
    assert (answer.status, answer.body) == (200, body)


@pytest.mark.parametrize("path, status", [
    ("/none.txt", 404), ("/none/", 404), ("/a.txt/", 404), ("/a.txt/x", 404), ("/noindex/", 403),
    ("/../secret.txt", 400), ("/%2e%2e/secret.txt", 400), ("/dir/../../secret.txt", 400),
    ("/..%2fsecret.txt", 400), ("/a.txt%00.html", 400), ("/%zz", 400), ("/%", 400), ("a.txt", 400),
    ("/out.txt", 403), ("/out-absolute.txt", 403), ("/outdir/secret.txt", 403), ("/fifo", 403)])
def test_paths_that_are_not(web, path, status):
    """Whatever the shade of refusal, nothing outside the root is served. (nginx follows the links out of it.)"""
    answer = get(web, http.request(path))
    allowed = {status} if status == 404 else {400, 403, 404}
    assert answer.status in allowed and b"secret\n" not in answer.body, answer
    assert len(answer.body) > 0 and answer.headers["content-type"].startswith("text/"), answer


def test_trailing_slash_redirect(web):
    answer = get(web, http.request("/dir"))
    assert answer.status == 301 and answer.headers["location"].endswith("/dir/"), answer
    answer = get(web, http.request("/dir?a=b"))
    assert answer.status == 301 and answer.headers["location"].endswith("/dir/?a=b"), answer


def test_not_permitted_file(file_server, open_path):
    """Readable by root alone, served as nobody."""
    root = open_path / "root"
    root.mkdir()
    (root / "f").write_text("x")
    (root / "f").chmod(0o600)
    root.chmod(0o755)
    assert os.geteuid() == 0, "run the tests as root: they start Sluice as root and see it step down"
    daemon = file_server(root, user="nobody", group="nogroup")
    assert get(daemon, http.request("/f")).status == 403


def test_error_pages_say_so(web):
    answer = get(web, http.request("/none"))
    assert answer.status == 404
    record = web.wait_record()
    assert record["status"] == 404 and record["request"] == "GET /none HTTP/1.1", record
    assert records.kinds(record, "to_client") == {records.GENERATED}, record
    assert records.moved(record, "to_client") == len(answer.body), record


def test_conditional_requests(web):
    first = get(web, http.request("/a.txt"))
    etag, modified = first.headers["etag"], first.headers["last-modified"]
    earlier = email.utils.formatdate(email.utils.parsedate_to_datetime(modified).timestamp() - 10, usegmt=True)
    for headers, status in [({"If_None_Match": etag}, 304), ({"If_None_Match": f'"x", {etag}'}, 304),
                            ({"If_None_Match": f"W/{etag}"}, 304), ({"If_None_Match": "*"}, 304),
                            ({"If_None_Match": '"x"'}, 200), ({"If_Modified_Since": modified}, 304),
                            ({"If_Modified_Since": earlier}, 200), ({"If_Modified_Since": "nonsense"}, 200),
                            ({"If_None_Match": '"x"', "If_Modified_Since": modified}, 200)]:
        answer = get(web, http.request("/a.txt", **headers))
        assert answer.status == status, (headers, answer)
        if status == 304:
            assert answer.headers["etag"] == etag and answer.body == b""
    ranged = {"Range": "bytes=0-1"}
    assert get(web, http.request("/a.txt", If_Range=etag, **ranged)).status == 206
    assert get(web, http.request("/a.txt", If_Range='"old"', **ranged)).status == 200


@pytest.mark.parametrize("spec, status", [
    ("bytes=0-1", 206), ("bytes=5-", 416), ("bytes=99-100", 416), ("bytes=-0", 416), ("bytes=3-1", 200),
    ("bytes=x", 200), ("lines=1-2", 200), ("bytes=", 200), ("bytes=99999999999999999999-", None)])
def test_ranges_that_are_odd(web, spec, status):
    """Unsatisfiable: 416 with the size. Malformed: ignored (RFC 9110, 14.2)."""
    answer = get(web, http.request("/a.txt", Range=spec))
    assert answer.status == status or status is None and answer.status in (200, 416), answer
    if answer.status == 416:
        assert answer.headers["content-range"] == "bytes */5"


def test_keep_alive_and_pipelining(web):
    with web.connect("web") as sock:
        paths = ["/a.txt", "/dir/", "/none", "/a.txt", "/"] * 20
        sock.sendall(b"".join(http.request(p) for p in paths))
        reader = http.Reader(sock)
        bodies = {"/a.txt": b"text\n", "/dir/": b"<p>dir</p>", "/": b"<p>top</p>"}
        for path in paths:
            answer = reader.answer()
            assert answer.status == (404 if path == "/none" else 200), path
            assert path == "/none" or answer.body == bodies[path]
        sock.sendall(http.request("/a.txt", Connection="close"))
        answer = reader.answer()
        assert answer.headers["connection"].lower() == "close" and reader.at_end()
    assert len(web.wait_records(101)) == 101


def test_pipelined_across_every_boundary(file_server, site):
    """More requests than any buffer holds, each of another length, so that heads are cut at every place."""
    count = 3000
    web = file_server(site, http={"keepalive_requests": 0})
    with web.connect("web") as sock:
        raw = b"".join(http.request("/a.txt", X_Pad="x" * (n % 97)) for n in range(count))
        streams.Sender(sock, Raw(raw), half_close=False)
        reader = http.Reader(sock)
        for _ in range(count):
            assert reader.answer().body == b"text\n"


class Raw(Payload):
    """Bytes as they are, for a Sender."""

    def __init__(self, raw):
        super().__init__(len(raw))
        self.raw = raw

    def chunks(self, length=1 << 16):
        yield self.raw


def test_pipelined_in_single_bytes(web):
    with web.connect("web") as sock:
        for byte in http.request("/a.txt") + http.request("/dir/", Connection="close"):
            sock.send(bytes([byte]))
        reader = http.Reader(sock)
        assert reader.answer().body == b"text\n" and reader.answer().body == b"<p>dir</p>"
        assert reader.at_end()


def test_half_close_after_the_requests(web):
    """nc -N: the client ends its part; every answer still comes."""
    with web.connect("web") as sock:
        sock.sendall(http.request("/a.txt") + http.request("/dir/"))
        sock.shutdown(1)
        reader = http.Reader(sock)
        assert reader.answer().body == b"text\n" and reader.answer().body == b"<p>dir</p>"
        assert reader.at_end()


def test_http_1_0(web):
    with web.connect("web") as sock:
        answer = http.ask(sock, b"GET /a.txt HTTP/1.0\r\n\r\n")
        assert answer.status == 200 and sock.recv(1) == b""
    with web.connect("web") as sock:
        raw = b"GET /a.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        assert http.ask(sock, raw).body == b"text\n" and http.ask(sock, raw).body == b"text\n"


def test_a_new_index_is_found_by_its_own_names(file_server, site):
    (site / "noindex" / "start.htm").write_text("start")
    daemon = file_server(site, files={"index": ["main.html", "start.htm"]})
    assert get(daemon, http.request("/noindex/")).body == b"start"
    assert get(daemon, http.request("/dir/")).status == 403


def test_many_small_requests_on_one_connection_do_not_wait(web, site):
    """Nagle and delayed acknowledgements would make each of these take 40 ms."""
    Payload(3000).write_to(site / "small")
    with web.connect("web") as sock:
        reader, start = http.Reader(sock), time.monotonic()
        for _ in range(100):
            sock.sendall(http.request("/small"))
            assert reader.answer().body == Payload(3000).bytes()
        took = time.monotonic() - start
    assert took < 3, f"{took * 10:.0f} ms a request"
