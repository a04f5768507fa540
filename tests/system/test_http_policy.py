"""What a `files` adds to its answers: header fields, on which answers they stand and over what."""
import os
import pytest

from support import env, http, records
from support.payload import Payload

HEADERS = ({"name": "X-Frame-Options", "value": "DENY"},
           {"name": "X-Content-Type-Options", "value": "nosniff", "always": True})
HSTS = "max-age=31536000; includeSubDomains"


@pytest.fixture
def root(tmp_path):
    top = tmp_path / "site"
    (top / "dir").mkdir(parents=True)
    (top / "a.txt").write_text("text\n")
    os.utime(top / "a.txt", (1_700_000_000,) * 2)  # settled: its tag is the lasting one
    return top


@pytest.fixture
def both(sluice, certs):
    """both(root, files keys) starts a daemon that serves the directory by http and https."""
    def start(root, relay="auto", **keys):
        return sluice(listeners={"web": {"address": "127.0.0.1:0", "files": "media", "relay": relay},
                                 "secure": {"address": "127.0.0.1:0", "files": "media", "tls": "main",
                                            "relay": relay if relay in ("auto", "copy") else "auto"}},
                      tls={"main": certs.tls()}, files={"media": {"root": root, **keys}})
    return start


def head(daemon, certs, listener, path, *args):
    """What curl is answered, as (status, fields): fields by their names in lower case."""
    url = daemon.url(listener, path, scheme="https" if listener == "secure" else "http")
    done = http.curl("-o", "/dev/null", "-D", "-", *args, url, ca=certs.ca)
    assert done.returncode == 0, done
    lines = done.stdout.decode().split("\r\n\r\n")[-2].split("\r\n")
    return int(lines[0].split(" ")[1]), {name.lower(): value for name, value in
                                         (line.split(": ", 1) for line in lines[1:])}


@pytest.mark.parametrize("listener", ["web", "secure"])
def test_headers_stand_where_they_should(listener, both, certs, root):
    daemon = both(root, headers=HEADERS, hsts={"max_age": "365d", "include_subdomains": True}, server_header="web")
    etag = head(daemon, certs, listener, "/a.txt")[1]["etag"]
    cases = [(200, "/a.txt"), (200, "/a.txt", "-I"), (206, "/a.txt", "-r", "1-2"), (301, "/dir"),
             (304, "/a.txt", "-H", f"If-None-Match: {etag}"), (403, "/dir/"), (404, "/none"),
             (405, "/a.txt", "-X", "POST"), (412, "/a.txt", "-H", "If-Match: \"x\""), (416, "/a.txt", "-r", "9-"),
             (400, "/%zz")]
    for status, path, *args in cases:
        got, fields = head(daemon, certs, listener, path, *args)
        assert got == status, (got, status, path, args)
        assert fields["server"] == "web"
        assert fields["x-content-type-options"] == "nosniff", (status, fields)
        assert fields.get("x-frame-options") == ("DENY" if status < 400 else None), (status, fields)
        assert fields.get("strict-transport-security") == (HSTS if listener == "secure" else None), (status, fields)


def test_caching_goes_by_the_file_that_is_sent(both, certs, root):
    (root / "assets").mkdir()
    for name in ("assets/a.css", "b.css", "index.html", "dir/index.html"):
        (root / name).write_text("x" * 100)
    daemon = both(root, cache_control=({"match": "/assets/*", "value": "max-age=60, immutable"},
                                       {"match": ["*.css", "*.js"], "value": "max-age=5"},
                                       {"match": "*.html", "value": "no-cache"}))
    for path, expected in (("/assets/a.css", "max-age=60, immutable"), ("/b.css?v=2", "max-age=5"), ("/", "no-cache"),
                           ("/dir/", "no-cache"), ("/a.txt", None)):
        fields = head(daemon, certs, "web", path)[1]
        assert fields.get("cache-control") == expected, path
        for status, *args in ((200, "-I"), (206, "-r", "0-0"), (206, "-r", "0-0,4-"),
                              (304, "-H", f"If-None-Match: {fields['etag']}")):
            got, other = head(daemon, certs, "web", path, *args)
            assert (got, other.get("cache-control")) == (status, expected), (path, args, other)
    for status, path, *args in ((404, "/none.css"), (301, "/assets"), (416, "/b.css", "-r", "200-"),
                                (412, "/b.css", "-H", "If-Match: \"x\"")):
        got, fields = head(daemon, certs, "web", path, *args)
        assert got == status and "cache-control" not in fields, fields


def test_content_types(both, certs, root):
    for name in ("a.FOO", "a.html", "a.wasm", "LICENSE"):
        (root / name).write_text("x")
    daemon = both(root, mime_types=({"extensions": ["foo", "bar"], "type": "text/x-foo"},),
                  default_type="text/plain", charset="iso-8859-1")
    for path, expected in (("/a.FOO", "text/x-foo; charset=iso-8859-1"), ("/a.html", "text/html; charset=iso-8859-1"),
                           ("/a.wasm", "application/wasm"), ("/LICENSE", "text/plain; charset=iso-8859-1")):
        assert head(daemon, certs, "web", path)[1]["content-type"] == expected


def paged(root):
    """The page of 404 with its payload, and the keys that name it."""
    page = Payload(30_000)
    page.write_to(root / "404.html")
    return page, {"error_pages": ({"status": [404], "path": "/404.html"}, {"status": [416], "path": "/none.html"}),
                  "headers": HEADERS}


def check_page(daemon, url, page, relay, tls, ca=None):
    """Fetches what isn't there: its page, in the mode that a file goes in, and the fields that belong to an error."""
    done = http.curl("-i", "-r", "0-9", url, ca=ca)
    top, body = done.stdout.split(b"\r\n\r\n", 1)
    lines = top.decode().lower().split("\r\n")
    assert lines[0] == "http/1.1 404 not found" and body == page.bytes(), top
    assert "x-content-type-options: nosniff" in lines and "content-type: text/html; charset=utf-8" in lines
    names = {line.split(":")[0] for line in lines[1:]}
    assert not names & {"etag", "last-modified", "accept-ranges", "content-range", "x-frame-options"}, names
    records.check_file(daemon.wait_record(), relay, page.size, tls=tls, statuses=(404,))


@pytest.mark.parametrize("relay", ["auto", "sendfile", "mmap", "copy"])
def test_error_pages_go_as_files_do(relay, both, certs, root):
    page, keys = paged(root)
    daemon = both(root, relay, **keys)
    check_page(daemon, daemon.url("web", "/none"), page, relay, tls=False)
    done = http.curl("-i", "-r", "9-", daemon.url("web", "/a.txt"))
    assert done.stdout.startswith(b"HTTP/1.1 416 ") and b"Content-Range: bytes */5\r\n" in done.stdout
    assert b"<!doctype html>" in done.stdout, "its page isn't there: the built-in one"
    done = http.curl("-I", daemon.url("web", "/none"))
    assert b"Content-Length: 30000\r\n" in done.stdout and done.returncode == 0, done
    (root / "404.html").unlink()
    env.wait_for(lambda: b"<!doctype html>" in http.curl(daemon.url("web", "/none")).stdout, "the built-in page")


@pytest.mark.ktls
@pytest.mark.parametrize("relay", ["auto", "copy", *(("sendfile", "mmap") if env.KTLS else ())])
def test_error_pages_over_tls(relay, file_server, certs, root):
    page, keys = paged(root)
    daemon = file_server(root, {"tls": "main", "relay": relay}, files=keys, tls={"main": certs.tls()})
    check_page(daemon, daemon.url("web", "/none", scheme="https"), page, relay, tls=True, ca=certs.ca)


def test_what_a_site_answers_by_itself_is_decorated_too(sluice, certs, root):
    page, keys = paged(root)
    daemon = sluice(files={"media": {"root": root, "hsts": {}, **keys}}, tls={"main": certs.tls()},
                    sites={"all": {"paths": ({"prefix": "/", "files": "media"}, {"prefix": "/gone/", "status": 404},
                                             {"prefix": "/old/", "redirect": "/new/", "status": 301})}},
                    listeners={"secure": {"address": "127.0.0.1:0", "tls": "main", "sites": ["all"]}})
    for status, path in ((404, "/gone/x"), (301, "/old/x"), (404, "/none"), (405, "/a.txt")):
        got, fields = head(daemon, certs, "secure", path, *(("-X", "DELETE") if status == 405 else ()))
        assert got == status and fields["strict-transport-security"] == "max-age=31536000", (path, fields)
        assert fields["x-content-type-options"] == "nosniff" and ("x-frame-options" in fields) == (status == 301)
        assert (fields["content-length"] == "30000") == (status == 404), (path, fields)


def test_a_reload_changes_them_for_new_connections(both, certs, root):
    daemon = both(root, headers=HEADERS)
    fields = head(daemon, certs, "web", "/a.txt")[1]
    assert fields["x-frame-options"] == "DENY" and fields["server"] == "sluice"
    text = daemon.file.read_text()
    assert '"DENY"' in text
    daemon.reload(text=text.replace('"DENY"', '"SAMEORIGIN"').replace("headers =", 'server_header = "off"; headers ='))
    env.wait_for(lambda: daemon.status()["generation"] == 2, "the reload")
    fields = head(daemon, certs, "web", "/a.txt")[1]
    assert fields["x-frame-options"] == "SAMEORIGIN" and "server" not in fields
