"""Every wait has an end: handshake, request head, idling. And none ends what still moves."""
import socket
import time

import pytest

from support import http, streams, tls
from support.backends import echo
from support.env import seconds, wait_for
from support.payload import Payload


def ended_after(sock):
    """Seconds until the peer ended the connection, and how."""
    start = time.monotonic()
    end = streams.receive(sock).end
    return time.monotonic() - start, end


@pytest.mark.parametrize("relay", ["auto", "splice", "copy"])
def test_idle(relay, proxy, backend):
    """Either side sees an end, and never a clean one: nobody said that it was complete."""
    server = backend(echo)
    daemon = proxy(server.address, listener={"relay": relay}, timeouts={"idle": "500ms"})
    with daemon.connect("app") as sock:
        for _ in range(8):  # longer than the deadline in all, but never idle for so long
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
            time.sleep(0.1)
        took, end = ended_after(sock)
    assert 0.3 < took < seconds(2) and end == "reset", (took, end)
    assert server.result() == "reset"
    record = daemon.wait_record()
    assert record["outcome"] == "timeout" and record["closed_by"] == "sluice", record


def test_one_direction_keeps_both_alive(proxy, backend):
    def serve(sock):
        for _ in range(12):
            sock.sendall(b"x")
            time.sleep(0.1)
        return streams.receive(sock)

    server = backend(serve)
    daemon = proxy(server.address, timeouts={"idle": "500ms"})
    with daemon.connect("app") as sock:
        assert streams.receive(sock, limit=12).size == 12
        sock.shutdown(socket.SHUT_WR)
        server.result()
    assert daemon.wait_record()["outcome"] == "complete"


def test_a_listeners_own_deadline(sluice, backend, closing):
    server = backend(echo)
    daemon = sluice(listeners={"app": {"address": "127.0.0.1:0", "proxy": "app", "timeouts": {"idle": "300ms"}},
                               "patient": {"address": "127.0.0.1:0", "proxy": "app"}},
                    backends={"app": {"servers": (server.address,)}})
    patient = closing(daemon.connect("patient"))
    with daemon.connect("app") as sock:
        assert ended_after(sock)[1] == "reset"
    patient.sendall(b"x")
    assert patient.recv(1) == b"x"


@pytest.mark.ktls
@pytest.mark.parametrize("start", [b"", b"\x16\x03\x01\x02\x00\x01"])
def test_handshake(start, file_server, certs, big_root):
    daemon = file_server(big_root, {"tls": "main"}, tls={"main": certs.tls()}, timeouts={"handshake": "400ms"})
    with daemon.connect("web") as sock:
        sock.sendall(start)
        took, _ = ended_after(sock)
    assert 0.2 < took < seconds(2), took
    record = daemon.wait_record()
    assert record["outcome"] in ("handshake", "timeout") and record["closed_by"] == "sluice", record


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\n", b"G"])
def test_a_request_that_is_not_finished(start, file_server, big_root):
    """408, however slowly it drips: the deadline is the whole head's."""
    daemon = file_server(big_root, timeouts={"header": "500ms"})
    with daemon.connect("web") as sock:
        sock.sendall(start)
        began = time.monotonic()
        reader = http.Reader(sock)
        sock.settimeout(0.1)
        while time.monotonic() - began < seconds(3):
            try:
                answer = reader.answer()
                break
            except TimeoutError:
                sock.sendall(b"X")
        assert answer.status == 408, answer
        assert 0.3 < time.monotonic() - began < seconds(2)
        assert answer.headers["connection"].lower() == "close"
    assert daemon.wait_record()["status"] == 408


@pytest.mark.parametrize("requests", [0, 1])
def test_an_idle_http_connection_is_closed(requests, file_server, big_root):
    daemon = file_server(big_root, timeouts={"idle": "400ms", "header": "400ms"})
    with daemon.connect("web") as sock:
        for _ in range(requests):
            assert http.ask(sock, http.request("/small")).status == 200
        took, end = ended_after(sock)
    assert 0.2 < took < seconds(2) and end == "eof", (took, end)
    wait_for(lambda: daemon.connections_open("web") == 0, "the connection to be gone")


@pytest.mark.parametrize("relay", ["auto", "mmap", "copy"])
def test_a_client_that_stops_reading_a_file(relay, file_server, big_root):
    daemon = file_server(big_root, {"relay": relay}, timeouts={"idle": "500ms"})
    with daemon.connect("web", rcvbuf=4096) as sock:
        sock.sendall(http.request("/big"))
        record = daemon.wait_record()
        assert record["outcome"] == "timeout" and record["closed_by"] == "sluice", record
        assert streams.receive(sock).end == "reset"


def test_linger_is_bounded(file_server, big_root):
    """A client that takes the answer and then neither reads nor closes does not keep its connection."""
    daemon = file_server(big_root, timeouts={"linger": "400ms"})
    with daemon.connect("web", rcvbuf=4096) as sock:
        sock.sendall(http.request("/small", Connection="close"))
        daemon.wait_record()
        wait_for(lambda: daemon.connections_open("web") == 0, "the lingering connection to be gone", 5)


@pytest.mark.ktls
def test_idle_over_tls(proxy, backend, certs, closing):
    server = backend(echo)
    daemon = proxy(server.address, listener={"tls": "main"}, tls={"main": certs.tls()}, timeouts={"idle": "500ms"})
    sock = tls.TlsSocket(closing(daemon.connect("app")), tls.context(certs))
    sock.sendall(Payload(100).bytes())
    assert streams.receive_exactly(sock, 100) == Payload(100).bytes()
    took, end = ended_after(sock)
    assert 0.3 < took < seconds(2) and end in ("reset", "cut"), (took, end)
    assert daemon.wait_record()["outcome"] == "timeout"
