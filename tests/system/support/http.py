"""HTTP as a client sees it: raw requests with a strict reading of the answer, and real curl."""
import hashlib
import re
import subprocess
from dataclasses import dataclass

from support import env


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes
    version: str = "HTTP/1.1"


class Reader:
    """Reads answers from a socket one after the other."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""

    def _more(self):
        data = self.sock.recv(1 << 16)
        if not data:
            raise EOFError(f"closed after {self.buffer[:200]!r}")
        self.buffer += data

    def answer(self, head=False):
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        top, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = top.decode("latin-1").split("\r\n")
        version, status, _ = (lines[0] + " ").split(" ", 2)
        headers = {}
        for line in lines[1:]:
            name, value = line.split(": ", 1)
            assert name.lower() not in headers, f"{name} twice"
            headers[name.lower()] = value
        status = int(status)
        size = 0 if head or status in (304, 204) else int(headers["content-length"])
        while len(self.buffer) < size:
            self._more()
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return Answer(status, headers, body, version)

    def at_end(self):
        """Whether the peer closed in order, with nothing more to say."""
        assert not self.buffer, self.buffer[:200]
        return self.sock.recv(1) == b""


def request(path="/", method="GET", host="localhost", version="HTTP/1.1", **headers):
    lines = [f"{method} {path} {version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def ask(sock, raw, head=False):
    """One request as bytes, and its answer."""
    sock.sendall(raw)
    return Reader(sock).answer(head)


def multipart_body(answer, data, ranges):
    """What the body of an answer with these ranges of `data` must be, given its boundary."""
    boundary = re.fullmatch(r"multipart/byteranges; boundary=([0-9a-f]{32})", answer.headers["content-type"])[1]
    parts = [f"--{boundary}\r\nContent-Type: application/octet-stream\r\n"
             f"Content-Range: bytes {first}-{last}/{len(data)}\r\n\r\n".encode() + data[first:last + 1]
             for first, last in ranges]
    return b"\r\n".join(parts) + f"\r\n--{boundary}--\r\n".encode()


@dataclass
class Fetched:
    exit: int
    size: int
    digest: str
    error: str

    def assert_all(self, payload):
        assert self.exit == 0, self
        assert (self.size, self.digest) == (payload.size, payload.digest), f"{self}, not {payload}"


def curl_args(*args, ca=None):
    timeout = str(int(env.seconds(60)))
    return ["curl", "-sS", "--noproxy", "*", "--max-time", timeout, *(["--cacert", str(ca)] if ca else []),
            *map(str, args)]


def curl(*args, ca=None):
    """Runs curl to its end: a CompletedProcess with bytes."""
    return subprocess.run(curl_args(*args, ca=ca), capture_output=True, timeout=env.seconds(90))


def curl_fetch(*args, ca=None):
    """Fetches and hashes without holding the body."""
    process = subprocess.Popen(curl_args(*args, ca=ca), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    digest, size = hashlib.sha256(), 0
    while data := process.stdout.read(1 << 18):
        digest.update(data)
        size += len(data)
    error = process.stderr.read().decode()
    process.stdout.close()
    process.stderr.close()
    return Fetched(process.wait(), size, digest.hexdigest(), error)


def tls_args(version):
    """curl's options for exactly this version of TLS."""
    return ["--tlsv1.3"] if version == "TLSv1.3" else ["--tlsv1.2", "--tls-max", "1.2"]
