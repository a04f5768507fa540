"""Bytes to send and the hash they must arrive with. Refuses to know how they travel.

The pattern's length is a prime, so that a block that is lost, doubled or out of place changes the hash.
"""
import functools
import hashlib
import random

_PATTERN = random.Random(20240229).randbytes(1_000_003)
_DOUBLE = memoryview(_PATTERN * 2)


class Payload:
    """`size` bytes; two payloads of different seed differ from their first bytes on."""

    def __init__(self, size, seed=1):
        self.size = size
        self.start = seed * 104_729 % len(_PATTERN)

    def chunks(self, length=1 << 16):
        done = 0
        while done < self.size:
            at = (self.start + done) % len(_PATTERN)
            n = min(length, self.size - done)
            yield _DOUBLE[at:at + n]
            done += n

    def bytes(self):
        return b"".join(self.chunks())

    @property
    def digest(self):
        return _digest(self.size, self.start)

    def write_to(self, path):
        with open(path, "wb") as file:
            for chunk in self.chunks(1_000_000):
                file.write(chunk)
        return path

    def __repr__(self):
        return f"Payload({self.size})"


@functools.lru_cache(maxsize=None)
def _digest(size, start):
    payload = Payload(size)
    payload.start = start
    digest = hashlib.sha256()
    for chunk in payload.chunks(1_000_000):
        digest.update(chunk)
    return digest.hexdigest()


def digest_of(data):
    return hashlib.sha256(data).hexdigest()
