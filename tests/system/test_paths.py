"""Which file a path means: every way of writing one that has fooled servers, try_files, links, and names with a dot.
Around the root lies what must never be served."""
import json
import os

import pytest

from support import http, records, tls
from support.payload import Payload

SECRET = b"nobody is to see this"
TLS = [False, True]


@pytest.fixture
def tree(open_path):
    """root/, and outside it, by many names, a secret."""
    root = open_path / "outer" / "root"
    (root / "dir").mkdir(parents=True)
    for name in ("secret", "etc", "root2"):
        (root.parent / name).write_bytes(SECRET)
    (open_path / "secret").write_bytes(SECRET)
    (root / "index.html").write_text("front page")
    (root / "a.txt").write_text("plain")
    (root / "dir" / "index.html").write_text("index of dir")
    (root / "dir" / "page.html").write_text("page")
    for name in (b"%2e%2e", b"back\\slash", b"semi;colon", b"trailing.", b"trailing ", b"plus+plus", b"caf\xe9",
                 b"...", b"\xc0\xae\xc0\xae", b"a%00.txt", b"tilde~", b"-", b"q?m#h"):
        (root / os.fsdecode(name)).write_bytes(b"odd " + name)
    (root / ".git").mkdir()
    (root / ".git" / "config").write_bytes(SECRET)
    (root / ".htpasswd").write_bytes(SECRET)
    (root / "dir" / ".hidden").write_bytes(SECRET)
    (root / ".well-known" / ".x").mkdir(parents=True)
    (root / ".well-known" / "token").write_text("token")
    (root / ".well-known" / ".x" / "y").write_bytes(SECRET)
    return root


def odd(name):
    return 200, b"odd " + name


PLAIN, FRONT, DIR = (200, b"plain"), (200, b"front page"), (200, b"index of dir")
BAD, NONE = (400, None), (404, None)

# As sent, and (status, body).
CASES = [
    ("/a.txt", PLAIN), ("/", FRONT), ("//", FRONT), ("/.", FRONT), ("/./", FRONT), ("/dir/..", FRONT),
    ("///a.txt", PLAIN), ("/dir//../a.txt", PLAIN), ("/./dir/./.././a.txt", PLAIN), ("/dir/../../secret", BAD),
    ("/dir/", DIR), ("/dir/.", DIR), ("/dir/nothing/..", DIR), ("/%64ir/", DIR), ("/a%2etxt", PLAIN),
    ("/%61%2E%74%78%74", PLAIN), ("/a.txt?../secret", PLAIN), ("/a.txt?%00", PLAIN),
    # Out of the root.
    ("/..", BAD), ("/../", BAD), ("/../secret", BAD), ("//../secret", BAD), ("/./../secret", BAD),
    ("/../../secret", BAD), ("/../outer/secret", BAD), ("/../root2", BAD), ("/..//secret", BAD),
    ("/dir/../../etc", BAD), ("/.../../../secret", BAD), ("/%2e%2e/secret", BAD), ("/%2E%2E/secret", BAD),
    ("/.%2e/secret", BAD), ("/%2e./secret", BAD), ("/%2e%2e%2fsecret", NONE), ("/..%2fsecret", NONE),
    ("/..%2Fsecret", NONE), ("/%2e%2e%5csecret", NONE), ("/..\\secret", NONE), ("/..%5csecret", NONE),
    ("/dir\\..\\..\\secret", NONE), ("/..%5c..%5csecret", NONE), ("/back\\slash", odd(b"back\\slash")),
    ("/back%5cslash", odd(b"back\\slash")), ("/%252e%252e/secret", NONE), ("/%252e%252e%252fsecret", NONE),
    ("/%25%32%65%25%32%65/secret", NONE), ("/%252e%252e", odd(b"%2e%2e")), ("/%2%65%2%65/secret", BAD),
    ("/%%32%65%%32%65/secret", BAD), ("/%c0%ae%c0%ae/secret", NONE), ("/%c0%ae%c0%ae", odd(b"\xc0\xae\xc0\xae")),
    ("/..%c0%afsecret", NONE), ("/dir%c0%af..%c0%af..%c0%afsecret", NONE), ("/%c0%2e%c0%2e/secret", NONE),
    ("/%e0%80%ae%e0%80%ae/secret", NONE), ("/%f0%80%80%ae%f0%80%80%ae/secret", NONE), ("/%u002e%u002e/secret", BAD),
    ("/%uff0e%uff0e/secret", BAD), ("/%ef%bc%8e%ef%bc%8e/secret", NONE), ("/..;/secret", NONE),
    ("/..;x=y/secret", NONE), ("/;/../secret", NONE), ("/dir;/../a.txt", PLAIN), ("/.. /secret", BAD),
    ("/..%20/secret", NONE), ("/..%09/secret", BAD), ("/..\t/secret", BAD), ("/..%0d%0a/secret", BAD),
    ("/..%00/secret", BAD), ("/%2fsecret", NONE), ("/%2f%2e%2e%2fsecret", NONE), ("/dir%2f..%2f..%2fsecret", NONE),
    ("/dir%2findex.html", NONE), ("/..../secret", NONE), ("/../.../secret", BAD),
    # Endings.
    ("/a.txt%00", BAD), ("/a.txt%00.html", BAD), ("/%00", BAD), ("/%00/a.txt", BAD),
    ("/a%2500.txt", odd(b"a%00.txt")), ("/a.txt.", NONE), ("/a.txt%20", NONE), ("/a.txt/", NONE), ("/a.txt/.", NONE),
    ("/a.txt/..", FRONT), ("/a.txt//", NONE), ("/a.txt::$DATA", NONE), ("/a.txt%3a%3a$DATA", NONE),
    ("/a.txt;.html", NONE), ("/trailing.", odd(b"trailing.")), ("/trailing", NONE),
    ("/trailing%20", odd(b"trailing ")), ("/A.TXT", NONE), ("/DIR/", NONE), ("/a.txt%0a", BAD), ("/a.txt%7f", BAD),
    ("/a.txt%09", BAD), ("/a.txt%", BAD), ("/a.txt%2", BAD), ("/a.txt%zz", BAD), ("/a.txt%-1", BAD),
    # Names as they are.
    ("/semi;colon", odd(b"semi;colon")), ("/semi%3bcolon", odd(b"semi;colon")), ("/plus+plus", odd(b"plus+plus")),
    ("/plus%20plus", NONE), ("/caf%e9", odd(b"caf\xe9")), ("/caf%c3%a9", NONE), ("/tilde~", odd(b"tilde~")),
    ("/%7e", NONE), ("/-", odd(b"-")), ("/q%3fm%23h", odd(b"q?m#h")),
    # Other forms.
    ("http://localhost/a.txt", PLAIN), ("http://other.example/a.txt", PLAIN), ("http://localhost", FRONT),
    ("HTTP://localhost:80/dir/../a.txt", PLAIN), ("http://localhost/../secret", BAD),
    ("http://localhost/%2e%2e/secret", BAD), ("http:///etc/passwd", BAD), ("http://../secret", NONE),
    ("file:///etc/passwd", BAD), ("ftp://localhost/a.txt", BAD), ("a.txt", BAD), ("../secret", BAD),
    ("\\a.txt", BAD), ("~root", BAD), ("*", BAD), ("localhost:80", BAD), ("", BAD), ("/etc/passwd", NONE),
    ("//etc/passwd", NONE), ("/proc/self/environ", NONE), ("/dev/null", NONE),
    # Long ones.
    ("/" + "a" * 255, NONE), ("/" + "a" * 256, NONE), ("/" + "a/" * 2500, NONE), ("/" + "%61" * 2500, NONE),
    ("/" + "dir/../" * 1000 + "a.txt", PLAIN), ("/" + "/" * 4000 + "a.txt", PLAIN),
    ("/" + "./" * 3000 + "a.txt", PLAIN), ("/" + "../" * 1000 + "etc/passwd", BAD), ("/" + "a" * 9000, (414, None)),
    # Names with a dot in front.
    ("/.git/config", NONE), ("/.git", NONE), ("/.git/", NONE), ("/%2egit/config", NONE), ("/...", NONE),
    ("/dir/../.git/config", NONE), ("//.git/config", NONE), ("/.htpasswd", NONE), ("/.htpasswd/", NONE),
    ("/dir/.hidden", NONE), ("/dir/%2ehidden", NONE), ("/.well-known/token", (200, b"token")),
    ("/%2ewell-known/token", (200, b"token")), ("/dir/../.well-known/token", (200, b"token")),
    ("/.well-known/.x/y", NONE), ("/.Well-Known/token", NONE), ("/.git/../a.txt", PLAIN),
]


def connect(daemon, certs, with_tls):
    sock = daemon.connect("web")
    return tls.TlsSocket(sock, tls.context(certs)) if with_tls else sock


def fetch(daemon, certs, with_tls, path):
    sock = connect(daemon, certs, with_tls)
    try:
        answer = http.ask(sock, http.request(path, Connection="close"))
    finally:
        sock.close()
    assert SECRET not in answer.body, path
    return answer


def serve(file_server, certs, root, with_tls, **files):
    return file_server(root, {"tls": "main"} if with_tls else {}, files, tls={"main": certs.tls()})


@pytest.mark.parametrize("with_tls", TLS)
def test_every_spelling(with_tls, file_server, certs, tree):
    daemon = serve(file_server, certs, tree, with_tls)
    for path, (status, body) in CASES:
        answer = fetch(daemon, certs, with_tls, path)
        assert answer.status == status and body in (None, answer.body), (path, answer)
    served = daemon.wait_records(len(CASES))
    for record in served:
        kind = records.file_kind("auto", with_tls) if record["status"] == 200 else records.generated(with_tls)
        assert records.kinds(record, "to_client") == {kind}, record


@pytest.mark.parametrize("files", [{"dotfiles": "allow"}, {"autoindex": "html", "index": []},
                                   {"try_files": ["$uri", "$uri/", "$uri.html", "/index.html"]},
                                   {"try_files": ["/dir$uri", "$uri/index.html", "=410"], "symlinks": "off"}])
def test_no_setting_leads_out(files, file_server, certs, tree):
    """Whatever is answered is beneath the root, and malformed stays malformed."""
    for path in (".git/config", ".htpasswd", "dir/.hidden", ".well-known/.x/y"):
        (tree / path).write_text("hidden")
    daemon = serve(file_server, certs, tree, False, **files)
    for path, (status, _) in CASES:
        answer = fetch(daemon, certs, False, path)
        allowed = (status,) if status in (400, 414) else (200, 301, 403, 404, 410)
        assert answer.status in allowed, (path, answer)


@pytest.mark.parametrize("with_tls", TLS)
def test_an_application_of_one_page(with_tls, file_server, certs, tree):
    payload = Payload(300_000)
    payload.write_to(tree / "app.js")
    daemon = serve(file_server, certs, tree, with_tls, try_files=["$uri", "/index.html"])
    cases = [("/app.js", "text/javascript; charset=utf-8", payload.bytes()),
             *((path, "text/html; charset=utf-8", b"front page") for path in
               ("/", "/users/7", "/users/7/", "/users?q=/app.js", "/dir", "/dir/", "/a.txt/x", "/users.js"))]
    for path, kind, body in cases:
        answer = fetch(daemon, certs, with_tls, path)
        assert (answer.status, answer.headers["content-type"], answer.body) == (200, kind, body), path
    told = {record["request"]: record for record in daemon.wait_records(len(cases))}
    for path, _, body in cases:
        records.check_file(told[f"GET {path} HTTP/1.1"], "auto", len(body), with_tls)


def test_pages_without_an_extension(file_server, certs, tree):
    daemon = serve(file_server, certs, tree, False, try_files=["$uri", "$uri/", "$uri.html", "=410"])
    for path, status, body in (("/dir/page", 200, b"page"), ("/dir/page.html", 200, b"page"), ("/dir/", *DIR),
                               ("/index", *FRONT), ("/dir/page/", 410, None), ("/none", 410, None)):
        answer = fetch(daemon, certs, False, path)
        assert answer.status == status and body in (None, answer.body), (path, answer)
    done = http.curl("-L", "-w", "%{url_effective} %{num_redirects}", daemon.url("web", "/dir?a=/..&b=%00"))
    assert done.stdout == b"index of dir" + daemon.url("web", "/dir/?a=/..&b=%00").encode() + b" 1", done


def test_what_answers_is_looked_for_anew(file_server, certs, tree):
    """The fallback steps back as soon as the file is there, and comes back when it is gone."""
    daemon = serve(file_server, certs, tree, False, try_files=["$uri", "/index.html"])
    for _ in range(2):
        assert fetch(daemon, certs, False, "/new.txt").body == b"front page"
        (tree / "new.txt").write_text("new")
        assert fetch(daemon, certs, False, "/new.txt").body == b"new"
        (tree / "new.txt").unlink()


@pytest.mark.parametrize("policy", ["on", "same_owner", "off"])
def test_links(policy, file_server, certs, tree):
    """For files, directories, index files, what try_files falls back to, and listings; asked twice, as what is
    kept open must not know better."""
    os.chown(tree / "a.txt", 1234, 1234)
    mine, theirs = tree / "mine", tree / "theirs"
    for directory in (mine, theirs):
        directory.mkdir()
    os.symlink("../a.txt", mine / "index.html")  # ours, to somebody else's
    os.symlink("../a.txt", theirs / "index.html")
    os.symlink("dir", tree / "link")
    os.symlink("link", tree / "linklink")
    os.chown(theirs / "index.html", 1234, 1234, follow_symlinks=False)
    os.symlink("../secret", tree / "out")
    open_by_policy = {"on": {"mine", "theirs", "dir"}, "same_owner": {"theirs", "dir"}, "off": set()}[policy]
    cases = [("/mine/index.html", "mine", b"plain"), ("/mine/", "mine", b"plain"),
             ("/theirs/index.html", "theirs", b"plain"), ("/theirs/", "theirs", b"plain"),
             ("/link/", "dir", b"index of dir"), ("/link/page.html", "dir", b"page"),
             ("/linklink/page.html", "dir", b"page"), ("/out", None, None)]
    for files in ({}, {"try_files": ["/missing$uri", "$uri", "$uri/"]}):
        daemon = serve(file_server, certs, tree, False, symlinks=policy, **files)
        for path, needs, body in cases * 2:
            answer = fetch(daemon, certs, False, path)
            assert answer.status == (200 if needs in open_by_policy else 403), (path, answer)
            assert answer.status != 200 or answer.body == body, (path, answer)
    fallback = serve(file_server, certs, tree, False, symlinks=policy, try_files=["$uri", "/mine/index.html"])
    assert fetch(fallback, certs, False, "/none").status == (200 if "mine" in open_by_policy else 403)
    listed = serve(file_server, certs, tree, False, symlinks=policy, autoindex="json", index=["none"])
    for path, name, needs in (("/", "link", "dir"), ("/", "linklink", "dir"), ("/", "out", None),
                              ("/mine/", "index.html", "mine"), ("/theirs/", "index.html", "theirs")):
        entries = json.loads(fetch(listed, certs, False, path).body)["entries"]
        assert (name in {entry["name"] for entry in entries}) == (needs in open_by_policy), (path, name)
