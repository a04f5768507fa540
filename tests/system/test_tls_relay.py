"""TLS in front of a TCP backend: every size and direction, half-close, resets, truncation; with kTLS by splice,
without it by copying, and always saying which."""
import socket

import pytest

from support import env, http, records, streams, tls
from support.backends import Backend, converser
from support.env import MIB
from support.payload import Payload

pytestmark = pytest.mark.ktls

VERSIONS = ("TLSv1.2", "TLSv1.3")
SIZES = (0, 1, 16384, 16385, 65537, MIB)
# Forced splice can be had for TLS only where the kernel has it, and then both ways.
RELAYS = ("auto", "copy", "splice") if env.KTLS else ("auto", "copy")


@pytest.fixture
def tls_proxy(proxy, certs):
    def start(*servers, relay="auto", **settings):
        listener = {"tls": "main", "relay": relay, **settings.pop("listener", {})}
        return proxy(*servers, listener=listener, tls={"main": certs.tls()}, **settings)
    return start


@pytest.fixture
def dial(certs, closing):
    """dial(daemon, version) is a TlsSocket on the listener `app`."""
    def connect(daemon, version=None, **kwargs):
        return closing(tls.TlsSocket(closing(daemon.connect("app", **kwargs)), tls.context(certs, version)))
    return connect


@pytest.mark.parametrize("version", VERSIONS)
def test_sizes_each_way_and_both_at_once(version, tls_proxy, dial, closing):
    waiting = []
    backend = closing(Backend(lambda sock: streams.converse(sock, waiting.pop())))
    for relay in RELAYS:
        daemon, done = tls_proxy(backend.address, relay=relay), 0
        for size in SIZES:
            for up, down in ((0, 1), (1, 0), (1, 1)):
                to_server, to_client = Payload(size * up, seed=2), Payload(size * down, seed=3)
                waiting.append(to_client)
                slot = backend.accepted
                sock = dial(daemon, version)
                at_client = streams.converse(sock, to_server)
                backend.result(slot).assert_all(to_server)
                at_client.assert_all(to_client)
                done += 1
                record = daemon.wait_records(done)[-1]
                records.check_tls(record, version)
                assert record["tls"]["sni"] == "localhost" and record["outcome"] == "complete", record
                assert record["directions"]["to_client"]["head_bytes"] > 500, record
                records.check_tls_relay(record, "to_server", version, relay, to_server.size)
                records.check_tls_relay(record, "to_client", version, relay, to_client.size)


@pytest.mark.parametrize("version", VERSIONS)
def test_big_both_ways_at_once(version, tls_proxy, dial, backend, big):
    for relay in RELAYS:
        server = backend(converser(big))
        daemon = tls_proxy(server.address, relay=relay)
        sock = dial(daemon, version)
        streams.converse(sock, big).assert_all(big)
        server.result().assert_all(big)
        record = daemon.wait_record()
        records.check_tls_relay(record, "to_server", version, relay, big.size)
        records.check_tls_relay(record, "to_client", version, relay, big.size)


class HalfClosing:
    """A client's socket that ends its sending with the handshake's last flight, in one segment. The kernel takes
    keys for established sockets only, and so leaves this one to user space."""

    def __init__(self, sock):
        self.sock, self.flights = sock, 0

    def __getattr__(self, name):
        return getattr(self.sock, name)

    def sendall(self, data):
        self.flights += 1
        if self.flights < 2:
            self.sock.sendall(data)
        elif data:
            assert self.sock.send(data, socket.MSG_MORE) == len(data)
            self.sock.shutdown(socket.SHUT_WR)


@pytest.fixture
def dial_without_ktls(certs, closing):
    """As `dial`, for a connection in which the kernel has no part."""
    def connect(daemon, version):
        sock = closing(daemon.connect("app"))
        return closing(tls.TlsSocket(HalfClosing(sock) if env.KTLS else sock, tls.context(certs, version)))
    return connect


# In TLS 1.3 the server's sending key comes before that flight, and a socket that has sent may receive.
NO_KTLS = [("TLSv1.2", "kernel_refused")] if env.KTLS else [(version, "ktls_kernel") for version in VERSIONS]


@pytest.mark.parametrize("version, reason", NO_KTLS)
def test_forced_splice_resets_where_it_can_not_be(version, reason, tls_proxy, dial_without_ktls, backend):
    server = backend(converser(Payload(100_000)))
    daemon = tls_proxy(server.address, relay="splice")
    try:
        assert streams.receive(dial_without_ktls(daemon, version)).end == "reset"
    except ConnectionResetError:
        pass  # before the handshake's last byte had come
    record = daemon.wait_record()
    assert record["outcome"] == "refused" and record["closed_by"] == "sluice", record
    assert record["detail"] == reason, record


@pytest.mark.parametrize("version", VERSIONS)
def test_ktls_off_says_so(version, proxy, certs, dial, backend):
    payload = Payload(100_000)
    server = backend(converser(payload))
    daemon = proxy(server.address, listener={"tls": "main"}, tls={"main": certs.tls(ktls="off")})
    streams.converse(dial(daemon, version), payload).assert_all(payload)
    record = daemon.wait_record()
    assert records.kinds(record, "to_client") == {("copy", "none", "user", "ktls_off")}, record
    assert records.kinds(record, "to_server") == {("copy", "user", "none", "ktls_off")}, record


@pytest.mark.parametrize("first", ["client", "server"])
@pytest.mark.parametrize("version", VERSIONS)
def test_half_close(version, first, tls_proxy, dial, backend):
    """close_notify is the half-close of TLS: the other direction goes on."""
    one, two = Payload(3 * MIB, seed=2), Payload(3 * MIB + 1, seed=3)

    def serve(sock):
        if first == "server":
            streams.send(sock, two)
            return streams.receive(sock)
        got = streams.receive(sock)
        streams.send(sock, two)
        return got

    server = backend(serve)
    daemon = tls_proxy(server.address)
    sock = dial(daemon, version)
    if first == "client":
        streams.send(sock, one)
        streams.receive(sock).assert_all(two)
    else:
        streams.receive(sock).assert_all(two)
        streams.send(sock, one)
    server.result().assert_all(one)
    sock.close()
    record = daemon.wait_record()
    assert record["closed_by"] == first and record["outcome"] == "complete", record


@pytest.mark.parametrize("version", VERSIONS)
def test_an_end_without_close_notify_is_a_loss(version, tls_proxy, dial, backend):
    """FIN alone may be an attacker's cut: the server must see a reset, not an end."""
    server = backend(streams.receive)
    daemon = tls_proxy(server.address)
    sock = dial(daemon, version)
    streams.send(sock, Payload(100_000), half_close=False)
    sock.sock.shutdown(1)
    got = server.result()
    assert got.end == "reset", got
    record = daemon.wait_record()
    assert record["outcome"] == "truncated" and record["closed_by"] == "client", record


@pytest.mark.parametrize("version", VERSIONS)
def test_server_reset_reaches_the_client(version, tls_proxy, dial, backend):
    def serve(sock):
        streams.send(sock, Payload(100_000), half_close=False)
        streams.receive(sock, limit=1)
        streams.reset(sock)
        return True

    server = backend(serve)
    daemon = tls_proxy(server.address)
    sock = dial(daemon, version)
    assert streams.receive(sock, limit=100_000).size == 100_000
    sock.sendall(b"x")
    assert streams.receive(sock).end == "reset"
    record = daemon.wait_record()
    assert record["outcome"] == "reset" and record["closed_by"] == "server", record


@pytest.mark.parametrize("version", VERSIONS)
def test_client_reset_reaches_the_server(version, tls_proxy, dial, backend):
    server = backend(streams.receive)
    daemon = tls_proxy(server.address)
    sock = dial(daemon, version)
    streams.send(sock, Payload(1_000_000), half_close=False)
    env.wait_for(lambda: server.accepted, "the server to be reached")
    streams.reset(sock)
    assert server.result().end == "reset"
    assert daemon.wait_record()["outcome"] == "reset"


@pytest.mark.parametrize("version", VERSIONS)
def test_slow_reader_and_an_orderly_end(version, tls_proxy, dial, backend):
    """kTLS cuts off what is only partly queued if the socket is closed too soon."""
    payload = Payload(3 * MIB + 17)
    server = backend(converser(payload))
    daemon = tls_proxy(server.address)
    sock = dial(daemon, version, rcvbuf=4096)
    streams.receive(sock, chunk=3000).assert_all(payload)
    sock.shutdown(1)
    sock.close()
    record = daemon.wait_record()
    records.check_tls_relay(record, "to_client", version, "auto", payload.size)


@pytest.mark.parametrize("version", VERSIONS)
def test_stalled_client_stalls_the_server(version, tls_proxy, dial, backend):
    payload, senders = Payload(env.BIG, seed=7), []

    def serve(sock):
        senders.append(streams.Sender(sock, payload))
        senders[0].join()
        return streams.receive(sock)

    server = backend(serve)
    daemon = tls_proxy(server.address)
    sock = dial(daemon, version, rcvbuf=4096)
    first = streams.receive_exactly(sock, 1)
    if not env.KTLS:  # the guest's payload may fit the buffers on the way
        env.wait_for(lambda: senders, "the server to be reached")
        sent = env.wait_until_still(lambda: senders[0].sent, "the server to block")
        assert sent < 24 * MIB
    rest = streams.receive(sock)
    assert len(first) + rest.size == payload.size and rest.end == "eof", rest


@pytest.mark.parametrize("version", VERSIONS)
def test_conversation_in_small_pieces(version, tls_proxy, dial, backend):
    sizes = [1, 100, 5000, 16384, 20000] * 10

    def serve(sock):
        for size in sizes:
            sock.sendall(streams.receive_exactly(sock, size))
        return streams.receive(sock).end

    server = backend(serve)
    daemon = tls_proxy(server.address)
    sock = dial(daemon, version)
    for number, size in enumerate(sizes):
        message = Payload(size, seed=number).bytes()
        sock.sendall(message)
        assert streams.receive_exactly(sock, size) == message
    sock.shutdown(1)
    assert server.result() == "eof" and streams.receive(sock).end == "eof"
    sock.close()
    assert daemon.wait_record()["outcome"] == "complete"


@pytest.mark.parametrize("version", VERSIONS)
def test_nginx_behind_it(version, tls_proxy, nginx, certs, big):
    """Real curl through TLS to a real nginx, twice on one connection."""
    daemon = tls_proxy(nginx.address)
    url = daemon.url("app", "/big", scheme="https")
    http.curl_fetch(*http.tls_args(version), url, ca=certs.ca).assert_all(big)
    record = daemon.wait_record()
    records.check_tls(record, version)
    cryptos = ("none", records.tx_crypto())
    kind = ("splice", *cryptos, "passthrough") if env.KTLS else ("copy", *cryptos, "ktls_kernel")
    assert kind in records.segments(record, "to_client"), record
    small = daemon.url("app", "/small", scheme="https")
    done = http.curl(*http.tls_args(version), small, small, ca=certs.ca)
    assert done.stdout == Payload(1000).bytes() * 2, done
    assert len(daemon.wait_records(2)) == 2


class Queueing(HalfClosing):
    """A client's socket that sends what the client says next in one segment with the handshake's last flight: it is
    in the server's socket before any key is in the kernel."""

    def sendall(self, data):
        self.flights += 1
        if self.flights == 2 and data:
            assert self.sock.send(data, socket.MSG_MORE) == len(data)
        else:
            self.sock.sendall(data)


@pytest.mark.parametrize("relay", RELAYS)
@pytest.mark.parametrize("version", VERSIONS)
def test_what_came_with_the_handshake(version, relay, tls_proxy, certs, closing, backend):
    request, answer = Payload(70_001, seed=2), Payload(100_000, seed=3)
    server = backend(converser(answer))
    daemon = tls_proxy(server.address, relay=relay)
    sock = Queueing(closing(daemon.connect("app")))
    streams.converse(closing(tls.TlsSocket(sock, tls.context(certs, version))), request).assert_all(answer)
    server.result().assert_all(request)
    record = daemon.wait_record()
    assert record["outcome"] == "complete", record
    records.check_tls_relay(record, "to_server", version, relay, request.size)
    records.check_tls_relay(record, "to_client", version, relay, answer.size)


@pytest.mark.parametrize("first", ["client", "server", "both"])
@pytest.mark.parametrize("relay", RELAYS)
@pytest.mark.parametrize("version", VERSIONS)
def test_close_notify_in_every_order(version, relay, first, tls_proxy, dial, backend):
    """Nothing but close_notify on one side, the other goes on; or both at the same time."""
    def serve(sock):
        if first == "client":
            got = streams.receive(sock)
            streams.send(sock, Payload(5000))
        else:
            streams.send(sock, Payload(5000))
            got = streams.receive(sock)
        return got

    server = backend(serve)
    daemon = tls_proxy(server.address, relay=relay)
    sock = dial(daemon, version)
    if first != "server":
        sock.shutdown(1)
    streams.receive(sock).assert_all(Payload(5000))
    if first == "server":
        sock.shutdown(1)
    assert server.result().end == "eof"
    sock.close()
    record = daemon.wait_record()
    assert record["outcome"] == "complete", record
    records.check_tls_relay(record, "to_client", version, relay, 5000)


@pytest.mark.parametrize("version, reason", NO_KTLS)
def test_zero_copy_required_where_it_can_not_be(version, reason, tls_proxy, dial_without_ktls, backend):
    """Refused before the first byte of payload, with the reason."""
    server = backend(converser(Payload(1000)))
    daemon = tls_proxy(server.address, listener={"require_zero_copy": True})
    try:
        assert streams.receive(dial_without_ktls(daemon, version)).end == "reset"
    except ConnectionResetError:
        pass
    record = daemon.wait_record()
    assert record["outcome"] == "refused" and record["directions"]["to_server"]["bytes"] == 0, record
    assert record["detail"] == reason, record
