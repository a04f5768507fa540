"""What a `tls` block lets be negotiated: versions, suites, groups, ALPN, as real clients see it; and what check says."""
import subprocess

import pytest

from support import env, http, records, streams, tls
from support.backends import converser
from support.config import config_text
from support.daemon import plan_of, run_cli
from support.payload import Payload

pytestmark = pytest.mark.ktls

GET = b"GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def s_client(daemon, name, *args, stdin=b""):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{daemon.port(name)}", *map(str, args)],
                          input=stdin, capture_output=True, timeout=env.seconds(30))
    return (done.stdout + done.stderr).decode("latin-1")


def test_versions_suites_and_groups(file_server, certs, big_root):
    daemon = file_server(big_root, {"tls": "main"}, tls={"main": certs.tls(
        min_version="1.2", groups=["P-384", "X25519"],
        suites=["TLS_AES_256_GCM_SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"])})
    url = daemon.url("web", "/small", "https")
    for number, (version, cipher) in enumerate((("TLSv1.2", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
                                                ("TLSv1.3", "TLS_AES_256_GCM_SHA384")), 1):
        http.curl_fetch(*http.tls_args(version), url, ca=certs.ca).assert_all(Payload(1000))
        record = daemon.wait_records(number)[-1]
        assert (record["tls"]["version"], record["tls"]["cipher"]) == (version, cipher), record
    for args, wanted in ((("-groups", "P-384"), "secp384r1"), (("-groups", "X25519"), "X25519")):
        text = s_client(daemon, "web", *args, "-ign_eof", stdin=GET)
        assert f"Server Temp Key: {wanted}" in text or f"Server Temp Key: ECDH, {wanted}" in text, text
    for args in (("-groups", "P-256"), ("-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"),
                 ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256")):
        assert "alert" in s_client(daemon, "web", *args), args
    assert [r["outcome"] for r in daemon.wait_records(7)][4:] == ["handshake"] * 3


@pytest.mark.parametrize("only, other, keys", [("TLSv1.3", "TLSv1.2", {"min_version": "1.3"}),
                                               ("TLSv1.2", "TLSv1.3", {"max_version": "1.2"}),
                                               ("TLSv1.3", "TLSv1.2", {"suites": ["TLS_AES_128_GCM_SHA256"]})])
def test_one_version_only(only, other, keys, proxy, certs, backend, closing):
    """Also in plan, to which every record is held."""
    payload = Payload(100_000)
    server = backend(converser(payload))
    daemon = proxy(server.address, listener={"tls": "main"}, tls={"main": certs.tls(**keys)})
    sock = tls.TlsSocket(closing(daemon.connect("app")), tls.context(certs))
    assert sock.version == only
    streams.converse(sock, payload).assert_all(payload)
    for direction in records.DIRECTIONS:
        records.check_tls_relay(daemon.wait_record(), direction, only, "auto", payload.size)
    assert {entry["tls_version"] for entry in plan_of(daemon.file)} == {only}
    option = "-tls1_2" if other == "TLSv1.2" else "-tls1_3"
    assert "alert" in s_client(daemon, "app", option)
    assert daemon.wait_records(2)[1]["outcome"] == "handshake"


def test_alpn_of_a_proxy(proxy, certs, backend, closing):
    """The listener's preference counts; a client that offers only others is told so; one that offers none passes."""
    server = backend(converser(Payload(10)))
    daemon = proxy(server.address, listener={"tls": "main"}, tls={"main": certs.tls(alpn=["h2", "http/1.1"])})
    for number, (offer, selected) in enumerate(((["http/1.1", "h2"], "h2"), (["http/1.1"], "http/1.1"), (None, None)), 1):
        sock = tls.TlsSocket(closing(daemon.connect("app")), tls.context(certs, alpn=offer))
        assert sock.tls.selected_alpn_protocol() == selected
        streams.converse(sock, Payload(10)).assert_all(Payload(10))
        assert daemon.wait_records(number)[-1]["tls"].get("alpn") == selected
    assert "no application protocol" in s_client(daemon, "app", "-alpn", "spdy/1")
    assert daemon.wait_records(4)[-1]["outcome"] == "handshake"


def test_a_proxy_leaves_alpn_open_by_default(proxy, certs, backend, closing):
    server = backend(converser(Payload(10)))
    daemon = proxy(server.address, listener={"tls": "main"}, tls={"main": certs.tls()})
    sock = tls.TlsSocket(closing(daemon.connect("app")), tls.context(certs, alpn=["h2"]))
    assert sock.tls.selected_alpn_protocol() is None
    streams.converse(sock, Payload(10)).assert_all(Payload(10))


def test_check_names_the_wrong_suite(tmp_path, certs, big_root):
    path = tmp_path / "bad.conf"
    path.write_text(config_text({
        "tls": {"main": certs.tls(suites=["ECDHE-RSA-AES128-GCM-SHA265"], groups=["x25519"])},
        "files": {"media": {"root": big_root}},
        "listeners": {"web": {"address": ":0", "tls": "main", "files": "media"}}}))
    done = run_cli("check", "-c", path)
    assert done.returncode == 1, done
    assert 'suites[0]: "ECDHE-RSA-AES128-GCM-SHA265" is unknown' in done.stderr, done
    assert 'did you mean "ECDHE-RSA-AES128-GCM-SHA256"?' in done.stderr and 'did you mean "X25519"?' in done.stderr, done
