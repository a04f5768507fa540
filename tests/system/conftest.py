"""Fixtures of the system tests: the daemon, its checks after every test, certificates, files, backends."""
import os
import resource
import shutil
import tempfile
from pathlib import Path

import pytest

from support import env
from support.backends import Backend
from support.certs import Certs
from support.daemon import Sluice
from support.nginx import Nginx
from support.payload import Payload


def pytest_configure(config):
    """Thousands of connections need thousands of descriptors, in Sluice and here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 16384
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    if not env.BIN.exists():
        raise pytest.UsageError(f"no program at {env.BIN}: build it, or set SLUICE_BIN")


@pytest.fixture(scope="session")
def certs(tmp_path_factory):
    return Certs(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="session")
def big():
    """The large transfer: 100 MB, less where the machine is slow."""
    return Payload(env.BIG, seed=7)


@pytest.fixture(scope="session")
def big_root(tmp_path_factory, big):
    """A directory with the large payload as the file `big`, and some small ones. Not to be changed."""
    root = tmp_path_factory.mktemp("root")
    big.write_to(root / "big")
    Payload(1000).write_to(root / "small")
    (root / "empty").touch()
    (root / "index.html").write_text("<p>index</p>\n")
    return root


@pytest.fixture
def memory_path():
    """A directory in memory: hostfs, the guest's root, can't truncate a file that is held open."""
    parent = next(p for p in ("/run", "/dev/shm", "/tmp") if os.access(p, os.W_OK) and _is_tmpfs(p) or p == "/tmp")
    path = Path(tempfile.mkdtemp(prefix="sluice-test-", dir=parent))
    yield path
    shutil.rmtree(path)


def _is_tmpfs(path):
    best = max((line.split() for line in Path("/proc/mounts").read_text().splitlines()
                if (path + "/").startswith(line.split()[1].rstrip("/") + "/")), key=lambda f: len(f[1]))
    return best[2] == "tmpfs"


@pytest.fixture
def open_path():
    """A directory that every user may read: pytest's own are closed to others."""
    path = Path(tempfile.mkdtemp(prefix="sluice-test-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def sluice(tmp_path, open_path, memory_path):
    """sluice(listeners={...}, backends={...}, ...) starts a daemon: two workers, an admin listener and an access
    log unless told otherwise. After the test it is stopped and Sluice.finish() checks every record. The directories
    are asked for so that they outlive it."""
    assert open_path and memory_path
    running = []

    def start(text=None, args=None, names=None, preexec=None, directory=None, **settings):
        if directory is None:
            directory = tmp_path / f"sluice{len(running)}"
            directory.mkdir()
        settings = {"workers": 2, "admin": {"listen": "127.0.0.1:0"},
                    "log": {"access": directory / "access.log"},
                    **settings}
        settings["timeouts"] = {"drain": "3s", **settings.get("timeouts", {})}
        daemon = Sluice(directory, settings, text, args, names, preexec)
        running.append(daemon)
        return daemon.wait_ready()
    yield start
    problems = []
    for daemon in running:
        try:
            daemon.finish()
        except AssertionError as problem:
            problems.append(str(problem))
    assert not problems, "\n".join(problems)


@pytest.fixture
def closing(sluice):
    """closing(x) returns x and closes it after the test, latest first; before the daemons are stopped."""
    assert sluice
    things = []

    def add(thing):
        things.append(thing)
        return thing
    yield add
    for thing in reversed(things):
        thing.close()


@pytest.fixture
def backend(closing):
    """backend(handler, ...) starts a Backend."""
    return lambda handler, **kwargs: closing(Backend(handler, **kwargs))


@pytest.fixture
def nginx(tmp_path, big_root, closing):
    directory = tmp_path / "nginx"
    directory.mkdir()
    return closing(Nginx(directory, big_root))


@pytest.fixture
def proxy(sluice):
    """proxy(address..., relay="splice") starts a daemon whose listener `app` relays to the addresses."""
    def start(*servers, listener=None, **settings):
        keys = {"address": "127.0.0.1:0", "proxy": "app", **(listener or {})}
        return sluice(listeners={"app": keys}, backends={"app": {"servers": tuple(servers)}}, **settings)
    return start


@pytest.fixture
def file_server(sluice):
    """file_server(root, relay=..., tls=...) starts a daemon whose listener `web` serves the directory."""
    def start(root, listener=None, files=None, **settings):
        keys = {"address": "127.0.0.1:0", "files": "media", **(listener or {})}
        return sluice(listeners={"web": keys}, files={"media": {"root": root, **(files or {})}}, **settings)
    return start
