"""SIGTERM drains, SIGQUIT stops, SIGHUP reloads, SIGUSR1 reopens the log; nothing under way is harmed."""
import os
import signal
import socket
import time
import urllib.error

import pytest

from support import http, records, streams
from support.backends import echo, free_port
from support.config import config_text
from support.daemon import run_cli
from support.env import MIB, seconds, wait_for
from support.payload import Payload

RELAYS = ("auto", "splice", "copy")


def refused(daemon, name):
    try:
        daemon.connect(name).close()
        return False
    except ConnectionRefusedError:
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("relay", RELAYS)
def test_drain_lets_a_transfer_finish(relay, number, proxy, backend):
    payload = Payload(50 * MIB)
    server = backend(lambda sock: streams.converse(sock, payload))
    daemon = proxy(server.address, listener={"relay": relay}, timeouts={"drain": "20s"})
    with daemon.connect("app", rcvbuf=4096) as sock:
        streams.receive_exactly(sock, 1)
        daemon.signal(number)
        wait_for(lambda: refused(daemon, "app"), "listening to end")
        with pytest.raises(urllib.error.HTTPError, match="503"):
            daemon.admin("/healthz")
        assert daemon.process.poll() is None
        rest = streams.receive(sock)
        assert rest.size == payload.size - 1 and rest.end == "eof", rest
        client = "%s:%d" % sock.getsockname()
    assert daemon.wait_exit() == 0
    record, = [r for r in daemon.records() if r["client"] == client]
    assert record["outcome"] == "complete", record
    records.check_plain_relay(record, "to_client", relay, payload.size)


@pytest.mark.parametrize("relay", ("auto", "mmap", "copy"))
def test_drain_lets_a_download_finish(relay, file_server, big, big_root):
    daemon = file_server(big_root, {"relay": relay}, timeouts={"drain": "20s"})
    with daemon.connect("web", rcvbuf=4096) as sock:
        sock.sendall(http.request("/big") + http.request("/small"))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(1)
        daemon.signal(signal.SIGTERM)
        wait_for(lambda: refused(daemon, "web"), "listening to end")
        assert streams.receive(sock, limit=big.size).digest == big.digest
        streams.receive(sock)  # the second answer or not; then an end
    assert daemon.wait_exit() == 0
    found = [r for r in daemon.records() if r["request"].startswith("GET /big")]
    records.check_file(found[0], relay, big.size)


def test_idle_connections_do_not_delay_the_end(file_server, big_root, closing):
    daemon = file_server(big_root, timeouts={"drain": "20s"})
    sock = closing(daemon.connect("web"))
    assert http.ask(sock, http.request("/small")).status == 200
    fresh = closing(daemon.connect("web"))
    wait_for(lambda: daemon.connections_open("web") == 2, "both connections")
    start = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0 and time.monotonic() - start < seconds(3)
    assert sock.recv(1) == b"" and fresh.recv(1) == b""


@pytest.mark.parametrize("relay", RELAYS)
def test_after_the_drain_deadline_the_rest_is_reset(relay, proxy, backend):
    server = backend(lambda sock: streams.converse(sock, Payload(200 * MIB)))
    daemon = proxy(server.address, listener={"relay": relay}, timeouts={"drain": "500ms"})
    with daemon.connect("app", rcvbuf=4096) as sock:
        streams.receive_exactly(sock, 1)
        start = time.monotonic()
        daemon.signal(signal.SIGTERM)
        assert daemon.wait_exit() == 0
        assert 0.3 < time.monotonic() - start < seconds(3)
        assert streams.receive(sock).end == "reset"
    record = daemon.wait_record()
    assert record["outcome"] == "stopped" and record["closed_by"] == "sluice", record


def test_quit_stops_at_once(proxy, backend):
    server = backend(lambda sock: streams.converse(sock, Payload(200 * MIB)))
    daemon = proxy(server.address, timeouts={"drain": "60s"})
    with daemon.connect("app", rcvbuf=4096) as sock:
        streams.receive_exactly(sock, 1)
        start = time.monotonic()
        daemon.signal(signal.SIGQUIT)
        assert daemon.wait_exit() == 0 and time.monotonic() - start < seconds(2)
        assert streams.receive(sock).end == "reset"
    assert daemon.wait_record()["outcome"] == "stopped"


def test_a_second_sigterm_changes_nothing_for_the_worse(proxy, backend):
    payload = Payload(20 * MIB)
    server = backend(lambda sock: streams.converse(sock, payload))
    daemon = proxy(server.address, timeouts={"drain": "20s"})
    with daemon.connect("app", rcvbuf=4096) as sock:
        streams.receive_exactly(sock, 1)
        daemon.signal(signal.SIGTERM)
        wait_for(lambda: refused(daemon, "app"), "listening to end")
        daemon.signal(signal.SIGTERM)
        assert streams.receive(sock).size == payload.size - 1
    assert daemon.wait_exit() == 0


def settings_of(directory, server, ports):
    return {"workers": 2, "admin": {"listen": "127.0.0.1:0"}, "log": {"access": directory / "access.log"},
            "timeouts": {"drain": "3s"}, "backends": {"app": {"servers": (server.address,)}},
            "listeners": {name: {"address": f"127.0.0.1:{port}", "proxy": "app"} for name, port in ports.items()}}


@pytest.fixture
def reloadable(sluice, backend, tmp_path):
    """A daemon with the listeners `stays` and `goes` on fixed ports, and a function that reloads it."""
    server = backend(echo)
    ports = {"stays": free_port(), "goes": free_port()}
    directory = tmp_path / "reloadable"
    directory.mkdir()
    daemon = sluice(text=config_text(settings_of(directory, server, ports)), names=["stays", "goes", "admin"],
                    directory=directory)

    def reload(ports):
        generation = daemon.status()["generation"]
        daemon.reload(settings_of(directory, server, ports))
        daemon.addresses.update({name: f"127.0.0.1:{port}" for name, port in ports.items()})
        wait_for(lambda: daemon.status()["generation"] != generation, "the new generation")
    return daemon, ports, reload


def echoes(sock):
    sock.sendall(b"hello")
    return streams.receive_exactly(sock, 5) == b"hello"


def test_reload(reloadable, closing):
    daemon, ports, reload = reloadable
    old_stays, old_goes = closing(daemon.connect("stays")), closing(daemon.connect("goes"))
    assert echoes(old_stays) and echoes(old_goes)
    reload({"stays": ports["stays"], "comes": free_port()})
    wait_for(lambda: refused(daemon, "goes"), "the removed listener to be gone")
    for name in ("stays", "comes"):
        with daemon.connect(name) as sock:
            assert echoes(sock)
    assert echoes(old_stays) and echoes(old_goes), "an old connection was hurt"
    status = daemon.status()
    assert set(status["listeners"]) == {"stays", "comes"}, status
    assert status["listeners"]["stays"]["total"] == 2, "its count was lost"
    old_goes.shutdown(socket.SHUT_WR)
    assert old_goes.recv(1) == b""

    def told():  # who asked whether `goes` was gone may have found it still there, and said nothing
        return sorted(r["listener"] for r in daemon.records() if r["directions"]["to_server"]["bytes"])
    wait_for(lambda: told() == ["comes", "goes", "stays"], "the records of the connections that are over")


def test_reload_of_nothing_new_loses_no_connection(reloadable):
    """Connections arrive all the while: a listening socket that is closed and opened again would drop some."""
    daemon, ports, _ = reloadable
    text = daemon.file.read_text()
    for round_number in range(5):
        daemon.reload(text=text)
        for _ in range(40):
            with daemon.connect("stays") as sock:
                assert echoes(sock)


@pytest.mark.parametrize("broken, place", [
    ("listeners = { x = { address = \"127.0.0.1:0\"; proxy = \"nowhere\"; }; };\n", ":1:"),
    ("\n\nworkers = ;\n", ":3:"), ("frobnicate = 1;\n", ":1:")])
def test_a_broken_configuration_keeps_the_old_one_serving(broken, place, reloadable, closing):
    daemon, _, _ = reloadable
    old = closing(daemon.connect("stays"))
    assert echoes(old)
    generation = daemon.status()["generation"]
    good = daemon.file.read_text()
    daemon.reload(text=broken)
    wait_for(lambda: f"{daemon.file}{place}" in daemon.stderr, f"{place} on stderr")
    assert daemon.status()["generation"] == generation
    assert echoes(old)
    with daemon.connect("goes") as sock:
        assert echoes(sock)
    daemon.reload(text=good)
    wait_for(lambda: daemon.status()["generation"] != generation, "a good configuration to be taken again")


def test_a_file_that_became_a_pipe_is_not_waited_for(reloadable):
    daemon, _, _ = reloadable
    text = daemon.file.read_text()
    daemon.file.unlink()
    os.mkfifo(daemon.file)
    daemon.signal(signal.SIGHUP)
    wait_for(lambda: "not a regular file" in daemon.stderr, "the refusal on stderr")
    with daemon.connect("stays") as sock:
        assert echoes(sock)
    daemon.file.unlink()
    daemon.reload(text=text)
    wait_for(lambda: daemon.status()["generation"] == 2, "the file to be taken again")


def test_what_a_reload_can_not_change_is_refused(reloadable):
    daemon, _, _ = reloadable
    daemon.reload(text=daemon.file.read_text().replace("workers = 2", "workers = 5"))
    wait_for(lambda: "workers" in daemon.stderr, "the refusal on stderr")
    assert daemon.status()["workers"] == 2


def test_a_reload_to_an_address_that_is_taken_is_refused(reloadable, closing):
    daemon, ports, _ = reloadable
    taken = closing(socket.create_server(("127.0.0.1", 0)))
    port = taken.getsockname()[1]
    daemon.reload(text=daemon.file.read_text().replace(str(ports["goes"]), str(port)))
    wait_for(lambda: str(port) in daemon.stderr, "the refusal on stderr")
    with daemon.connect("goes") as sock:
        assert echoes(sock)


def test_a_unix_socket_of_a_killed_process_does_not_stop_the_next(proxy, backend, tmp_path):
    server = backend(echo)
    listener = {"address": f"unix:{tmp_path}/front.sock"}
    first = proxy(server.address, listener=listener)
    first.signal(signal.SIGKILL)
    assert first.wait_exit() == -signal.SIGKILL
    first.expected_exit = -signal.SIGKILL
    second = proxy(server.address, listener=listener)
    with second.connect("app") as sock:
        assert echoes(sock)
    taken = run_cli("relay", f"unix:{tmp_path}/front.sock", server.address)
    assert taken.returncode == 1 and "in use" in taken.stderr, "a living one must not be pushed aside"
    with second.connect("app") as sock:
        assert echoes(sock)
