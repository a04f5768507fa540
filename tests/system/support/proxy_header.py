"""PROXY headers as they stand on the wire: made by hand, and read with every length and checksum checked. Refuses to
know who sends them."""
import binascii
import ipaddress
import struct

from support import streams

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(source="192.0.2.1", destination="198.51.100.2", ports=(56324, 443), tlvs=b"", command=0x21):
    ends = [ipaddress.ip_address(host) for host in (source, destination)]
    body = ends[0].packed + ends[1].packed + struct.pack(">HH", *ports) + tlvs
    family = 0x11 if ends[0].version == 4 else 0x21
    return SIGNATURE + struct.pack(">BBH", command, family, len(body)) + body


def tlv(kind, value):
    return struct.pack(">BH", kind, len(value)) + value


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def split_tlvs(data):
    found = {}
    while data:
        kind, length = struct.unpack(">BH", data[:3])
        assert kind not in found and len(data) >= 3 + length
        found[kind] = data[3:3 + length]
        data = data[3 + length:]
    return found


def read_header(sock):
    """Reads a header off a socket: ("addr:port", "addr:port", {type: value}), checksum and lengths checked."""
    start = streams.receive_exactly(sock, 13)
    if not start.startswith(SIGNATURE):
        line = start
        while not line.endswith(b"\r\n"):
            line += streams.receive_exactly(sock, 1)
        words = line.decode().split()
        return (f"{words[2]}:{words[4]}", f"{words[3]}:{words[5]}", {}) if words[1] != "UNKNOWN" else (None, None, {})
    rest = streams.receive_exactly(sock, 3)
    command, family, length = start[12], rest[0], struct.unpack(">H", rest[1:])[0]
    body = streams.receive_exactly(sock, length)
    size = {0x00: 0, 0x11: 12, 0x21: 36, 0x31: 216}[family]
    tlvs = split_tlvs(body[size:])
    assert command in (0x20, 0x21)
    if 3 in tlvs:
        zeroed = (start + rest + body).replace(tlv(3, tlvs[3]), tlv(3, bytes(4)))
        assert crc32c(zeroed) == struct.unpack(">I", tlvs[3])[0], binascii.hexlify(zeroed)
    if family not in (0x11, 0x21):
        return None, None, tlvs
    n = (size - 4) // 2
    hosts = [ipaddress.ip_address(body[i * n:(i + 1) * n]) for i in (0, 1)]
    ports = struct.unpack(">HH", body[2 * n:2 * n + 4])
    return f"{hosts[0]}:{ports[0]}", f"{hosts[1]}:{ports[1]}", tlvs


def header_then(what):
    """A server that reads a header and then does `what`; returns the header."""
    def handler(sock):
        header = read_header(sock)
        what(sock)
        return header
    return handler
