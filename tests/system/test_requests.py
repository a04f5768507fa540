"""Every raw request of tests/requests.txt over a real socket, in one piece and byte by byte: its answers, whether the
connection goes on, and that nothing else was ever taken for a request."""
import collections
import socket

import pytest

from support import http
from support.raw_requests import rows

NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture
def web(file_server, tmp_path):
    root = tmp_path / "site"
    root.mkdir()
    (root / "index.html").write_text("index\n")
    (root / "f").write_text("file\n")
    (root / "other").write_text("other\n")
    (root / "next").write_text("next\n")
    return file_server(root)


def whole(sock, raw):
    sock.sendall(raw)


def by_bytes(sock, raw):
    """Or nearly: what is long in a thousand pieces."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    step = max(1, len(raw) // 1000)
    for at in range(0, len(raw), step):
        sock.sendall(raw[at:at + step])


def ends(reader):
    return not reader.buffer and reader.sock.recv(1) == b""


def outcome_of(daemon, send, row):
    """What became of it, as the table says it, or what else is wrong."""
    with daemon.connect("web") as sock:
        send(sock, row.raw + NEXT)
        reader, statuses = http.Reader(sock), []
        while True:
            try:
                answer = reader.answer(head=row.raw.startswith(b"HEAD ") and not statuses)
            except EOFError:
                return statuses, False
            if answer.body == b"next\n":
                return statuses, ends(reader)
            statuses.append(answer.status)
            if answer.status >= 400 and not 0 < int(answer.headers["content-length"]) < 2000:
                return statuses, "no page, or a long one"
            if answer.status == 405 and answer.headers.get("allow") != "GET, HEAD":
                return statuses, "no Allow"
            if answer.headers.get("connection") == "close" and not ends(reader):
                return statuses, "open after Connection: close"


@pytest.mark.parametrize("send", [whole, by_bytes])
def test_every_raw_request(send, web):
    problems, table = [], rows()
    for row in table:
        found, wanted = outcome_of(web, send, row), (row.statuses, row.keeps)
        if found != wanted:
            problems.append(f"requests.txt:{row.line} ({row.section}): {found} instead of {wanted}: {row.raw[:80]!r}")
    assert not problems, "\n".join([f"{len(problems)} of {len(table)}", *problems])

    # One record for each answer: nothing else was taken for a request.
    keeping = sum(row.keeps for row in table)
    found = web.wait_records(sum(len(row.statuses) for row in table) + keeping)
    paths = collections.Counter((r.get("request", "") + "  ").split(" ")[1] for r in found)
    assert paths["/next"] == keeping and paths["/other"] == 0, paths


def test_the_table_is_what_it_claims_to_be():
    table = rows()
    assert len(table) >= 150 and len({row.raw for row in table}) == len(table)
    assert {row.section.split()[0] for row in table} == {"9110", "9112"}
