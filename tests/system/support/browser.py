"""Headless Chromium, which has a page drawn: which colours a reader sees. Knows nothing of what is on the page."""
import os
import struct
import subprocess
import zlib
from collections import Counter

from support import env

# A small window is enough to see charts in, and is decoded here soon.
SIZE = (640, 700)

# Nothing but the page: no start-up business of its own, no network.
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
         "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-dev-shm-usage",
         "--disable-domain-reliability", "--no-default-browser-check", "--no-proxy-server", "--hide-scrollbars",
         "--force-color-profile=srgb", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")

SCHEMES = {"dark": 0, "light": 1}  # Blink's numbers of what a page is told the reader prefers


def run_browser(directory, page, *arguments):
    """Loads the page (a path, or a URL with an address) with a new profile in directory. A CompletedProcess."""
    url = page if isinstance(page, str) else page.resolve().as_uri()
    return subprocess.run(["chromium", *QUIET, f"--window-size={SIZE[0]},{SIZE[1]}",
                           f"--user-data-dir={directory / 'profile'}", *arguments, url],
                          capture_output=True, text=True, timeout=env.seconds(90), check=False,
                          env={**os.environ, "HOME": str(directory)})


def colours_of(directory, page, scheme):
    """{'#rrggbb': number of pixels} of the page (see above) as drawn for a reader who prefers this scheme."""
    picture = directory / f"page-{scheme}.png"
    picture.unlink(missing_ok=True)
    done = run_browser(directory, page, f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
                       f"--screenshot={picture}")
    assert picture.exists(), done
    return Counter({f"#{pixel:06x}": count for pixel, count in Counter(pixels_of(picture.read_bytes())).items()})


def pixels_of(data):
    """The pixels of a PNG of 8-bit RGB or RGBA, not interlaced, as numbers 0xrrggbb; transparency is ignored."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, _, depth, kind, _, _, interlace = struct.unpack(">IIBBBBB", data[16:29])
    assert depth == 8 and kind in (2, 6) and interlace == 0, data[16:29]
    size, at, packed = 3 if kind == 2 else 4, 8, b""
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at:at + 8])
        if name == b"IDAT":
            packed += data[at + 8:at + 8 + length]
        at += length + 12
    raw, stride = zlib.decompress(packed), width * size
    above, pixels = bytearray(stride), []
    for start in range(0, len(raw), stride + 1):
        line = bytearray(raw[start + 1:start + 1 + stride])
        unfilter(raw[start], line, above, size)
        pixels += [line[i] << 16 | line[i + 1] << 8 | line[i + 2] for i in range(0, stride, size)]
        above = line
    return pixels


def unfilter(kind, line, above, size):
    """Turns what a PNG keeps of a line into the line (RFC 2083, 6)."""
    if kind == 0:
        return
    for i, value in enumerate(line):
        left = line[i - size] if i >= size else 0
        up, corner = above[i], above[i - size] if i >= size else 0
        if kind == 1:
            value += left
        elif kind == 2:
            value += up
        elif kind == 3:
            value += (left + up) // 2
        else:
            value += paeth(left, up, corner)
        line[i] = value & 255


def paeth(left, up, corner):
    guess = left + up - corner
    return min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2]
