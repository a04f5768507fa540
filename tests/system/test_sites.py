"""Virtual hosts: by Host and SNI, paths, redirects; fetched by real curl, and asked what no curl would ask."""
import json
from urllib.parse import urljoin, urlsplit

import pytest

from support import env, http, records, tls
from support.config import config_text
from support.daemon import run_cli
from support.payload import Payload

PLAIN_RELAYS = ("auto", "sendfile", "mmap", "copy")
TLS_RELAYS = (("auto", "TLSv1.2"), ("auto", "TLSv1.3"), ("copy", "TLSv1.3"),
              *((("sendfile", "TLSv1.3"), ("mmap", "TLSv1.2")) if env.KTLS else ()))
ROOT, MEDIA, OTHER = Payload(70_001, seed=1), Payload(1_000_017, seed=2), Payload(1000, seed=3)


@pytest.fixture(scope="module")
def cert(certs):
    return certs.make("sites", "DNS:example.test,DNS:*.example.test,DNS:other.test")


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """Three roots with a file `f` each; media's has a directory, too."""
    root = tmp_path_factory.mktemp("sites")
    for name, payload in (("root", ROOT), ("media", MEDIA), ("other", OTHER)):
        (root / name / "sub").mkdir(parents=True)
        payload.write_to(root / name / "f")
        (root / name / "sub" / "index.html").write_text(name)
    return {name: {"root": root / name} for name in ("root", "media", "other")}


MAIN = {"hosts": ["example.test", "*.example.test"], "paths": (
    {"files": "root"}, {"prefix": "/media/", "files": "media"}, {"prefix": "/sub", "files": "root", "strip": False},
    {"prefix": "/old", "redirect": "/media/"}, {"prefix": "/away", "redirect": "https://other.test", "status": 308},
    {"exact": "/f.html", "redirect": "/f?kept#there", "append": False, "status": 302},
    {"prefix": "/gone", "status": 410})}
OTHER_SITE = {"hosts": ["other.test"], "paths": ({"files": "other"},)}
REST = {"paths": ({"files": "media"},)}


@pytest.fixture
def start(sluice, certs, cert, roots):
    """start({site: keys}, ...) starts a daemon with the listeners `plain` and `tls`, which have all the sites."""
    def start(sites, relay="auto", ktls="auto", tls_relay=None, **settings):
        names = list(sites)
        listeners = {"plain": {"address": "127.0.0.1:0", "sites": names, "relay": relay},
                     "tls": {"address": "127.0.0.1:0", "sites": names, "tls": "main", "relay": tls_relay or "auto"}}
        return sluice(listeners=listeners, sites=sites, files=roots, tls={"main": certs.tls(cert, ktls=ktls)},
                      **settings)
    return start


def through(daemon):
    """curl's options by which every host and port of http and https are this daemon's."""
    return [part for port, name in ((80, "plain"), (443, "tls"))
            for part in ("--connect-to", f":{port}:127.0.0.1:{daemon.port(name)}")]


def fetch(daemon, certs, url, payload, *args):
    http.curl_fetch(*through(daemon), *args, url, ca=certs.ca).assert_all(payload)


def fetch_places(daemon, certs, directory, scheme, places, *args):
    """All of them by one curl, and what the log must say of each."""
    urls = [part for number, place in enumerate(places)
            for part in (f"{scheme}://{place[0]}?{number}", "-o", directory / f"got{number}")]
    done = http.curl(*through(daemon), "--path-as-is", *args, *urls, ca=certs.ca)
    assert done.returncode == 0, done
    # Of several connections the records come in any order; the query tells whose each is.
    found = sorted(daemon.wait_records(len(places)), key=lambda r: int(r["request"].split()[1].split("?")[1]))
    for number, (record, (_, payload, site, target)) in enumerate(zip(found, places, strict=True)):
        assert (directory / f"got{number}").read_bytes() == payload.bytes(), places[number]
        assert (record["site"], record["target"]) == (site, target), record
    return found


def told(daemon, certs, *args):
    """What curl says of a fetch, the body left away: [status, redirects, last URL]."""
    done = http.curl(*through(daemon), "-o", "/dev/null", "-w", "%{http_code} %{num_redirects} %{url_effective}", *args,
                     ca=certs.ca)
    assert done.returncode == 0, done
    status, redirects, url = done.stdout.decode().split()
    return [int(status), int(redirects), url]


PLACES = [  # URL without scheme, payload, site, target
    ("example.test/f", ROOT, "main", "files:root"),
    ("www.example.test/media/f", MEDIA, "main", "files:media"),
    ("a.b.EXAMPLE.test./media/../f", ROOT, "main", "files:root"),
    ("example.test/%6dedia//./f", MEDIA, "main", "files:media"),
    ("other.test/f", OTHER, "other", "files:other"),
]


@pytest.mark.parametrize("relay", PLAIN_RELAYS)
def test_by_host_and_path(relay, start, certs, tmp_path):
    daemon = start({"main": MAIN, "other": OTHER_SITE, "rest": REST}, relay)
    places = [*PLACES, ("nobody.test/f", MEDIA, "rest", "files:media")]
    for place, record in zip(places, fetch_places(daemon, certs, tmp_path, "http", places), strict=True):
        records.check_file(record, relay, place[1].size)


@pytest.mark.ktls
@pytest.mark.parametrize("relay, version", TLS_RELAYS)
def test_by_host_and_path_over_tls(relay, version, start, certs, tmp_path):
    daemon = start({"main": MAIN, "other": OTHER_SITE}, tls_relay=relay)
    places = [place for place in PLACES if not place[0].startswith("a.b.")]  # which no certificate can be for
    found = fetch_places(daemon, certs, tmp_path, "https", places, *http.tls_args(version))
    for place, record in zip(places, found, strict=True):
        records.check_tls(record, version)
        records.check_file(record, relay, place[1].size, tls=True)


def test_the_prefix_is_cut_off_or_kept(start, certs):
    daemon = start({"main": MAIN})
    for path, body in (("/media/sub/", b"media"), ("/sub/", b"root"), ("/media/sub", b"media"), ("/sub", b"root")):
        done = http.curl(*through(daemon), "-L", f"http://example.test{path}")
        assert done.stdout == body, (path, done)
    assert told(daemon, certs, "http://example.test/media/sub?q")[0] == 301
    # A redirect to the slash keeps the prefix, and that of the prefix alone does not leave the site.
    assert told(daemon, certs, "-L", "http://example.test/media/sub?q")[1:] == [1, "http://example.test/media/sub/?q"]
    assert told(daemon, certs, "-L", "http://example.test/media")[1:] == [1, "http://example.test/media/"]
    assert told(daemon, certs, "http://example.test/mediaf")[0] == 404


def test_redirects_and_statuses(start, certs):
    daemon = start({"main": MAIN, "other": OTHER_SITE})
    fetch(daemon, certs, "http://example.test/old/f", MEDIA, "-L")
    fetch(daemon, certs, "http://example.test/away/f", OTHER, "-L")
    for path, expected in {
            "/old/sub/?q=1": [200, 1, "http://example.test/media/sub/?q=1"],
            "/old/a%20b": [404, 1, "http://example.test/media/a%20b"],
            "/away": [404, 1, "https://other.test/"],  # it has no index
            "/f.html?lost": [200, 1, "http://example.test/f?kept#there"],
            "/gone/x": [410, 0, "http://example.test/gone/x"]}.items():
        status, redirects, url = told(daemon, certs, "-L", f"http://example.test{path}")
        if path == "/away":
            assert status == 403, status
            expected[0] = 403
        assert [status, redirects, url] == expected, path
    first = [r for r in daemon.wait_records(13) if r["target"] in ("redirect", "status")]
    assert {r["status"] for r in first} == {301, 302, 308, 410}
    for record in first:
        assert record["site"] == "main" and records.kinds(record, "to_client") == {records.GENERATED}, record


def test_a_redirect_keeps_the_method_where_it_should(start, certs):
    daemon = start({"main": MAIN, "other": OTHER_SITE})
    done = told(daemon, certs, "-L", "-d", "x=1", "http://example.test/away/f")
    assert done == [405, 1, "https://other.test/f"], "308: it is still a POST, and files take none"
    done = told(daemon, certs, "-L", "-d", "x=1", "http://example.test/old/f")
    assert done == [200, 1, "http://example.test/media/f"], "301: browsers and curl make a GET of it"
    assert sorted(r["request"].split()[0] for r in daemon.wait_records(4)) == ["GET", "POST", "POST", "POST"]


CANONICAL = {**MAIN, "canonical": "www.example.test", "redirect_https": True}


def test_one_host_and_https(start, certs):
    """From the wrong scheme and the wrong host in one step."""
    daemon = start({"main": CANONICAL, "other": {**OTHER_SITE, "redirect_https": True, "https_port": 8443}})
    for url in ("http://example.test/media/f?q", "http://x.example.test/media/f?q", "http://www.example.test/media/f?q",
                "https://example.test/media/f?q"):
        assert told(daemon, certs, "-L", url) == [200, 1, "https://www.example.test/media/f?q"], url
    assert told(daemon, certs, "https://www.example.test/f") == [200, 0, "https://www.example.test/f"]
    answer = ask(daemon, "plain", "/a//b/?q", "Other.Test:80")
    assert (answer.status, answer.headers["location"]) == (301, "https://other.test:8443/a/b/?q")
    answer = ask(daemon, "plain", "/", "nobody.test")
    assert answer.status == 421 and "location" not in answer.headers


def test_the_port_of_the_listener_stays(start, certs):
    daemon = start({"main": {**MAIN, "canonical": "example.test"}})
    port = daemon.port("plain")
    for host, location in ((f"www.example.test:{port}", f"http://example.test:{port}/f"),
                           ("www.example.test", "http://example.test/f"),
                           ("www.example.test:1", "http://example.test/f")):
        answer = ask(daemon, "plain", "/f", host)
        assert (answer.status, answer.headers["location"]) == (301, location), host
    assert ask(daemon, "plain", "/f", f"example.test:{port}").status == 200
    assert ask(daemon, "plain", "/f", "example.test:1").status == 200


def test_header_fields_of_the_files_on_redirects(sluice, certs, cert, roots):
    """HSTS must be on the redirect from the bare domain, too; what a path has of its own comes before the root's."""
    files = {"root": {**roots["root"], "hsts": {"max_age": "1d"}, "server_header": "here"},
             "media": {**roots["media"], "headers": ({"name": "X-Media", "value": "yes"},)}}
    site = {"hosts": ["example.test", "www.example.test"], "canonical": "example.test", "paths": (
        {"files": "root"}, {"prefix": "/media", "files": "media"}, {"prefix": "/media/old", "redirect": "/media"},
        {"prefix": "/gone", "status": 410})}
    daemon = sluice(files=files, sites={"main": site}, tls={"main": certs.tls(cert)}, listeners={
        "plain": {"address": "127.0.0.1:0", "sites": ["main"]},
        "tls": {"address": "127.0.0.1:0", "sites": ["main"], "tls": "main"}})

    def fields(url):
        done = http.curl(*through(daemon), "-o", "/dev/null", "-D", "-", url, ca=certs.ca)
        assert done.returncode == 0, done
        lines = [line.split(": ", 1) for line in done.stdout.decode().split("\r\n")[1:] if line]
        return {name.lower(): value for name, value in lines}
    for url in ("https://www.example.test/", "https://www.example.test/f", "https://example.test/f",
                "https://example.test/gone"):
        got = fields(url)
        assert (got["strict-transport-security"], got["server"]) == ("max-age=86400", "here"), (url, got)
    plain = fields("http://www.example.test/")
    assert "strict-transport-security" not in plain and plain["server"] == "here", plain
    for url in ("http://www.example.test/media/f", "http://example.test/media/old/x", "http://example.test/media/f"):
        got = fields(url)
        assert (got["x-media"], got["server"]) == ("yes", "sluice"), (url, got)


def ask(daemon, listener, path, host, method="GET", version="HTTP/1.1"):
    with daemon.connect(listener) as sock:
        return http.ask(sock, http.request(path, method, host, version), head=method == "HEAD")


NASTY = ["//evil.test", "///evil.test/", "/\\evil.test", "/%5cevil.test", "/%2fevil.test", "/%2f%2fevil.test",
         "/%0d%0aevil", "/x%0d%0aSet-Cookie:%20y", "/%00", "/a?%0d%0aSet-Cookie:x", "/.evil.test", "/@evil.test",
         "/:@evil.test/", "/..//evil.test", "/./%2e%2e//evil.test", "/old//evil.test", "/old/%5c%5cevil.test",
         "/away/.evil.test", "/away@evil.test", "/away//evil.test", "/old/..//evil.test", "/media//evil.test/..",
         "/sub/%2e%2e/%2e%2e/evil.test", "/%252f%252fevil.test", "/a#b", "/\xff", "http://evil.test/f",
         "http://example.test//evil.test", "/?//evil.test", "/?\\evil.test"]


@pytest.mark.parametrize("site", [CANONICAL, {**MAIN, "canonical": "www.example.test"}, MAIN],
                         ids=["https", "host", "path"])
def test_nothing_leads_elsewhere(site, start):
    """Whatever is asked for, a redirect leads to a host that was configured, and is one line."""
    daemon = start({"main": site})
    ours = {"example.test", "www.example.test", "x.example.test", "other.test"}
    redirects = 0
    for path in NASTY:
        for host in ("example.test", "x.example.test", "evil.test", "example.test.evil.test", "example.test:@evil.test",
                     "example.test/evil"):
            answer = ask(daemon, "plain", path, host)
            assert answer.status in (301, 308, 400, 403, 404, 421), (path, host, answer)
            assert "set-cookie" not in answer.headers, (path, host, answer)
            if location := answer.headers.get("location"):
                redirects += 1
                assert location.isascii() and "\\" not in location.split("?")[0], (path, host, location)
                assert urlsplit(urljoin(f"http://{host}/x/", location)).hostname in ours, (path, host, location)
    assert redirects >= 4, "some of them are"


def test_another_host_than_sni_is_misdirected(start, certs):
    daemon = start({"main": MAIN, "other": OTHER_SITE})
    asked = [("https://example.test/f", "other.test", 421), ("https://other.test/f", "www.example.test", 421),
             ("https://example.test/f", "nobody.test", 421), ("https://example.test/f", "x.example.test", 200),
             ("https://other.test/f", "OTHER.test.:1", 200),
             # Without SNI, as curl connects to an address, the host alone counts.
             ("https://127.0.0.1/f", "example.test", 200), ("https://127.0.0.1/f", "other.test", 200),
             ("https://127.0.0.1/f", "nobody.test", 421)]
    for url, host, status in asked:
        assert told(daemon, certs, "-k", "-H", f"Host: {host}", url)[0] == status, (url, host)
    # An unknown name: there is a connection, with the first certificate, and no site.
    assert told(daemon, certs, "-k", "https://nobody.test/f")[0] == 421
    misdirected = [r for r in daemon.wait_records(9) if r["status"] == 421]
    assert len(misdirected) == 5 and not any("site" in r for r in misdirected), misdirected


def test_what_no_curl_asks(start, closing, certs):
    daemon = start({"main": MAIN, "other": OTHER_SITE})
    # RFC 9112 3.2.2: the target's authority counts, whatever Host says.
    answer = ask(daemon, "plain", "http://other.test/f", "example.test")
    assert answer.status == 200 and answer.body == OTHER.bytes()
    assert ask(daemon, "plain", "http://nobody.test/f", "example.test").status == 421
    assert ask(daemon, "plain", "/f", None, version="HTTP/1.0").status == 421
    ctx = tls.context(certs)
    for name, host, target, status in (("other.test", None, "/f", 200), ("example.test", "other.test", "/f", 421),
                                       ("other.test", "example.test", "https://other.test/f", 200),
                                       ("example.test", "example.test", "https://other.test/f", 421)):
        sock = tls.TlsSocket(closing(daemon.connect("tls")), ctx, name)
        version = "HTTP/1.1" if host else "HTTP/1.0"
        assert http.ask(sock, http.request(target, host=host, version=version)).status == status, (name, host, target)


def test_a_connection_may_ask_for_one_site_after_the_other(start):
    daemon = start({"main": MAIN, "other": OTHER_SITE})
    with daemon.connect("plain") as sock:
        reader = http.Reader(sock)
        sock.sendall(http.request("/media/f", host="example.test") + http.request("/f", host="other.test")
                     + http.request("/f", host="nobody.test") + http.request("/f", host="example.test"))
        answers = [reader.answer() for _ in range(4)]
    assert [a.status for a in answers] == [200, 200, 421, 200]
    assert [a.body for a in (answers[0], answers[1], answers[3])] == [p.bytes() for p in (MEDIA, OTHER, ROOT)]
    assert [r.get("site") for r in daemon.wait_records(4)] == ["main", "other", None, "main"]


def test_the_site_of_a_live_answer(sluice, closing, big_root):
    daemon = sluice(listeners={"web": {"address": "127.0.0.1:0", "sites": ["main"]}},
                    sites={"main": {"paths": ({"prefix": "/media", "files": "media"},)}},
                    files={"media": {"root": big_root}})
    sock = closing(daemon.connect("web", rcvbuf=4096))
    sock.sendall(http.request("/media/big"))
    assert sock.recv(1) == b"H"
    live = env.wait_for(lambda: [c for c in daemon.connections() if c["listener"] == "web"], "the answer")[0]
    assert (live["site"], live["target"]) == ("main", "files:media"), live


def test_routes_lead_to_sites(sluice, certs, cert, roots):
    listener = {"address": "127.0.0.1:0", "tls": "main", "routes": (
        {"sni": ["other.test"], "sites": ["other"]}, {"sni": ["example.test"], "sites": ["main"]}, {"deny": True})}
    daemon = sluice(listeners={"plain": {"address": "127.0.0.1:0", "sites": ["main"]}, "tls": listener}, files=roots,
                    sites={"main": MAIN, "other": OTHER_SITE}, tls={"main": certs.tls(cert)})
    fetch(daemon, certs, "https://other.test/f", OTHER)
    fetch(daemon, certs, "https://example.test/media/f", MEDIA)
    assert told(daemon, certs, "-H", "Host: example.test", "https://other.test/f")[0] == 421
    found = {r.get("site"): r for r in daemon.wait_records(3)}
    assert set(found) == {"other", "main", None}
    records.check_file(found["main"], "auto", MEDIA.size, tls=True)


def test_a_reload_swaps_a_site(start, certs, roots, closing, cert):
    daemon = start({"main": MAIN, "other": OTHER_SITE})
    kept = http.Reader(closing(daemon.connect("plain")))
    kept.sock.sendall(http.request("/f", host="example.test"))
    assert kept.answer().body == ROOT.bytes()
    swapped = {"hosts": ["example.test"], "paths": ({"files": "media"},)}
    fresh = {"hosts": ["*.example.test", "other.test"], "paths": ({"files": "other"},)}
    settings = {"workers": 2, "admin": {"listen": "127.0.0.1:0"}, "log": {"access": daemon.log_path},
                "timeouts": {"drain": "3s"}, "files": roots, "tls": {"main": certs.tls(cert)},
                "sites": {"main": swapped, "fresh": fresh},
                "listeners": {name: {"address": "127.0.0.1:0", "sites": ["main", "fresh"],
                                     **({"tls": "main"} if name == "tls" else {})} for name in ("plain", "tls")}}
    daemon.reload(settings)
    env.wait_for(lambda: daemon.status()["generation"] == 2, "the reload")
    fetch(daemon, certs, "http://example.test/f", MEDIA)
    fetch(daemon, certs, "https://example.test/f", MEDIA)
    fetch(daemon, certs, "https://www.example.test/f", OTHER)
    # Who was here before keeps the rules under which it came.
    kept.sock.sendall(http.request("/media/f", host="www.example.test"))
    assert kept.answer().body == MEDIA.bytes()
    assert sorted(r["site"] for r in daemon.wait_records(5)) == ["fresh", "main", "main", "main", "main"]


def test_plan_tells_each_path(tmp_path, roots, certs, cert):
    file = tmp_path / "sluice.conf"
    file.write_text(config_text({
        "files": roots, "sites": {"main": CANONICAL, "rest": REST}, "tls": {"main": certs.tls(cert, ktls="off")},
        "listeners": {"plain": {"address": ":0", "sites": ["main", "rest"]},
                      "tls": {"address": ":0", "tls": "main", "sites": ["main"]}}}))
    done = run_cli("plan", "-c", file, "--json")
    assert done.returncode == 0, done
    entries = [(e["listener"], e["route"], e["modes"], e["reasons"]) for e in json.loads(done.stdout)]
    assert ("plain", "main -> https", ["copy"], ["generated"]) in entries
    assert not any(listener == "plain" and "/media" in route for listener, route, _, _ in entries)
    files = next(e for e in entries if e[:2] == ("plain", "rest / -> files:media"))
    assert files[2][0] == "sendfile" and "generated" in files[3], files
    over_tls = {route: modes for listener, route, modes, _ in entries if listener == "tls"}
    assert over_tls == {route: ["copy"] for route in (
        "main / -> files:root", "main /media/ -> files:media", "main /sub -> files:root", "main /old -> redirect",
        "main /away -> redirect", "main = /f.html -> redirect", "main /gone -> 410")}


def test_hosts_without_a_certificate(tmp_path, roots, certs, cert):
    file = tmp_path / "sluice.conf"
    hosts = ["example.test", "a.example.test", "*.Example.test", "a.b.example.test", "other.test.", "none.test",
             "127.0.0.1", "[::1]"]
    site = {"hosts": hosts, "paths": ({"files": "root"},)}
    routes = ({"sni": ["none.test"], "sites": ["main"]},)
    file.write_text(config_text({
        "files": roots, "sites": {"main": site}, "tls": {"main": certs.tls(cert)},
        "listeners": {"web": {"address": ":0", "tls": "main", "sites": ["main"]},
                      "plain": {"address": ":0", "sites": ["main"]},
                      "routed": {"address": ":0", "tls": "main", "routes": routes}}}))
    done = run_cli("check", "-c", file)
    lines = done.stderr.splitlines()
    assert done.returncode == 0 and len(lines) == 4, done
    for listener, key in (("web", "sites"), ("routed", "routes[0].sites")):
        for host in ("a.b.example.test", "none.test"):
            wanted = f'listeners.{listener}.{key}: warning: no certificate of tls.main is for "{host}" of "main"'
            assert any(wanted in line for line in lines), (wanted, lines)


@pytest.mark.parametrize("keys, problem", [
    ({"hosts": ["a.test", "b.test/x"]}, 'sites.main.hosts[1]: "b.test/x" is not a host'),
    ({"hosts": ["*.a.test"], "canonical": "b.test"}, 'sites.main.canonical: "b.test" is none of the site\'s hosts'),
])
def test_hosts_that_can_not_be(keys, problem, tmp_path, roots):
    file = tmp_path / "sluice.conf"
    file.write_text(config_text({"files": roots, "sites": {"main": {**keys, "paths": ({"files": "root"},)}},
                                 "listeners": {"web": {"address": ":0", "sites": ["main"]}}}))
    done = run_cli("check", "-c", file)
    assert done.returncode == 1 and problem in done.stderr and str(file) in done.stderr, done
