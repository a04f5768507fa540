"""The TCP proxy moves every size, in both directions, by every mode it can be told to use, and says so."""
import socket

import pytest

from support import http, records, streams
from support.backends import Backend, converser, trickle
from support.env import MIB
from support.payload import Payload

RELAYS = ("auto", "splice", "copy")
SIZES = (0, 1, 16383, 16384, 16385, 65535, 65536, 65537, MIB)
DIRECTIONS = {"to_client": (0, 1), "to_server": (1, 0), "both": (1, 1)}


def exchange(daemon, backend, slot, to_server, to_client):
    """One connection carrying both payloads; returns its record."""
    with daemon.connect("app") as sock:
        at_client = streams.converse(sock, to_server)
    at_server = backend.result(slot)
    at_client.assert_all(to_client)
    at_server.assert_all(to_server)
    return daemon.wait_records(slot + 1)[-1]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("relay", RELAYS)
def test_sizes_each_way_and_both_at_once(relay, size, proxy, closing):
    waiting = []
    backend = closing(Backend(lambda sock: streams.converse(sock, waiting.pop())))
    daemon = proxy(backend.address, listener={"relay": relay})
    for slot, (up, down) in enumerate(DIRECTIONS.values()):
        to_server, to_client = Payload(size * up, seed=2), Payload(size * down, seed=3)
        waiting.append(to_client)
        record = exchange(daemon, backend, slot, to_server, to_client)
        records.check_plain_relay(record, "to_server", relay, to_server.size)
        records.check_plain_relay(record, "to_client", relay, to_client.size)
        assert record["outcome"] == "complete" and record["target"] == backend.address, record
        assert record["tls"] is None and record["listener"] == "app", record


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("relay", RELAYS)
def test_big(relay, direction, proxy, backend, big):
    up, down = DIRECTIONS[direction]
    to_server, to_client = Payload(big.size * up, seed=7), Payload(big.size * down, seed=8)
    server = backend(converser(to_client))
    daemon = proxy(server.address, listener={"relay": relay})
    record = exchange(daemon, server, 0, to_server, to_client)
    records.check_plain_relay(record, "to_server", relay, to_server.size)
    records.check_plain_relay(record, "to_client", relay, to_client.size)


def test_auto_goes_back_to_copying_when_transfers_become_small_again(proxy, backend, big):
    """One connection: small exchanges, a bulk answer, small exchanges again. Each kind in its own mode."""
    small, rounds = 512, 400

    def serve(sock):
        for _ in range(20):
            sock.sendall(streams.receive_exactly(sock, small))
        streams.send(sock, big, half_close=False)
        for _ in range(rounds):
            sock.sendall(streams.receive_exactly(sock, small))
        return streams.receive(sock)

    server = backend(serve)
    daemon = proxy(server.address)
    message = Payload(small).bytes()
    with daemon.connect("app") as sock:
        for _ in range(20):
            sock.sendall(message)
            assert streams.receive_exactly(sock, small) == message
        bulk = streams.receive(sock, limit=big.size)
        assert bulk.digest == big.digest
        for _ in range(rounds):
            sock.sendall(message)
            assert streams.receive_exactly(sock, small) == message
    server.result()
    record = daemon.wait_record()
    path = records.segments(record, "to_client")
    assert path[0] == records.COPY_SMALL and records.SPLICE in path[1:], record
    assert path[-1] == records.COPY_SMALL, "still splicing 400 small exchanges later"
    assert records.bytes_in(record, "to_client", "copy") < 2 * MIB, record
    assert records.kinds(record, "to_server") == {records.COPY_SMALL}, record


@pytest.mark.parametrize("relay", RELAYS)
def test_request_and_answer_many_times(relay, proxy, backend):
    """A conversation, neither side ending: no answer waits for more bytes."""
    def serve(sock):
        for size in sizes:
            sock.sendall(streams.receive_exactly(sock, size))
        return streams.receive(sock).end

    sizes = [1, 100, 1400, 4096, 9000, 70000] * 20
    server = backend(serve)
    daemon = proxy(server.address, listener={"relay": relay})
    with daemon.connect("app") as sock:
        for number, size in enumerate(sizes):
            message = Payload(size, seed=number).bytes()
            sock.sendall(message)
            assert streams.receive_exactly(sock, size) == message
    assert server.result() == "eof"
    record = daemon.wait_record()
    assert records.moved(record, "to_client") == records.moved(record, "to_server") == sum(sizes)
    assert record["closed_by"] == "client", record


@pytest.mark.parametrize("relay", RELAYS)
def test_one_byte_a_packet(relay, proxy, backend):
    payload = Payload(3000)

    def serve(sock):
        trickle(sock, payload)
        return True

    server = backend(serve)
    daemon = proxy(server.address, listener={"relay": relay})
    with daemon.connect("app") as sock:
        streams.receive(sock).assert_all(payload)
    record = daemon.wait_record()
    records.check_plain_relay(record, "to_client", relay, payload.size)


@pytest.mark.parametrize("relay", RELAYS)
def test_nginx_behind_it(relay, proxy, nginx, big, big_root):
    daemon = proxy(nginx.address, listener={"relay": relay})
    http.curl_fetch(daemon.url("app", "/big")).assert_all(big)
    record = daemon.wait_record()
    body = record["directions"]["to_client"]
    assert big.size < body["bytes"] < big.size + 2000, record
    expected = {"splice": {records.SPLICE_FORCED}, "copy": {records.COPY_FORCED}}.get(relay)
    found = records.kinds(record, "to_client")
    assert found == expected if expected else records.SPLICE in found, record

    upload = Payload(3 * MIB, seed=5)
    (big_root / "put").mkdir(exist_ok=True)
    upload.write_to(big_root.parent / f"upload-{relay}")
    done = http.curl("-T", big_root.parent / f"upload-{relay}", daemon.url("app", f"/put/{relay}"),
                     "-w", "%{http_code}")
    assert done.stdout.endswith(b"201"), done
    assert (big_root / "put" / relay).read_bytes() == upload.bytes()
    (big_root / "put" / relay).unlink()

    # One kept-alive connection, several requests
    done = http.curl(daemon.url("app", "/small"), daemon.url("app", "/small"), daemon.url("app", "/index.html"))
    assert done.stdout == Payload(1000).bytes() * 2 + b"<p>index</p>\n", done
    assert len(daemon.wait_records(3)) == 3


@pytest.mark.parametrize("relay", RELAYS)
def test_unix_sockets_on_both_sides(relay, tmp_path, proxy, backend):
    to_server, to_client = Payload(2 * MIB, seed=2), Payload(3 * MIB, seed=3)
    server = backend(converser(to_client), path=tmp_path / "backend.sock")
    daemon = proxy(server.address, listener={"address": f"unix:{tmp_path}/front.sock", "relay": relay})
    assert daemon.addresses["app"] == f"unix:{tmp_path}/front.sock"
    record = exchange(daemon, server, 0, to_server, to_client)
    records.check_plain_relay(record, "to_server", relay, to_server.size)
    records.check_plain_relay(record, "to_client", relay, to_client.size)
    assert record["client"].startswith("unix:") and record["target"] == server.address, record


@pytest.mark.parametrize("listen", ["[::1]:0", ":0", "[::]:0", "0.0.0.0:0"])
def test_address_families(listen, proxy, backend):
    """":PORT" is one socket for both families; the others are what they say."""
    payload = Payload(5000)
    server = backend(converser(payload), host="::1" if listen == "[::1]:0" else "127.0.0.1")
    daemon = proxy(server.address, listener={"address": listen})
    port = daemon.port("app")
    hosts = {"[::1]:0": ["::1"], ":0": ["127.0.0.1", "::1"], "[::]:0": ["::1"], "0.0.0.0:0": ["127.0.0.1"]}[listen]
    for number, host in enumerate(hosts):
        with socket.create_connection((host, port), timeout=10) as sock:
            streams.converse(sock, Payload(0)).assert_all(payload)
        record = daemon.wait_records(number + 1)[-1]
        wanted = f"[{host}]:" if ":" in host else f"{host}:"
        assert record["client"].startswith(wanted), record


def test_require_zero_copy_is_kept(proxy, backend, big):
    """No byte through user memory, not even the small beginning that auto would copy."""
    server = backend(converser(big))
    daemon = proxy(server.address, listener={"require_zero_copy": True})
    with daemon.connect("app") as sock:
        streams.converse(sock, Payload(10)).assert_all(big)
    record = daemon.wait_record()
    for direction in ("to_client", "to_server"):
        assert record["directions"][direction]["user_bytes"] == 0, record
        assert records.kinds(record, direction) == {records.SPLICE}, record
