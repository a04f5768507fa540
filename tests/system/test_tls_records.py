"""Records that a normal client never sends: empty ones, KeyUpdate at awkward moments, broken and cut ones."""
import pytest

from support import env, http, rawtls, records, streams
from support.payload import Payload, digest_of

pytestmark = pytest.mark.ktls

VERSIONS = ("TLSv1.2", "TLSv1.3")


@pytest.fixture
def raw_proxy(proxy, certs, tmp_path, closing):
    """raw_proxy(backend address, version) is (daemon, RawTls on a connection through it)."""
    def start(address, version):
        daemon = proxy(address, listener={"tls": "main"}, tls={"main": certs.tls()})
        return daemon, rawtls.RawTls(closing(daemon.connect("app")), certs, version, tmp_path)
    return start


@pytest.mark.parametrize("version", VERSIONS)
def test_empty_records_are_not_an_end(version, raw_proxy, backend):
    """With kTLS, splice returns 0 for an empty record, exactly as for the end of the stream."""
    server = backend(streams.receive)
    daemon, client = raw_proxy(server.address, version)
    parts = [Payload(16000, seed=n).bytes() for n in range(40)]
    for number, part in enumerate(parts):
        client.send(b"")
        client.send(part)
        if number % 8 == 0:
            for _ in range(5):
                client.send(b"")
    client.send(rawtls.CLOSE_NOTIFY, rawtls.ALERT)
    got = server.result()
    assert got.end == "eof" and got.digest == digest_of(b"".join(parts)), got
    assert streams.receive(client.stream).end == "eof"
    client.sock.close()
    record = daemon.wait_record()
    assert record["outcome"] == "complete", record


@pytest.mark.parametrize("version", VERSIONS)
def test_records_in_single_bytes(version, raw_proxy, backend):
    server = backend(streams.receive)
    daemon, client = raw_proxy(server.address, version)
    wire = client.record(b"hello ") + client.record(b"") + client.record(b"world")
    wire += client.record(rawtls.CLOSE_NOTIFY, rawtls.ALERT)
    for byte in wire:
        client.sock.send(bytes([byte]))
    got = server.result()
    assert got.digest == digest_of(b"hello world") and got.end == "eof", got


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("what", ["bad_mac", "cut_in_a_record", "fatal_alert", "too_long", "no_close_notify"])
def test_broken_streams_are_losses(what, version, raw_proxy, backend):
    """The server must see a reset: what came before may not be all there was."""
    server = backend(streams.receive)
    daemon, client = raw_proxy(server.address, version)
    client.send(b"x" * 10_000)
    env.wait_for(lambda: server.accepted, "the server to be reached")
    if what == "bad_mac":
        record = bytearray(client.record(b"y" * 100))
        record[-1] ^= 1
        client.sock.sendall(record)
    elif what == "cut_in_a_record":
        client.sock.sendall(client.record(b"y" * 1000)[:500])
    elif what == "fatal_alert":
        client.send(b"\x02\x50", rawtls.ALERT)  # internal_error
    elif what == "too_long":
        client.sock.sendall(b"\x17\x03\x03\xff\xff" + b"z" * 65535)
    try:
        client.sock.shutdown(1)
    except OSError:
        pass  # reset already, and rightly
    got = server.result()
    assert got.end == "reset" and got.size <= 10_000, got
    record = daemon.wait_record()
    assert record["outcome"] in ("reset", "truncated") and record["closed_by"] == "client", record


def test_key_update_in_mid_transfer_is_followed(raw_proxy, backend):
    """The client asks for a new key of ours while it waits for an answer. Never a hang: either the answer comes
    (user space), or the connection is closed deliberately (kTLS TX)."""
    server = backend(lambda sock: streams.converse(sock, Payload(500_000)))
    daemon, client = raw_proxy(server.address, "TLSv1.3")
    client.send(b"question")
    client.send(rawtls.KEY_UPDATE_REQUESTED, rawtls.HANDSHAKE)
    got = streams.receive(client.stream)
    if env.KTLS:
        assert got.end in ("reset", "eof", "cut"), got
    else:
        assert got.end == "eof" and got.digest == Payload(500_000).digest, got


def test_a_storm_of_key_updates_is_stopped(raw_proxy, backend):
    """HAProxy #3450: control records without end kept its thread busy until the watchdog fired. A client that
    sends nothing else is closed, or at least costs no other client its service."""
    server = backend(lambda sock: streams.converse(sock, Payload(1000)))
    daemon, client = raw_proxy(server.address, "TLSv1.3")
    client.send(b"x")
    # The key changes with each update, so only the first can be right; OpenSSL must fail at the second.
    update = client.record(b"\x18\x00\x00\x01\x00", rawtls.HANDSHAKE)
    try:
        for _ in range(2000):
            client.sock.sendall(update)
    except OSError:
        pass
    record = daemon.wait_record()
    assert record["closed_by"] == "client" or record["closed_by"] == "sluice", record
    assert daemon.admin("/healthz")


def test_http_over_hand_made_records(file_server, certs, big_root, tmp_path, closing):
    daemon = file_server(big_root, {"tls": "main"}, tls={"main": certs.tls()})
    for version in VERSIONS:
        client = rawtls.RawTls(closing(daemon.connect("web")), certs, version, tmp_path)
        reader = http.Reader(client.stream)
        for _ in range(3):
            for byte in http.request("/small"):
                client.send(bytes([byte]))
            client.send(b"")
            assert reader.answer().body == Payload(1000).bytes()
    found = daemon.wait_records(6)
    assert all(records.kinds(r, "to_client") == {records.file_kind("auto", tls=True)} for r in found), found
