"""Servers for Sluice to connect to, each with exactly the behaviour a test asks for."""
import selectors
import socket
import threading
import time

from support import env, streams


class Backend:
    """Runs handler(sock) in a thread for each connection and keeps what it returns, in order of acceptance."""

    def __init__(self, handler, path=None, host="127.0.0.1", port=0, rcvbuf=None):
        self.handler = handler
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            self.address = f"unix:{path}"
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self.listener = socket.socket(family)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if rcvbuf:
                self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
            self.listener.bind((host, port))
            port = self.listener.getsockname()[1]
            self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.listener.listen(512)
        self.results, self.errors, self.sockets, self.peers = [], [], [], []
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                sock, peer = self.listener.accept()
            except OSError:
                return
            self.peers.append(peer[0] if peer else None)
            sock.settimeout(env.seconds(20))
            self.sockets.append(sock)
            slot = len(self.results)
            self.results.append(None)
            threading.Thread(target=self._serve, args=(sock, slot), daemon=True).start()

    def _serve(self, sock, slot):
        try:
            self.results[slot] = self.handler(sock) or True
        except Exception as error:
            self.errors.append(error)
            self.results[slot] = error
        finally:
            sock.close()

    @property
    def accepted(self):
        return len(self.results)

    def result(self, slot=0, timeout=20):
        """What the handler returned for the connection `slot`, waiting for it; raises what it raised."""
        value = env.wait_for(lambda: len(self.results) > slot and self.results[slot], f"backend result {slot}",
                             timeout)
        if isinstance(value, Exception):
            raise value
        return value

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.thread.join(env.seconds(5))
        for sock in self.sockets:
            sock.close()


def converser(payload):
    """Sends payload and half-closes, while receiving to the end."""
    return lambda sock: streams.converse(sock, payload)


def echo(sock):
    while True:
        try:
            data = sock.recv(1 << 16)
        except streams.RESETS:
            return "reset"
        if not data:
            return "eof"
        sock.sendall(data)


class ManyEcho:
    """An echo server for thousands of connections on one thread."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(4096)
        self.listener.setblocking(False)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.wake, self.waker = socket.socketpair()
        self.selector.register(self.wake, selectors.EVENT_READ)
        self.open = 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.wake:
                    return
                if key.fileobj is self.listener:
                    self._accept()
                else:
                    self._echo(key.fileobj)

    def _accept(self):
        try:
            sock, _ = self.listener.accept()
        except BlockingIOError:
            return
        sock.settimeout(env.seconds(20))  # an answer is small: a blocking sendall is good enough
        self.selector.register(sock, selectors.EVENT_READ)
        self.open += 1

    def _echo(self, sock):
        try:
            data = sock.recv(1 << 16)
            if data:
                sock.sendall(data)
        except OSError:
            data = b""
        if not data:
            self.selector.unregister(sock)
            sock.close()
            self.open -= 1

    def close(self):
        self.waker.send(b"x")
        self.thread.join(env.seconds(5))
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()
        self.waker.close()


class BlackHole:
    """An address where connect() neither succeeds nor fails: a listening socket whose backlog is full."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.fillers = []
        while self._fill():
            assert len(self.fillers) < 50, "the backlog does not fill"

    def _fill(self):
        sock = socket.socket()
        sock.settimeout(0.2)
        self.fillers.append(sock)
        try:
            sock.connect(self.listener.getsockname())
            return True
        except TimeoutError:
            return False

    def close(self):
        for sock in (*self.fillers, self.listener):
            sock.close()


def dead_address():
    """An address where nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % sock.getsockname()[1]


def free_port():
    return int(dead_address().rsplit(":", 1)[1])


def trickle(sock, payload, step=1):
    """One packet per `step` bytes."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for part in payload.chunks(step):
        sock.sendall(part)
        time.sleep(0)
