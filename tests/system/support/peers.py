"""Real HAProxy and nginx with a configuration of the test's own, unpacked from their packages, never installed."""
import os
import signal
import subprocess

from support import env
from support.backends import free_port


class Peer:
    """A program of the peers. configuration: a text in which {port}, {dir} and the keywords stand for their values."""

    def __init__(self, directory, name, configuration, **values):
        directory.mkdir(exist_ok=True)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.file = directory / f"{name}.conf"
        self.file.write_text(configuration.format(port=self.port, dir=directory, **values))
        program = env.PEERS / "usr/sbin" / name
        assert program.exists(), f"no {name} at {program}: tests/run unpacks it there (SLUICE_PEERS)"
        args = {"haproxy": ["-db", "-f", self.file],
                "nginx": ["-p", directory, "-e", directory / "error.log", "-c", self.file]}[name]
        libraries = env.PEERS / "usr/lib/x86_64-linux-gnu"
        self.errors = open(directory / f"{name}.stderr", "w+b")
        self.process = subprocess.Popen([program, *args], stdin=subprocess.DEVNULL, stdout=self.errors,
                                        stderr=self.errors, env={**os.environ, "LD_LIBRARY_PATH": str(libraries)})
        env.wait_for(self._listens, f"{name} to listen")

    def _listens(self):
        """Without connecting: the servers behind it count their connections."""
        if self.process.poll() is not None:
            self.errors.seek(0)
            raise AssertionError(f"it ended: {self.errors.read().decode()}")
        with open("/proc/net/tcp", encoding="ascii") as table:
            return any(f":{self.port:04X} 00000000:0000 0A" in line for line in table)

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(env.seconds(10))
        self.errors.close()


HAPROXY = """
global
  log stderr format raw local0
defaults
  mode tcp
  timeout connect 10s
  timeout client 30s
  timeout server 30s
frontend front
  bind 127.0.0.1:{port} {bind}
  default_backend back
backend back
  server one {server} {options}
"""

NGINX = """
daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/error.log; {user}
load_module {modules}/ngx_stream_module.so;
events {{ }}
"""
NGINX_SENDS = NGINX + "stream {{ server {{ listen 127.0.0.1:{port}; proxy_pass {server}; proxy_protocol on; }} }}"
NGINX_RECEIVES = NGINX + """
http {{
  access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
  uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  server {{ listen 127.0.0.1:{port} proxy_protocol; return 200 "$proxy_protocol_addr:$proxy_protocol_port"; }}
}}
"""


def nginx_values():
    return {"user": "user root;" if os.geteuid() == 0 else "",
            "modules": env.PEERS / "usr/lib/nginx/modules"}
