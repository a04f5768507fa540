"""Real nginx and HAProxy, unpacked from their packages, as the other side of TLS: clients of it and servers."""
import os
import signal
import socket
import subprocess
from pathlib import Path

from support import env
from support.backends import free_port

LIBRARIES = env.PEERS / "usr/lib/x86_64-linux-gnu"

NGINX = """
daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/error.log;
load_module {modules}/ngx_stream_module.so;
events {{ worker_connections 256; }}
stream {{
{body}
}}
"""
HAPROXY = """
global
    maxconn 200
    nbthread 1
    tune.ssl.default-dh-param 2048
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
{body}
"""


class Peers:
    """Each method starts a program and returns the address to reach it by. close() ends them all."""

    def __init__(self, directory):
        self.directory, self.processes, self.count = directory, [], 0

    def connect(self, address):
        host, port = address.rsplit(":", 1)
        sock = socket.create_connection((host, int(port)))
        sock.settimeout(env.seconds(20))
        return sock

    def _start(self, program, args, port, directory):
        path = env.PEERS / "usr/sbin" / program
        assert path.exists(), f"no {program} at {path}: tests/run unpacks it there (SLUICE_PEERS)"
        with open(directory / "stderr", "wb") as stderr:
            process = subprocess.Popen([path, *map(str, args)], stdout=stderr, stderr=stderr,
                                       env={**os.environ, "LD_LIBRARY_PATH": str(LIBRARIES)})
        self.processes.append(process)

        def listening():
            if process.poll() is not None:
                raise AssertionError(f"{program} ended: {(directory / 'stderr').read_text()}")
            return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
                       for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        env.wait_for(listening, f"{program} to listen")
        return f"127.0.0.1:{port}"

    def _directory(self, name):
        self.count += 1
        directory = self.directory / f"{name}{self.count}"
        directory.mkdir()
        return directory

    def nginx(self, body):
        port, directory = free_port(), self._directory("nginx")
        user = "user root;\n" if os.geteuid() == 0 else ""
        (directory / "nginx.conf").write_text(user + NGINX.format(
            dir=directory, modules=env.PEERS / "usr/lib/nginx/modules", body=body.replace("PORT", str(port))))
        args = ("-p", directory, "-e", directory / "error.log", "-c", directory / "nginx.conf")
        return self._start("nginx", args, port, directory)

    def haproxy(self, body):
        port, directory = free_port(), self._directory("haproxy")
        (directory / "haproxy.cfg").write_text(HAPROXY.format(body=body.replace("PORT", str(port))))
        return self._start("haproxy", ("-db", "-f", directory / "haproxy.cfg"), port, directory)

    @staticmethod
    def pem(pair):
        """HAProxy wants certificate and key in one file."""
        path = pair["cert"].with_suffix(".both")
        path.write_text(pair["cert"].read_text() + pair["key"].read_text())
        return path

    # Clients of TLS: plain TCP in, TLS with a client certificate out.

    def nginx_tls_client(self, target, ca, pair):
        return self.nginx(f"""server {{ listen 127.0.0.1:PORT; proxy_pass {target}; proxy_ssl on;
            proxy_ssl_certificate {pair['cert']}; proxy_ssl_certificate_key {pair['key']};
            proxy_ssl_trusted_certificate {ca}; proxy_ssl_verify on; proxy_ssl_name localhost;
            proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.2 TLSv1.3; }}""")

    def haproxy_tls_client(self, target, ca, pair):
        return self.haproxy(f"""listen l
    bind 127.0.0.1:PORT
    server s {target} ssl verify required ca-file {ca} crt {self.pem(pair)} sni str(localhost) verifyhost localhost
""")

    # Servers of TLS: TLS in, with a client certificate if a CA is given for them; plain TCP out.

    def nginx_tls_server(self, target, pair, client_ca=None):
        verify = f"ssl_verify_client on; ssl_client_certificate {client_ca};" if client_ca else ""
        return self.nginx(f"""server {{ listen 127.0.0.1:PORT ssl; proxy_pass {target}; {verify}
            ssl_certificate {pair['cert']}; ssl_certificate_key {pair['key']}; ssl_protocols TLSv1.2 TLSv1.3; }}""")

    def haproxy_tls_server(self, target, pair, client_ca=None):
        verify = f" verify required ca-file {client_ca}" if client_ca else ""
        return self.haproxy(f"""listen l
    bind 127.0.0.1:PORT ssl crt {self.pem(pair)}{verify}
    server s {target}
""")

    def close(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(env.seconds(5))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
