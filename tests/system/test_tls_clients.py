"""Certificates that clients show (mTLS), their revocation, and OCSP stapling: curl, openssl, nginx and HAProxy as clients."""
import re
import shutil
import signal
import subprocess

import pytest

from support import env, http, records, streams, tls
from support.backends import converser
from support.config import config_text
from support.daemon import run_cli
from support.payload import Payload
from support.pki import Pki
from support.tls_peers import Peers

pytestmark = pytest.mark.ktls

VERSIONS = ("TLSv1.2", "TLSv1.3")


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    made = Pki(tmp_path_factory.mktemp("pki"), "Clients")
    made.ann = made.issue("Ann")
    made.bob = made.issue("Bob")
    made.old = made.expired("Old")
    made.revoke(made.bob)
    made.list = made.crl()
    return made


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("other"), "Other").issue("Ann")


def fetch(daemon, certs, client=None, version="TLSv1.3", path="/small"):
    """One request by curl: the CompletedProcess."""
    shown = ["--cert", client["cert"], "--key", client["key"]] if client else []
    return http.curl(*http.tls_args(version), *map(str, shown), daemon.url("web", path, "https"), ca=certs.ca)


def mtls(certs, pki, verify="required", crl=None, **keys):
    return {"main": certs.tls(client={"verify": verify, "ca": pki.ca, **({"crl": crl} if crl else {})}, **keys)}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("verify", ["optional", "required"])
def test_who_is_let_in(verify, version, file_server, certs, pki, stranger, big_root):
    daemon = file_server(big_root, {"tls": "main"}, tls=mtls(certs, pki, verify, pki.list))
    cases = [(pki.ann, "Ann", ""), (pki.bob, None, "certificate revoked"), (pki.old, None, "certificate has expired"),
             (stranger, None, "unable to get local issuer certificate")]
    cases.append((None, None, "") if verify == "optional" else (None, None, "peer did not return a certificate"))
    for number, (client, name, refused) in enumerate(cases, 1):
        done = fetch(daemon, certs, client, version)
        assert (done.returncode == 0) == (not refused), (refused, done)
        record = daemon.wait_records(number)[-1]
        if refused:
            assert record["outcome"] == "handshake" and record["detail"] == refused, record
        else:
            assert done.stdout == Payload(1000).bytes()
            assert record["tls"].get("client_name") == name and record["outcome"] == "complete", record


@pytest.mark.parametrize("relay", ["auto", "copy"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_proxied_client_has_a_name(version, relay, proxy, backend, certs, pki, closing):
    payload = Payload(300_000)
    server = backend(converser(payload))
    daemon = proxy(server.address, listener={"tls": "main", "relay": relay}, tls=mtls(certs, pki))
    context = tls.context(certs, version)
    context.load_cert_chain(pki.ann["cert"], pki.ann["key"])
    sock = tls.TlsSocket(closing(daemon.connect("app")), context)
    streams.converse(sock, payload).assert_all(payload)
    record = daemon.wait_record()
    assert record["tls"]["client_name"] == "Ann" and record["outcome"] == "complete", record
    for direction in records.DIRECTIONS:
        records.check_tls_relay(record, direction, version, relay, payload.size)


def s_client(daemon, *args, name="web", stdin=b"GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{daemon.port(name)}", "-ign_eof", *map(str, args)],
                          input=stdin, capture_output=True, timeout=env.seconds(30))
    return (done.stdout + done.stderr).decode("latin-1")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_resumed_session_keeps_the_name_and_opens_no_other_door(version, sluice, certs, pki, big_root, tmp_path):
    """One process, one set of ticket keys, three listeners with the same certificate: only the same demands resume."""
    listeners = {name: {"address": "127.0.0.1:0", "tls": name, "files": "media"} for name in ("open", "asks", "strict")}
    daemon = sluice(listeners=listeners, files={"media": {"root": big_root}}, tls={
        "open": certs.tls(), "asks": mtls(certs, pki, "optional")["main"], "strict": mtls(certs, pki)["main"]})
    ticket = tmp_path / "ticket"
    shown = ("-cert", pki.ann["cert"], "-key", pki.ann["key"])
    assert "200 OK" in s_client(daemon, version, *shown, "-sess_out", ticket, name="strict")
    text = s_client(daemon, version, "-sess_in", ticket, name="strict")
    assert "Reused" in text and "200 OK" in text, text
    first, again = daemon.wait_records(2)
    assert [r["tls"]["client_name"] for r in (first, again)] == ["Ann", "Ann"], (first, again)
    assert [r["tls"]["resumed"] for r in (first, again)] == [False, True], (first, again)
    for number, door in enumerate(("open", "asks")):
        assert "200 OK" in s_client(daemon, version, "-sess_out", ticket, name=door)
        text = s_client(daemon, version, "-sess_in", ticket, name="strict")
        assert "200 OK" not in text, text
        record = daemon.wait_records(4 + 2 * number)[-1]
        assert record["outcome"] == "handshake" and record["listener"] == "strict", record


def test_a_reload_with_a_new_crl_ends_sessions_too(file_server, certs, pki, big_root, tmp_path):
    """What was let in before the reload may not come back by its ticket; and a CRL that is gone changes nothing."""
    own = Pki(tmp_path, "Own")
    client = own.issue("Cid")
    crl = own.crl()
    settings = mtls(certs, own, crl=crl)
    daemon = file_server(big_root, {"tls": "main"}, tls=settings, workers=1)
    ticket, shown = tmp_path / "ticket", ("-cert", client["cert"], "-key", client["key"])
    assert "200 OK" in s_client(daemon, *shown, "-sess_out", ticket)
    assert "200 OK" in s_client(daemon, "-sess_in", ticket)
    crl.rename(tmp_path / "away")
    daemon.signal(signal.SIGHUP)
    env.wait_for(lambda: "reload refused" in daemon.stderr, "the refusal")
    assert "ca.crl: can't read: No such file or directory" in daemon.stderr, daemon.stderr
    assert "200 OK" in s_client(daemon, *shown)
    own.revoke(client)
    own.crl()
    daemon.signal(signal.SIGHUP)
    env.wait_for(lambda: "200 OK" not in s_client(daemon, *shown), "the one worker to know the new list")
    env.wait_for(lambda: daemon.records()[-1]["outcome"] == "handshake", "its record")
    count = len(daemon.records())
    for how in (("-sess_in", ticket), ("-sess_in", ticket, *shown), shown):
        assert "200 OK" not in s_client(daemon, *how), how
    assert {r["outcome"] for r in daemon.wait_records(count + 3)[count:]} == {"handshake"}


def test_a_crl_that_is_over_is_told_and_refuses(file_server, certs, pki, big_root):
    daemon = file_server(big_root, {"tls": "main"}, tls=mtls(certs, pki, crl=pki.crl("over.crl", over=True)))
    told = r"sluice.conf:\d+: tls.main.client.crl: warning: the CRL of CN=Clients CA expired on 2020-02-01T00:00:00Z"
    assert re.search(told, daemon.stderr), daemon.stderr
    check = run_cli("check", "-c", daemon.file)
    assert check.returncode == 0 and re.search(told, check.stderr), check
    assert fetch(daemon, certs, pki.ann).returncode != 0
    record = daemon.wait_record()
    assert record["outcome"] == "handshake" and record["detail"] == "CRL has expired", record


def test_nginx_and_haproxy_as_clients(proxy, backend, certs, pki, tmp_path, closing):
    """Both connect with a client certificate and are let in by name."""
    peers = closing(Peers(tmp_path))

    def serve(sock):
        got = streams.receive_exactly(sock, 1000)
        sock.sendall(Payload(2000).bytes())
        return got

    server = backend(serve)
    daemon = proxy(server.address, listener={"tls": "main"}, tls=mtls(certs, pki))
    target = f"127.0.0.1:{daemon.port('app')}"
    for number, start in enumerate((peers.nginx_tls_client, peers.haproxy_tls_client), 1):
        address = start(target, certs.ca, pki.ann)
        sock = closing(peers.connect(address))
        sock.sendall(Payload(1000).bytes())
        assert streams.receive_exactly(sock, 2000) == Payload(2000).bytes()
        sock.close()
        record = daemon.wait_records(number)[-1]
        assert record["tls"]["client_name"] == "Ann" and record["outcome"] == "complete", record


def test_a_response_is_stapled(file_server, big_root, tmp_path):
    """As openssl and curl verify it; a reload with one of another certificate is refused and changes nothing."""
    own = Pki(tmp_path, "Stapled")
    server = own.issue("localhost", "DNS:localhost,IP:127.0.0.1")
    server["ocsp"] = own.ocsp(server)
    with open(server["cert"], "a") as chain:  # curl looks for the issuer there
        chain.write(own.ca.read_text())
    daemon = file_server(big_root, {"tls": "main"}, tls={"main": {"certs": (server,)}})
    text = s_client(daemon, "-status", "-CAfile", own.ca)
    assert "OCSP Response Status: successful" in text and "Cert Status: good" in text, text
    done = http.curl("--cert-status", daemon.url("web", "/small", "https"), ca=own.ca)
    assert done.returncode == 0 and done.stdout == Payload(1000).bytes(), done
    other = own.issue("other")
    shutil.copy(own.ocsp(other, "other.ocsp"), server["ocsp"])
    daemon.signal(signal.SIGHUP)
    env.wait_for(lambda: "reload refused" in daemon.stderr, "the refusal")
    assert "response.ocsp: is about another certificate" in daemon.stderr, daemon.stderr
    assert "Cert Status: good" in s_client(daemon, "-status", "-CAfile", own.ca)


def test_check_names_files_that_are_wrong(tmp_path, certs, pki, big_root):
    def check(**settings):
        path = tmp_path / "bad.conf"
        path.write_text(config_text({"tls": {"main": certs.tls(**settings)}, "files": {"m": {"root": big_root}},
                                     "listeners": {"web": {"address": ":0", "tls": "main", "files": "m"}}}))
        return run_cli("check", "-c", path)

    for client, told in (({"ca": tmp_path / "no.pem"}, "client.ca: " + str(tmp_path / "no.pem") + ": can't read"),
                         ({"ca": certs.localhost["key"]}, "localhost.key: holds no certificate in PEM form"),
                         ({"ca": certs.ca, "crl": pki.list}, "ca.crl: holds no CRL of CN=Sluice tests CA"),
                         ({"ca": pki.ca, "crl": certs.ca}, "holds no CRL in PEM form")):
        done = check(client={"verify": "required", **client})
        assert done.returncode == 1 and told in done.stderr, (told, done)
