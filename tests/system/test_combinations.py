"""Two capabilities at once, where each alone is tested elsewhere: PROXY headers, routes, filters, pace and queue, with
TLS towards clients, towards servers, and both; and that nothing stays counted, however early a connection ends."""
import socket
import threading

import pytest

from support import env, http, proxy_header, rawtls, records, streams, tls
from support.backends import converser, echo
from support.env import MIB, seconds, wait_for
from support.hello import client_hello
from support.payload import Payload
from support.pki import Pki
from support.proxy_header import read_header, split_tlvs, v2

VERSIONS = ("TLSv1.2", "TLSv1.3")
TRUSTED = {"proxy_protocol": {"trusted": ["127.0.0.1"]}}
BULK = Payload(9 * MIB, seed=4)
SMALL = Payload(5000, seed=5)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    made = Pki(tmp_path_factory.mktemp("pki"), "Both sides")
    made.server = made.issue("localhost", "DNS:localhost,IP:127.0.0.1")
    made.ann = made.issue("Ann")
    return made


@pytest.fixture
def secure(closing, certs):
    """secure(daemon, version, header=..., listener=...) is a TlsSocket, behind a PROXY header if one is given."""
    def connect(daemon, version=None, name="localhost", header=b"", listener="app", pair=None, alpn=None):
        sock = closing(daemon.connect(listener))
        sock.sendall(header)
        context = tls.context(certs, version, alpn=alpn)
        if pair:
            context.load_cert_chain(pair["cert"], pair["key"])
        return closing(tls.TlsSocket(sock, context, name))
    return connect


@pytest.fixture
def to_tls(sluice, pki):
    """to_tls(address, listener..., backend={...}) starts a daemon that relays to a server by TLS."""
    def start(*servers, backend=None, settings=None, **listener):
        keys = {"servers": tuple(servers), "tls": {"ca": pki.ca}, **(backend or {})}
        return sluice(listeners={"app": {"address": "127.0.0.1:0", "proxy": "app", **listener}},
                      backends={"app": keys}, **(settings or {}))
    return start


def serve_tls(pki, handler, version=None):
    """A server's handler that ends TLS and hands a TlsSocket on."""
    context = tls.server_context(pki.server, version)
    return lambda sock: handler(tls.TlsSocket(sock, context, server_side=True))


def read_all(sock):
    while sock.recv(1 << 16):
        pass


def check_crypto(record, direction, source, sink, size, aside=()):
    """All of it went in kernel or user space as the host allows. source, sink: whether that side has TLS; aside:
    other reasons to copy than the host's. The first read of a server's TLS 1.3 is OpenSSL's, for its tickets."""
    crypto = "ktls" if env.KTLS else "user"
    expected = (crypto if source else "none", crypto if sink else "none")
    late = ("user", expected[1]) if direction == "to_client" and source else expected
    assert records.moved(record, direction) == size, record
    for at, (mode, source_crypto, sink_crypto, reason) in enumerate(records.segments(record, direction)):
        if at == 0 and env.KTLS and (source_crypto, sink_crypto) == late != expected:
            assert (mode, record["server_tls"]["version"]) == ("copy", "TLSv1.3"), record
            assert reason in ("ktls_rx_tls13", *aside), record
            continue
        assert (source_crypto, sink_crypto) == expected, record
        if reason not in aside:
            assert (mode, reason) == ("splice", "passthrough") if env.KTLS else ("copy", "ktls_kernel"), record


ASIDE = ("small_transfers", "tls_pending", "control_record")


# --- PROXY headers ---


@pytest.mark.ktls
@pytest.mark.parametrize("version", VERSIONS)
def test_a_header_goes_before_the_handshake_with_a_server(version, to_tls, backend, certs, pki, secure):
    """In the clear, as all receivers want it, and it tells of the client's TLS and not of the server's."""
    def serve(sock):
        header = read_header(sock)
        serve_tls(pki, converser(SMALL), "TLSv1.3" if version == "TLSv1.2" else "TLSv1.2")(sock)
        return header

    server = backend(serve)
    client = {"verify": "required", "ca": pki.ca}
    daemon = to_tls(server.address, tls="main", backend={"proxy_protocol": "v2"},
                    settings={"tls": {"main": certs.tls(client=client)}})
    sock = secure(daemon, version, pair=pki.ann)
    here, cipher = "127.0.0.1:%d" % sock.sock.getsockname()[1], sock.cipher
    streams.converse(sock, SMALL).assert_all(SMALL)
    source, destination, tlvs = server.result()
    assert (source, destination, tlvs[0x02]) == (here, daemon.addresses["app"], b"localhost")
    told = split_tlvs(tlvs[0x20][5:])
    assert tlvs[0x20][:5] == b"\x07\0\0\0\0", tlvs  # by TLS, with a certificate, and it was verified
    assert (told[0x21], told[0x22], told[0x23]) == (version.encode(), b"Ann", cipher.encode())
    record = daemon.wait_record()
    assert record["outcome"] == "complete" and record["tls"]["client_name"] == "Ann", record
    assert record["tls"]["version"] != record["server_tls"]["version"], record
    for direction in records.DIRECTIONS:
        check_crypto(record, direction, True, True, SMALL.size, ASIDE)


@pytest.mark.ktls
@pytest.mark.parametrize("version", VERSIONS)
def test_routes_by_name_over_tls_behind_a_header(version, sluice, backend, certs, secure, big_root):
    """Three things before the target is known: the header, the handshake, the routes; by name, and by the original
    address. Then a proxy, files and a refusal as without all that."""
    server = backend(converser(BULK))
    routes = ({"source": ["192.0.2.66"], "deny": True}, {"sni": ["www.example.test"], "proxy": "app"},
              {"sni": ["*.example.test"], "files": "media"})
    daemon = sluice(listeners={"app": {"address": "127.0.0.1:0", "tls": "main", "routes": routes, **TRUSTED}},
                    backends={"app": {"servers": (server.address,)}}, files={"media": {"root": big_root}},
                    tls={"main": certs.tls(certs.exact, certs.wildcard)})
    sock = secure(daemon, version, "www.example.test", v2("192.0.2.1"))
    streams.converse(sock, BULK).assert_all(BULK)
    server.result().assert_all(BULK)
    sock = secure(daemon, version, "files.example.test", v2("192.0.2.2"))
    sock.sendall(http.request("/small"))
    assert http.Reader(sock).answer().body == Payload(1000).bytes()
    with pytest.raises(streams.RESETS):  # perhaps before the client has done its part of the handshake
        read_all(secure(daemon, version, "www.example.test", v2("192.0.2.66")))
    proxied, files, denied = sorted(daemon.wait_records(3), key=lambda record: record["client"])
    assert (proxied["client"], proxied["target"]) == ("192.0.2.1:56324", server.address), proxied
    for direction in records.DIRECTIONS:
        records.check_tls_relay(proxied, direction, version, "auto", BULK.size)
    assert (files["client"], files["target"]) == ("192.0.2.2:56324", "files:media"), files
    records.check_file(files, "auto", 1000, tls=True)
    assert (denied["client"], denied["outcome"], denied["target"]) == ("192.0.2.66:56324", "refused", "deny"), denied
    for record in (proxied, files, denied):
        assert record["proxy"].startswith("127.0.0.1:") and record["tls"]["version"] == version, record


@pytest.mark.parametrize("relay", ["auto", "splice", "copy"])
def test_maglev_by_the_original_address_of_what_is_passed_through(relay, sluice, backend):
    """The name is looked at, the header told on, and the client that it names has the server that it has where it comes
    by itself; from whatever port, through whatever proxy."""
    servers = [backend(proxy_header.header_then(echo)) for _ in range(4)]
    routes = ({"sni": ["*.example.org"], "proxy": "app"},)
    listener = {"address": "127.0.0.1:0", "relay": relay, "routes": routes, **TRUSTED}
    daemon = sluice(listeners={"app": listener}, backends={"app": {
        "servers": tuple(s.address for s in servers), "balance": "maglev", "proxy_protocol": "v2"}})
    hello = client_hello("a.example.org")

    def ask(host, port):
        """From 127.0.0.1 with a header that names the host; without a port: from the host, which is not trusted."""
        with socket.socket() as sock:
            sock.settimeout(seconds(20))
            sock.bind(("127.0.0.1" if port else host, 0))
            sock.connect(("127.0.0.1", daemon.port("app")))
            sock.sendall((v2(host, "127.0.0.1", (port, 443)) if port else b"") + hello)
            assert streams.receive_exactly(sock, len(hello)) == hello
            return f"{host}:{port or sock.getsockname()[1]}"

    hosts = [f"127.{i}.{i * 7 % 250}.{i * 3 % 250 + 1}" for i in range(1, 17)]
    asked = [ask(host, port) for host in hosts for port in (None, 1111, 2222)]
    found = {record["client"]: record for record in daemon.wait_records(len(asked))}
    assert set(found) == set(asked)
    targets = [found[client]["target"] for client in asked]
    assert targets[0::3] == targets[1::3] == targets[2::3] and len(set(targets)) > 1, targets
    told = [server.result(slot) for server in servers for slot in range(server.accepted)]
    assert {source for source, _, _ in told} == set(asked)
    assert {tlvs[0x02] for _, _, tlvs in told} == {b"a.example.org"}
    for record in found.values():
        assert record["outcome"] == "complete" and record["sni"] == "a.example.org", record
        for direction in records.DIRECTIONS:
            records.check_plain_relay(record, direction, relay, len(hello))


# --- Filters, pace and queue ---


@pytest.mark.ktls
@pytest.mark.parametrize("version, server_version", [("TLSv1.2", None), ("TLSv1.3", None), ("TLSv1.3", "TLSv1.3")])
def test_filters_and_then_splice_by_tls(version, server_version, sluice, backend, certs, pki, secure):
    """What a filter has seen enough of goes over to splice, with crypto in the kernel on all sides that have any."""
    handler = converser(BULK)
    server = backend(serve_tls(pki, handler, server_version) if server_version else handler)
    to_server = {"tls": {"ca": pki.ca}} if server_version else {}
    daemon = sluice(listeners={"app": {"address": "127.0.0.1:0", "proxy": "app", "tls": "main",
                                       "filters": ({"type": "log"}, {"type": "deny", "patterns": ["lion"]})}},
                    backends={"app": {"servers": (server.address,), **to_server}},
                    tls={"main": certs.tls()})
    streams.converse(secure(daemon, version), BULK).assert_all(BULK)
    server.result().assert_all(BULK)
    record = daemon.wait_record()
    assert record["outcome"] == "complete", record
    for direction in records.DIRECTIONS:
        source, sink = (True, bool(server_version)) if direction == "to_server" else (bool(server_version), True)
        check_crypto(record, direction, source, sink, BULK.size, (*ASIDE, "inspect"))
        found = records.segments(record, direction)
        assert found[0][::3] == ("copy", "inspect"), record
        assert found[-1][::3] == (("splice", "passthrough") if env.KTLS else ("copy", "ktls_kernel")), record
        assert record["first_bytes"][direction].encode("latin-1") == BULK.bytes()[:64], record
    sock = secure(daemon, version)
    with pytest.raises(streams.RESETS):
        sock.sendall(b"a li")
        wait_for(lambda: daemon.connections() and daemon.connections()[0]["directions"]["to_server"]["bytes"],
                 "the first part to be relayed")
        sock.sendall(b"on")
        read_all(sock)
    record = daemon.wait_records(2)[-1]
    assert (record["outcome"], record["detail"]) == ("refused", 'filters[1] met "lion"'), record
    check_crypto(record, "to_server", True, bool(server_version), 4, (*ASIDE, "inspect"))


@pytest.mark.ktls
@pytest.mark.parametrize("server_version", VERSIONS)
def test_substitute_towards_a_tls_server(server_version, to_tls, backend, pki):
    """Transformed in one direction all the way; the other is as without a filter."""
    question = b"a cat and a cow; " * 20_000

    def serve(sock):
        got = streams.receive_exactly(sock, len(question) + 2 * 20_000)
        streams.send(sock, BULK)
        return got if streams.receive(sock).end == "eof" else None

    server = backend(serve_tls(pki, serve, server_version))
    daemon = to_tls(server.address, filters=({"type": "substitute", "find": "cat", "replace": "tiger",
                                              "direction": "to_server"},))
    with daemon.connect("app") as sock:
        sock.sendall(question)
        sock.shutdown(socket.SHUT_WR)
        streams.receive(sock).assert_all(BULK)
    assert server.result() == question.replace(b"cat", b"tiger")
    record = daemon.wait_record()
    crypto = "ktls" if env.KTLS else "user"
    assert records.kinds(record, "to_server") == {("copy", "none", crypto, "transform")}, record
    check_crypto(record, "to_client", True, False, BULK.size, ASIDE)


@pytest.mark.ktls
@pytest.mark.parametrize("server_version", VERSIONS)
def test_a_pace_and_a_queue_before_a_tls_server(server_version, to_tls, backend, pki, closing):
    """A second for what is beyond the burst. The next connection gets its place, and shakes hands, when the first has
    ended and not before."""
    rate, payload = 512 << 10, Payload((128 + 512) << 10, seed=6)
    server = backend(serve_tls(pki, converser(payload), server_version))
    daemon = to_tls({"address": server.address, "max_connections": 1}, backend={"queue": {"timeout": "1h"}},
                    limits={"bandwidth": {"to_client": rate, "burst": "128KiB"}})

    first = closing(daemon.connect("app"))
    assert len(streams.receive_exactly(first, 1)) == 1
    second = closing(daemon.connect("app"))
    wait_for(lambda: daemon.status()["backends"]["app"]["queue"]["length"] == 1, "the second to wait")
    assert server.accepted == 1
    second.sendall(SMALL.bytes())
    second.shutdown(socket.SHUT_WR)
    streams.send(first, SMALL)
    rest = streams.receive(first)
    assert rest.size == payload.size - 1 and rest.end == "eof", rest
    first.close()
    streams.receive(second).assert_all(payload)
    second.close()
    for record in daemon.wait_records(2):
        assert record["outcome"] == "complete" and record["server_tls"]["version"] == server_version, record
        check_crypto(record, "to_server", False, True, SMALL.size, ASIDE)
        check_crypto(record, "to_client", True, False, payload.size, ASIDE)
        assert record["duration_ms"] >= 900, record
    assert [server.result(slot).size for slot in (0, 1)] == [SMALL.size] * 2


# --- KeyUpdate from a server ---


@pytest.mark.ktls
@pytest.mark.parametrize("relay", ["auto", "splice"] if env.KTLS else ["auto"])
@pytest.mark.parametrize("asks", [False, True])
def test_a_server_that_changes_its_keys(asks, relay, to_tls, backend, pki, tmp_path):
    """In user space it is followed. With a key of it in the kernel the connection is ended, and the log says why; it
    is never left to hang, or to spin."""
    go_on = threading.Event()

    def serve(sock):
        server = rawtls.RawTls(sock, None, "TLSv1.3", tmp_path, pki.server)
        server.send(b"before")
        server.update_key(asks)
        go_on.wait(seconds(20))
        server.send(b"after")
        server.send(rawtls.CLOSE_NOTIFY, rawtls.ALERT)
        return streams.receive(server.stream)

    server = backend(serve)
    daemon = to_tls(server.address, relay=relay)
    with daemon.connect("app") as sock:
        sock.sendall(SMALL.bytes())
        before = daemon.cpu_seconds()
        if not env.KTLS:
            assert streams.receive_exactly(sock, 6) == b"before"
            sock.shutdown(socket.SHUT_WR)
            env.wait_until_still(lambda: 0, "half a second", quiet=0.5)
            go_on.set()
        got = streams.receive(sock)
        go_on.set()
        assert daemon.cpu_seconds() - before < seconds(0.3)
    record = daemon.wait_record()
    if env.KTLS:
        assert got.end == "reset", (got, record)
        assert record["outcome"] == "reset" and "KeyUpdate" in record["detail"], record
    else:
        assert (got.first, got.end) == (b"after", "eof"), got
        server.result().assert_all(SMALL)
        assert record["outcome"] == "complete", record
        check_crypto(record, "to_client", True, False, 11)
        check_crypto(record, "to_server", False, True, SMALL.size)


# --- What stays counted ---


def refuse(daemon, listener, wire, half_close):
    """A connection that says this and is not served."""
    try:
        with daemon.connect(listener) as sock:
            sock.sendall(wire)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
            streams.receive(sock)
    except OSError:
        pass


def test_nothing_stays_counted(sluice, backend, certs, secure):
    """Every early end, in every state before the relaying, from one client that may have one connection at a time: had
    any of them kept its place, the next would be refused for that."""
    server, silent = backend(converser(SMALL)), backend(streams.receive)
    plain = backend(lambda sock: sock.sendall(b"220 hello\r\n") or streams.receive(sock))
    servers = {"www": server.address, "dead": "127.0.0.1:1", "silent": silent.address, "plain": plain.address}
    routes = ({"sni": ["deny.example.test"], "deny": True},
              *({"sni": [f"{name}.example.test"], "proxy": name} for name in servers))
    keys = {"address": "127.0.0.1:0", "routes": routes, "deny": ["192.0.2.66"], **TRUSTED,
            "limits": {"max_connections": 1, "max_connections_per_client": 1}}
    ended, hasty = {"tls": "main"}, {"timeouts": {"handshake": "500ms"}}
    listeners = {"app": keys, "hasty": {**keys, **hasty}, "ended": {**keys, **ended},
                 "both": {**keys, **ended, **hasty}}
    daemon = sluice(listeners=listeners, tls={"main": certs.tls(certs.exact, certs.wildcard)},
                    backends={name: {"servers": (address,), **({"tls": {"verify": False}} if name in ("silent", "plain")
                                                               else {})} for name, address in servers.items()})
    told, hello = v2("192.0.2.1"), client_hello("www.example.test")
    malformed = b"\x16\x03\x01\x40\x00\x01\x00\xf0\x00" + bytes(70000)
    cases = [  # listener, what is sent, whether then half-closed, outcome, a part of the detail
        ("app", b"", True, "refused", "closed before the end of a PROXY header"),
        ("app", b"GET / HTTP/1.1\r\n\r\n", False, "refused", "PROXY"),
        ("hasty", told[:20], False, "timeout", "PROXY header"),
        ("app", v2("192.0.2.66") + hello, False, "refused", "deny"),
        ("app", told + client_hello("deny.example.test"), False, "refused", "deny"),
        ("app", told + client_hello("other.example.test"), False, "refused", "no route"),
        ("app", told + malformed, False, "refused", "malformed ClientHello"),
        ("hasty", told + hello[:50], False, "timeout", "ClientHello"),
        ("app", told + client_hello("dead.example.test"), False, "no_server", "refused"),
        ("app", told + client_hello("plain.example.test"), False, "no_server", "TLS: wrong version number"),
        ("hasty", told + client_hello("silent.example.test"), False, "timeout", "TLS: handshake"),
        ("ended", told + b"GET / HTTP/1.1\r\n\r\n", False, "handshake", "http request"),
        ("ended", told, True, "handshake", "the client closed"),
        ("both", told + hello[:50], False, "timeout", "handshake"),
    ]

    def is_over(count, outcome, detail):
        record = daemon.wait_records(count)[-1]
        assert record["outcome"] == outcome and detail in record.get("detail", ""), record
        for listener in listeners:
            wait_for(lambda name=listener: daemon.metrics()["sluice_connections", frozenset({("listener", name)})] == 0,
                     f"no connection of {listener} to be counted")
        return count

    done = 0
    for _ in range(2):
        for listener, wire, half_close, outcome, detail in cases:
            refuse(daemon, listener, wire, half_close)
            done = is_over(done + 1, outcome, detail)
        for name, outcome, detail in (("deny", "refused", "deny"), ("other", "refused", "no route"),
                                      ("dead", "no_server", "refused")):
            with pytest.raises(streams.RESETS):
                read_all(secure(daemon, None, f"{name}.example.test", told, "ended"))
            done = is_over(done + 1, outcome, detail)
    streams.converse(secure(daemon, None, "www.example.test", told, "ended"), SMALL).assert_all(SMALL)
    is_over(done + 1, "complete", "")
    assert server.accepted == 1
    assert not any(value for (name, _), value in daemon.metrics().items() if name == "sluice_connections_limited_total")
