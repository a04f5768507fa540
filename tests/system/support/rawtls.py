"""TLS records made by hand, once a TlsSocket has shaken hands: empty ones, KeyUpdate, broken ones.

Takes this side's traffic key from the key log. AES-GCM only; libcrypto does the encrypting through ctypes.
"""
import ctypes
import ctypes.util
import functools
import hmac
import struct

from support import tls

DATA, HANDSHAKE, ALERT = 23, 22, 21
KEY_UPDATE, KEY_UPDATE_REQUESTED = b"\x18\x00\x00\x01\x00", b"\x18\x00\x00\x01\x01"
CLOSE_NOTIFY = b"\x01\x00"
CIPHERS_12 = "ECDHE+AESGCM"


@functools.cache
def _libcrypto():
    lib = ctypes.CDLL(ctypes.util.find_library("crypto"))
    for name in ("EVP_CIPHER_CTX_new", "EVP_aes_128_gcm", "EVP_aes_256_gcm"):
        getattr(lib, name).restype = ctypes.c_void_p
    return lib


def gcm_seal(key, nonce, plain, aad):
    lib = _libcrypto()
    ctx = ctypes.c_void_p(lib.EVP_CIPHER_CTX_new())
    cipher = ctypes.c_void_p(lib.EVP_aes_128_gcm() if len(key) == 16 else lib.EVP_aes_256_gcm())
    out, n, tag = ctypes.create_string_buffer(len(plain) + 16), ctypes.c_int(), ctypes.create_string_buffer(16)
    good = lib.EVP_EncryptInit_ex(ctx, cipher, None, key, nonce)
    good &= lib.EVP_EncryptUpdate(ctx, None, ctypes.byref(n), aad, len(aad))
    if plain:
        good &= lib.EVP_EncryptUpdate(ctx, out, ctypes.byref(n), plain, len(plain))
    good &= lib.EVP_EncryptFinal_ex(ctx, tag, ctypes.byref(n))
    good &= lib.EVP_CIPHER_CTX_ctrl(ctx, 0x10, 16, tag)  # EVP_CTRL_AEAD_GET_TAG
    lib.EVP_CIPHER_CTX_free(ctx)
    assert good == 1, "libcrypto refused"
    return out.raw[:len(plain)] + tag.raw


def _expand(secret, info, size, name):
    """HKDF-Expand (RFC 5869); every size asked for here fits one block."""
    return hmac.new(secret, info + b"\x01", name).digest()[:size]


def _expand_label(secret, label, size, name):
    label = b"tls13 " + label
    return _expand(secret, struct.pack("!HB", size, len(label)) + label + b"\x00", size, name)


def _prf12(secret, seed, size, name):
    out, a = b"", seed
    while len(out) < size:
        a = hmac.new(secret, a, name).digest()
        out += hmac.new(secret, a + seed, name).digest()
    return out[:size]


class RawTls:
    """Shakes hands with `sock`, then writes records of any type. Receiving goes on through `stream`.
    server: its certificate, for that side of TLS 1.3; it sends no tickets."""

    def __init__(self, sock, certs, version, directory, server=None):
        log = directory / f"keys-{sock.fileno()}"
        if server:
            assert version == "TLSv1.3"
            ctx = tls.server_context(server, version)
            ctx.num_tickets = 0
        else:
            ctx = tls.context(certs, version, ciphers=CIPHERS_12 if version == "TLSv1.2" else None)
        ctx.keylog_filename = str(log)
        self.stream = tls.TlsSocket(sock, ctx, server_side=server is not None)
        self.sock, self.version = sock, version
        secrets = {line.split()[0]: line.split()[1:] for line in log.read_text().splitlines()
                   if not line.startswith("#")}
        size, name = (32, "sha384") if "256" in self.stream.cipher.replace("SHA256", "") else (16, "sha256")
        assert "GCM" in self.stream.cipher, self.stream.cipher
        if version == "TLSv1.3":
            side = "SERVER" if server else "CLIENT"
            self._use(bytes.fromhex(secrets[f"{side}_TRAFFIC_SECRET_0"][1]), size, name)
        else:
            client_random, master = map(bytes.fromhex, secrets["CLIENT_RANDOM"])
            server_random = self.stream.server_hello[11:43]
            block = _prf12(master, b"key expansion" + server_random + client_random, 2 * size + 8, name)
            self.key, self.iv = block[:size], block[2 * size:2 * size + 4]
            self.sequence = 1  # Finished was 0

    def _use(self, secret, size, name):
        self.secret, self.key_size, self.hash = secret, size, name
        self.key = _expand_label(secret, b"key", size, name)
        self.iv = _expand_label(secret, b"iv", 12, name)
        self.sequence = 0

    def update_key(self, asks):
        """One KeyUpdate, and the new key. asks: the peer is to change its own as well."""
        self.send(KEY_UPDATE_REQUESTED if asks else KEY_UPDATE, HANDSHAKE)
        size = len(self.secret)
        self._use(_expand_label(self.secret, b"traffic upd", size, self.hash), self.key_size, self.hash)

    def record(self, data, kind=DATA):
        """One record, sealed with the next sequence number."""
        number = struct.pack("!Q", self.sequence)
        self.sequence += 1
        if self.version == "TLSv1.3":
            inner = data + bytes([kind])
            nonce = bytes(a ^ b for a, b in zip(self.iv, b"\0\0\0\0" + number))
            header = struct.pack("!BHH", DATA, 0x0303, len(inner) + 16)
            return header + gcm_seal(self.key, nonce, inner, header)
        aad = number + struct.pack("!BHH", kind, 0x0303, len(data))
        sealed = gcm_seal(self.key, self.iv + number, data, aad)
        return struct.pack("!BHH", kind, 0x0303, len(sealed) + 8) + number + sealed

    def send(self, data, kind=DATA):
        self.sock.sendall(self.record(data, kind))
