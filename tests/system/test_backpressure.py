"""A reader that stalls stalls the writer: Sluice keeps little of what it can't pass on, and does not spin."""
import signal
import socket
import threading
import time

import pytest

from support import records, streams
from support.backends import trickle
from support.env import MIB, seconds, wait_for, wait_until_still
from support.payload import Payload

RELAYS = ("auto", "splice", "copy")
# Four socket buffers (at most 6 MiB to receive and 4 MiB to send, twice) and a pipe.
IN_FLIGHT_MAX = 32 * MIB


def idle_cpu(daemon, interval=0.5):
    """CPU seconds used per second while nothing can move."""
    before, start = daemon.cpu_seconds(), time.monotonic()
    time.sleep(seconds(interval))
    return (daemon.cpu_seconds() - before) / (time.monotonic() - start)


@pytest.mark.parametrize("relay", RELAYS)
def test_a_stalled_client_stalls_the_server(relay, proxy, backend):
    payload, senders = Payload(64 * MIB), []

    def serve(sock):
        senders.append(streams.Sender(sock, payload))
        senders[0].join()
        return streams.receive(sock)

    server = backend(serve)
    daemon = proxy(server.address, listener={"relay": relay})
    before = daemon.rss()
    with daemon.connect("app", rcvbuf=4096) as sock:
        streams.receive_exactly(sock, 1)
        wait_for(lambda: senders, "the server to be reached")
        sent = wait_until_still(lambda: senders[0].sent, "the server to block")
        assert sent < IN_FLIGHT_MAX, f"{sent} bytes left the server although nobody reads"
        assert idle_cpu(daemon) < 0.1, "busy although nothing can move"
        assert daemon.rss() - before < 8 * MIB, "buffers what the client doesn't read"
        streams.widen(sock)
        rest = streams.receive(sock)
        assert rest.size == payload.size - 1 and rest.end == "eof", rest
    record = daemon.wait_record()
    records.check_plain_relay(record, "to_client", relay, payload.size)


@pytest.mark.parametrize("relay", RELAYS)
def test_a_stalled_server_stalls_the_client(relay, proxy, backend):
    payload, go = Payload(64 * MIB), threading.Event()

    def serve(sock):
        go.wait(60)
        streams.widen(sock)
        return streams.receive(sock)

    server = backend(serve, rcvbuf=4096)
    daemon = proxy(server.address, listener={"relay": relay})
    with daemon.connect("app") as sock:
        sender = streams.Sender(sock, payload)
        sent = wait_until_still(lambda: sender.sent, "the client to block")
        assert sent < IN_FLIGHT_MAX
        assert idle_cpu(daemon) < 0.1
        go.set()
        server.result(timeout=60).assert_all(payload)
        assert sock.recv(1) == b""
    records.check_plain_relay(daemon.wait_record(), "to_server", relay, payload.size)


@pytest.mark.parametrize("relay", RELAYS)
def test_slow_reader_gets_everything(relay, proxy, backend):
    payload = Payload(3 * MIB)
    server = backend(lambda sock: streams.converse(sock, payload))
    daemon = proxy(server.address, listener={"relay": relay})
    with daemon.connect("app", rcvbuf=2048) as sock:
        streams.receive(sock, chunk=1500, on_data=lambda n: time.sleep(0.0001)).assert_all(payload)
    records.check_plain_relay(daemon.wait_record(), "to_client", relay, payload.size)


@pytest.mark.parametrize("relay", RELAYS)
@pytest.mark.parametrize("step", [1, 100])
def test_a_pipe_is_full_by_slots_not_bytes(step, relay, proxy, backend):
    """Hundreds of small segments wait in Sluice's receive queue: they fill a pipe's slots long before its bytes, and
    splice then says EAGAIN just as if the source were empty. Sluice is stopped while they arrive."""
    rounds, payload, turn = 8, Payload(400 * step), threading.Semaphore(0)

    def serve(sock):
        for _ in range(rounds):
            turn.acquire()
            trickle(sock, payload, step)
            turn_done.release()
        sock.shutdown(socket.SHUT_WR)
        return streams.receive(sock)

    turn_done = threading.Semaphore(0)
    server = backend(serve)
    daemon = proxy(server.address, listener={"relay": relay})
    with daemon.connect("app") as sock:
        wait_for(lambda: server.accepted and daemon.connections(), "the connection to be through")
        for _ in range(rounds):
            daemon.signal(signal.SIGSTOP)
            wait_for(lambda: daemon.status_field("State").startswith("T"), "Sluice to stand still")
            turn.release()
            turn_done.acquire()
            daemon.signal(signal.SIGCONT)
            assert streams.receive_exactly(sock, payload.size) == payload.bytes()
        assert sock.recv(1) == b""
    record = daemon.wait_record()
    assert records.moved(record, "to_client") == rounds * payload.size, record
    if relay != "auto":  # which mode small segments in bulk deserve is auto's own affair
        records.check_plain_relay(record, "to_client", relay, rounds * payload.size)


@pytest.mark.parametrize("relay", RELAYS)
def test_small_segments_behind_a_stalled_reader(relay, proxy, backend):
    """The sink is full, the pipe is full by slots, the source has more: no spin, and nothing lost."""
    bulk, small, done = Payload(10 * MIB, seed=2), Payload(100_000, seed=3), []

    def serve(sock):
        streams.send(sock, bulk, half_close=False)
        trickle(sock, small, 100)
        done.append(True)
        sock.shutdown(socket.SHUT_WR)
        return streams.receive(sock)

    server = backend(serve)
    daemon = proxy(server.address, listener={"relay": relay})
    with daemon.connect("app", rcvbuf=4096) as sock:
        streams.receive_exactly(sock, 1)
        wait_until_still(lambda: daemon.connections()[0]["directions"]["to_client"]["bytes"], "the relay to stall")
        assert idle_cpu(daemon) < 0.1
        streams.widen(sock)
        got = streams.receive(sock, limit=bulk.size - 1)
        assert streams.receive(sock).digest == small.digest
    assert got.size == bulk.size - 1 and server.result() and done
    assert records.moved(daemon.wait_record(), "to_client") == bulk.size + small.size
