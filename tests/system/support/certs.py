"""A CA and certificates for the tests, made by the openssl command. Never committed."""
import subprocess
from pathlib import Path


def _openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


class Certs:
    def __init__(self, directory):
        self.directory = Path(directory)
        self.ca, self.ca_key = self.directory / "ca.pem", self.directory / "ca.key"
        _openssl("req", "-x509", *self._key("ec", self.ca_key), "-out", self.ca, "-days", 30,
                 "-subj", "/CN=Sluice tests CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.localhost = self.make("localhost", "DNS:localhost,IP:127.0.0.1,IP:::1")
        self.wildcard = self.make("wildcard", "DNS:*.example.test")
        self.exact = self.make("exact", "DNS:www.example.test")
        self.rsa = self.make("rsa", "DNS:rsa.example.net", kind="rsa")

    @staticmethod
    def _key(kind, path):
        algorithm = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else ["rsa:2048"]
        return ["-newkey", *algorithm, "-nodes", "-keyout", path]

    def make(self, name, san, kind="ec"):
        """The settings of one certificate: {"cert": path, "key": path}."""
        cert, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        _openssl("req", "-x509", *self._key(kind, key), "-out", cert, "-days", 30, "-subj", f"/CN={name}",
                 "-addext", f"subjectAltName={san}", "-addext", "basicConstraints=critical,CA:FALSE",
                 "-CA", self.ca, "-CAkey", self.ca_key)
        return {"cert": cert, "key": key}

    def tls(self, *files, **keys):
        """Settings of a `tls` block; without files: localhost."""
        return {"certs": tuple(files) or (self.localhost,), **keys}
