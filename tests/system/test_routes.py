"""Routes: by SNI and ALPN of a ClientHello that is looked at and passed through, by what a handshake agreed on, and
by address; and what is refused."""
import json
import os
import random
import socket
import ssl
import subprocess

import pytest

from support import records, streams, tls
from support.backends import converser, echo
from support.daemon import run_cli
from support.env import KTLS, SLOW, seconds, wait_for
from support.hello import client_hello, in_records, padded_hello, record
from support.payload import Payload, digest_of

RELAYS = ["auto", "splice", "copy"]
BULK = Payload(2 * 10**6, seed=3)


def serve_tls(ctx, payload):
    """A TLS server that sends payload and waits for the end. Returns what was agreed on."""
    def handler(sock):
        with ctx.wrap_socket(sock, server_side=True) as secure:
            for part in payload.chunks(1 << 16):
                secure.sendall(part)
            secure.unwrap()
            return secure.selected_alpn_protocol() or "none"
    return handler


def server_context(cert, alpn=None):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(cert["cert"], cert["key"])
    if alpn:
        ctx.set_alpn_protocols(alpn)
    return ctx


def routed(sluice, routes, servers, listener=None, **settings):
    """A daemon with the listener `front`; servers: {backend: address}."""
    return sluice(listeners={"front": {"address": "127.0.0.1:0", "routes": tuple(routes), **(listener or {})}},
                  backends={name: {"servers": (address,)} for name, address in servers.items()}, **settings)


def ends_in_reset(daemon, data, half_close=False):
    """Sends data and asserts a reset. A reset may also come while sending."""
    try:
        with daemon.connect("front") as sock:
            sock.sendall(data)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
            result = streams.receive(sock)
    except OSError:  # reset while sending or half-closing
        return
    assert result.end == "reset" and result.size == 0, (result.end, result.size)


def echoed(daemon, parts, wait=None):
    """Sends the parts, half-closes, and returns what comes back."""
    with daemon.connect("front") as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            sock.sendall(part)
        sock.shutdown(socket.SHUT_WR)
        got = b""
        while part := sock.recv(1 << 16):
            got += part
        return got


@pytest.mark.parametrize("relay", RELAYS)
def test_by_name_passed_through(relay, sluice, backend, certs):
    www = backend(serve_tls(server_context(certs.exact), BULK))
    wild = backend(serve_tls(server_context(certs.wildcard), BULK))
    rest = backend(serve_tls(server_context(certs.localhost), BULK))
    daemon = routed(sluice, [{"sni": ["www.example.test"], "proxy": "www"}, {"sni": ["*.EXAMPLE.test"], "proxy": "wild"},
                             {"proxy": "rest"}],
                    {"www": www.address, "wild": wild.address, "rest": rest.address}, {"relay": relay})
    expected = {"www.example.test": www, "WWW.example.test": www, "other.example.test": wild, "localhost": rest}
    for name, server in expected.items():
        with daemon.connect("front") as sock:
            secure = tls.TlsSocket(sock, tls.context(certs), name)
            streams.receive(secure).assert_all(BULK)
            secure.shutdown(socket.SHUT_WR)
        server.result(server.accepted - 1)
    found = daemon.wait_records(len(expected))
    for name, server in expected.items():
        entry = next(r for r in found if r.get("sni") == name)
        assert entry["target"] == server.address and entry["tls"] is None, entry
        for direction in entry["directions"].values():
            modes = {s["mode"] for s in direction["segments"]}
            assert direction["bytes"] > 200, entry
            # The hello itself is spliced, where splicing is forced.
            if relay == "splice":
                assert modes == {"splice"} and direction["user_bytes"] == 0, entry
            elif relay == "copy":
                assert modes == {"copy"} and direction["kernel_bytes"] == 0, entry
        if relay == "auto":
            assert "splice" in {s["mode"] for s in entry["directions"]["to_client"]["segments"]}, entry
        records.check_record(entry)


def test_every_byte_boundary(sluice, backend):
    server = backend(echo)
    daemon = routed(sluice, [{"sni": ["cut.example.org"], "proxy": "app"}], {"app": server.address},
                    {"relay": "splice"})
    hello = client_hello("cut.example.org", small=True)
    socks = [daemon.connect("front") for _ in hello]
    for cut, sock in enumerate(socks):
        sock.sendall(hello[:cut])
    wait_for(lambda: daemon.connections_open("front") == len(hello), "all of them to be open")
    assert server.accepted == 0
    for cut, sock in enumerate(socks):
        sock.sendall(hello[cut:] + b"tail")
    for sock in socks:
        assert streams.receive_exactly(sock, len(hello) + 4) == hello + b"tail"
        sock.close()
    for entry in daemon.wait_records(len(hello)):
        assert entry["sni"] == "cut.example.org" and entry["directions"]["to_server"]["user_bytes"] == 0, entry


def test_every_record_split_byte_by_byte_and_post_quantum(sluice, backend):
    server = backend(echo)
    daemon = routed(sluice, [{"sni": ["cut.example.org"], "proxy": "app"}], {"app": server.address})
    hello = client_hello("cut.example.org", small=True)
    size = len(hello) - 5
    variants = [in_records(hello, cut) for cut in range(1, size)] + [in_records(hello, *range(1, size))]
    for wire in variants:
        assert echoed(daemon, [wire, b"tail"]) == wire + b"tail"
    assert echoed(daemon, [bytes([byte]) for byte in hello]) == hello
    for extra in (1300, 20000, 64000):
        wire = padded_hello("cut.example.org", extra)
        assert len(wire) <= 65536
        assert echoed(daemon, [wire[:1000], wire[1000:]]) == wire


def test_what_is_no_hello(sluice, backend):
    server = backend(echo)
    routes = [{"sni": ["a.example.org"], "proxy": "app"}]
    strict = routed(sluice, routes, {"app": server.address}, timeouts={"handshake": "2s"})
    hello = client_hello("a.example.org", small=True)
    garbage = random.Random(5).randbytes(65536)
    claims = b"\x16\x03\x01\x40\x00\x01\x00\xf0\x00"
    cases = [
        (b"GET / HTTP/1.1\r\n\r\n", False, "no route"),
        (garbage, False, "no route"),
        (bytes(65536), False, "no route"),
        (hello[:40], True, "no route"),
        (b"", True, "no route"),
        (client_hello("b.example.org"), False, "no route"),
        (client_hello(None), False, "no route"),
        (claims + garbage, False, "malformed ClientHello"),
        (claims + bytes(65536), False, "malformed ClientHello"),
        (b"\x16\x03\x01\x40\x00\x01\x01\x00\x00", False, "ClientHello longer than 64 KiB"),
        (in_records(padded_hello("a.example.org", 14000), *range(1, 14000)), False, "ClientHello longer than 64 KiB"),
    ]
    for number, (data, half_close, detail) in enumerate(cases, 1):
        ends_in_reset(strict, data, half_close)
        entry = strict.wait_records(number)[-1]
        assert (entry["outcome"], entry["detail"]) == ("refused", detail), (number, entry)
        assert entry["directions"]["to_server"]["bytes"] == 0, entry
    assert server.accepted == 0


def test_waiting_for_the_rest_has_an_end_and_costs_nothing(sluice, backend):
    server = backend(echo)
    daemon = routed(sluice, [{"sni": ["a.example.org"], "proxy": "app"}], {"app": server.address},
                    timeouts={"handshake": "1s"})
    hello = padded_hello("a.example.org", 9000)
    before = daemon.cpu_seconds()
    socks = [daemon.connect("front") for _ in range(20)]
    for number, sock in enumerate(socks):
        sock.sendall(hello[:number * 400])
    for sock in socks:
        assert streams.receive(sock).end == "reset"
    assert daemon.cpu_seconds() - before < seconds(0.3)
    for entry in daemon.wait_records(len(socks)):
        assert (entry["outcome"], entry["detail"]) == ("timeout", "ClientHello"), entry


def test_the_last_route_takes_what_has_no_name(sluice, backend):
    named, rest = backend(echo), backend(echo)
    daemon = routed(sluice, [{"sni": ["*.example.org"], "proxy": "named"}, {"proxy": "rest"}],
                    {"named": named.address, "rest": rest.address})
    hello = client_hello("a.example.org")
    for wire in (b"SSH-2.0-x\r\n", client_hello(None), hello[:50], record(b"\x02" + bytes(40))):
        assert echoed(daemon, [wire]) == wire
    assert (named.accepted, rest.accepted) == (0, 4)
    assert echoed(daemon, [hello]) == hello
    assert named.accepted == 1


def test_a_route_by_address_asks_for_no_hello(sluice, backend):
    """So the server may speak first."""
    greeting = Payload(1000)
    server = backend(converser(greeting))
    daemon = routed(sluice, [{"source": ["127.0.0.2"], "deny": True}, {"source": ["127.0.0.0/8"], "proxy": "app"},
                             {"sni": ["x"], "proxy": "app"}], {"app": server.address})
    with daemon.connect("front") as sock:
        streams.receive(sock).assert_all(greeting)
    with socket.socket() as sock:
        sock.settimeout(seconds(20))
        sock.bind(("127.0.0.2", 0))
        try:
            sock.connect(("127.0.0.1", daemon.port("front")))
            assert streams.receive(sock).end == "reset"
        except streams.RESETS:
            pass
    entries = {entry["outcome"]: entry for entry in daemon.wait_records(2)}
    assert (entries["refused"]["target"], entries["refused"]["detail"]) == ("deny", "deny"), entries
    assert entries["refused"]["client"].startswith("127.0.0.2:"), entries


def test_by_protocol_offered(sluice, backend):
    acme, web = backend(echo), backend(echo)
    daemon = routed(sluice, [{"alpn": ["acme-tls/1"], "proxy": "acme"}, {"sni": ["*.example.org"], "proxy": "web"}],
                    {"acme": acme.address, "web": web.address})
    for alpn in (["acme-tls/1"], ["h2", "http/1.1"], None):
        hello = client_hello("a.example.org", alpn=alpn)
        assert echoed(daemon, [hello]) == hello
    assert (acme.accepted, web.accepted) == (1, 2)


def test_real_clients_passed_through(sluice, backend, certs, big_root):
    """curl and openssl s_client, to a Sluice that ends their TLS."""
    inner = sluice(listeners={"web": {"address": "127.0.0.1:0", "tls": "main", "files": "media"}},
                   tls={"main": certs.tls()}, files={"media": {"root": big_root}})
    daemon = routed(sluice, [{"sni": ["localhost"], "proxy": "app"}], {"app": inner.addresses["web"]},
                    {"relay": "splice"})
    port = daemon.port("front")
    done = subprocess.run(["curl", "-sS", "--cacert", certs.ca, f"https://localhost:{port}/big", "-4", "-o", "-"],
                          capture_output=True, timeout=seconds(60), check=True)
    assert Payload(len(done.stdout), seed=7).digest == digest_of(done.stdout)
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost",
                           "-CAfile", certs.ca, "-verify_return_error", "-quiet", "-ign_eof"],
                          input=b"GET /small HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                          capture_output=True, timeout=seconds(60), check=False)
    assert done.stdout.startswith(b"HTTP/1.1 200 OK\r\n"), done
    for entry in daemon.wait_records(2):
        assert entry["sni"] == "localhost" and entry["directions"]["to_server"]["user_bytes"] == 0, entry
        assert entry["directions"]["to_client"]["user_bytes"] == 0, entry


@pytest.mark.skipif(KTLS or SLOW, reason="a browser is slow enough, and what it sends is the same everywhere")
def test_a_browser_passed_through(sluice, certs, tmp_path):
    """Chromium's hello: post-quantum, with GREASE, in an order of its own each time."""
    root = tmp_path / "site"
    root.mkdir()
    (root / "index.html").write_text("<p id=x>served to a browser</p>")
    inner = sluice(listeners={"web": {"address": "127.0.0.1:0", "tls": "main", "files": "media"}},
                   tls={"main": certs.tls(certs.wildcard)}, files={"media": {"root": root}})
    daemon = routed(sluice, [{"sni": ["a.example.test"], "proxy": "app"}], {"app": inner.addresses["web"]},
                    {"relay": "splice"})
    port = daemon.port("front")
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
             "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-dev-shm-usage",
             "--disable-domain-reliability", "--no-default-browser-check", "--no-proxy-server"]
    done = subprocess.run(["chromium", *quiet, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
                           "--ignore-certificate-errors",
                           f"--host-resolver-rules=MAP a.example.test 127.0.0.1:{port}, MAP * ~NOTFOUND",
                           "https://a.example.test/"], capture_output=True, timeout=90, check=False,
                          env={**os.environ, "HOME": str(tmp_path)})
    assert b"served to a browser" in done.stdout, done
    served = [e for e in daemon.records() if e["directions"]["to_client"]["bytes"] > 1000]
    assert served and all(e["sni"] == "a.example.test" for e in served), daemon.records()
    assert all(e["directions"]["to_server"]["user_bytes"] == 0 for e in served), served
    assert max(e["directions"]["to_server"]["bytes"] for e in served) > 1000, served


def test_after_a_handshake(sluice, backend, certs, big_root):
    """With `tls`, by the name and protocol that were agreed on: a proxy, files, and a refusal."""
    payload = Payload(1000, seed=9)
    server = backend(converser(payload))
    routes = [{"alpn": ["x-stream"], "proxy": "app"}, {"sni": ["www.example.test"], "files": "media"},
              {"sni": ["*.example.test"], "deny": True}]
    daemon = routed(sluice, routes, {"app": server.address}, {"tls": "main"},
                    tls={"main": certs.tls(certs.exact, certs.wildcard, alpn=["http/1.1", "x-stream"])},
                    files={"media": {"root": big_root}})

    def secure(name, alpn):
        sock = daemon.connect("front")
        return tls.TlsSocket(sock, tls.context(certs, alpn=alpn), name)
    stream = secure("other.example.test", ["x-stream"])
    streams.converse(stream, Payload(10)).assert_all(payload)
    files = secure("www.example.test", ["http/1.1"])
    files.sendall(b"GET /small HTTP/1.1\r\nHost: www.example.test\r\nConnection: close\r\n\r\n")
    assert b"200 OK" in files.recv(1 << 16)
    files.close()
    denied = secure("other.example.test", None)
    assert streams.receive(denied).end == "reset"
    entries = daemon.wait_records(3)
    assert {e["target"] for e in entries} == {server.address, "files:media", "deny"}, entries
    assert all(e["tls"]["sni"].endswith(".example.test") for e in entries), entries


def test_a_route_to_files_offers_http(sluice, backend, certs, big_root):
    daemon = routed(sluice, [{"sni": ["localhost"], "files": "media"}, {"proxy": "app"}],
                    {"app": backend(echo).address}, {"tls": "main"}, tls={"main": certs.tls()},
                    files={"media": {"root": big_root}})
    with daemon.connect("front") as sock:
        secure = tls.TlsSocket(sock, tls.context(certs, alpn=["h2", "http/1.1"]))
        assert secure.tls.selected_alpn_protocol() == "http/1.1"


def test_files_speak_no_other_protocol(sluice, certs, big_root):
    daemon = routed(sluice, [{"sni": ["localhost"], "files": "media"}], {}, {"tls": "main"},
                    tls={"main": certs.tls(alpn=["h2", "http/1.1"])}, files={"media": {"root": big_root}})
    with daemon.connect("front") as sock:
        secure = tls.TlsSocket(sock, tls.context(certs, alpn=["h2"]))
        assert streams.receive(secure).end == "reset"
    entry = daemon.wait_record()
    assert entry["outcome"] == "refused" and "http/1.1" in entry["detail"], entry


def test_a_reload_changes_routes_for_new_connections(sluice, backend):
    old, new = backend(echo), backend(echo)
    servers = {"old": old.address, "new": new.address}
    daemon = routed(sluice, [{"sni": ["a.example.org"], "proxy": "old"}], servers)
    hello = client_hello("a.example.org")
    with daemon.connect("front") as sock:
        sock.sendall(hello[:100])
        wait_for(lambda: daemon.connections_open("front") == 1, "the connection to be open")
        settings = {"workers": 2, "admin": {"listen": "127.0.0.1:0"},
                    "log": {"access": daemon.log_path}, "timeouts": {"drain": "3s"},
                    "listeners": {"front": {"address": "127.0.0.1:0",
                                            "routes": ({"sni": ["a.example.org"], "proxy": "new"},)}},
                    "backends": {name: {"servers": (address,)} for name, address in servers.items()}}
        daemon.reload(settings)
        wait_for(lambda: daemon.status()["generation"] == 2, "the reload")
        assert echoed(daemon, [hello]) == hello
        sock.sendall(hello[100:])
        assert streams.receive_exactly(sock, len(hello)) == hello
    assert (old.accepted, new.accepted) == (1, 1)


def test_plan_and_status_tell_of_routes(sluice, backend):
    daemon = routed(sluice, [{"sni": ["*.example.org"], "source": ["10.0.0.0/8"], "proxy": "app"}, {"deny": True}],
                    {"app": backend(echo).address})
    plan = json.loads(run_cli("plan", "-c", daemon.file, "--json").stdout)
    routes = {entry["route"]: entry for entry in plan}
    assert set(routes) == {"sni *.example.org; source 10.0.0.0/8 -> proxy:app", "any -> deny"}, plan
    assert routes["any -> deny"]["modes"] == [] and "splice" in routes[next(iter(routes))]["modes"], plan
    assert daemon.status()["listeners"]["front"]["target"] == "routes"


@pytest.mark.parametrize("name", ["a..b", "*", "www.*.org"])
def test_what_is_no_name(name, tmp_path):
    (tmp_path / "c.conf").write_text('backends = { app = { servers = ( "127.0.0.1:1" ); }; };\n'
                                     'listeners = { front = { address = "127.0.0.1:0"; routes = (\n'
                                     f'  {{ sni = [ "{name}" ]; proxy = "app"; }} ); }}; }};\n')
    done = run_cli("check", "-c", tmp_path / "c.conf")
    assert done.returncode == 1
    assert f'c.conf:3: listeners.front.routes[0].sni[0]: "{name}" is not a host name' in done.stderr, done.stderr
