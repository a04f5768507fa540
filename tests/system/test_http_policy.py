"""What a `files` adds to its answers: header fields, on which answers they stand and over what."""
import os
import pytest

from support import env, http

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
