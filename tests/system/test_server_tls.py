"""TLS to the servers of a backend: who is believed, what is shown, sessions, modes and cryptos on both sides; against
Python's ssl, openssl s_server, nginx and HAProxy."""
import re
import signal
import subprocess

import pytest

from support import env, records, streams, tls
from support.backends import Backend, free_port
from support.config import config_text
from support.daemon import plan_of, run_cli
from support.env import MIB, wait_for
from support.payload import Payload
from support.pki import Pki
from support.tls_peers import Peers

pytestmark = pytest.mark.ktls

VERSIONS = ("TLSv1.2", "TLSv1.3")


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    made = Pki(tmp_path_factory.mktemp("servers"), "Servers")
    made.good = made.issue("localhost", "DNS:localhost,IP:127.0.0.1,IP:::1")
    made.named = made.issue("app", "DNS:app.example.test")
    made.old = made.expired("old", "DNS:localhost,IP:127.0.0.1")
    made.revoked = made.issue("revoked", "DNS:localhost,IP:127.0.0.1")
    made.client = made.issue("Sluice")
    made.revoke(made.revoked)
    made.list = made.crl()
    return made


@pytest.fixture
def secure(closing, pki):
    """secure(handler, ...) is a Backend that speaks TLS; handler gets a TlsSocket. `names` has the SNI it saw."""
    def start(handler, pair=None, path=None, **keys):
        context = tls.server_context(pair or pki.good, **keys)
        names = []
        context.sni_callback = lambda ssl_object, name, _: names.append(name)

        def serve(sock):
            return handler(tls.TlsSocket(sock, context, server_side=True))

        server = closing(Backend(serve, path=path))
        server.names = names
        return server
    return start


@pytest.fixture
def relay_to(sluice, pki, certs):
    """relay_to(address, tls={...}) starts a daemon that relays to servers by TLS; client="TLSv1.3": it ends TLS too."""
    def start(*servers, client=None, keys=None, **listener):
        listener = {"address": "127.0.0.1:0", "proxy": "app", **({"tls": "main"} if client else {}), **listener}
        keys = keys or {}
        trusted = {} if keys.get("verify") is False else {"ca": pki.ca}
        return sluice(listeners={"app": listener}, tls={"main": certs.tls()},
                      backends={"app": {"servers": tuple(servers), "tls": {**trusted, **keys}}})
    return start


def dial(daemon, certs, closing, client=None):
    sock = closing(daemon.connect("app"))
    return closing(tls.TlsSocket(sock, tls.context(certs, client))) if client else sock


def is_refused(daemon, closing):
    """A client in the clear sees a reset and not a byte; perhaps before connect() has returned."""
    try:
        got = streams.converse(closing(daemon.connect("app")), Payload(1000))
    except ConnectionResetError:
        return True
    return got.lost and got.size == 0


def crypto_tx():
    return "ktls" if env.KTLS else "user"


def check_relay(record, client, server, relay, to_server, to_client, outcome="complete"):
    """Both directions went as host and policy say."""
    assert record["outcome"] == outcome and record["server_tls"]["version"] == server, record
    for name, size in (("to_server", to_server), ("to_client", to_client)):
        direction = record["directions"][name]
        assert direction["bytes"] == size, record
        for segment in direction["segments"]:
            source, sink = (client, server) if name == "to_server" else (server, client)
            assert (segment["source_crypto"] == "none") == (source is None), record
            assert segment["sink_crypto"] == ("none" if sink is None else crypto_tx()), record
            if relay == "copy":
                assert (segment["mode"], segment["reason"]) == ("copy", "forced"), record
            elif not env.KTLS:
                assert (segment["mode"], segment["reason"]) == ("copy", "ktls_kernel"), record


@pytest.mark.parametrize("relay", ["auto", "copy"])
@pytest.mark.parametrize("server", VERSIONS)
@pytest.mark.parametrize("client", [None, *VERSIONS])
def test_sizes_each_way(client, server, relay, relay_to, secure, certs, closing):
    waiting = []
    backend = secure(lambda sock: streams.converse(sock, waiting.pop()), version=server)
    daemon = relay_to(backend.address, client=client, relay=relay)
    done = 0
    for size in (0, 1, 16385, MIB) if not env.KTLS else (1, MIB):
        for up, down in ((size, 0), (0, size), (size, size)):
            to_server, to_client = Payload(up, seed=2), Payload(down, seed=3)
            waiting.append(to_client)
            at_client = streams.converse(dial(daemon, certs, closing, client), to_server)
            backend.result(done).assert_all(to_server)
            at_client.assert_all(to_client)
            done += 1
            check_relay(daemon.wait_records(done)[-1], client, server, relay, up, down)


@pytest.mark.parametrize("server", VERSIONS)
@pytest.mark.parametrize("client", [None, "TLSv1.3"])
def test_big_both_ways_at_once(client, server, relay_to, secure, certs, closing):
    payload = Payload(env.BIG // 4, seed=7)
    backend = secure(lambda sock: streams.converse(sock, payload), version=server)
    daemon = relay_to(backend.address, client=client)
    streams.converse(dial(daemon, certs, closing, client), payload).assert_all(payload)
    backend.result().assert_all(payload)
    record = daemon.wait_record()
    check_relay(record, client, server, "auto", payload.size, payload.size)
    assert record["directions"]["to_server"]["head_bytes"] > 200, record
    if env.KTLS and server == "TLSv1.2":
        assert ("splice", "ktls", "ktls" if client else "none", "passthrough") in records.kinds(record, "to_client"), record


@pytest.mark.parametrize("pair, keys, sni, why", [
    ("good", {}, None, ""),  # by the address, which is no SNI
    ("good", {"server_name": "localhost"}, "localhost", ""),
    ("named", {"server_name": "app.example.test"}, "app.example.test", ""),
    ("good", {"server_name": "127.0.0.1"}, None, ""),
    ("good", {"crl": "list"}, None, ""),
    ("named", {}, None, "IP address mismatch"),
    ("good", {"server_name": "app.example.test"}, "app.example.test", "hostname mismatch"),
    ("old", {}, None, "certificate has expired"),
    ("revoked", {}, None, ""),
    ("revoked", {"crl": "list"}, None, "certificate revoked"),
    ("good", {"ca": "other"}, None, "unable to get local issuer certificate"),
    ("old", {"verify": False}, None, ""),
    ("named", {"verify": False, "server_name": "x.test"}, "x.test", ""),
])
def test_who_is_believed(pair, keys, sni, why, relay_to, secure, pki, certs, closing):
    """One that can't prove who it is gets not a byte, and the log tells which and why."""
    named = {"list": pki.list, "other": certs.ca}
    keys = {key: named.get(value, value) for key, value in keys.items()}
    backend = secure(lambda sock: streams.converse(sock, Payload(5000)), getattr(pki, pair))
    daemon = relay_to(backend.address, keys=keys)
    if why:
        assert is_refused(daemon, closing)
        record = daemon.wait_record()
        assert record["outcome"] == "no_server" and record["detail"] == f"{backend.address}: TLS: {why}", record
        assert record["target"] == backend.address and "server_tls" not in record, record
        failures = daemon.status()["backends"]["app"]["servers"][0]["failures"]
        assert failures == 1, failures
        wait_for(lambda: backend.errors, "the server to see its handshake refused")
    else:
        streams.converse(dial(daemon, certs, closing), Payload(1000)).assert_all(Payload(5000))
        record = daemon.wait_record()
        backend.result().assert_all(Payload(1000))
        assert record["outcome"] == "complete" and record["server_tls"]["sni"] == (sni or ""), record
        assert backend.names == [sni], backend.names
        verified = keys.get("verify", True)
        assert ("server_name" in record["server_tls"]) == verified, record


@pytest.mark.parametrize("version", VERSIONS)
def test_a_certificate_is_shown(version, relay_to, secure, pki, certs, closing):
    def serve(sock):
        sock.subject = dict(pair[0] for pair in sock.tls.getpeercert()["subject"])
        return streams.converse(sock, Payload(10)) and sock.subject

    backend = secure(serve, version=version, client_ca=pki.ca)
    daemon = relay_to(backend.address, keys=pki.client)
    streams.converse(dial(daemon, certs, closing), Payload(10)).assert_all(Payload(10))
    assert backend.result() == {"commonName": "Sluice"}
    assert daemon.wait_record()["outcome"] == "complete"


@pytest.mark.parametrize("version", VERSIONS)
def test_without_a_certificate_that_is_wanted(version, relay_to, secure, pki, certs, closing):
    """With TLS 1.3 the server says so after the handshake, when the relaying has begun."""
    backend = secure(lambda sock: streams.converse(sock, Payload(10)), version=version, client_ca=pki.ca)
    daemon = relay_to(backend.address)
    assert is_refused(daemon, closing)
    assert daemon.wait_record()["outcome"] in ("no_server", "reset", "truncated"), daemon.records()


@pytest.mark.parametrize("version", VERSIONS)
def test_sessions_are_resumed(version, relay_to, secure, certs, closing):
    """By every worker, as long as the configuration is the same; a reload begins anew."""
    backend = secure(lambda sock: streams.converse(sock, Payload(10)) and sock.tls.session_reused, version=version)
    daemon = relay_to(backend.address)
    for number in range(6):
        streams.converse(dial(daemon, certs, closing), Payload(10)).assert_all(Payload(10))
        daemon.wait_records(number + 1)
    resumed = [r["server_tls"]["resumed"] for r in daemon.records()]
    assert resumed == [False] + [True] * 5, resumed

    def is_resumed():
        count = len(daemon.records())
        streams.converse(dial(daemon, certs, closing), Payload(10)).assert_all(Payload(10))
        return daemon.wait_records(count + 1)[-1]["server_tls"]["resumed"]

    daemon.signal(signal.SIGHUP)
    env.wait_for(lambda: not is_resumed(), "a connection of the new generation")


def test_the_policy_holds_for_this_side_too(relay_to, secure, certs, closing):
    """Versions, suites, groups and ALPN; plan knows them."""
    backend = secure(lambda sock: streams.converse(sock, Payload(10)), alpn=["h2", "http/1.1"])
    daemon = relay_to(backend.address, keys={"max_version": "1.2", "groups": ["P-384", "P-256"], "alpn": ["http/1.1"],
                                             "suites": ["ECDHE-ECDSA-AES256-GCM-SHA384"]})
    streams.converse(dial(daemon, certs, closing), Payload(10)).assert_all(Payload(10))
    facts = daemon.wait_record()["server_tls"]
    assert (facts["version"], facts["cipher"], facts["alpn"]) == \
        ("TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "http/1.1"), facts
    assert {e["server_tls_version"] for e in plan_of(daemon.file)} == {"TLSv1.2"}
    only13 = secure(lambda sock: streams.converse(sock, Payload(10)), version="TLSv1.3")
    daemon = relay_to(only13.address, keys={"max_version": "1.2"})
    assert is_refused(daemon, closing)
    record = daemon.wait_record()
    assert record["outcome"] == "no_server" and "TLS: " in record["detail"], record


def test_a_server_without_tls_and_one_that_is_silent(relay_to, backend, certs, closing):
    plain = backend(lambda sock: sock.sendall(b"220 hello\r\n") or streams.receive(sock))
    daemon = relay_to(plain.address)
    assert is_refused(daemon, closing)
    assert "TLS: wrong version number" in daemon.wait_record()["detail"]
    silent = backend(streams.receive)
    daemon = relay_to(silent.address, timeouts={"handshake": "300ms"})
    assert is_refused(daemon, closing)
    record = daemon.wait_record()
    assert record["outcome"] == "timeout" and record["detail"] == f"{silent.address}: TLS: handshake", record


def test_a_server_with_which_tls_fails_is_ejected(sluice, backend, closing):
    """Though every connect succeeds."""
    plain = backend(lambda sock: sock.sendall(b"220 hello\r\n") or streams.receive(sock))
    eject = {"failures": 2, "base": "1h", "max": "1h", "share": 100}
    daemon = sluice(listeners={"app": {"address": "127.0.0.1:0", "proxy": "app"}},
                    backends={"app": {"servers": (plain.address,), "tls": {"verify": False}, "eject": eject}})
    for state in ("failing", "ejected"):
        assert is_refused(daemon, closing)
        wait_for(lambda: daemon.status()["backends"]["app"]["servers"][0]["state"] == state, state)


@pytest.mark.parametrize("version", VERSIONS)
def test_losses_reach_the_client(version, relay_to, secure, certs, closing):
    """A reset, and an end without close_notify, which anybody on the way could have made."""
    def cut(sock):
        sock.sendall(Payload(100_000).bytes())
        streams.receive_exactly(sock, 10)
        sock.sock.shutdown(1)
        return streams.receive(sock)

    def reset(sock):
        sock.sendall(Payload(100_000).bytes())
        streams.receive_exactly(sock, 10)
        streams.reset(sock)
        return True

    for handler, outcome in ((cut, "truncated"), (reset, "reset")):
        backend = secure(handler, version=version)
        daemon = relay_to(backend.address)
        sock = dial(daemon, certs, closing)
        assert streams.receive(sock, limit=100_000).size == 100_000
        sock.sendall(Payload(10).bytes())
        assert streams.receive(sock).end == "reset"
        record = daemon.wait_record()
        assert record["outcome"] == outcome and record["closed_by"] == "server", record


@pytest.mark.parametrize("version", VERSIONS)
def test_half_close_both_ways(version, relay_to, secure, certs, closing):
    one, two = Payload(MIB, seed=2), Payload(MIB + 1, seed=3)

    def serve(sock):
        got = streams.receive(sock)
        streams.send(sock, two)
        return got

    backend = secure(serve, version=version)
    daemon = relay_to(backend.address)
    sock = dial(daemon, certs, closing)
    streams.send(sock, one)
    streams.receive(sock).assert_all(two)
    backend.result().assert_all(one)
    sock.close()
    record = daemon.wait_record()
    assert record["closed_by"] == "client" and record["outcome"] == "complete", record


def test_a_unix_server(relay_to, secure, pki, certs, closing, tmp_path):
    backend = secure(lambda sock: streams.converse(sock, Payload(1000)), path=tmp_path / "s")
    daemon = relay_to(backend.address, keys={"server_name": "localhost"})
    streams.converse(dial(daemon, certs, closing), Payload(1000)).assert_all(Payload(1000))
    assert daemon.wait_record()["server_tls"]["sni"] == "localhost"


@pytest.mark.parametrize("program, end, outcome", [("nginx", "reset", "truncated"), ("haproxy", "eof", "complete")])
@pytest.mark.parametrize("client", [None, "TLSv1.3"])
def test_nginx_and_haproxy_as_servers(program, end, outcome, client, relay_to, backend, pki, certs, closing, tmp_path):
    """They end TLS, ask for our certificate, and resume our sessions. nginx answers an end with a bare FIN, as if
    somebody had cut the stream: a loss."""
    def serve(sock):
        got = streams.receive_exactly(sock, 100_000)
        sock.sendall(Payload(200_000, seed=5).bytes())
        return got and streams.receive(sock).end

    behind = backend(serve)
    peers = closing(Peers(tmp_path))
    address = getattr(peers, f"{program}_tls_server")(behind.address, pki.good, client_ca=pki.ca)
    daemon = relay_to(address, client=client, keys=pki.client)
    for number in range(3):
        sock = dial(daemon, certs, closing, client)
        sock.sendall(Payload(100_000).bytes())
        assert streams.receive_exactly(sock, 200_000) == Payload(200_000, seed=5).bytes()
        sock.shutdown(1)
        assert streams.receive(sock).end == end
        sock.close()
        record = daemon.wait_records(number + 1)[-1]
        check_relay(record, client, "TLSv1.3", "auto", 100_000, 200_000, outcome)
    assert record["server_tls"]["resumed"] is True, record


def test_openssl_as_server(relay_to, pki, certs, closing):
    """s_server -rev answers each line reversed."""
    port = free_port()
    process = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", pki.good["cert"], "-key",
                                pki.good["key"], "-rev", "-quiet"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        env.wait_for(lambda: any(f":{port:04X} " in line for line in open("/proc/net/tcp")), "s_server to listen")
        daemon = relay_to(f"127.0.0.1:{port}")
        sock = dial(daemon, certs, closing)
        sock.sendall(b"hello\n")
        assert streams.receive_exactly(sock, 6) == b"olleh\n"
        sock.close()
        assert daemon.wait_record()["server_tls"]["version"] == "TLSv1.3"
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("version, kind", [("TLSv1.2", "tls"), ("TLSv1.3", "https")])
def test_checks_believe_whom_connections_believe(version, kind, sluice, backend, pki):
    """A server that wants our certificate is up; those that none of our connections would trust are down, and why."""
    def server(pair, **keys):
        context = tls.server_context(pair, version, alpn=["h2", "http/1.1"], **keys)

        def serve(sock):
            secured = tls.TlsSocket(sock, context, server_side=True)
            secured.recv(100)
            secured.sendall(b"HTTP/1.1 204 None\r\n\r\n")
            secured.shutdown(1)
            return streams.receive(secured)
        return backend(serve)

    good, named, old = server(pki.good, client_ca=pki.ca), server(pki.named), server(pki.old)
    health = {"type": kind, "interval": "50ms", "fall": 1, "rise": 1}
    backends = {"app": {"servers": (named.address, old.address, good.address), "health": health,
                        "tls": {"ca": pki.ca, "alpn": ["h2", "http/1.1"], **pki.client}},
                "any": {"servers": (old.address,), "health": health, "tls": {"verify": False}}}
    daemon = sluice(listeners={name: {"address": "127.0.0.1:0", "proxy": name} for name in backends}, backends=backends)

    def results(name):
        return {s["address"]: s["check"]["result"] for s in daemon.status()["backends"][name]["servers"]}
    expected = {good.address: "good", named.address: "TLS: IP address mismatch",
                old.address: "TLS: certificate has expired"}
    env.wait_for(lambda: results("app") == expected, f"{expected}, not {results('app')}")
    env.wait_for(lambda: results("any") == {old.address: "good"}, f"a server to be good: {results('any')}")
    for number in range(3):
        with daemon.connect("app") as sock:
            sock.sendall(b"x")
            sock.shutdown(1)
            assert streams.receive(sock).size == 21
        record = daemon.wait_records(number + 1)[-1]
        assert record["target"] == good.address, record
        check_relay(record, None, version, "auto", 1, 21)


def test_what_check_says(tmp_path, pki, certs):
    def check(keys, servers=("127.0.0.1:1",), **listener):
        path = tmp_path / "bad.conf"
        path.write_text(config_text({"backends": {"app": {"servers": servers, "tls": keys}},
                                     "listeners": {"l": {"address": ":0", "proxy": "app", **listener}}}))
        done = run_cli("check", "-c", path)
        assert done.returncode == 1, (keys, done)
        return done.stderr

    cases = [({"cert": pki.client["cert"]}, {}, "tls.key: missing: `cert` needs its private key"),
             ({"key": pki.client["key"]}, {}, "tls.cert: missing: `key` needs its certificate"),
             ({"verify": False, "ca": pki.ca}, {}, "tls.verify: false leaves `ca` without use"),
             ({"crl": pki.list}, {}, "tls.crl: a CRL is needed of each CA"),
             ({"ca": tmp_path / "no"}, {}, "tls.ca: " + str(tmp_path / "no") + ": can't read"),
             ({"ca": certs.ca, "crl": pki.list}, {}, "tls.crl: "),
             ({"cert": pki.client["cert"], "key": pki.good["key"]}, {}, "tls.key: "),
             ({"suites": ["ECDHE-RSA-AES128-GCM"]}, {}, "did you mean"),
             ({}, {"servers": ("unix:/run/x.sock",)}, "tls.server_name: missing"),
             ({"ktls": "off"}, {"relay": "splice"}, "listeners.l.relay: \"splice\" can't be had with TLS in user space"),
             ({"ktls": "off"}, {"require_zero_copy": True}, "set backends.app.tls.ktls")]
    for keys, more, told in cases:
        said = check(keys, **more)
        assert told in said, (told, said)


def test_a_reload_with_bad_files_changes_nothing(relay_to, secure, pki, certs, closing, tmp_path):
    own = tmp_path / "ca.pem"
    own.write_bytes(pki.ca.read_bytes())
    backend = secure(lambda sock: streams.converse(sock, Payload(10)))
    daemon = relay_to(backend.address, keys={"ca": own})
    own.write_text("nothing\n")
    daemon.signal(signal.SIGHUP)
    env.wait_for(lambda: "reload refused" in daemon.stderr, "the refusal")
    assert re.search(r"sluice.conf:\d+: backends.app.tls.ca: .*: holds no certificate in PEM form", daemon.stderr)
    streams.converse(dial(daemon, certs, closing), Payload(10)).assert_all(Payload(10))
    own.write_bytes(certs.ca.read_bytes())
    daemon.signal(signal.SIGHUP)
    env.wait_for(lambda: is_refused(daemon, closing), "a connection of the new generation")
    env.wait_for(lambda: "unable to get local issuer certificate" in daemon.records()[-1].get("detail", ""), "its record")
