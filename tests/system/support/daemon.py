"""Starts, watches and stops one `sluice run`, and reads what it says of itself. Knows nothing of any scenario."""
import json
import os
import signal
import socket
import subprocess
import threading
import urllib.request
from pathlib import Path

from support import env, records
from support.config import config_text

SANITIZER = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:",
             "UndefinedBehaviorSanitizer", "ERROR SUMMARY: 1")


def run_cli(*args, timeout=30, **kwargs):
    """One short command to its end: a CompletedProcess with text output."""
    return subprocess.run([*env.WRAP, str(env.BIN), *map(str, args)], capture_output=True, text=True,
                          timeout=env.seconds(timeout), **kwargs)


def plan_of(path):
    done = run_cli("plan", "-c", path, "--json")
    assert done.returncode == 0, f"plan failed: {done.stderr}"
    plan = json.loads(done.stdout)
    for entry in plan:
        records.check_plan_entry(entry)
    return plan


def parse_address(text):
    """(family, address) for socket.connect; a wildcard is reached through its loopback."""
    if text.startswith("unix:"):
        return socket.AF_UNIX, text[5:]
    host, port = text.rsplit(":", 1)
    host = host.strip("[]")
    if ":" in host or host == "":
        return socket.AF_INET6, ("::1" if host in ("", "::") else host, int(port))
    return socket.AF_INET, ("127.0.0.1" if host == "0.0.0.0" else host, int(port))


class Sluice:
    """A running daemon. Settings are written to a file in `directory`; text takes them as they are."""

    def __init__(self, directory, settings=None, text=None, args=None, names=None, preexec=None):
        self.directory = Path(directory)
        self.log_path = self.directory / "access.log"
        self.file = self.directory / "sluice.conf"
        self.plans = []
        self.expected_exit = 0
        # Records are read where they are expected, as JSON.
        self.check_logs = args is None and (settings or {}).get("log", {}).get("format") != "combined"
        if args is None:
            self.write(settings, text)
            args = ("run", "-c", self.file)
        self.wanted = set(names if names is not None else self._names(settings))
        self.addresses, self.stdout_lines = {}, []
        self.stderr_path = self.directory / "stderr"
        with open(self.stderr_path, "wb") as stderr:
            self.process = subprocess.Popen([*env.WRAP, str(env.BIN), *map(str, args)], stdout=subprocess.PIPE,
                                            stderr=stderr, stdin=subprocess.DEVNULL, preexec_fn=preexec)
        self.reader = threading.Thread(target=self._read_stdout, daemon=True)
        self.reader.start()

    @staticmethod
    def _names(settings):
        return set(settings["listeners"]) | ({"admin"} if "admin" in settings else set())

    def write(self, settings=None, text=None):
        """Writes the configuration file, for the start or before a reload."""
        self.file.write_text(text if text is not None else config_text(settings))

    def _read_stdout(self):
        for raw in self.process.stdout:
            line = raw.decode().rstrip("\n")
            self.stdout_lines.append(line)
            if line.startswith("sluice: listening "):
                name, address = line[len("sluice: listening "):].split(" ", 1)
                self.addresses[name] = address

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"sluice ended with {self.process.returncode} at start: {self.stderr}")
            return self.wanted <= self.addresses.keys()
        env.wait_for(ready, f"listeners {self.wanted - self.addresses.keys()}: {self.stderr}", timeout=15)
        if self.check_logs:
            self.plans += plan_of(self.file)
        return self

    def reload(self, settings=None, text=None):
        """Writes, signals, and waits for nothing: what to wait for is the test's matter."""
        self.write(settings, text)
        if settings is not None:
            self.plans += plan_of(self.file)
        self.signal(signal.SIGHUP)

    # What it says

    @property
    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    @property
    def pid(self):
        return self.process.pid

    def records(self):
        """The access log's complete lines so far."""
        if not self.log_path.exists():
            return []
        text = self.log_path.read_text()
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]

    def wait_records(self, count=1, listener=None, timeout=10):
        def enough():
            found = [r for r in self.records() if listener is None or r["listener"] == listener]
            return found if len(found) >= count else None
        found = env.wait_for(enough, f"{count} access-log records of {listener or 'any listener'}", timeout)
        assert len(found) == count, f"{len(found)} records, {count} expected: {found}"
        return found

    def wait_record(self, listener=None, timeout=10):
        return self.wait_records(1, listener, timeout)[0]

    def admin(self, path):
        with urllib.request.urlopen(f"http://{self.addresses['admin']}{path}", timeout=env.seconds(10)) as answer:
            return answer.read().decode()

    def status(self):
        return json.loads(self.admin("/status.json"))

    def connections(self):
        return json.loads(self.admin("/connections.json"))

    def connections_open(self, listener):
        """How many connections the listener has now."""
        return self.status()["listeners"][listener]["connections"]

    def metrics(self):
        """{(name, frozenset of label pairs): value}"""
        result = {}
        for line in self.admin("/metrics").splitlines():
            if not line or line.startswith("#"):
                continue
            head, value = line.rsplit(" ", 1)
            name, _, labels = head.partition("{")
            pairs = [p.split("=", 1) for p in labels.rstrip("}").split(",") if p]
            result[(name, frozenset((k, v.strip('"')) for k, v in pairs))] = float(value)
        return result

    # Reaching it

    def connect(self, name, rcvbuf=None, timeout=20):
        family, address = parse_address(self.addresses[name])
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(env.seconds(timeout))
        if rcvbuf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        sock.connect(address)
        return sock

    def port(self, name):
        return int(self.addresses[name].rsplit(":", 1)[1])

    def url(self, name, path="/", scheme="http"):
        return f"{scheme}://127.0.0.1:{self.port(name)}{path}"

    # Its process

    def signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, timeout=15):
        code = self.process.wait(env.seconds(timeout))
        self.reader.join(env.seconds(5))
        return code

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def status_field(self, name):
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return line.split(":", 1)[1].strip()
        raise KeyError(name)

    def rss(self):
        return int(self.status_field("VmRSS").split()[0]) * 1024

    def open_fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def finish(self):
        """Stops it and checks what must hold for every run of Sluice, whatever the test was about."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            code = self.wait_exit()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"sluice did not stop after SIGTERM: {self.stderr}") from None
        finally:
            self.process.stdout.close()
        stderr = self.stderr
        assert not any(word in stderr for word in SANITIZER), stderr
        assert code == self.expected_exit, f"exit status {code}: {stderr}"
        if self.check_logs:
            for record in self.records():
                records.check_record(record)
                records.check_against_plan(record, self.plans)
