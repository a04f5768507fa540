"""Files over HTTPS, fetched by real curl: sendfile where the kernel encrypts, pread and SSL_write elsewhere."""
import os

import pytest

from support import env, http, records, streams, tls
from support.config import config_text
from support.daemon import run_cli
from support.env import MIB
from support.payload import Payload

pytestmark = pytest.mark.ktls

VERSIONS = ("TLSv1.2", "TLSv1.3")
SIZES = (0, 1, 16383, 16384, 16385, 65535, 65536, 65537, MIB)
RELAYS = ("auto", "copy", *(("sendfile", "mmap") if env.KTLS else ()))


@pytest.fixture
def https(file_server, certs):
    def start(root, relay="auto", ktls="auto", **settings):
        return file_server(root, {"tls": "main", "relay": relay}, tls={"main": certs.tls(ktls=ktls)}, **settings)
    return start


def url(daemon, path):
    return daemon.url("web", path, scheme="https")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("relay", RELAYS)
def test_sizes(relay, version, https, certs, tmp_path):
    for size in SIZES:
        Payload(size).write_to(tmp_path / f"f{size}")
    daemon = https(tmp_path, relay)
    options = [part for size in SIZES for part in (url(daemon, f"/f{size}"), "-o", tmp_path / f"got{size}")]
    done = http.curl(*http.tls_args(version), *options, ca=certs.ca)
    assert done.returncode == 0, done
    found = daemon.wait_records(len(SIZES))
    for size, record in zip(SIZES, found):
        assert (tmp_path / f"got{size}").read_bytes() == Payload(size).bytes()
        records.check_tls(record, version)
        records.check_file(record, relay, size, tls=True)
    assert found[0]["directions"]["to_client"]["head_bytes"] > found[1]["directions"]["to_client"]["head_bytes"], \
        "the handshake is counted with the first answer"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("relay", RELAYS)
def test_big(relay, version, https, certs, big, big_root):
    daemon = https(big_root, relay)
    http.curl_fetch(*http.tls_args(version), url(daemon, "/big"), ca=certs.ca).assert_all(big)
    records.check_file(daemon.wait_record(), relay, big.size, tls=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("relay", ["sendfile", "mmap"])
def test_forced_modes_where_they_can_not_be(relay, version, https, certs, big_root):
    """Without kTLS the kernel can't encrypt what it sends: reset, with the reason."""
    ktls = "off" if env.KTLS else "auto"
    if ktls == "off":  # check would refuse the listener: it can never be had
        done = run_cli("check", "-c", _config(certs, big_root, relay))
        assert done.returncode == 1 and "relay" in done.stderr, done
        return
    daemon = https(big_root, relay)
    got = http.curl_fetch(*http.tls_args(version), url(daemon, "/small"), ca=certs.ca)
    assert got.exit != 0 and got.size == 0, got
    record = daemon.wait_record()
    assert record["outcome"] == "refused" and "ktls_kernel" in record["detail"], record
    assert records.moved(record, "to_client") == 0 and record["closed_by"] == "sluice", record


def _config(certs, root, relay, ktls="off"):
    path = certs.directory / f"forced-{relay}.conf"
    path.write_text(config_text({
        "tls": {"main": certs.tls(ktls=ktls)}, "files": {"media": {"root": root}},
        "listeners": {"web": {"address": "127.0.0.1:0", "tls": "main", "files": "media", "relay": relay}}}))
    return path


@pytest.mark.parametrize("version", VERSIONS)
def test_orderly_close_never_truncates(version, https, certs, tmp_path, closing):
    """Many downloads that end with the connection, half of them read slowly: each complete, each with
    close_notify. (Closing kTLS as one closes a plain socket truncated 5 of 10.)"""
    payload = Payload(700_001)
    payload.write_to(tmp_path / "f")
    daemon = https(tmp_path)
    ctx = tls.context(certs, version)
    for number in range(25):
        slow = number % 2
        raw = closing(daemon.connect("web", rcvbuf=4096 if slow else None))
        sock = tls.TlsSocket(raw, ctx)
        sock.sendall(http.request("/f", Connection="close"))
        got = streams.receive(sock, chunk=3000 if slow else 1 << 18)
        head = got.first.index(b"\r\n\r\n") + 4
        assert got.end == "eof" and got.size == head + payload.size, got
        raw.close()
    for record in daemon.wait_records(25):
        records.check_file(record, "auto", payload.size, tls=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_that_closes_first_is_let_go(version, https, certs, big_root):
    """Our close_notify then meets a closed socket: with kTLS the queue never runs empty, and waiting for that would
    keep each such connection for the whole linger deadline."""
    daemon = https(big_root, timeouts={"linger": "30s", "idle": "30s"})
    for _ in range(5):
        http.curl_fetch(*http.tls_args(version), url(daemon, "/small"), ca=certs.ca).assert_all(Payload(1000))
    env.wait_for(lambda: daemon.connections_open("web") == 0, "the connections to be gone", timeout=2)


@pytest.mark.parametrize("relay, version", [("auto", "TLSv1.2"), *((relay, "TLSv1.3") for relay in RELAYS)])
def test_truncated_while_served(relay, version, https, certs, memory_path, closing):
    size = 12 * MIB
    Payload(size).write_to(memory_path / "f")
    daemon = https(memory_path, relay)
    raw = closing(daemon.connect("web", rcvbuf=4096))
    sock = tls.TlsSocket(raw, tls.context(certs, version))
    sock.sendall(http.request("/f"))
    sock.recv(1000)
    os.truncate(memory_path / "f", 100_000)
    rest = streams.receive(sock)
    assert rest.end == "reset" and rest.size < size, rest
    record = daemon.wait_record()
    assert record["outcome"] == "truncated" and records.moved(record, "to_client") < size, record
    assert records.kinds(record, "to_client") == {records.file_kind(relay, True)}, record


@pytest.mark.parametrize("change", ["deleted", "replaced", "appended to"])
@pytest.mark.parametrize("relay", RELAYS)
def test_changed_while_served(relay, change, https, certs, tmp_path, closing):
    """The old content comes whole, and nothing after it."""
    old = Payload(12 * MIB, seed=2)
    old.write_to(tmp_path / "f")
    daemon = https(tmp_path, relay)
    sock = tls.TlsSocket(closing(daemon.connect("web", rcvbuf=4096)), tls.context(certs))
    sock.sendall(http.request("/f", Connection="close"))
    head = b""
    while b"\r\n\r\n" not in head:
        head += sock.recv(1)
    if change == "deleted":
        (tmp_path / "f").unlink()
    elif change == "replaced":
        Payload(1000, seed=3).write_to(tmp_path / "new")
        os.replace(tmp_path / "new", tmp_path / "f")
    else:
        with open(tmp_path / "f", "ab") as file:
            file.write(b"x" * MIB)
    streams.receive(sock).assert_all(old)
    records.check_file(daemon.wait_record(), relay, old.size, tls=True)


def test_ktls_off_says_so(https, certs, big_root):
    daemon = https(big_root, ktls="off")
    http.curl_fetch(url(daemon, "/small"), ca=certs.ca).assert_all(Payload(1000))
    assert records.kinds(daemon.wait_record(), "to_client") == {("copy", "none", "user", "ktls_off")}


def test_ktls_required(https, certs, big_root):
    """Where the kernel can't at all, that is an error of the configuration; where a connection can't have it, the
    connection is refused with the reason."""
    if not env.KTLS:
        done = run_cli("run", "-c", _config(certs, big_root, "auto", ktls="require"))
        assert done.returncode == 1 and "tls.main.ktls" in done.stderr, done
        return
    daemon = https(big_root, ktls="require")
    http.curl_fetch(url(daemon, "/small"), ca=certs.ca).assert_all(Payload(1000))
    record = daemon.wait_record()
    assert records.kinds(record, "to_client") == {("sendfile", "none", "ktls", "passthrough")}, record


def test_keep_alive_ranges_and_errors(https, certs, big_root, closing):
    daemon = https(big_root)
    sock = tls.TlsSocket(closing(daemon.connect("web")), tls.context(certs))
    reader = http.Reader(sock)
    sock.sendall(http.request("/small") + http.request("/small", Range="bytes=10-19") + http.request("/none")
                 + http.request("/small", method="HEAD") + http.request("/empty"))
    data = Payload(1000).bytes()
    assert reader.answer().body == data and reader.answer().body == data[10:20]
    assert reader.answer().status == 404 and reader.answer(head=True).headers["content-length"] == "1000"
    assert reader.answer().status == 200
    sock.shutdown(1)
    assert reader.at_end()
    found = daemon.wait_records(5)
    assert records.kinds(found[2], "to_client") == {("copy", "none", records.tx_crypto(), "generated")}, found[2]
