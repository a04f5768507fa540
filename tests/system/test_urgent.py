"""A TCP urgent byte wedges splice() for ever unless something else reads it. It is part of the stream here:
every byte arrives, in place, whoever sends it."""
import socket

import pytest

from support import records, streams
from support.env import MIB
from support.payload import Payload, digest_of

RELAYS = ("auto", "splice", "copy")


def send_with_urgent(sock, before, after, urgent=b"!"):
    streams.send(sock, before, half_close=False)
    sock.send(urgent, socket.MSG_OOB)
    streams.send(sock, after)


@pytest.mark.parametrize("size", [0, 1000, 4 * MIB])
@pytest.mark.parametrize("relay", RELAYS)
def test_urgent_byte_from_the_client(relay, size, proxy, backend):
    before, after = Payload(size, seed=2), Payload(size, seed=3)
    server = backend(streams.receive)
    daemon = proxy(server.address, listener={"relay": relay})
    with daemon.connect("app") as sock:
        send_with_urgent(sock, before, after)
        got = server.result()
        assert streams.receive(sock).end == "eof"
    assert got.end == "eof" and got.size == 2 * size + 1, got
    assert got.digest == digest_of(before.bytes() + b"!" + after.bytes())
    record = daemon.wait_record()
    assert record["outcome"] == "complete", record
    reasons = {kind[3] for kind in records.kinds(record, "to_server")}
    if relay == "copy":
        assert reasons == {"forced"}, record
    elif relay == "splice":
        assert "urgent_data" in reasons, record
        if size > MIB:
            assert records.SPLICE_FORCED in records.kinds(record, "to_server"), record
    elif size > MIB:
        assert records.SPLICE in records.kinds(record, "to_server"), record


@pytest.mark.parametrize("relay", RELAYS)
def test_urgent_bytes_from_the_server_many_times(relay, proxy, backend):
    """Several marks, small stretches between: each is passed, and splicing goes on after each."""
    part = Payload(50_000)

    def serve(sock):
        for _ in range(30):
            streams.send(sock, part, half_close=False)
            sock.send(b"!", socket.MSG_OOB)
        sock.shutdown(socket.SHUT_WR)
        return streams.receive(sock)

    server = backend(serve)
    daemon = proxy(server.address, listener={"relay": relay})
    with daemon.connect("app") as sock:
        # Read at leisure: marks pile up in Sluice's receive buffer.
        got = streams.receive(sock, chunk=7000)
    assert got.end == "eof" and got.size == 30 * 50_001, got
    assert got.digest == digest_of((part.bytes() + b"!") * 30)
    record = daemon.wait_record()
    if relay == "splice":
        found = records.kinds(record, "to_client")
        assert records.SPLICE_FORCED in found and ("copy", "none", "none", "urgent_data") in found, record
