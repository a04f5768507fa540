"""`autoindex`: what stands in a listing, in a browser and as JSON, and that making one holds up nobody."""
import html
import json
import os
import re
import signal
import threading
import time
import urllib.parse
from contextlib import closing
from datetime import datetime, timezone

import pytest

from support import http, records, streams, tls
from support.browser import colours_of, run_browser
from support.env import KTLS, SLOW, seconds, wait_for
from support.payload import Payload
from support.slow_fs import slow_directory

RELAYS = ("auto", "sendfile", "mmap", "copy")
MANY = 10_000

HOSTILE = [b"<script>document.title='pwned'<", b"<img src=x onerror=\"document.title='pwned'\">", b"\"quotes'",
           b"javascript:document.title='pwned'", b"latin-\xe9\xff.txt", "ä 文字 🎉.txt".encode(), b"per%20cent%",
           b"#hash?q=1", b"back\\slash", b" spaces ", b"`tick`", b"<td><table><h1>", b"--><!--", b"x" * 255, b"a&amp;b",
           b"semi;colon"]
NEWLINE = b"new\nline"


def listing(daemon, path="/", name="web", **headers):
    with daemon.connect(name) as sock:
        return http.ask(sock, http.request(path, **headers))


def entries(answer):
    return json.loads(answer.body)["entries"]


@pytest.fixture
def hostile(tmp_path):
    """A root with files whose names want to be something else; each holds its own."""
    root = tmp_path / "hostile"
    root.mkdir()
    for name in [*HOSTILE, NEWLINE]:
        (root / os.fsdecode(name)).write_bytes(name)
    (root / "<b>").mkdir()
    (root / ".hidden").touch()
    return root


def names_of(page):
    """{href: text} of the rows of a page's source, the link upwards left out."""
    rows = re.findall(r'<td><a href="([^"]*)"><bdi>(.*?)</bdi></a>', page)
    return {href: html.unescape(text) for href, text in rows}


def test_hostile_names(file_server, hostile):
    """Every link leads to the file whose name it shows."""
    daemon = file_server(hostile, files={"autoindex": "html"})
    answer = listing(daemon)
    assert answer.status == 200 and answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-cache" and answer.headers["x-content-type-options"] == "nosniff"
    page = answer.body.decode()
    below = listing(daemon, "/%3Cb%3E/").body.decode()
    assert "<title>Index of /&lt;b&gt;/</title>" in below and '<a href="../">..</a>' in below, below
    assert not re.search(r"<(script|img)|<h1>.*<h1>", page, re.DOTALL)
    found = names_of(page)
    assert found.pop("%3Cb%3E/") == "<b>/"
    assert sorted(found.values()) == sorted(name.decode(errors="replace") for name in HOSTILE)
    for href in found:
        name = urllib.parse.unquote_to_bytes(href)
        assert name in HOSTILE and listing(daemon, "/" + href).body == name, href
    listed = entries(listing(file_server(hostile, files={"autoindex": "json"})))
    assert {entry["href"]: entry["name"] for entry in listed[1:]} == found
    assert listed[0]["name"] == "<b>" and listed[0]["type"] == "directory" and "size" not in listed[0]


@pytest.mark.skipif(KTLS or SLOW, reason="a browser is slow enough, and what it is sent is the same everywhere")
def test_in_a_browser(file_server, hostile, tmp_path):
    daemon = file_server(hostile, files={"autoindex": "html"})
    done = run_browser(tmp_path, daemon.url("web", "/"), "--dump-dom", "--enable-logging=stderr", "--v=0")
    assert "<title>Index of /</title>" in done.stdout and "CONSOLE" not in done.stderr, done
    assert sorted(names_of(done.stdout).values()) == sorted(
        ["<b>/", *(name.decode(errors="replace") for name in HOSTILE)]), done.stdout
    colours = colours_of(tmp_path, daemon.url("web", "/%3Cb%3E/"), "dark")
    assert colours.most_common(1)[0][0] == "#16191d", colours.most_common(5)
    assert {record["request"].split()[1] for record in daemon.records()} == {"/", "/%3Cb%3E/"}


@pytest.mark.parametrize("relay", RELAYS)
def test_json_is_what_is_there(relay, file_server, tmp_path):
    root = tmp_path / "root"
    for name in ("dir/b", "dir/a", "dir/Z", "dir/.git"):
        (root / name).mkdir(parents=True)
    for name, size in (("9", 0), ("10", 5), ("big", 5 << 30), ("z.txt", 1)):
        (root / "dir" / name).touch()
        os.truncate(root / "dir" / name, size)
    (root / "dir" / ".hidden").touch()
    os.mkfifo(root / "dir" / "fifo")
    os.utime(root / "dir" / "9", (0, 1_000_000_000))
    daemon = file_server(root, {"relay": relay}, files={"autoindex": "json"})
    answer = listing(daemon, "/dir/?sort=size")
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    whole = json.loads(answer.body)
    assert (whole["path"], whole["truncated"]) == ("/dir/", False)
    assert [(e["name"], e["type"], e.get("size")) for e in whole["entries"]] == [
        ("Z", "directory", None), ("a", "directory", None), ("b", "directory", None),
        ("10", "file", 5), ("9", "file", 0), ("big", "file", 5 << 30), ("z.txt", "file", 1)]
    for entry in whole["entries"]:
        time_of = datetime.strptime(entry["mtime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()
        assert time_of == int((root / "dir" / entry["name"]).stat().st_mtime), entry
        assert entry["href"] == entry["name"] + ("/" if entry["type"] == "directory" else "")
    record = daemon.wait_record()
    assert records.kinds(record, "to_client") == {records.generated()} and record["status"] == 200, record
    assert records.moved(record, "to_client") == len(answer.body), record
    with daemon.connect("web") as sock:
        head = http.ask(sock, http.request("/dir/", method="HEAD"), head=True)
    assert head.headers["content-length"] == str(len(answer.body)) and head.status == 200
    redirect = listing(daemon, "/dir?x")
    assert redirect.status == 301 and redirect.headers["location"] == "/dir/?x"


def test_when_there_is_a_listing(file_server, open_path):
    """An index comes first, what may not be read is 403, and what try_files falls back to waits behind."""
    root = open_path / "root"
    for name in ("with", "without", "closed", "shut"):
        (root / name).mkdir(parents=True)
        (root / name / "page").write_text("page")
    (root / "with" / "index.html").write_text("index")
    (root / "closed" / "index.html").write_text("closed, but for its index")
    (root / "fallback.html").write_text("fallback")
    (root / "closed").chmod(0o711)
    (root / "shut").chmod(0o711)
    for path in (root, root / "with", root / "without"):
        path.chmod(0o755)
    for files in ({}, {"try_files": ["$uri", "$uri/", "/fallback.html"]}):
        daemon = file_server(root, files={"autoindex": "html", **files}, user="nobody", group="nogroup")
        assert listing(daemon, "/with/").body == b"index"
        assert b'<a href="page">' in listing(daemon, "/without/").body
        assert listing(daemon, "/without").status == 301 and listing(daemon, "/closed").status == 301
        assert listing(daemon, "/closed/").body == b"closed, but for its index"
        assert listing(daemon, "/shut/").status == 403 and listing(daemon, "/shut/page").body == b"page"
        missing = listing(daemon, "/none/")
        assert missing.body == b"fallback" if files else missing.status == 404
    shown = file_server(root, files={"autoindex": "html", "dotfiles": "allow"})
    (root / ".git").mkdir()
    assert b'<a href=".git/">' in listing(shown).body and listing(shown, "/.git/").status == 200


@pytest.mark.parametrize("with_tls", [False, True])
def test_a_large_directory_holds_up_nobody(with_tls, sluice, certs, tmp_path):
    """There is an end to it, which is told; meanwhile, a worker has others to serve."""
    root = tmp_path / "many"
    root.mkdir()
    for i in range(MANY + 5):
        (root / f"file {i:05}").touch()
    small = tmp_path / "small"
    small.mkdir()
    Payload(1024).write_to(small / "f")
    keys = {"address": "127.0.0.1:0", **({"tls": "main"} if with_tls else {})}
    daemon = sluice(workers=1, tls={"main": certs.tls()},
                    files={"many": {"root": root, "autoindex": "json"}, "small": {"root": small}},
                    listeners={"many": {**keys, "files": "many"}, "small": {**keys, "files": "small"}})

    def connect(name):
        sock = daemon.connect(name, timeout=60)
        return closing(tls.TlsSocket(sock, tls.context(certs)) if with_tls else sock)

    def list_it(answers):
        with connect("many") as sock:
            answers.append(http.ask(sock, http.request("/")))

    answers, times = [], []
    threads = [threading.Thread(target=list_it, args=(answers,)) for _ in range(3)]
    with connect("small") as sock:
        reader = http.Reader(sock)
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            began = time.monotonic()
            sock.sendall(http.request("/f"))
            assert len(reader.answer().body) == 1024
            times.append(time.monotonic() - began)
    assert len(answers) == 3 and answers[0].body == answers[1].body == answers[2].body
    whole = json.loads(answers[0].body)
    listed = {entry["name"] for entry in whole["entries"]}
    assert whole["truncated"] and len(whole["entries"]) == len(listed) == MANY
    assert listed < {f"file {i:05}" for i in range(MANY + 5)}
    assert [entry["name"] for entry in whole["entries"]] == sorted(listed)
    times.sort()
    assert times[len(times) * 9 // 10] < seconds(0.1), times[-20:]
    for record in daemon.wait_records(3, "many"):
        assert records.kinds(record, "to_client") == {records.generated(with_tls)}, record


@pytest.fixture
def slow_root(tmp_path):
    """A directory of files and directories behind a file system that lets every opening wait."""
    shown, mounted = tmp_path / "shown", tmp_path / "slow"
    shown.mkdir(), mounted.mkdir()
    (shown / "dir").mkdir()
    (shown / "file").write_text("x" * 1000)
    with slow_directory(shown, mounted, 500) as root:
        yield root


def jobs(daemon):
    return daemon.metrics()[("sluice_disk_jobs_total", frozenset())]


def test_a_directory_on_a_slow_file_system(slow_root, sluice, tmp_path):
    """Told of like any other, and given up where nobody waits for it any more."""
    fast = tmp_path / "fast"
    fast.mkdir()
    daemon = sluice(workers=1, files={"slow": {"root": slow_root, "autoindex": "json"},
                                      "fast": {"root": fast, "autoindex": "html"}},
                    listeners={name: {"address": "127.0.0.1:0", "files": name} for name in ("slow", "fast")})
    times = []
    with daemon.connect("slow", timeout=60) as sock:
        sock.sendall(http.request("/"))
        while not times or daemon.connections_open("slow") and len(times) < 20:
            began = time.monotonic()
            assert b"empty" in listing(daemon, name="fast").body
            times.append(time.monotonic() - began)
        answer = http.Reader(sock).answer()
    assert [(e["name"], e["type"], e.get("size")) for e in entries(answer)] == [
        ("dir", "directory", None), ("file", "file", 1000)]
    assert sorted(times)[len(times) * 9 // 10] < seconds(0.2), times
    assert min(record["duration_ms"] for record in daemon.wait_records(1, "slow")) >= 500

    socks = [daemon.connect("slow") for _ in range(6)]
    before = jobs(daemon)
    for sock in socks:
        sock.sendall(http.request("/"))
    wait_for(lambda: jobs(daemon) >= before + 6, "the directory to be asked for")
    for i, sock in enumerate(socks):
        streams.reset(sock) if i % 2 else sock.close()
    wait_for(lambda: daemon.connections_open("slow") == 0, "them to be gone", timeout=30)
    assert len(entries(listing(daemon, name="slow"))) == 2

    with daemon.connect("slow") as sock:
        sock.sendall(http.request("/"))
        wait_for(lambda: daemon.connections_open("slow") == 1, "the last one")
        daemon.signal(signal.SIGQUIT)
        assert daemon.wait_exit() == 0
