"""What scanners of TLS servers find in Sluice serving files over https: nothing above "low"."""
import json
import subprocess
import xml.etree.ElementTree

import pytest

from support import env
from support.pki import Pki

pytestmark = pytest.mark.skipif(env.KTLS or env.SLOW, reason="a scan takes a minute, and finds the same everywhere")

GOOD = ("OK", "INFO", "LOW")

# WARN: what testssl.sh could not find out. Of its own OpenSSL; and it looks for the ticket of TLS 1.3 as soon as the
# handshake is over, when it need not have come yet.
MAY_WARN = ("engine_problem", "sessionresumption_ticket")

# Of testssl.sh's checks those that sslscan does not make in no time: server defaults (with the certificate), CCS
# injection, Ticketbleed, renegotiation, CRIME and BREACH. All of them take seven minutes, and find no more.
CHECKS = ("-S", "-I", "-T", "-R", "-C", "-B")


@pytest.fixture
def site(sluice, tmp_path):
    """(daemon, CA) of a site with a certificate as a public CA would issue it."""
    pki, root = Pki(tmp_path), tmp_path / "root"
    root.mkdir()
    (root / "index.html").write_text("<p>served</p>")
    pair = pki.issue("localhost", "DNS:localhost,IP:127.0.0.1", dates=("-days", 90, "-rand_serial"), extensions=(
        "basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature", "extendedKeyUsage=serverAuth",
        "crlDistributionPoints=URI:http://localhost/ca.crl"))
    daemon = sluice(listeners={"web": {"address": "127.0.0.1:0", "files": "site", "tls": "main"}},
                    files={"site": {"root": root}}, tls={"main": {"certs": (pair,)}})
    return daemon, pki.ca


def test_sslscan(site, tmp_path):
    """Only what is good today is spoken, and everything that a version or cipher allows was tried."""
    daemon, _ = site
    report = tmp_path / "sslscan.xml"
    done = subprocess.run(["sslscan", "--no-colour", "--show-sigs", f"--xml={report}",
                           f"127.0.0.1:{daemon.port('web')}"], check=True, capture_output=True, text=True, timeout=env.seconds(60))
    assert "Server supports TLS Fallback SCSV" in done.stdout, done.stdout
    found = xml.etree.ElementTree.parse(report).getroot().find("ssltest")
    versions = {f"{p.get('type')}v{p.get('version')}" for p in found.findall("protocol") if p.get("enabled") == "1"}
    assert versions == {"tlsv1.2", "tlsv1.3"}
    ciphers = {cipher.get("cipher"): cipher for cipher in found.findall("cipher")}
    assert set(ciphers) == {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
                            "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
                            "ECDHE-ECDSA-CHACHA20-POLY1305"}
    assert {cipher.get("strength") for cipher in ciphers.values()} <= {"strong", "acceptable"}
    assert found.find("renegotiation").get("supported") == "0"
    assert {heartbleed.get("vulnerable") for heartbleed in found.findall("heartbleed")} == {"0"}
    assert min(int(group.get("bits")) for group in found.findall("group")) >= 128
    assert {s.get("name") for s in found.findall("connection-signature-algorithm")} == {"ecdsa_secp256r1_sha256"}


def test_testssl(site, tmp_path):
    daemon, ca = site
    report = tmp_path / "testssl.json"
    # Nothing is looked up and nobody is called: --nodns, and no --phone-out.
    done = subprocess.run(["testssl", "--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none",
                           "--add-ca", ca, "--jsonfile", report, *CHECKS, f"https://localhost:{daemon.port('web')}"],
                          capture_output=True, text=True, timeout=env.seconds(600), stdin=subprocess.DEVNULL,
                          check=False)
    findings = json.loads(report.read_text())
    severities = {finding["id"]: finding["severity"] for finding in findings}
    # What each of the checks reports: that it was carried out to its end.
    assert {"cert_chain_of_trust", "cert_expirationStatus", "cert_crlDistributionPoints", "CCS", "ticketbleed",
            "secure_renego", "secure_client_renego", "CRIME_TLS", "BREACH", "scanTime"} <= set(severities), done.stdout
    bad = [finding for finding in findings if finding["severity"] not in GOOD
           and not (finding["severity"] == "WARN" and finding["id"] in MAY_WARN)]
    assert not bad, done.stdout
    assert severities["cert_chain_of_trust"] == severities["cert_expirationStatus"] == "OK", done.stdout
