"""What a CA does besides signing servers' certificates: clients', revocation, OCSP responses. By the openssl command."""
import subprocess
from pathlib import Path


def _openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


class Pki:
    """A CA of its own in a directory. issue() returns {"cert": path, "key": path}."""

    def __init__(self, directory, name="Pki"):
        self.directory, self.name = Path(directory), name
        self.ca, self.ca_key = self.directory / "ca.pem", self.directory / "ca.key"
        self.index, self.config = self.directory / "index.txt", self.directory / "ca.cnf"
        self.index.touch()
        (self.directory / "serial").write_text("1000\n")
        (self.directory / "crlnumber").write_text("01\n")
        self.config.write_text(f"""
[ca]
default_ca = it
[it]
database = {self.index}
serial = {self.directory}/serial
crlnumber = {self.directory}/crlnumber
new_certs_dir = {self.directory}
certificate = {self.ca}
private_key = {self.ca_key}
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
""")
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-keyout", self.ca_key, "-out", self.ca, "-days", 30, "-subj", f"/CN={name} CA",
                 "-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature")

    def issue(self, name, san=None, kind="ec", dates=("-days", 20), file=None, extensions=()):
        base = self.directory / (file or name)
        cert, key, request = base.with_suffix(".pem"), base.with_suffix(".key"), base.with_suffix(".csr")
        algorithm = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else ["rsa:2048"]
        _openssl("req", "-new", "-newkey", *algorithm, "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}",
                 *(["-addext", f"subjectAltName={san}"] if san else []),
                 *(part for extension in extensions for part in ("-addext", extension)))
        _openssl("ca", "-batch", "-config", self.config, "-in", request, "-out", cert, "-notext", *dates)
        return {"cert": cert, "key": key}

    def expired(self, name, san=None):
        return self.issue(name, san, dates=("-startdate", "20200101000000Z", "-enddate", "20210101000000Z"))

    def revoke(self, pair):
        _openssl("ca", "-batch", "-config", self.config, "-revoke", pair["cert"])

    def crl(self, file="ca.crl", over=False):
        """Lists what has been revoked so far. over: one that ended long ago."""
        path = self.directory / file
        dates = ("-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200201000000Z") if over else ("-crldays", 10)
        _openssl("ca", "-gencrl", "-config", self.config, "-out", path, *dates)
        return path

    def ocsp(self, pair, file="response.ocsp", days=1):
        """A response about the certificate, as an OCSP responder would give it. days 0: over within a minute."""
        path, request = self.directory / file, self.directory / "request.der"
        _openssl("ocsp", "-issuer", self.ca, "-cert", pair["cert"], "-reqout", request, "-no_nonce")
        _openssl("ocsp", "-index", self.index, "-CA", self.ca, "-rsigner", self.ca, "-rkey", self.ca_key,
                 "-reqin", request, "-respout", path, *(["-ndays", days] if days else ["-nmin", 1]))
        return path
