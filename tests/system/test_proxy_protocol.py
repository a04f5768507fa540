"""The PROXY protocol both ways: exact lengths, whom to believe, what is told on; with real HAProxy and nginx as
sender and receiver."""
import socket
import subprocess

import pytest

from support import records, streams, tls
from support.backends import converser, echo
from support.env import seconds, wait_for
from support.hello import client_hello
from support.payload import Payload
from support.peers import HAPROXY, NGINX_RECEIVES, NGINX_SENDS, Peer, nginx_values
from support.proxy_header import SIGNATURE, header_then, split_tlvs, tlv, v2

BULK = Payload(10**6, seed=4)
LOOPBACK = ["127.0.0.0/8"]
V1 = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"


def receiver(proxy, server, trusted=None, listener=None, **settings):
    return proxy(server, listener={"proxy_protocol": {"trusted": trusted or LOOPBACK}, **(listener or {})}, **settings)


def sender(sluice, server, version="v2", listener=None, **settings):
    return sluice(listeners={"app": {"address": "127.0.0.1:0", "proxy": "app", **(listener or {})}},
                  backends={"app": {"servers": (server,), "proxy_protocol": version}}, **settings)


def how_it_ends(daemon, data, half_close=True):
    try:
        with daemon.connect("app") as sock:
            sock.sendall(data)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
            result = streams.receive(sock)
            return result.end, result.size
    except OSError:  # reset while sending or half-closing
        return "reset", 0


@pytest.mark.parametrize("relay", ["auto", "splice", "copy"])
@pytest.mark.parametrize("header", [V1, v2(tlvs=tlv(0xEA, b"x" * 300)), v2("2001:db8::1", "::1")],
                         ids=["v1", "v2", "v2-ipv6"])
def test_exactly_the_header_is_taken(header, relay, proxy, backend):
    reply = Payload(300_000, seed=5)
    server = backend(converser(reply))
    daemon = receiver(proxy, server.address, listener={"relay": relay})
    with daemon.connect("app") as sock:
        here = "127.0.0.1:%d" % sock.getsockname()[1]
        sock.sendall(header + BULK.bytes()[:100])
        for at in range(100, BULK.size, 1 << 16):
            sock.sendall(BULK.bytes()[at:at + (1 << 16)] if at + (1 << 16) < BULK.size else BULK.bytes()[at:])
        sock.shutdown(socket.SHUT_WR)
        streams.receive(sock).assert_all(reply)
    server.result().assert_all(BULK)
    entry = daemon.wait_record()
    assert entry["client"] == ("[2001:db8::1]:56324" if b"\x21\x21" in header[12:14] else "192.0.2.1:56324"), entry
    assert entry["proxy"] == here and entry["outcome"] == "complete", entry
    assert entry["directions"]["to_server"]["head_bytes"] == len(header), entry
    records.check_plain_relay(entry, "to_server", relay, BULK.size)


def test_truncated_at_every_byte(proxy, backend):
    server = backend(echo)
    daemon = receiver(proxy, server.address)
    cuts = [header[:cut] for header in (V1, v2(tlvs=tlv(0xEA, b"xyz"))) for cut in range(len(header))]
    for data in cuts:
        assert how_it_ends(daemon, data) == ("reset", 0), data
    found = daemon.wait_records(len(cuts))
    assert all(e["outcome"] == "refused" and e["closed_by"] == "client" and
               e["detail"] == "closed before the end of a PROXY header" for e in found), found
    assert server.accepted == 0


def test_every_byte_boundary(proxy, backend):
    server = backend(echo)
    daemon = receiver(proxy, server.address)
    for header in (V1, v2(tlvs=tlv(0xEA, b"xyz"))):
        socks = [daemon.connect("app") for _ in header]
        for cut, sock in enumerate(socks):
            sock.sendall(header[:cut])
        wait_for(lambda count=len(socks): daemon.connections_open("app") == count, "all of them to be open")
        for cut, sock in enumerate(socks):
            sock.sendall(header[cut:] + b"tail")
        for sock in socks:
            assert streams.receive_exactly(sock, 4) == b"tail"
            sock.close()
        wait_for(lambda: daemon.connections_open("app") == 0, "all of them to end")
    with daemon.connect("app") as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in v2():
            sock.sendall(bytes([byte]))
        sock.sendall(b"tail")
        assert streams.receive_exactly(sock, 4) == b"tail"


def test_what_is_no_header(proxy, backend):
    server = backend(echo)
    daemon = receiver(proxy, server.address)
    lying = SIGNATURE + b"\x21\x11\x00\x04" + bytes(4)
    overrun = v2(tlvs=b"\xea\x00\x09x")
    wrong_sum = v2(tlvs=tlv(3, b"\1\2\3\4"))
    huge = SIGNATURE + b"\x21\x11\xff\xff" + bytes(70000)
    cases = [b"GET / HTTP/1.1\r\n\r\n", client_hello("a"), bytes(40000), V1.replace(b"TCP4", b"UDP4"), lying, overrun,
             wrong_sum, huge, b"PROXY " + b"x" * 200]
    for data in cases:
        assert how_it_ends(daemon, data, half_close=False) == ("reset", 0), data
    for entry in daemon.wait_records(len(cases)):
        assert entry["outcome"] == "refused" and "PROXY" in entry["detail"], entry
    assert server.accepted == 0


def test_a_longer_length_than_there_is_times_out(proxy, backend):
    daemon = receiver(proxy, backend(echo).address, timeouts={"handshake": "1s"})
    with daemon.connect("app") as sock:
        sock.sendall(SIGNATURE + b"\x21\x11\x01\x00" + bytes(50))
        assert streams.receive(sock).end == "reset"
    entry = daemon.wait_record()
    assert (entry["outcome"], entry["detail"]) == ("timeout", "PROXY header"), entry


def test_from_an_untrusted_address_nothing_is_believed(proxy, backend):
    server = backend(echo)
    daemon = receiver(proxy, server.address, trusted=["127.0.0.2", "10.0.0.0/8"])
    with daemon.connect("app") as sock:
        here = "127.0.0.1:%d" % sock.getsockname()[1]
        sock.sendall(V1)
        assert streams.receive_exactly(sock, len(V1)) == V1
    entry = daemon.wait_record()
    assert entry["client"] == here and "proxy" not in entry, entry


@pytest.mark.parametrize("header", [v2(command=0x20), SIGNATURE + b"\x20\0\0\0", b"PROXY UNKNOWN\r\n",
                                    SIGNATURE + b"\x21\0\0\x02xy"])
def test_a_proxy_that_speaks_for_itself(header, proxy, backend):
    daemon = receiver(proxy, backend(echo).address)
    with daemon.connect("app") as sock:
        here = "127.0.0.1:%d" % sock.getsockname()[1]
        sock.sendall(header + b"tail")
        assert streams.receive_exactly(sock, 4) == b"tail"
    entry = daemon.wait_record()
    assert entry["client"] == here and entry["proxy"] == here, entry


def test_before_tls_and_http(sluice, certs, big_root):
    daemon = sluice(listeners={"app": {"address": "127.0.0.1:0", "tls": "main", "files": "media",
                                       "proxy_protocol": {"trusted": LOOPBACK}},
                               "plain": {"address": "127.0.0.1:0", "files": "media",
                                         "proxy_protocol": {"trusted": LOOPBACK}}},
                    tls={"main": certs.tls()}, files={"media": {"root": big_root}})
    request = b"GET /small HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with daemon.connect("app") as sock:
        sock.sendall(v2())
        secure = tls.TlsSocket(sock, tls.context(certs))
        secure.sendall(request)
        assert secure.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
    with daemon.connect("plain") as sock:
        sock.sendall(V1 + request)
        assert sock.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
    for entry in daemon.wait_records(2):
        assert entry["client"] == "192.0.2.1:56324" and entry["proxy"].startswith("127.0.0.1:"), entry


def test_over_unix_sockets(proxy, backend, open_path):
    """From a UNIX peer that is trusted, about a UNIX client; and told on to the server."""
    server = backend(echo)
    path = open_path / "in.sock"
    daemon = receiver(proxy, server.address, trusted=["unix"], listener={"address": f"unix:{path}"})
    told = SIGNATURE + b"\x21\x31\x00\xd8" + b"/run/client".ljust(108, b"\0") + b"/run/server".ljust(108, b"\0")
    for header, client in ((told, "unix:/run/client"), (V1, "192.0.2.1:56324")):
        with daemon.connect("app") as sock:
            for part in (header[:20], header[20:], b"tail"):
                sock.sendall(part)
            assert streams.receive_exactly(sock, 4) == b"tail"
        entry = daemon.wait_records(1 if client.startswith("unix") else 2)[-1]
        assert entry["client"] == client and entry["proxy"].startswith("unix:"), entry


def test_access_is_by_the_original_address(proxy, backend):
    daemon = receiver(proxy, backend(echo).address,
                      listener={"allow": ["192.0.2.0/24", "2001:db8::/32"], "deny": ["192.0.2.66"]})
    for source, good in (("192.0.2.1", True), ("192.0.2.66", False), ("192.0.3.1", False), ("2001:db8::9", True)):
        destination = "198.51.100.2" if "." in source else "::1"
        assert how_it_ends(daemon, v2(source, destination) + b"tail") == (("eof", 4) if good else ("reset", 0)), source
    # Our own address is in no list, and the proxy speaks for itself.
    assert how_it_ends(daemon, v2(command=0x20) + b"tail") == ("reset", 0)
    details = [entry.get("detail") for entry in daemon.wait_records(5) if entry["outcome"] == "refused"]
    assert sorted(details) == ["deny", "not in allow", "not in allow"], details


def test_limits_are_by_the_original_address(proxy, backend):
    daemon = receiver(proxy, backend(echo).address, listener={"limits": {"max_connections_per_client": 1}})
    first, other = daemon.connect("app"), daemon.connect("app")
    with first, other:
        for sock, source in ((first, "192.0.2.1"), (other, "192.0.2.2")):
            sock.sendall(v2(source) + b"x")
            assert sock.recv(1) == b"x"
        assert how_it_ends(daemon, v2("192.0.2.1") + b"x") == ("reset", 0)
    entries = daemon.wait_records(3)
    assert [(e["client"], e["outcome"]) for e in entries][0] == ("192.0.2.1:56324", "limited"), entries


def test_access_without_a_proxy(proxy, backend):
    server = backend(echo)
    daemon = proxy(server.address, listener={"deny": ["127.0.0.1"]})
    assert how_it_ends(daemon, b"x") == ("reset", 0)
    with socket.socket() as sock:
        sock.settimeout(seconds(20))
        sock.bind(("127.0.0.3", 0))
        sock.connect(("127.0.0.1", daemon.port("app")))
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
    assert [e["outcome"] for e in daemon.wait_records(2)] == ["refused", "complete"]
    assert server.accepted == 1


# Out


@pytest.mark.parametrize("relay", ["auto", "splice", "copy"])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_told_to_the_server(version, relay, sluice, backend):
    reply = Payload(300_000, seed=6)
    got = []
    server = backend(header_then(lambda sock: got.append(streams.converse(sock, reply))))
    daemon = sender(sluice, server.address, version, {"relay": relay})
    with daemon.connect("app") as sock:
        here = "127.0.0.1:%d" % sock.getsockname()[1]
        streams.converse(sock, BULK).assert_all(reply)
    assert server.result()[:2] == (here, daemon.addresses["app"])
    got[0].assert_all(BULK)
    entry = daemon.wait_record()
    records.check_plain_relay(entry, "to_server", relay, BULK.size)
    assert entry["directions"]["to_server"]["head_bytes"] in range(28, 108), entry


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_told_though_the_client_says_nothing(version, sluice, backend):
    greeting = Payload(1000)
    server = backend(header_then(lambda sock: streams.send(sock, greeting)))
    daemon = sender(sluice, server.address, version)
    with daemon.connect("app") as sock:
        streams.receive(sock).assert_all(greeting)


def test_told_of_a_dual_stack_client(sluice, backend):
    server = backend(header_then(echo))
    daemon = sender(sluice, server.address, "v1", {"address": ":0"})
    with socket.create_connection(("127.0.0.1", daemon.port("app")), timeout=seconds(20)) as sock:
        here = "127.0.0.1:%d" % sock.getsockname()[1]
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
    assert server.result()[:2] == (here, "127.0.0.1:%d" % daemon.port("app"))


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_told_of_tls(version, sluice, backend, certs):
    server = backend(header_then(echo))
    daemon = sender(sluice, server.address, "v2", {"tls": "main"}, tls={"main": certs.tls(alpn=["x-stream"])})
    secure = tls.TlsSocket(daemon.connect("app"), tls.context(certs, version, alpn=["x-stream"]))
    secure.sendall(b"x")
    assert secure.recv(1) == b"x"
    cipher = secure.cipher
    secure.shutdown(socket.SHUT_WR)
    tlvs = server.result()[2]
    secure.close()
    assert (tlvs[0x01], tlvs[0x02]) == (b"x-stream", b"localhost") and 0x03 in tlvs, tlvs
    assert tlvs[0x20][:5] == b"\x01\0\0\0\x01", tlvs
    inner = split_tlvs(tlvs[0x20][5:])
    assert inner == {0x21: version.encode(), 0x23: cipher.encode()}, inner


def test_told_whose_certificate_was_verified(sluice, backend, certs):
    server = backend(header_then(echo))
    daemon = sender(sluice, server.address, "v2", {"tls": "main"},
                    tls={"main": certs.tls(client={"verify": "required", "ca": certs.ca})})
    ctx = tls.context(certs)
    ctx.load_cert_chain(certs.exact["cert"], certs.exact["key"])
    secure = tls.TlsSocket(daemon.connect("app"), ctx)
    secure.sendall(b"x")
    assert secure.recv(1) == b"x"
    secure.shutdown(socket.SHUT_WR)
    value = server.result()[2][0x20]
    secure.close()
    assert value[:5] == b"\x07\0\0\0\0" and split_tlvs(value[5:])[0x22] == b"exact", value


def test_told_of_what_is_passed_through(sluice, backend):
    server = backend(header_then(echo))
    hello = client_hello("a.example.org")
    daemon = sluice(listeners={"app": {"address": "127.0.0.1:0", "relay": "splice",
                                       "routes": ({"sni": ["*.example.org"], "proxy": "app"},)}},
                    backends={"app": {"servers": (server.address,), "proxy_protocol": "v2"}})
    with daemon.connect("app") as sock:
        sock.sendall(hello)
        assert streams.receive_exactly(sock, len(hello)) == hello
    tlvs = server.result()[2]
    assert tlvs[0x02] == b"a.example.org" and 0x20 not in tlvs, tlvs


def test_through_two_of_us_with_everything_kept(sluice, backend):
    server = backend(header_then(echo))
    last = sluice(listeners={"app": {"address": "127.0.0.1:0", "proxy": "app",
                                     "proxy_protocol": {"trusted": LOOPBACK}}},
                  backends={"app": {"servers": (server.address,), "proxy_protocol": "v2"}})
    first = sluice(listeners={"app": {"address": "127.0.0.1:0", "proxy": "app",
                                      "proxy_protocol": {"trusted": LOOPBACK}}},
                   backends={"app": {"servers": (last.addresses["app"],), "proxy_protocol": "v2"}})
    header = v2(tlvs=tlv(0x05, b"unique") + tlv(0xEA, b"v" * 9000) + tlv(0x20, b"\1\0\0\0\0"))
    with first.connect("app") as sock:
        sock.sendall(header + b"x")
        assert sock.recv(1) == b"x"
    source, destination, tlvs = server.result()
    assert (source, destination) == ("192.0.2.1:56324", "198.51.100.2:443")
    assert (tlvs[0x05], tlvs[0xEA], tlvs[0x20]) == (b"unique", b"v" * 9000, b"\1\0\0\0\0"), tlvs
    assert last.wait_record()["client"] == "192.0.2.1:56324"


# Real peers


@pytest.mark.parametrize("options", ["send-proxy", "send-proxy-v2",
                                     "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority"])
def test_haproxy_sends(options, proxy, backend, tmp_path, closing):
    daemon = receiver(proxy, backend(converser(BULK)).address)
    peer = closing(Peer(tmp_path / "haproxy", "haproxy", HAPROXY, bind="", server=daemon.addresses["app"],
                        options=options))
    with socket.create_connection(("127.0.0.1", peer.port), timeout=seconds(20)) as sock:
        here = "127.0.0.1:%d" % sock.getsockname()[1]
        streams.converse(sock, Payload(1000)).assert_all(BULK)
    entry = daemon.wait_record()
    assert entry["client"] == here and entry["proxy"].startswith("127.0.0.1:"), entry


def test_haproxy_sends_what_it_knows_of_tls(sluice, backend, certs, tmp_path, closing):
    """It ends TLS and tells so by TLVs, which we tell on."""
    server = backend(header_then(echo))
    daemon = sluice(listeners={"app": {"address": "127.0.0.1:0", "proxy": "app",
                                       "proxy_protocol": {"trusted": LOOPBACK}}},
                    backends={"app": {"servers": (server.address,), "proxy_protocol": "v2"}})
    pem = tmp_path / "both.pem"
    pem.write_bytes(certs.localhost["cert"].read_bytes() + certs.localhost["key"].read_bytes())
    peer = closing(Peer(tmp_path / "haproxy", "haproxy", HAPROXY, bind=f"ssl crt {pem}",
                        server=daemon.addresses["app"],
                        options="send-proxy-v2-ssl-cn proxy-v2-options ssl,cert-cn,ssl-cipher,authority,crc32c"))
    sock = socket.create_connection(("127.0.0.1", peer.port), timeout=seconds(20))
    here = "127.0.0.1:%d" % sock.getsockname()[1]
    secure = tls.TlsSocket(sock, tls.context(certs))
    secure.sendall(b"x")
    assert secure.recv(1) == b"x"
    version = secure.version
    secure.shutdown(socket.SHUT_WR)
    source, _, tlvs = server.result()
    secure.close()
    assert source == here and tlvs[0x02] == b"localhost", tlvs
    assert split_tlvs(tlvs[0x20][5:])[0x21] == version.encode(), tlvs


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_haproxy_receives(version, sluice, backend, tmp_path, closing):
    """And tells by version 1 what it understood."""
    server = backend(header_then(echo))
    peer = closing(Peer(tmp_path / "haproxy", "haproxy", HAPROXY, bind="accept-proxy", server=server.address,
                        options="send-proxy"))
    daemon = sender(sluice, peer.address, version)
    with daemon.connect("app") as sock:
        here = "127.0.0.1:%d" % sock.getsockname()[1]
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
    assert server.result()[:2] == (here, daemon.addresses["app"])


def test_nginx_sends(proxy, backend, tmp_path, closing):
    daemon = receiver(proxy, backend(converser(BULK)).address)
    peer = closing(Peer(tmp_path / "nginx", "nginx", NGINX_SENDS, server=daemon.addresses["app"], **nginx_values()))
    with socket.create_connection(("127.0.0.1", peer.port), timeout=seconds(20)) as sock:
        here = "127.0.0.1:%d" % sock.getsockname()[1]
        streams.receive(sock).assert_all(BULK)
    assert daemon.wait_record()["client"] == here


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nginx_receives(version, sluice, tmp_path, closing):
    peer = closing(Peer(tmp_path / "nginx", "nginx", NGINX_RECEIVES, **nginx_values()))
    daemon = sender(sluice, peer.address, version)
    with daemon.connect("app") as sock:
        here = "127.0.0.1:%d" % sock.getsockname()[1]
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while part := sock.recv(1 << 16):
            answer += part
    assert answer.endswith(here.encode()), answer


def test_curl_sends(sluice, big_root):
    daemon = sluice(listeners={"app": {"address": "127.0.0.1:0", "files": "media",
                                       "proxy_protocol": {"trusted": LOOPBACK}}}, files={"media": {"root": big_root}})
    done = subprocess.run(["curl", "-sSf", "--haproxy-protocol", daemon.url("app", "/small")], capture_output=True,
                          timeout=seconds(30), check=True)
    assert len(done.stdout) == 1000
    entry = daemon.wait_record()
    assert entry["client"] == entry["proxy"], entry
