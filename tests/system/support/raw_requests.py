"""The table of raw requests, tests/requests.txt: its rows as bytes and what is to become of them."""
import re
from dataclasses import dataclass

from support.env import ROOT

FILE = ROOT / "tests" / "requests.txt"
MACROS = {"GET": b"GET /f HTTP/1.1\r\nHost: x\r\n", "POST": b"POST /f HTTP/1.1\r\nHost: x\r\n",
          "OTHER": b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n"}
ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\"}


@dataclass
class Row:
    line: int
    section: str  # of RFC 9110 or 9112
    statuses: list
    keeps: bool
    raw: bytes


def unescape(text):
    def byte(found):
        name = found[1]
        return bytes([int(name[1:], 16)]) if name[0] == "x" else ESCAPES[name]
    parts = re.split(r"(\\(?:x[0-9a-f]{2}|[rnt\\]))", text)
    return b"".join(byte(re.fullmatch(r"\\(.*)", p)) if i % 2 else p.encode("ascii") for i, p in enumerate(parts))


def expand(text):
    def part(inner):
        if inner in MACROS:
            return MACROS[inner]
        repeated, count = inner.rsplit("*", 1)
        return unescape(repeated) * int(count)
    parts = re.split(r"\{([^}]*)\}", text)
    return b"".join(part(p) if i % 2 else unescape(p) for i, p in enumerate(parts))


def rows():
    found, section = [], ""
    for number, line in enumerate(FILE.read_text().splitlines(), 1):
        heading = re.match(r"(9\d{3} [\d.]+)  ", line)
        row = re.match(r"(\d{3}(?:,\d{3})*) (keep|close) (.*)", line)
        if heading:
            section = heading[1]
        elif row:
            assert section, f"line {number} stands in no section"
            found.append(Row(number, section, [int(s) for s in row[1].split(",")], row[2] == "keep", expand(row[3])))
    return found
