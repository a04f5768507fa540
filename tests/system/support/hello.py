"""ClientHellos of OpenSSL, and cut into records at will."""
import ssl
import struct


def client_hello(name, alpn=None, small=False):
    """The first bytes of a client that asks for `name`. small: TLS 1.2 with one suite, less than 200 bytes."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname = False
    ctx.verify_mode = ssl.CERT_NONE
    if alpn:
        ctx.set_alpn_protocols(alpn)
    if small:
        ctx.maximum_version = ssl.TLSVersion.TLSv1_2
        ctx.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ctx.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def record(data):
    return b"\x16\x03\x01" + struct.pack(">H", len(data)) + data


def in_records(hello, *cuts):
    """The same message with a record's end at each of the cuts."""
    message = hello[5:]
    bounds = [0, *cuts, len(message)]
    return b"".join(record(message[a:b]) for a, b in zip(bounds, bounds[1:]))


def padded_hello(name, size):
    """A hello with `size` more bytes in an extension (as many as a post-quantum key share has, or more)."""
    hello = client_hello(name, small=True)
    body = hello[9:]
    at = 2 + 32
    at += 1 + body[at]
    at += 2 + struct.unpack(">H", body[at:at + 2])[0]
    at += 1 + body[at]
    extensions = body[at + 2:] + struct.pack(">HH", 21, size) + bytes(size)
    body = body[:at] + struct.pack(">H", len(extensions)) + extensions
    message = b"\x01" + struct.pack(">I", len(body))[1:] + body
    return in_records(b"\0" * 5 + message, *range(16384, len(message), 16384))
