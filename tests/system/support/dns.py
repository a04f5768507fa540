"""A real dnsmasq as the name server, with answers that change. Knows nothing of Sluice."""
import os
import shutil
import signal
import socket
import subprocess

from support import env
from support.backends import free_port


def _free_port():
    """For UDP and TCP at once."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            return tcp.getsockname()[1]


class Dns:
    """Answers for .internal out of a hosts file and options; start() and stop() as often as a test likes."""

    def __init__(self, directory):
        self.directory = directory
        self.hosts, self.log = directory / "hosts", directory / "queries"
        self.port = _free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process = None
        self.hosts.touch()

    def start(self, *options, ttl=0, known=True):
        """known False: it knows nothing of .internal, and asks a name server that isn't there."""
        program = shutil.which("dnsmasq", path=os.environ.get("PATH", "") + ":/usr/sbin")
        assert program, "no dnsmasq: tests/run installs it (dnsmasq-base)"
        started = self._started()
        self.process = subprocess.Popen(
            [program, "--keep-in-foreground", "--conf-file=/dev/null", "--user=", "--group=", "--pid-file=",
             f"--port={self.port}", "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv", "--no-hosts",
             *([f"--addn-hosts={self.hosts}", "--local=/internal/"] if known else [f"--server=127.0.0.1#{free_port()}"]),
             f"--local-ttl={ttl}", "--log-queries",
             f"--log-facility={self.log}", *options],
            stderr=subprocess.PIPE)
        env.wait_for(lambda: self._started() > started or self._check(), "dnsmasq to start")
        return self

    def _read(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _started(self):
        return self._read().count("started, version")

    def _check(self):
        if self.process.poll() is not None:
            raise AssertionError(f"dnsmasq ended: {self.process.stderr.read().decode()}")
        return False

    def answer(self, **names):
        """answer(app=["127.0.0.1"]): app.internal has these addresses from now on; no other name has any."""
        text = "".join(f"{address} {name}.internal\n" for name, addresses in names.items() for address in addresses)
        fresh = self.hosts.with_suffix(".fresh")
        fresh.write_text(text)
        fresh.rename(self.hosts)
        if self.process:
            self.process.send_signal(signal.SIGHUP)

    def queries(self, name, kind="A"):
        """How often it was asked."""
        return self._read().count(f"query[{kind}] {name} ")

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait(env.seconds(10))
            self.process.stderr.close()
        self.process = None

    close = stop
