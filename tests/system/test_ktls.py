"""Only where the kernel has kTLS: that it really encrypts and decrypts, by its own count."""
import json
from pathlib import Path

import pytest

from support import http, records, streams, tls
from support.daemon import run_cli
from support.payload import Payload

pytestmark = pytest.mark.guest_only

VERSIONS = ("TLSv1.2", "TLSv1.3")


def tls_stat(name):
    for line in Path("/proc/net/tls_stat").read_text().splitlines():
        key, value = line.split()
        if key == name:
            return int(value)
    raise KeyError(name)


@pytest.mark.parametrize("relay", ["auto", "sendfile"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_goes_out_by_sendfile_encrypted_by_the_kernel(version, relay, file_server, certs, big, big_root):
    daemon = file_server(big_root, {"tls": "main", "relay": relay}, tls={"main": certs.tls()})
    before = tls_stat("TlsTxSw")
    url = daemon.url("web", "/big", "https")
    http.curl_fetch(*http.tls_args(version), url, ca=certs.ca).assert_all(big)
    assert tls_stat("TlsTxSw") > before
    record = daemon.wait_record()
    reason = "forced" if relay == "sendfile" else "passthrough"
    assert records.kinds(record, "to_client") == {("sendfile", "none", "ktls", reason)}, record
    assert record["directions"]["to_client"]["user_bytes"] == 0, record
    assert record["directions"]["to_client"]["kernel_bytes"] == big.size, record


@pytest.mark.parametrize("cipher", ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"])
def test_ciphers_that_the_kernel_takes(cipher, file_server, certs, big_root):
    daemon = file_server(big_root, {"tls": "main"}, tls={"main": certs.tls()})
    url = daemon.url("web", "/small", "https")
    http.curl_fetch("--tls13-ciphers", cipher, "--tlsv1.3", url, ca=certs.ca).assert_all(Payload(1000))
    assert records.kinds(daemon.wait_record(), "to_client") == {("sendfile", "none", "ktls", "passthrough")}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_proxy_splices_into_the_kernels_tls(version, proxy, backend, certs, big, closing):
    server = backend(lambda sock: streams.converse(sock, big))
    daemon = proxy(server.address, listener={"tls": "main"}, tls={"main": certs.tls()})
    tx, rx = tls_stat("TlsTxSw"), tls_stat("TlsRxSw")
    sock = tls.TlsSocket(closing(daemon.connect("app")), tls.context(certs, version))
    upload = Payload(big.size // 2, seed=9)
    streams.converse(sock, upload).assert_all(big)
    server.result().assert_all(upload)
    assert tls_stat("TlsTxSw") > tx
    record = daemon.wait_record()
    assert ("splice", "none", "ktls", "passthrough") in records.segments(record, "to_client"), record
    assert record["directions"]["to_client"]["user_bytes"] <= records.AUTO_COPY_MAX, record
    assert tls_stat("TlsRxSw") > rx
    assert ("splice", "ktls", "none", "passthrough") in records.segments(record, "to_server"), record


def test_zero_copy_can_be_required_of_tls(file_server, certs, big, big_root):
    daemon = file_server(big_root, {"tls": "main", "require_zero_copy": True}, tls={"main": certs.tls()})
    http.curl_fetch(daemon.url("web", "/big", "https"), ca=certs.ca).assert_all(big)
    assert daemon.wait_record()["directions"]["to_client"]["user_bytes"] == 0


def test_probe_finds_ktls():
    probe = json.loads(run_cli("probe", "--json").stdout)
    for version in VERSIONS:
        for cipher in ("AES-128-GCM", "AES-256-GCM", "CHACHA20-POLY1305"):
            assert probe["ktls"][version][cipher] == {"tx": True, "rx": True, "reason": None}, probe
    assert set(probe["ktls_limits"]) == {"full_pipe", "rekey"}, probe
