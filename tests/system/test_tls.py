"""TLS as real clients see it: versions, certificates by name, ALPN, resumption, KeyUpdate, broken peers."""
import os
import re
import socket
import ssl
import subprocess

import pytest

from support import env, http, streams, tls
from support.payload import Payload

pytestmark = pytest.mark.ktls

GET = b"GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def start_https(file_server, certs, root, *files, **settings):
    return file_server(root, {"tls": "main", **settings.pop("listener", {})},
                       tls={"main": certs.tls(*files)}, **settings)


def s_client(daemon, *args, stdin=GET, ca=None):
    """A whole run of openssl s_client: its output with errors."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{daemon.port('web')}", "-ign_eof",
                           *(["-CAfile", ca] if ca else []), *map(str, args)],
                          input=stdin, capture_output=True, timeout=env.seconds(30))
    return (done.stdout + done.stderr).decode("latin-1")


@pytest.mark.parametrize("option, protocol", [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")])
def test_versions_that_are_spoken(option, protocol, file_server, certs, big_root):
    daemon = start_https(file_server, certs, big_root)
    text = s_client(daemon, option, ca=certs.ca)
    assert "Verify return code: 0 (ok)" in text and protocol in text and "HTTP/1.1 200 OK" in text, text
    record = daemon.wait_record()
    assert record["tls"]["version"] == protocol, record


def test_versions_and_ciphers_that_are_not(file_server, certs, big_root):
    daemon = start_https(file_server, certs, big_root)
    refused = [("-tls1", "-cipher", "ALL:@SECLEVEL=0"), ("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
               ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384")]
    for options in refused:
        text = s_client(daemon, *options)
        assert "HTTP/1.1" not in text and "alert" in text, text
    records = daemon.wait_records(len(refused))
    assert {r["outcome"] for r in records} == {"handshake"} and all(r["detail"] for r in records), records


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
                                    "ECDHE-ECDSA-CHACHA20-POLY1305"])
def test_each_aead_suite_of_tls_1_2(cipher, file_server, certs, big_root):
    daemon = start_https(file_server, certs, big_root)
    done = http.curl_fetch("--ciphers", cipher, "--tls-max", "1.2", daemon.url("web", "/small", "https"), ca=certs.ca)
    done.assert_all(Payload(1000))
    assert daemon.wait_record()["tls"]["cipher"].startswith("TLS_ECDHE_ECDSA_WITH_")


@pytest.mark.parametrize("cipher", ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                    "TLS_CHACHA20_POLY1305_SHA256"])
def test_each_suite_of_tls_1_3(cipher, file_server, certs, big_root):
    daemon = start_https(file_server, certs, big_root)
    done = http.curl_fetch("--tls13-ciphers", cipher, "--tlsv1.3", daemon.url("web", "/small", "https"), ca=certs.ca)
    done.assert_all(Payload(1000))
    assert daemon.wait_record()["tls"]["cipher"] == cipher


def subject(daemon, name, certs, port_name="web"):
    """CN of the certificate shown to a client that asks for `name` (None: no SNI)."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname = False
    ctx.load_verify_locations(certs.ca)
    with socket.create_connection(("127.0.0.1", daemon.port(port_name)), timeout=10) as raw:
        with ctx.wrap_socket(raw, server_hostname=name) as sock:
            return dict(pair[0] for pair in sock.getpeercert()["subject"])["commonName"]


def test_certificates_are_chosen_by_name(file_server, certs, big_root):
    daemon = start_https(file_server, certs, big_root, certs.localhost, certs.wildcard, certs.exact, certs.rsa)
    for name, wanted in [("localhost", "localhost"), ("a.example.test", "wildcard"), ("b.EXAMPLE.test", "wildcard"),
                         ("www.example.test", "exact"), ("WWW.example.TEST", "exact"), ("rsa.example.net", "rsa"),
                         ("a.b.example.test", "localhost"), ("example.test", "localhost"),
                         ("unknown.test", "localhost"), (None, "localhost")]:
        assert subject(daemon, name, certs) == wanted, name
    done = http.curl("--resolve", f"any.example.test:{daemon.port('web')}:127.0.0.1",
                     f"https://any.example.test:{daemon.port('web')}/small", ca=certs.ca)
    assert done.returncode == 0 and done.stdout == Payload(1000).bytes(), done
    asked, = env.wait_for(lambda: [r for r in daemon.records() if r["request"]], "curl's record")
    assert asked["tls"]["sni"] == "any.example.test"


def test_alpn(file_server, certs, big_root):
    daemon = start_https(file_server, certs, big_root)
    with daemon.connect("web") as raw:
        sock = tls.TlsSocket(raw, tls.context(certs, alpn=["h2", "http/1.1"]))
        assert sock.tls.selected_alpn_protocol() == "http/1.1"
    assert "http/1.1" in s_client(daemon, "-alpn", "h2,http/1.1")
    done = http.curl("-w", "%{http_version}", "-o", "/dev/null", daemon.url("web", "/small", "https"), ca=certs.ca)
    assert done.stdout == b"1.1", done


@pytest.mark.parametrize("option", ["-tls1_2", "-tls1_3"])
def test_tickets_resume_on_every_worker_and_after_a_reload(option, file_server, certs, big_root, tmp_path):
    daemon = start_https(file_server, certs, big_root, workers=3)
    session = tmp_path / "session"
    text = s_client(daemon, option, "-sess_out", session)
    assert "\nNew, TLS" in text and session.exists(), text
    for _ in range(6):
        assert "\nReused, TLS" in s_client(daemon, option, "-sess_in", session)
    generation = daemon.status()["generation"]
    daemon.reload(text=daemon.file.read_text())
    env.wait_for(lambda: daemon.status()["generation"] != generation, "the reload")
    for _ in range(3):
        assert "\nReused, TLS" in s_client(daemon, option, "-sess_in", session)


class Interactive:
    """openssl s_client with its one-letter commands."""

    def __init__(self, daemon, *args):
        self.process = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{daemon.port('web')}", *args],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text = ""

    def wait_for(self, pattern):
        def seen():
            self.text += (self.process.stdout.read() or b"").decode("latin-1")
            return re.search(pattern, self.text)
        return env.wait_for(seen, f"{pattern!r} from s_client")

    def type(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def check_key_update(daemon, client):
    """The connection lives on. Where the kernel has the keys it can't: it is ended at once, nobody else is concerned,
    and the access log has no line, since no request was begun."""
    client.wait_for("KEYUPDATE")
    if not env.KTLS:
        client.type(GET)
        client.wait_for("HTTP/1.1 200 OK")
        return
    env.wait_for(lambda: not daemon.connections_open("web"), "the connection to be closed")
    env.wait_for(lambda: client.process.poll() is not None, "the client to notice")
    assert http.curl("-k", daemon.url("web", "/small", "https")).returncode == 0
    assert daemon.wait_record()["outcome"] == "complete"


def test_key_update_of_the_client(file_server, certs, big_root, closing):
    """k: the client changes its own key, and asks nothing of us."""
    daemon = start_https(file_server, certs, big_root)
    client = closing(Interactive(daemon, "-tls1_3"))
    client.wait_for("Verify return code")
    client.type(b"k\n")
    check_key_update(daemon, client)


def test_key_update_requested_by_the_client(file_server, certs, big_root, closing):
    """K: the client wants us to change ours, too."""
    daemon = start_https(file_server, certs, big_root)
    client = closing(Interactive(daemon, "-tls1_3"))
    client.wait_for("Verify return code")
    client.type(b"K\n")
    check_key_update(daemon, client)


def test_client_without_close_notify(file_server, certs, big_root):
    """After the answer that is rude, but no loss: the record of the answer is complete."""
    daemon = start_https(file_server, certs, big_root)
    with daemon.connect("web") as raw:
        sock = tls.TlsSocket(raw, tls.context(certs))
        answer = http.ask(sock, http.request("/small"))
        assert answer.body == Payload(1000).bytes()
    assert daemon.wait_record()["outcome"] == "complete"


GARBAGE = {"http": b"GET / HTTP/1.1\r\n\r\n", "a record too long": b"\x16\x03\x01\xff\xff" + b"\0" * 70000,
           "zeros": b"\0" * 100, "a hello cut short": b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", "nothing": b""}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_instead_of_a_handshake(what, file_server, certs, big_root):
    daemon = start_https(file_server, certs, big_root)
    with daemon.connect("web") as sock:
        try:
            sock.sendall(GARBAGE[what])
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        streams.receive(sock)
    assert daemon.wait_record()["outcome"] == "handshake"
    http.curl_fetch(daemon.url("web", "/small", "https"), ca=certs.ca).assert_all(Payload(1000))


def test_certificates_are_renewed_by_a_reload(file_server, certs, big_root, tmp_path):
    """New connections get the new certificate; an old connection lives on."""
    daemon = start_https(file_server, certs, big_root)
    with daemon.connect("web") as raw:
        old = tls.TlsSocket(raw, tls.context(certs))
        text = daemon.file.read_text().replace(str(certs.localhost["cert"]), str(certs.wildcard["cert"]))
        daemon.reload(text=text.replace(str(certs.localhost["key"]), str(certs.wildcard["key"])))
        env.wait_for(lambda: subject(daemon, None, certs) == "wildcard", "the new certificate")
        assert http.ask(old, http.request("/small")).body == Payload(1000).bytes()
