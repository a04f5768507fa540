"""A real nginx as a backend, unpacked from its package, never installed."""
import os
import signal
import subprocess

from support import env
from support.backends import free_port

CONF = """
daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; keepalive_timeout 60s; client_max_body_size 0; client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  server {{ listen 127.0.0.1:{port}; root {root}; location /put/ {{ dav_methods PUT; }} }}
}}
"""


class Nginx:
    def __init__(self, directory, root):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        conf = directory / "nginx.conf"
        user = "user root;\n" if os.geteuid() == 0 else ""
        conf.write_text(user + CONF.format(dir=directory, port=self.port, root=root))
        libraries = env.PEERS / "usr/lib/x86_64-linux-gnu"
        program = env.PEERS / "usr/sbin/nginx"
        assert program.exists(), f"no nginx at {program}: tests/run unpacks it there (SLUICE_PEERS)"
        self.process = subprocess.Popen([program, "-p", directory, "-e", directory / "error.log", "-c", conf],
                                        env={**os.environ, "LD_LIBRARY_PATH": str(libraries)},
                                        stderr=subprocess.PIPE)
        env.wait_for(lambda: (directory / "nginx.pid").exists() or self._check(), "nginx to start")

    def _check(self):
        if self.process.poll() is not None:
            raise AssertionError(f"nginx ended: {self.process.stderr.read().decode()}")
        return False

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(env.seconds(10))
        self.process.stderr.close()
