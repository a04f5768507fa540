"""Runs sluice-load, and servers of known faults for it. Knows nothing of any scenario."""
import contextlib
import json
import socket
import subprocess
import threading

from support import env

LOAD = env.BIN.parent / "sluice-load"


def run_load(*args, timeout=60, prefix=(), **kwargs):
    """To its end: a CompletedProcess with text output. prefix: a command that runs it, with its arguments."""
    return subprocess.run([*prefix, str(LOAD), *map(str, args)], capture_output=True, text=True,
                          timeout=env.seconds(timeout), **kwargs)


def load_json(*args, status=0, timeout=60, prefix=()):
    """(document, stderr) of a run with --json that ends with this status."""
    done = run_load(*args, "--json", timeout=timeout, prefix=prefix)
    assert done.returncode == status, f"exit status {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return json.loads(done.stdout), done.stderr


def wrapper(tmp_path, text):
    """A program that does something to its arguments and then is Sluice."""
    path = tmp_path / "sluice-wrapper"
    path.write_text(f"#!/bin/bash\n{text}\nexec {env.BIN} \"$@\"\n")
    path.chmod(0o755)
    return path


def answer(body, length=None, head="HTTP/1.1 200 OK"):
    return f"{head}\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body


@contextlib.contextmanager
def http_server(respond):
    """A server on loopback, a thread for each connection. respond(number of the request, its head) gives the bytes
    to send; None in place of them, or last in a tuple after them, ends the connection. Gives its URL."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    lock, state = threading.Lock(), {"requests": 0}

    def serve(sock):
        with sock, contextlib.suppress(OSError):
            data = b""
            while True:
                while b"\r\n\r\n" not in data:
                    piece = sock.recv(65536)
                    if not piece:
                        return
                    data += piece
                head, data = data.split(b"\r\n\r\n", 1)
                with lock:
                    number = state["requests"]
                    state["requests"] += 1
                reply = respond(number, head.decode())
                for part in reply if isinstance(reply, tuple) else (reply,):
                    if part is None:
                        return
                    sock.sendall(part)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                threading.Thread(target=serve, args=(sock,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
