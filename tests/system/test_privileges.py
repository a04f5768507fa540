"""Started as root, Sluice binds and reads what only root may, then becomes another and stays it."""
import grp
import os
import pwd
import signal
import socket
from pathlib import Path

import pytest

from support import http, tls
from support.daemon import run_cli
from support.env import wait_for
from support.payload import Payload

NET_BIND_SERVICE = 1 << 10


@pytest.fixture(autouse=True)
def as_root():
    assert os.geteuid() == 0, "run these as root: they start Sluice as root and see it step down"


def low_port():
    """A free port below 1024."""
    for port in range(81, 1024):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no free port below 1024")


@pytest.fixture
def stepped_down(sluice, certs, open_path):
    """A daemon as nobody:nogroup on a port below 1024, with a key that only root may read; and its certificate."""
    cert, key = open_path / "cert.pem", open_path / "key.pem"
    cert.write_bytes(certs.localhost["cert"].read_bytes())
    key.write_bytes(certs.localhost["key"].read_bytes())
    key.chmod(0o600)
    root = open_path / "root"
    root.mkdir()
    Payload(1000).write_to(root / "small")
    daemon = sluice(listeners={"web": {"address": f"127.0.0.1:{low_port()}", "files": "media", "tls": "main"}},
                    files={"media": {"root": root}}, tls={"main": {"certs": ({"cert": cert, "key": key},)}},
                    user="nobody", group="nogroup", directory=open_path)
    return daemon


def every_thread(daemon, field):
    for task in Path(f"/proc/{daemon.pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith(field + ":"):
                yield line.split(":", 1)[1].split()


def test_it_becomes_the_user_in_every_thread(stepped_down, certs):
    daemon = stepped_down
    user, group = str(pwd.getpwnam("nobody").pw_uid), str(grp.getgrnam("nogroup").gr_gid)
    assert set(map(tuple, every_thread(daemon, "Uid"))) == {(user,) * 4}
    assert set(map(tuple, every_thread(daemon, "Gid"))) == {(group,) * 4}
    assert set(map(tuple, every_thread(daemon, "Groups"))) <= {(group,), ()}
    for field in ("CapEff", "CapPrm", "CapInh"):
        for value, in every_thread(daemon, field):
            assert int(value, 16) & ~NET_BIND_SERVICE == 0, f"{field} {value}"
    for value, in every_thread(daemon, "CapBnd"):
        assert value is not None
    http.curl_fetch(daemon.url("web", "/small", "https"), ca=certs.ca).assert_all(Payload(1000))
    daemon.wait_record()


def test_a_reload_that_needs_root_is_done_or_refused_with_the_cause(stepped_down, certs, open_path):
    """The key can't be read any more: the old configuration goes on, and stderr says which file and why."""
    daemon = stepped_down
    generation = daemon.status()["generation"]
    daemon.signal(signal.SIGHUP)
    wait_for(lambda: "key.pem" in daemon.stderr or daemon.status()["generation"] != generation, "an answer")
    if daemon.status()["generation"] == generation:
        assert os.strerror(13) in daemon.stderr, daemon.stderr
    http.curl_fetch(daemon.url("web", "/small", "https"), ca=certs.ca).assert_all(Payload(1000))


def test_a_reload_may_bind_another_low_port(stepped_down, certs, open_path):
    """That is what the kept capability is for. The key is made readable, so that only the port is in question."""
    daemon = stepped_down
    (open_path / "key.pem").chmod(0o644)
    old, new = daemon.port("web"), low_port()
    daemon.reload(text=daemon.file.read_text().replace(f":{old}\"", f":{new}\""))
    daemon.addresses["web"] = f"127.0.0.1:{new}"

    def answers():
        try:
            with daemon.connect("web") as raw:
                return tls.TlsSocket(raw, tls.context(certs)).version
        except ConnectionRefusedError:
            return None
    wait_for(answers, f"port {new}: {daemon.stderr}")


def test_without_user_it_says_nothing_and_stays(proxy):
    daemon = proxy("127.0.0.1:9")
    assert daemon.status_field("Uid").split() == ["0"] * 4


@pytest.mark.parametrize("key, value", [("user", "no-such-user"), ("group", "no-such-group")])
def test_an_unknown_user_or_group_stops_it(key, value, tmp_path):
    path = tmp_path / "sluice.conf"
    path.write_text(f"user = \"nobody\";\n{key} = \"{value}\";\n".replace("user = \"nobody\";\nuser", "\nuser")
                    + "backends = { app = { servers = ( \"127.0.0.1:9\" ); }; };\n"
                      "listeners = { app = { address = \"127.0.0.1:0\"; proxy = \"app\"; }; };\n")
    done = run_cli("run", "-c", path)
    assert done.returncode == 1 and f"{path}:2: " in done.stderr and value in done.stderr, done
    assert done.stdout == ""


def test_not_root_and_a_low_port(open_path):
    """Run by an ordinary user: the refusal names the address and the cause."""
    port = low_port()
    path = open_path / "sluice.conf"
    path.write_text("backends = { app = { servers = ( \"127.0.0.1:9\" ); }; };\n"
                    f"listeners = {{ app = {{ address = \"127.0.0.1:{port}\"; proxy = \"app\"; }}; }};\n")
    path.chmod(0o644)
    done = run_cli("run", "-c", path, user="nobody", group="nogroup", extra_groups=[])
    assert done.returncode == 1 and f"127.0.0.1:{port}" in done.stderr, done
    assert os.strerror(13) in done.stderr, done
