"""Both ends of a stream under exact control: send a payload, receive to the end, reset, half-close.

Works alike on plain sockets and on support.tls.TlsSocket. Knows nothing of Sluice.
"""
import hashlib
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field

RESETS = (ConnectionResetError, BrokenPipeError)


@dataclass
class Received:
    """What one side saw. end: "eof", "reset", "cut" (TLS without close_notify) or "timeout"."""
    size: int = 0
    digest: str = ""
    end: str = ""
    send_error: Exception = None
    sent: int = 0
    first: bytes = field(default=b"", repr=False)

    @property
    def lost(self):
        """A reset was seen. The kernel tells it once, to the sender or to the receiver."""
        return self.end == "reset" or isinstance(self.send_error, RESETS)

    def assert_all(self, payload):
        assert self.end == "eof", self
        assert self.send_error is None, self
        assert (self.size, self.digest) == (payload.size, payload.digest), f"{self}, not {payload}"


def receive(sock, chunk=1 << 18, limit=None, on_data=None):
    """Reads until the end, or until `limit` bytes (then end is "")."""
    digest, result = hashlib.sha256(), Received()
    buffer = memoryview(bytearray(chunk))
    while limit is None or result.size < limit:
        try:
            n = sock.recv_into(buffer[:chunk if limit is None else min(chunk, limit - result.size)])
        except RESETS:
            result.end = "reset"
            break
        except ssl.SSLEOFError:
            result.end = "cut"
            break
        except TimeoutError:
            result.end = "timeout"
            break
        if n == 0:
            result.end = "eof"
            break
        if not result.size:
            result.first = bytes(buffer[:min(n, 4096)])
        digest.update(buffer[:n])
        result.size += n
        if on_data:
            on_data(result.size)
    result.digest = digest.hexdigest()
    return result


def send(sock, payload, chunk=1 << 16, half_close=True):
    for part in payload.chunks(chunk):
        sock.sendall(part)
    if half_close:
        sock.shutdown(socket.SHUT_WR)


class Sender(threading.Thread):
    """Sends in the background; `sent` is live, `error` is what stopped it."""

    def __init__(self, sock, payload, chunk=1 << 16, half_close=True):
        super().__init__(daemon=True)
        self.sock, self.payload, self.chunk, self.half_close = sock, payload, chunk, half_close
        self.sent, self.error = 0, None
        self.start()

    def run(self):
        try:
            for part in self.payload.chunks(self.chunk):
                self.sock.sendall(part)
                self.sent += len(part)
            if self.half_close:
                self.sock.shutdown(socket.SHUT_WR)
        except (OSError, ValueError) as error:
            self.error = error


def converse(sock, payload):
    """Sends payload and half-closes, while receiving to the end, and closes. The whole life of one side."""
    sender = Sender(sock, payload)
    result = receive(sock)
    sender.join()
    sock.close()
    result.send_error, result.sent = sender.error, sender.sent
    return result


def receive_exactly(sock, size):
    parts, left = [], size
    while left:
        part = sock.recv(min(left, 1 << 16))
        if not part:
            raise EOFError(f"{left} of {size} bytes missing")
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def widen(sock):
    """Ends the stall of a reader that began with a tiny receive buffer."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)


def reset(sock):
    """Closes so that the peer sees a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
