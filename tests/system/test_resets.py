"""A reset on one side reaches the other as a reset, never as a clean end. (HAProxy ends the client's stream in
order when the server resets.)"""
import threading

import pytest

from support import records, streams
from support.env import MIB, wait_for
from support.payload import Payload

RELAYS = ("auto", "splice", "copy")


@pytest.mark.parametrize("size", [0, 1000, 3 * MIB])
@pytest.mark.parametrize("relay", RELAYS)
def test_server_resets_in_mid_transfer(relay, size, proxy, backend):
    payload, reached = Payload(size), threading.Event()

    def serve(sock):
        streams.send(sock, payload, half_close=False)
        reached.wait(20)
        streams.reset(sock)
        return True

    server = backend(serve)
    daemon = proxy(server.address, listener={"relay": relay})
    with daemon.connect("app") as sock:
        got = streams.receive(sock, limit=size)
        assert got.digest == payload.digest
        reached.set()
        assert streams.receive(sock).end == "reset", "a reset became a clean end"
    record = daemon.wait_record()
    assert record["outcome"] == "reset" and record["closed_by"] == "server", record
    records.check_plain_relay(record, "to_client", relay, size)


@pytest.mark.parametrize("relay", RELAYS)
def test_server_resets_while_the_client_sends(relay, proxy, backend):
    def serve(sock):
        got = streams.receive(sock, limit=2 * MIB)
        streams.reset(sock)
        return got

    server = backend(serve)
    daemon = proxy(server.address, listener={"relay": relay})
    with daemon.connect("app") as sock:
        assert streams.converse(sock, Payload(200 * MIB)).lost
    assert daemon.wait_record()["outcome"] == "reset"


@pytest.mark.parametrize("sending", ["client_sends", "server_sends", "idle"])
@pytest.mark.parametrize("relay", RELAYS)
def test_client_resets_in_mid_transfer(relay, sending, proxy, backend):
    def serve(sock):
        if sending == "server_sends":
            sender = streams.Sender(sock, Payload(200 * MIB))
            sender.join()
            return "reset" if isinstance(sender.error, streams.RESETS) else repr(sender.error)
        return streams.receive(sock).end

    server = backend(serve)
    daemon = proxy(server.address, listener={"relay": relay})
    sock = daemon.connect("app")
    if sending == "client_sends":
        streams.send(sock, Payload(3 * MIB), half_close=False)
    elif sending == "server_sends":
        streams.receive(sock, limit=3 * MIB)
    else:
        wait_for(lambda: server.accepted, "the backend to be reached")
    streams.reset(sock)
    assert server.result() == "reset"
    record = daemon.wait_record()
    assert record["outcome"] == "reset" and record["closed_by"] == "client", record


@pytest.mark.parametrize("relay", RELAYS)
def test_a_reset_is_noticed_under_back_pressure(relay, proxy, backend):
    """The client has stopped reading, so Sluice isn't reading the server: its reset must be seen all the same."""
    go = threading.Event()

    def serve(sock):
        sender = streams.Sender(sock, Payload(200 * MIB), half_close=False)
        go.wait(20)
        streams.reset(sock)
        sender.join()
        return True

    server = backend(serve)
    daemon = proxy(server.address, listener={"relay": relay})
    with daemon.connect("app", rcvbuf=4096) as sock:
        streams.receive(sock, limit=1000)
        go.set()
        record = daemon.wait_record()
        assert streams.receive(sock).end == "reset"
    assert record["outcome"] == "reset" and record["closed_by"] == "server", record


@pytest.mark.parametrize("relay", RELAYS)
def test_reset_after_a_half_close(relay, proxy, backend):
    """The client has ended its part; the server resets instead of answering in full."""
    def serve(sock):
        streams.receive(sock)
        streams.send(sock, Payload(1000), half_close=False)
        streams.reset(sock)
        return True

    server = backend(serve)
    daemon = proxy(server.address, listener={"relay": relay})
    with daemon.connect("app") as sock:
        streams.send(sock, Payload(1000))
        assert streams.receive(sock).end == "reset"
    assert daemon.wait_record()["outcome"] == "reset"
