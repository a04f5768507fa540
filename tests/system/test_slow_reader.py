"""A reader that takes its time, but takes, is never idle."""
import socket
import time

import pytest

from support import streams
from support.payload import Payload


@pytest.mark.parametrize("relay", ["auto", "splice", "copy"])
def test_a_slow_reader_is_not_idle(relay, proxy, backend):
    """All is in the kernel's buffers at once, and then nothing moves in Sluice for longer than the deadline."""
    payload = Payload(2 << 20)

    def serve(sock):
        streams.send(sock, payload)
        return streams.receive(sock).end

    server = backend(serve)
    daemon = proxy(server.address, listener={"relay": relay}, timeouts={"idle": "600ms"})
    with daemon.connect("app", rcvbuf=16384) as sock:
        received = streams.receive(sock, chunk=1 << 15, on_data=lambda _: time.sleep(0.03))
        received.assert_all(payload)
        sock.shutdown(socket.SHUT_WR)
        assert server.result() == "eof"
    assert daemon.wait_record()["outcome"] == "complete"
