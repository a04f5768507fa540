"""The command line: usage, probe, plan, demo, serve, relay, and ports that are taken."""
import json
import re
import socket

import pytest

from support import env, http, records, streams
from support.backends import converser
from support.config import config_text
from support.daemon import plan_of, run_cli
from support.payload import Payload


@pytest.mark.parametrize("args", [[], ["frobnicate"], ["run", "--nope"], ["run", "extra"], ["check", "-c"],
                                  ["plan", "--jsno"], ["probe", "extra"], ["serve"], ["relay"], ["relay", ":0"],
                                  ["serve", "/tmp", "-l", "nonsense"], ["serve", "/tmp", "--relay", "fast"],
                                  ["relay", "127.0.0.1:0", "nowhere"], ["demo", "--port", "x"],
                                  ["demo", "--port", "65535"], ["demo", "extra"]])
def test_usage(args):
    """Exit status 2, the cause on stderr, nothing on stdout."""
    done = run_cli(*args)
    assert done.returncode == 2 and done.stderr and not done.stdout, done


def test_help_and_version():
    done = run_cli("--help")
    assert done.returncode == 0 and not done.stderr
    for command in ("run", "check", "plan", "probe", "serve", "relay", "demo"):
        assert command in done.stdout, done.stdout
    done = run_cli("--version")
    assert done.returncode == 0 and re.search(r"\d+\.\d+\.\d+", done.stdout), done


def test_probe():
    done = run_cli("probe", "--json")
    assert done.returncode == 0, done
    probe = json.loads(done.stdout)
    assert probe.keys() >= {"kernel", "openssl", "splice", "sendfile", "ktls", "pipe"}
    assert probe["splice"] is True and probe["sendfile"] is True
    assert set(probe["ktls"]) == {"TLSv1.2", "TLSv1.3"}
    for ciphers in probe["ktls"].values():
        for cipher, found in ciphers.items():
            assert {"tx", "rx", "reason"} <= found.keys(), cipher
            assert found["reason"] in (None, *records.REASONS), found
            assert env.KTLS or found["tx"] is False and found["reason"] == "ktls_kernel", found
    assert probe["pipe"]["max_size"] >= 65536
    text = run_cli("probe")
    assert text.returncode == 0 and "sendfile" in text.stdout


def test_plan(tmp_path, certs):
    path = tmp_path / "sluice.conf"
    path.write_text(config_text({
        "tls": {"main": certs.tls(), "off": certs.tls(ktls="off")}, "files": {"media": {"root": tmp_path}},
        "backends": {"app": {"servers": ("127.0.0.1:9",)}},
        "listeners": {"plain": {"address": "127.0.0.1:0", "files": "media"},
                      "secure": {"address": "127.0.0.1:0", "files": "media", "tls": "main"},
                      "off": {"address": "127.0.0.1:0", "files": "media", "tls": "off"},
                      "app": {"address": "127.0.0.1:0", "proxy": "app"},
                      "forced": {"address": "127.0.0.1:0", "proxy": "app", "relay": "splice"}}}))
    plan = plan_of(path)

    def of(listener, direction="to_client", version=None):
        return [e for e in plan if (e["listener"], e["direction"], e["tls_version"]) == (listener, direction, version)]

    assert {e["listener"] for e in plan} == {"plain", "secure", "off", "app", "forced"}
    assert of("plain")[0]["modes"][0] == "sendfile" and of("plain")[0]["reasons"][0] == "passthrough"
    assert "generated" in of("plain")[0]["reasons"]
    for direction in records.DIRECTIONS:
        assert {"splice", "copy"} == set(of("app", direction)[0]["modes"])
        assert {"small_transfers", "passthrough"} <= set(of("app", direction)[0]["reasons"])
        assert of("forced", direction)[0]["reasons"][0] == "forced"
        assert "small_transfers" not in of("forced", direction)[0]["reasons"]
    for version in ("TLSv1.2", "TLSv1.3"):
        cryptos = {e["sink_crypto"] for e in of("secure", version=version)}
        assert ("ktls" in cryptos) == env.KTLS and "none" not in cryptos
        assert {r for e in of("off", version=version) for r in e["reasons"]} == {"ktls_off", "generated"}
    text = run_cli("plan", "-c", path)
    assert text.returncode == 0 and "forced" in text.stdout and "sendfile" in text.stdout


def test_plan_of_a_broken_configuration(tmp_path):
    path = tmp_path / "sluice.conf"
    path.write_text("frobnicate = 1;\n")
    done = run_cli("plan", "-c", path, "--json")
    assert done.returncode == 1 and f"{path}:1: " in done.stderr and not done.stdout


@pytest.mark.ktls
def test_demo_once():
    """Everything, embedded, checking itself: the table names every listener and the modes used."""
    done = run_cli("demo", "--once", "--port", "0", timeout=60)
    assert done.returncode == 0, done
    for word in ("proxy", "http", "https", "sendfile", "splice"):
        assert word in done.stdout, f"{word} is not in: {done.stdout}"
    assert ("ktls" if env.KTLS else "ktls_kernel") in done.stdout


def test_demo_serves_until_it_is_stopped(sluice, tmp_path):
    daemon = sluice(args=("demo", "--port", "0"), names=["proxy", "http", "https", "backend", "admin"])
    env.wait_for(lambda: any("curl" in line for line in daemon.stdout_lines), "curl lines to try")
    assert http.curl(daemon.url("http", "/")).returncode == 0
    assert http.curl(daemon.url("proxy", "/")).returncode == 0
    assert http.curl("-k", daemon.url("https", "/", "https")).returncode == 0
    assert set(daemon.status()["listeners"]) >= {"proxy", "http", "https"}


def test_demo_port_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        first = port - 2
        done = run_cli("demo", "--once", "--port", first, timeout=60)
    assert done.returncode == 1 and str(port) in done.stderr and "--port" in done.stderr, done


@pytest.mark.parametrize("relay", ["auto", "sendfile", "mmap", "copy"])
def test_serve(relay, sluice, big_root, big):
    daemon = sluice(args=("serve", big_root, "-l", "127.0.0.1:0", "--relay", relay, "--admin", "127.0.0.1:0"),
                    names=["serve", "admin"])
    http.curl_fetch(daemon.url("serve", "/small")).assert_all(Payload(1000))
    sums = daemon.status()["listeners"]["serve"]["directions"]["to_client"]
    assert [s["mode"] for s in sums["segments"]] == ["sendfile" if relay == "auto" else relay], sums
    assert sums["bytes"] == 1000


def test_serve_tls(sluice, big_root):
    daemon = sluice(args=("serve", big_root, "-l", "127.0.0.1:0", "--tls"), names=["serve"])
    done = http.curl("-k", daemon.url("serve", "/small", "https"))
    assert done.stdout == Payload(1000).bytes(), done


@pytest.mark.parametrize("relay", ["auto", "splice", "copy"])
def test_relay(relay, sluice, backend):
    payload = Payload(100_000)
    servers = [backend(converser(payload)) for _ in range(2)]
    daemon = sluice(args=("relay", "127.0.0.1:0", *(s.address for s in servers), "--relay", relay,
                          "--admin", "127.0.0.1:0"), names=["relay", "admin"])
    for _ in range(4):
        with daemon.connect("relay") as sock:
            streams.converse(sock, Payload(10)).assert_all(payload)
    assert servers[0].accepted + servers[1].accepted == 4
    sums = daemon.status()["listeners"]["relay"]["directions"]["to_client"]
    assert sums["bytes"] == 400_000
    if relay != "auto":
        assert {(s["mode"], *s["reasons"]) for s in sums["segments"]} == {(relay, "forced")}, sums


def test_two_processes_on_one_port(proxy, tmp_path):
    """REUSEPORT is for our workers: another process must hear that the address is taken."""
    daemon = proxy("127.0.0.1:9", workers=2)
    path = tmp_path / "second.conf"
    path.write_text("backends = { app = { servers = ( \"127.0.0.1:9\" ); }; };\n"
                    f"listeners = {{ app = {{ address = \"{daemon.addresses['app']}\"; proxy = \"app\"; }}; }};\n")
    done = run_cli("run", "-c", path)
    assert done.returncode == 1 and daemon.addresses["app"] in done.stderr and "in use" in done.stderr, done
    done = run_cli("relay", daemon.addresses["app"], "127.0.0.1:9")
    assert done.returncode == 1 and daemon.addresses["app"] in done.stderr and "in use" in done.stderr, done


def test_the_log_goes_to_stderr_by_default(sluice, backend, tmp_path):
    server = backend(converser(Payload(10)))
    daemon = sluice(args=("relay", "127.0.0.1:0", server.address), names=["relay"])
    with daemon.connect("relay") as sock:
        streams.converse(sock, Payload(10)).assert_all(Payload(10))
    record = env.wait_for(lambda: [json.loads(line) for line in daemon.stderr.splitlines() if line.startswith("{")],
                          "a record on stderr")[0]
    records.check_record(record)
