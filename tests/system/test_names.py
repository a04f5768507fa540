"""Servers by name: every address is one, as the name server's answers change, fail and cease; SRV records."""
import signal
import socket

import pytest

from support import records, streams
from support.backends import Backend, converser, echo, free_port
from support.dns import Dns
from support.env import seconds, wait_for
from support.payload import Payload

HELLO = Payload(1000)
BULK = Payload(300_000, seed=3)
QUICK = {"timeout": "500ms", "interval_min": "100ms", "interval_max": "200ms"}


@pytest.fixture
def dns(tmp_path, closing):
    directory = tmp_path / "dns"
    directory.mkdir()
    return closing(Dns(directory))


@pytest.fixture
def hosts(closing):
    """hosts(handler, "127.0.1.1", ...): backends on one port of these addresses."""
    def start(handler, *addresses):
        while True:
            port, started = free_port(), []
            try:
                for address in addresses:
                    started.append(Backend(handler, host=address, port=port))
            except OSError:  # taken on one of them
                for one in started:
                    one.close()
                continue
            return port, [closing(one) for one in started]
    return start


@pytest.fixture
def named(sluice, dns):
    """named("app.internal:80", relay="copy", hold="0s"): a daemon that looks it up with dns."""
    def start(*servers, relay="auto", balance="round_robin", workers=1, **resolve):
        return sluice(workers=workers, resolve={"servers": [dns.address], **QUICK, **resolve},
                      listeners={"app": {"address": "127.0.0.1:0", "proxy": "app", "relay": relay}},
                      backends={"app": {"servers": servers, "balance": balance}})
    return start


def servers(daemon):
    """The addresses that are servers now."""
    return sorted(s["address"] for s in daemon.status()["backends"]["app"]["servers"])


def wait_servers(daemon, *addresses):
    wait_for(lambda: servers(daemon) == sorted(addresses), f"servers {addresses}", timeout=20)


def lookups(daemon, index=0):
    return daemon.status()["backends"]["app"]["names"][index]


def fetch(daemon):
    with daemon.connect("app") as sock:
        return streams.converse(sock, Payload(10))


def refused(daemon):
    try:
        with daemon.connect("app") as sock:
            return streams.receive(sock).end == "reset"
    except ConnectionResetError:
        return True


def talk(sock, text=b"x"):
    sock.sendall(text)
    assert sock.recv(100) == text


@pytest.mark.parametrize("relay", ["auto", "splice", "copy"])
def test_every_address_is_a_server(relay, dns, hosts, named):
    port, (one, other, six) = hosts(converser(HELLO), "127.0.1.1", "127.0.1.2", "::1")
    dns.answer(app=["127.0.1.2", "::1", "127.0.1.1"])
    dns.start()
    daemon = named(f"app.internal:{port}", relay=relay)
    assert servers(daemon) == sorted([one.address, other.address, six.address])  # from the first moment
    for _ in range(6):
        fetch(daemon).assert_all(HELLO)
    assert [s.accepted for s in (one, other, six)] == [2, 2, 2]
    found = daemon.wait_records(6)
    assert {r["target"] for r in found} == {f"app.internal:{port} [{s.address}]" for s in (one, other, six)}
    for record in found:
        records.check_plain_relay(record, "to_client", relay, HELLO.size)
    up = {dict(labels)["server"] for name, labels in daemon.metrics() if name == "sluice_backend_up"}
    assert up == {r["target"] for r in found}


@pytest.mark.parametrize("family, addresses", [("ipv4", ["127.0.1.1"]), ("ipv6", ["::1"])])
def test_one_family(family, addresses, dns, hosts, named):
    port, _ = hosts(echo, "127.0.1.1", "::1")
    dns.answer(app=["::1", "127.0.1.1"])
    dns.start()
    daemon = named(f"app.internal:{port}", family=family)
    assert servers(daemon) == [f"[{a}]:{port}" if ":" in a else f"{a}:{port}" for a in addresses]
    assert dns.queries("app.internal", "A" if family == "ipv6" else "AAAA") == 0


@pytest.mark.parametrize("relay", ["auto", "splice", "copy"])
def test_a_vanished_address_drains(relay, dns, hosts, named, closing):
    port, (old, kept, fresh) = hosts(echo, "127.0.1.1", "127.0.1.2", "127.0.1.3")
    dns.answer(app=["127.0.1.1", "127.0.1.2"])
    dns.start()
    daemon = named(f"app.internal:{port}", relay=relay)
    opened = [closing(daemon.connect("app")) for _ in range(4)]
    for sock in opened:
        talk(sock)
    assert (old.accepted, kept.accepted) == (2, 2)

    dns.answer(app=["127.0.1.2", "127.0.1.3"])
    wait_servers(daemon, kept.address, fresh.address)
    wait_for(lambda: f"sluice: app.internal:{port}: 2 addresses: 1 new, 1 gone, 0 altered" in daemon.stderr, "the note")
    for _ in range(4):
        opened.append(closing(daemon.connect("app")))
        talk(opened[-1])
    assert (old.accepted, kept.accepted, fresh.accepted) == (2, 4, 2)
    for sock in opened:  # whom it served before it serves on
        streams.converse(sock, BULK).assert_all(BULK)
        sock.close()
    found = daemon.wait_records(8)
    for record in found:
        assert record["outcome"] == "complete", record
        records.check_plain_relay(record, "to_client", relay, BULK.size + 1)
    assert sum(r["target"] == f"app.internal:{port} [{old.address}]" for r in found) == 2
    # What is gone leaves no series behind: addresses that come and go don't add up.
    known = {value for _, labels in daemon.metrics() for label, value in labels if label == "server"}
    assert known == {f"app.internal:{port} [{s.address}]" for s in (kept, fresh)}


@pytest.mark.parametrize("trouble", ["killed", "stopped", "refusing"])
def test_a_failing_name_server_takes_nothing_away(trouble, dns, hosts, named, closing):
    port, (one, other) = hosts(converser(HELLO), "127.0.1.1", "127.0.1.2")
    dns.answer(app=["127.0.1.1"])
    dns.start()
    daemon = named(f"app.internal:{port}", hold="0s")
    if trouble == "killed":
        dns.stop()
    elif trouble == "stopped":
        dns.signal(signal.SIGSTOP)
    else:  # an upstream server that isn't there
        dns.stop()
        dns.start(known=False)
    wait_for(lambda: lookups(daemon)["failures"] >= 2, "lookups to fail", timeout=30)
    fetch(daemon).assert_all(HELLO)  # and nobody waits for a name server
    assert servers(daemon) == [one.address]
    assert "can't be looked up" in daemon.stderr and "the last answer serves on (1 address)" in daemon.stderr
    dns.stop()
    dns.answer(app=["127.0.1.2"])
    dns.start()
    wait_servers(daemon, other.address)
    fetch(daemon).assert_all(HELLO)
    assert other.accepted == 1
    assert "can be looked up again" in daemon.stderr


def test_an_absent_name_empties_after_a_while(dns, hosts, named, closing):
    port, (one,) = hosts(echo, "127.0.1.1")
    dns.answer(app=["127.0.1.1"])
    dns.start()
    daemon = named(f"app.internal:{port}", hold="1s")
    sock = closing(daemon.connect("app"))
    talk(sock)
    dns.answer()
    wait_for(lambda: "no such name" in daemon.stderr, "the note")
    wait_servers(daemon)
    assert refused(daemon)
    talk(sock)
    dns.answer(app=["127.0.1.1"])
    wait_servers(daemon, one.address)
    with daemon.connect("app") as again:
        talk(again)
    sock.close()
    assert [r["outcome"] for r in daemon.wait_records(3)].count("no_server") == 1


def test_an_absent_name_is_held(dns, hosts, named):
    port, (one,) = hosts(converser(HELLO), "127.0.1.1")
    dns.answer(app=["127.0.1.1"])
    dns.start()
    daemon = named(f"app.internal:{port}", hold="1h")
    dns.answer()
    before = lookups(daemon)["lookups"]
    wait_for(lambda: lookups(daemon)["last"] == "absent" and lookups(daemon)["lookups"] > before + 3, "absence")
    assert servers(daemon) == [one.address]
    fetch(daemon).assert_all(HELLO)


def test_no_answer_at_start(dns, hosts, named):
    """It starts, says so, serves what it can, and the rest as soon as it can."""
    port, (one, other) = hosts(converser(HELLO), "127.0.1.1", "127.0.1.2")
    daemon = named(f"app.internal:{port}", one.address)
    wait_for(lambda: f"sluice: app.internal:{port}: can't be looked up" in daemon.stderr, "the note")
    fetch(daemon).assert_all(HELLO)
    assert servers(daemon) == [one.address]
    dns.answer(app=["127.0.1.2"])
    dns.start()
    wait_servers(daemon, one.address, other.address)
    for _ in range(2):
        fetch(daemon).assert_all(HELLO)
    assert other.accepted == 1


def test_srv_records(dns, hosts, named, backend):
    """Ports, weights and hosts are the records'; an address of a host in two records counts once for each port."""
    light, heavy = backend(converser(HELLO), host="127.0.1.1"), backend(converser(HELLO), host="127.0.1.2")
    fresh = backend(converser(HELLO), host="127.0.1.2")
    dns.answer(a=["127.0.1.1"], b=["127.0.1.2"])
    srv = "--srv-host=_http._tcp.app.internal,{}.internal,{},10,{}"

    def record(host, server, weight):
        return srv.format(host, server.address.rsplit(":", 1)[1], weight)
    dns.start(record("a", light, 10000), record("b", heavy, 30000))
    daemon = named("srv:_http._tcp.app.internal")
    assert servers(daemon) == sorted([light.address, heavy.address])
    for _ in range(16):
        fetch(daemon).assert_all(HELLO)
    assert (light.accepted, heavy.accepted) == (4, 12)
    assert {r["target"] for r in daemon.wait_records(16)} == \
        {f"srv:_http._tcp.app.internal [{s.address}]" for s in (light, heavy)}
    dns.stop()
    dns.start(record("a", light, 1), record("b", fresh, 0))
    wait_servers(daemon, light.address, fresh.address)
    # Weights are a part of the answer.
    dns.stop()
    dns.start(record("a", light, 3), record("b", fresh, 1))
    wait_for(lambda: "2 addresses: 0 new, 0 gone, 2 altered" in daemon.stderr, "the weights to change", timeout=20)
    # A host in /etc/hosts or without an address: those that have one serve.
    dns.stop()
    dns.start(record("a", light, 3), record("nowhere", fresh, 1))
    wait_servers(daemon, light.address)


def test_srv_priorities(dns, named, backend):
    """The lowest number serves; the others are backups."""
    first, second, third = (backend(converser(HELLO), host=f"127.0.1.{n}") for n in (1, 2, 3))
    dns.answer(a=["127.0.1.1"], b=["127.0.1.2"], c=["127.0.1.3"])
    dns.start(*(f"--srv-host=_http._tcp.app.internal,{host}.internal,{server.address.rsplit(':', 1)[1]},{priority},1"
                for host, server, priority in (("a", first, 10), ("b", second, 10), ("c", third, 20))))
    daemon = named("srv:_http._tcp.app.internal")
    for _ in range(4):
        fetch(daemon).assert_all(HELLO)
    assert [s.accepted for s in (first, second, third)] == [2, 2, 0]
    first.close()
    second.close()
    fetch(daemon).assert_all(HELLO)
    assert third.accepted == 1
    backups = {s["address"]: s["backup"] for s in daemon.status()["backends"]["app"]["servers"]}
    assert backups == {first.address: False, second.address: False, third.address: True}


def test_maglev_by_name(dns, hosts, named):
    """Any number of Sluices send a client to the same server, in whatever order the answer comes."""
    port, _ = hosts(converser(HELLO), "127.0.1.1", "127.0.1.2", "127.0.1.3")
    dns.answer(app=["127.0.1.1", "127.0.1.2", "127.0.1.3"])
    dns.start()
    chosen = []
    for _ in range(2):
        daemon = named(f"app.internal:{port}", balance="maglev")
        for n in range(1, 13):
            with socket.socket() as sock:
                sock.settimeout(seconds(20))
                sock.bind((f"127.0.3.{n}", 0))
                sock.connect(("127.0.0.1", daemon.port("app")))
                streams.converse(sock, Payload(10)).assert_all(HELLO)
        chosen.append({r["client"].rsplit(":", 1)[0]: r["target"] for r in daemon.wait_records(12)})
    assert chosen[0] == chosen[1] and len(chosen[0]) == 12
    assert len(set(chosen[0].values())) > 1


def test_forty_addresses_by_tcp(dns, named):
    """An answer of more than 512 bytes is cut in UDP, and asked for again by TCP."""
    addresses = [f"127.0.2.{n}" for n in range(1, 41)]
    dns.answer(app=addresses)
    dns.start()
    daemon = named("app.internal:80")
    wait_servers(daemon, *(f"{a}:80" for a in addresses))
    dns.answer(app=addresses[:30])
    wait_servers(daemon, *(f"{a}:80" for a in addresses[:30]))
    metrics = daemon.metrics()
    assert sum(name == "sluice_backend_up" for name, _ in metrics) == 30
    assert metrics[("sluice_name_addresses", frozenset({("backend", "app"), ("name", "app.internal:80")}))] == 30


def test_time_to_live(dns, named):
    """Within its bounds it says when a name is looked up again."""
    dns.answer(often=["127.0.1.1"])
    dns.start("--host-record=seldom.internal,127.0.1.2,3600", ttl=1)
    daemon = named("seldom.internal:80", "often.internal:80", interval_min="100ms", interval_max="1h")
    wait_for(lambda: lookups(daemon, 1)["lookups"] >= 4, "a name with a short time to live to be looked up")
    assert lookups(daemon, 0)["lookups"] == 1
    assert daemon.status()["uptime_s"] >= 2  # and not as often as interval_min would have it


def test_the_hosts_file(named, backend):
    """localhost needs no name server: this one isn't there."""
    server = backend(converser(HELLO))
    daemon = named(f"localhost:{server.address.rsplit(':', 1)[1]}")
    assert server.address in servers(daemon)
    for _ in range(4):
        fetch(daemon).assert_all(HELLO)
    assert lookups(daemon)["failures"] == 0


def test_relay_command(sluice, backend):
    server = backend(converser(HELLO), host="127.0.0.1")
    daemon = sluice(args=["relay", "127.0.0.1:0", f"localhost:{server.address.rsplit(':', 1)[1]}"], names=["relay"])
    with daemon.connect("relay") as sock:
        streams.converse(sock, Payload(10)).assert_all(HELLO)


def test_reload(dns, hosts, named, closing):
    """What is known stays known, in another generation and with other intervals, while no name server answers; a
    name that nobody wants isn't asked for any more."""
    port, (one, other) = hosts(echo, "127.0.1.1", "127.0.1.2")
    dns.answer(app=["127.0.1.1"], other=["127.0.1.2"])
    dns.start()
    daemon = named(f"app.internal:{port}", f"other.internal:{port}")
    socks = [closing(daemon.connect("app")) for _ in range(2)]
    for sock in socks:
        talk(sock)

    def reload(servers, generation, **resolve):
        daemon.reload({"workers": 1, "admin": {"listen": "127.0.0.1:0"}, "log": {"access": str(daemon.log_path)},
                       "timeouts": {"drain": "3s"}, "resolve": {"servers": [dns.address], **QUICK, **resolve},
                       "listeners": {"app": {"address": "127.0.0.1:0", "proxy": "app"}},
                       "backends": {"app": {"servers": servers}}})
        wait_for(lambda: daemon.status()["generation"] == generation, "the reload", timeout=20)

    dns.signal(signal.SIGSTOP)
    reload((f"app.internal:{port}", f"other.internal:{port}"), 2)
    assert servers(daemon) == sorted([one.address, other.address])
    reload((f"app.internal:{port}", f"other.internal:{port}"), 3, interval_max="300ms")
    assert servers(daemon) == sorted([one.address, other.address])
    dns.signal(signal.SIGCONT)
    reload((f"app.internal:{port}",), 4)
    assert servers(daemon) == [one.address]
    asked = dns.queries("app.internal")
    wait_for(lambda: dns.queries("app.internal") > asked, "a lookup")
    gone, asked = dns.queries("other.internal"), dns.queries("app.internal")
    wait_for(lambda: dns.queries("app.internal") >= asked + 4, "lookups")
    assert dns.queries("other.internal") == gone
    for sock in socks:
        talk(sock)
    # A new name is waited for: nobody is refused in between.
    dns.answer(app=["127.0.1.1"], fresh=["127.0.1.2"])
    reload((f"fresh.internal:{port}",), 5)
    assert servers(daemon) == [other.address]
    for sock in socks:
        talk(sock)
