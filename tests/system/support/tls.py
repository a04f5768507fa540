"""A TLS client that can do what ssl.SSLSocket can't: half-close, end without close_notify, and tell one from
the other at the peer. Refuses to know what is said over it."""
import socket
import ssl
import threading

VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


def context(certs, version=None, alpn=None, ciphers=None):
    """Trusts the tests' CA and checks the name. version: exactly this one."""
    ctx = ssl.create_default_context(cafile=str(certs.ca))
    if version:
        ctx.minimum_version = ctx.maximum_version = VERSIONS[version]
    if alpn:
        ctx.set_alpn_protocols(alpn)
    if ciphers:
        ctx.set_ciphers(ciphers)
    return ctx


def server_context(pair, version=None, alpn=None, client_ca=None):
    """Shows the certificate; with client_ca it asks for one. version: exactly this one."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(pair["cert"], pair["key"])
    if version:
        ctx.minimum_version = ctx.maximum_version = VERSIONS[version]
    if alpn:
        ctx.set_alpn_protocols(alpn)
    if client_ca:
        ctx.load_verify_locations(client_ca)
        ctx.verify_mode = ssl.CERT_REQUIRED
    return ctx


class TlsSocket:
    """TLS over a connected socket; one thread may send while another receives."""

    def __init__(self, sock, ctx, name="localhost", server_side=False):
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = ctx.wrap_bio(self.incoming, self.outgoing, server_side=server_side,
                                server_hostname=None if server_side else name)
        self.lock, self.send_lock = threading.Lock(), threading.Lock()
        self.server_hello = b""
        self.early = b""  # read while shutting down, not yet received
        self._handshake()

    def _handshake(self):
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.sock.sendall(self.outgoing.read())
                data = self.sock.recv(1 << 16)
                if not data:
                    raise ConnectionResetError("closed in the handshake") from None
                self.server_hello = self.server_hello or data
                self.incoming.write(data)
        self.sock.sendall(self.outgoing.read())

    def sendall(self, data):
        data = memoryview(data)
        with self.send_lock:
            for at in range(0, len(data), 1 << 16):
                with self.lock:
                    self.tls.write(data[at:at + (1 << 16)])
                    wire = self.outgoing.read()
                self.sock.sendall(wire)

    def recv_into(self, buffer):
        while True:
            with self.lock:
                if self.early:
                    n = min(len(buffer), len(self.early))
                    buffer[:n], self.early = self.early[:n], self.early[n:]
                    return n
                try:
                    return self.tls.read(len(buffer), buffer)
                except ssl.SSLZeroReturnError:
                    return 0
                except ssl.SSLWantReadError:
                    pass
                answer = self.outgoing.pending
            if answer and self.send_lock.acquire(blocking=False):
                try:
                    self.sock.sendall(self.outgoing.read())
                finally:
                    self.send_lock.release()
            data = self.sock.recv(1 << 18)
            with self.lock:
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()

    def recv(self, size):
        buffer = bytearray(size)
        return bytes(buffer[:self.recv_into(memoryview(buffer))])

    def shutdown(self, how):
        """SHUT_WR: says close_notify and goes on receiving. The socket itself stays open."""
        assert how == socket.SHUT_WR
        with self.send_lock, self.lock:
            try:
                # unwrap() also looks for the peer's close_notify, and is fatal if data stands there instead.
                while data := self.tls.read(1 << 16):
                    self.early += data
            except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                pass
            try:
                self.tls.unwrap()
            except ssl.SSLWantReadError:
                pass  # the peer's part of the closing is still to come; ours is in `outgoing`
            self.sock.sendall(self.outgoing.read())

    def settimeout(self, value):
        self.sock.settimeout(value)

    def setsockopt(self, *args):
        self.sock.setsockopt(*args)

    def close(self):
        """Ends the socket as it is: without close_notify unless shutdown() said it."""
        self.sock.close()

    @property
    def version(self):
        return self.tls.version()

    @property
    def cipher(self):
        return self.tls.cipher()[0]
