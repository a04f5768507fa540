"""Health: checks of each type against real servers, what they change and tell, ejection, and the panic rule."""
import contextlib
import http.server
import subprocess
import threading

import pytest

from support import streams
from support.backends import BlackHole, converser, dead_address, echo, free_port
from support.env import wait_for
from support.nginx import Nginx
from support.payload import Payload

HELLO = Payload(1000)
QUICK = {"interval": "50ms", "timeout": "1s", "rise": 2, "fall": 2}


@pytest.fixture
def checked(sluice):
    """checked(server..., health={...}, ...) starts a daemon whose listener `app` relays to the backend."""
    def start(*servers, workers=2, timeouts=None, **settings):
        return sluice(listeners={"app": {"address": "127.0.0.1:0", "proxy": "app"}}, workers=workers,
                      backends={"app": {"servers": tuple(servers), **settings}}, timeouts=timeouts or {})
    return start


def servers_of(daemon):
    """What status.json says, by address."""
    return {s["address"]: s for s in daemon.status()["backends"]["app"]["servers"]}


def wait_state(daemon, address, state):
    wait_for(lambda: servers_of(daemon)[address]["state"] == state,
             f"{address} to be {state}: {servers_of(daemon)}")
    return servers_of(daemon)[address]


def fetch(daemon):
    with daemon.connect("app") as sock:
        streams.converse(sock, Payload(10)).assert_all(HELLO)


class Health(http.server.BaseHTTPRequestHandler):
    """Answers with the server's `status`, and remembers what it was asked."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append((self.path, self.headers["Host"], self.headers["Connection"]))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def health_server(closing):
    """An HTTP server whose status can be set; .address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health)
    server.daemon_threads = True
    server.status, server.asked = 200, []
    server.address = "127.0.0.1:%d" % server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@contextlib.contextmanager
def openssl_server(certs, *arguments):
    """A real `openssl s_server`; its address."""
    port = free_port()
    process = subprocess.Popen(
        ["openssl", "s_server", "-quiet", "-accept", f"127.0.0.1:{port}", "-cert", certs.localhost["cert"], "-key",
         certs.localhost["key"], *arguments], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        process.stdin.close()


def test_tcp(checked, backend):
    address = dead_address()
    good = backend(converser(HELLO))
    daemon = checked(address, good.address, health=QUICK)
    down = wait_state(daemon, address, "down")
    assert down["up"] is False and down["check"]["result"] == "connect: Connection refused", down
    up = wait_state(daemon, good.address, "up")
    wait_for(lambda: servers_of(daemon)[good.address]["check"]["result"] == "good", "a good check")
    assert up["failures"] == 0
    for _ in range(6):
        fetch(daemon)
    assert servers_of(daemon)[address]["failures"] == 0, "a server that is down was dialled"
    labels = frozenset({("backend", "app"), ("server", address)})
    assert daemon.metrics()["sluice_backend_up", labels] == 0
    wait_for(lambda: f"backend app: server {address} is down: connect: Connection refused" in daemon.stderr,
             "the error log to tell")
    back = backend(echo, port=int(address.rsplit(":", 1)[1]))
    wait_state(daemon, address, "up")
    wait_for(lambda: f"backend app: server {address} is up" in daemon.stderr, "the error log to tell")
    assert daemon.metrics()["sluice_backend_up", labels] == 1
    assert back.accepted >= 2, "two good checks in a row were asked for"


def test_one_checker_for_the_process(checked, backend):
    """With many workers a server is still checked once an interval."""
    server = backend(echo)
    daemon = checked(server.address, workers=4, health={"interval": "200ms", "jitter": 0})
    wait_for(lambda: server.accepted >= 3, "three checks")
    start = server.accepted
    age = [servers_of(daemon)[server.address]["check"]["age_ms"] for _ in range(3)]
    assert all(a is not None for a in age)
    wait_for(lambda: server.accepted >= start + 5, "five further checks")
    # Four times as many would have been there by now.
    assert server.accepted <= start + 8


def test_http_statuses(checked, health_server):
    daemon = checked(health_server.address, health={
        **QUICK, "type": "http", "path": "/healthz?x=1", "host": "app.example.org", "status": ["200", "401"]})
    wait_for(lambda: len(health_server.asked) >= 2, "two checks")
    assert health_server.asked[0] == ("/healthz?x=1", "app.example.org", "close")
    assert wait_state(daemon, health_server.address, "up")["check"]["result"] == "good"
    health_server.status = 503
    assert wait_state(daemon, health_server.address, "down")["check"]["result"] == "status 503"
    health_server.status = 401
    wait_state(daemon, health_server.address, "up")
    health_server.status = 302
    wait_state(daemon, health_server.address, "down")


def test_http_against_nginx(checked, tmp_path, closing):
    root = tmp_path / "root"
    root.mkdir()
    root.chmod(0o755)
    flag = root / "up"
    flag.write_text("yes")
    directory = tmp_path / "nginx"
    directory.mkdir()
    nginx = closing(Nginx(directory, root))
    daemon = checked(nginx.address, health={**QUICK, "type": "http", "path": "/up"})
    wait_for(lambda: servers_of(daemon)[nginx.address]["check"]["result"] == "good", "a good check")
    flag.unlink()
    assert wait_state(daemon, nginx.address, "down")["check"]["result"] == "status 404"
    flag.write_text("again")
    wait_state(daemon, nginx.address, "up")


def test_http_against_who_speaks_another_protocol(checked, backend):
    def smtp(sock):
        sock.sendall(b"220 mail.example.org ESMTP\r\n")
        streams.receive(sock)

    server = backend(smtp)
    daemon = checked(server.address, health={**QUICK, "type": "http"})
    assert wait_state(daemon, server.address, "down")["check"]["result"] == "the answer is no HTTP"


@pytest.mark.parametrize("kind", ["tls", "https"])
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_tls_against_openssl(kind, version, checked, certs, backend):
    with openssl_server(certs, "-www", version) as address:
        plain = backend(converser(HELLO))
        daemon = checked(address, plain.address, health={**QUICK, "type": kind, "host": "localhost"})
        wait_for(lambda: servers_of(daemon)[address]["check"]["result"] == "good", "a good check", 20)
        wait_state(daemon, address, "up")
        # A server without TLS is down, though it accepts.
        assert wait_state(daemon, plain.address, "down")["check"]["result"] == "the TLS handshake failed"
    assert wait_state(daemon, address, "down")["check"]["result"].startswith("connect: ")


@pytest.mark.parametrize("version, header", [("v1", b"PROXY UNKNOWN\r\n"), ("v2", b"\r\n\r\n\0\r\nQUIT\n\x20")])
def test_checks_begin_with_a_proxy_header_of_their_own(version, header, checked, backend):
    """Where servers are sent one, a check has none of a client's to send."""
    heads = []

    def server(sock):
        heads.append(sock.recv(1000))
        sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    address = backend(server).address
    daemon = checked(address, proxy_protocol=version, health={**QUICK, "type": "http"})
    wait_for(lambda: servers_of(daemon)[address]["check"]["result"] == "good", "a good check")
    assert heads[0].startswith(header), heads[0]


def test_a_black_hole_is_down(checked, backend, closing):
    hole, good = closing(BlackHole()), backend(converser(HELLO))
    daemon = checked(hole.address, good.address, health={**QUICK, "timeout": "100ms"})
    assert wait_state(daemon, hole.address, "down")["check"]["result"] == "no answer in time"
    for _ in range(4):
        fetch(daemon)
    assert servers_of(daemon)[hole.address]["failures"] == 0


def test_unix_server(checked, backend, tmp_path):
    server = backend(converser(HELLO), path=tmp_path / "s")
    daemon = checked(server.address, health={**QUICK, "type": "tcp"})
    wait_for(lambda: servers_of(daemon)[server.address]["check"]["result"] == "good", "a good check")
    fetch(daemon)
    server.close()
    (tmp_path / "s").unlink()
    assert "No such file" in wait_state(daemon, server.address, "down")["check"]["result"]


def test_panic(checked, health_server, backend):
    """Everything is down by its checks: connections are tried all the same, unless that is turned off."""
    server = backend(converser(HELLO))
    health = {**QUICK, "type": "http"}  # which this server doesn't speak
    daemon = checked(server.address, health=health)
    wait_state(daemon, server.address, "down")
    fetch(daemon)
    strict = checked(server.address, health=health, panic=False)
    wait_state(strict, server.address, "down")
    with pytest.raises((AssertionError, OSError)):
        fetch(strict)
    record = strict.wait_record()
    assert record["outcome"] == "no_server" and "no server for now" in record["detail"], record


def test_state_survives_a_reload(checked, health_server, backend):
    """A server that is down stays down, without a new decision; one whose checks are gone is tried again."""
    good = backend(echo)
    slow = {"type": "http", "interval": "1h", "jitter": 0}
    health_server.status = 500
    daemon = checked(health_server.address, good.address, health={**slow, "type": "http", "status": ["200"]})
    wait_state(daemon, health_server.address, "down")

    def settings(**backend_settings):
        return {"workers": 2, "admin": {"listen": "127.0.0.1:0"}, "log": {"access": daemon.log_path},
                "listeners": {"app": {"address": "127.0.0.1:0", "proxy": "app"}},
                "backends": {"app": {"servers": (good.address, health_server.address), **backend_settings}}}
    health_server.status = 200
    daemon.reload(settings(health={**slow, "rise": 2, "status": ["200"]}))
    wait_for(lambda: daemon.status()["generation"] == 2, "the reload")
    wait_for(lambda: len(health_server.asked) == 2, "a check by the new configuration")
    assert servers_of(daemon)[health_server.address]["state"] == "down", "one good check, and two are needed"
    daemon.reload(settings())
    wait_for(lambda: servers_of(daemon)[health_server.address]["check"] is None, "checks to end")
    assert servers_of(daemon)[health_server.address]["state"] == "up"


def test_a_reload_that_takes_a_server_out_ends_its_checks(checked, health_server, backend):
    good = backend(echo)
    daemon = checked(good.address, health_server.address, health=QUICK)
    wait_for(lambda: good.accepted >= 2, "checks")
    daemon.reload({"workers": 2, "admin": {"listen": "127.0.0.1:0"}, "log": {"access": daemon.log_path},
                   "listeners": {"app": {"address": "127.0.0.1:0", "proxy": "app"}},
                   "backends": {"app": {"servers": (health_server.address,), "health": {**QUICK, "type": "http"}}}})
    wait_for(lambda: daemon.status()["generation"] == 2, "the reload")
    wait_for(lambda: servers_of(daemon)[health_server.address]["check"]["result"] == "good", "a check")
    before = good.accepted
    asked = len(health_server.asked)
    wait_for(lambda: len(health_server.asked) >= asked + 4, "further checks of the other one")
    assert good.accepted == before


# --- Ejection ---


def test_ejected_for_failed_connects(checked, backend):
    address, good = dead_address(), backend(converser(HELLO))
    daemon = checked(address, good.address, workers=1, eject={"failures": 2, "base": "1h", "max": "1h"})

    def ejected():
        fetch(daemon)
        return servers_of(daemon)[address]["state"] == "ejected"
    wait_for(ejected, "the dead server to be ejected")  # a failure keeps it out for a second, too
    state = servers_of(daemon)[address]
    assert state["failures"] == 2 and state["ejections"] == 1 and 0 < state["ejected_ms"] <= 3600000, state
    assert state["up"] is False
    for _ in range(4):
        fetch(daemon)
    assert servers_of(daemon)[address]["failures"] == 2
    wait_for(lambda: f"server {address} is ejected for 3600.000 s: 2 connects failed in a row" in daemon.stderr,
             "the error log to tell")
    labels = frozenset({("backend", "app"), ("server", address)})
    assert daemon.metrics()["sluice_backend_ejections_total", labels] == 1


def test_ejected_for_early_resets_and_back_again(checked, backend):
    state = {"bad": True}

    def moody(sock):
        if state["bad"]:
            sock.recv(1)
            streams.reset(sock)
            return True
        return streams.converse(sock, HELLO)

    bad, good = backend(moody), backend(converser(HELLO))
    daemon = checked(bad.address, good.address, workers=1, eject={"failures": 3, "base": "300ms", "max": "1h"})

    def end():
        with daemon.connect("app") as sock:
            try:
                sock.sendall(b"x")
                return streams.receive(sock).end
            except ConnectionResetError:
                return "reset"
    resets = 0
    while servers_of(daemon)[bad.address]["state"] != "ejected":
        resets += end() == "reset"
        assert resets <= 3
    assert resets == 3
    state["bad"] = False
    wait_for(lambda: servers_of(daemon)[bad.address]["state"] == "up", "the end of the ejection")
    before = bad.accepted
    for _ in range(4):
        fetch(daemon)
    assert bad.accepted == before + 2


def test_only_a_share_is_ejected(checked):
    """Of three dead servers one may be ejected; the others are tried again and again."""
    dead = [dead_address() for _ in range(3)]
    daemon = checked(*dead, eject={"failures": 1, "share": 40, "base": "1h", "max": "1h"})
    for _ in range(3):
        with pytest.raises((AssertionError, OSError)):
            fetch(daemon)
    states = [s["state"] for s in servers_of(daemon).values()]
    assert sorted(states) == ["ejected", "failing", "failing"], states


def test_ejection_survives_a_reload(checked, backend):
    address, good = dead_address(), backend(converser(HELLO))
    settings = {"failures": 1, "base": "1h", "max": "1h"}
    daemon = checked(address, good.address, eject=settings)

    def ejected():
        fetch(daemon)
        return servers_of(daemon)[address]["state"] == "ejected"
    wait_for(ejected, "the dead server to be ejected")
    daemon.reload({"workers": 2, "admin": {"listen": "127.0.0.1:0"}, "log": {"access": daemon.log_path},
                   "listeners": {"app": {"address": "127.0.0.1:0", "proxy": "app"}},
                   "backends": {"app": {"servers": (good.address, address), "eject": settings}}})
    wait_for(lambda: daemon.status()["generation"] == 2, "the reload")
    assert servers_of(daemon)[address]["state"] == "ejected"


def test_slow_start(checked, backend, health_server):
    """A server that has come up gets a tenth of its share at first."""
    old = backend(converser(HELLO))
    address = dead_address()
    daemon = checked(old.address, address, workers=1, health=QUICK, slow_start="1h")
    wait_state(daemon, address, "down")
    late = backend(converser(HELLO), port=int(address.rsplit(":", 1)[1]))
    wait_state(daemon, address, "up")
    for _ in range(22):
        fetch(daemon)
    targets = [r["target"] for r in daemon.wait_records(22)]
    assert targets.count(late.address) == 2, targets


def test_the_page_shows_it(checked, backend):
    daemon = checked(dead_address(), backend(echo).address, health=QUICK)
    page = daemon.admin("/")
    for word in ("last check", "#ejections", "max_connections", "queue"):
        assert word in page
