"""Either side may end first; nothing that either says is lost, before or after. In every mode."""
import socket

import pytest

from support import records, streams
from support.env import MIB, wait_for, wait_until_still
from support.payload import Payload

RELAYS = ("auto", "splice", "copy")
SIZES = (1, 64 * 1024 + 1, 5 * MIB)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("relay", RELAYS)
def test_client_ends_first(relay, size, proxy, backend):
    question, answer = Payload(size, seed=2), Payload(size + 3, seed=3)

    def serve(sock):
        got = streams.receive(sock)
        streams.send(sock, answer)
        return got

    server = backend(serve)
    daemon = proxy(server.address, listener={"relay": relay})
    with daemon.connect("app") as sock:
        streams.send(sock, question)
        streams.receive(sock).assert_all(answer)
    server.result().assert_all(question)
    record = daemon.wait_record()
    assert record["closed_by"] == "client" and record["outcome"] == "complete", record
    records.check_plain_relay(record, "to_server", relay, question.size)
    records.check_plain_relay(record, "to_client", relay, answer.size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("relay", RELAYS)
def test_server_ends_first(relay, size, proxy, backend):
    greeting, answer = Payload(size, seed=2), Payload(size + 3, seed=3)

    def serve(sock):
        streams.send(sock, greeting)
        return streams.receive(sock)

    server = backend(serve)
    daemon = proxy(server.address, listener={"relay": relay})
    with daemon.connect("app") as sock:
        streams.receive(sock).assert_all(greeting)
        streams.send(sock, answer)
        server.result().assert_all(answer)
        assert sock.recv(1) == b""
    record = daemon.wait_record()
    assert record["closed_by"] == "server" and record["outcome"] == "complete", record
    records.check_plain_relay(record, "to_client", relay, greeting.size)
    records.check_plain_relay(record, "to_server", relay, answer.size)


@pytest.mark.parametrize("relay", RELAYS)
def test_an_end_is_told_only_after_the_last_byte(relay, proxy, backend):
    """HAProxy #2505, #2749: SHUT_WR before the pipe was empty. A stalled reader keeps the pipe full at the end."""
    answer, senders = Payload(40 * MIB, seed=3), []

    def serve(sock):
        senders.append(streams.Sender(sock, answer))
        got = streams.receive(sock)
        senders[0].join()
        return got

    server = backend(serve)
    daemon = proxy(server.address, listener={"relay": relay})
    with daemon.connect("app", rcvbuf=4096) as sock:
        sock.shutdown(socket.SHUT_WR)
        wait_for(lambda: senders, "the server to be reached")
        wait_until_still(lambda: senders[0].sent, "the server to block")
        streams.widen(sock)
        streams.receive(sock).assert_all(answer)
    assert server.result().end == "eof"
    assert daemon.wait_record()["outcome"] == "complete"


@pytest.mark.parametrize("relay", RELAYS)
def test_both_end_at_once_many_times(relay, proxy, backend):
    """Ends that cross, and connections without a byte: each is one clean record."""
    payload = Payload(100)
    server = backend(lambda sock: streams.converse(sock, payload))
    daemon = proxy(server.address, listener={"relay": relay})
    for _ in range(50):
        with daemon.connect("app") as sock:
            streams.converse(sock, payload).assert_all(payload)
    with daemon.connect("app"):
        pass
    found = daemon.wait_records(51)
    # The last client closed at once without reading: it may have reset what the server still said.
    assert all(r["outcome"] == "complete" for r in found[:50]), found
