"""Compression: what lies ready and what is made on the way, by real curl, decoded by gzip and zstd's own tools."""
import gzip
import os
import subprocess

import pytest

from support import env, http

SIZES = (1024, 16359, 16360, 16384, 65536, 131072, 131073, 1 << 20)
DECODERS = {"gzip": ("gzip", "-dc"), "zstd": ("zstd", "-qdc")}


def text_of(size):
    line = b"".join(b"%d the quick brown fox %x\n" % (i, i * 2654435761) for i in range(size // 30 + 2))
    return line[:size]


def decoded(coding, path):
    return subprocess.run([*DECODERS[coding], path], capture_output=True, check=True, timeout=30).stdout


def crypto(tls):
    return "none" if not tls else "ktls" if env.KTLS else "user"


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.ktls)], ids=["plain", "tls"])
def serve(request, file_server, certs):
    def start(root, files, **listener):
        if not request.param:
            return file_server(root, listener, files), (), "http"
        daemon = file_server(root, {"tls": "main", **listener}, files, tls={"main": certs.tls()})
        return daemon, ("--cacert", certs.ca), "https"
    start.tls = request.param
    return start


def head_of(text):
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in text.splitlines()[1:])}


@pytest.mark.parametrize("coding", DECODERS)
def test_on_the_fly(coding, serve, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    for size in SIZES:
        (root / f"f{size}.txt").write_bytes(text_of(size))
        os.utime(root / f"f{size}.txt", (10**9, 10**9))  # its tag is settled
    daemon, options, scheme = serve(root, {"compress": {"min_size": 1024}})
    for index, size in enumerate(SIZES):
        out, head = tmp_path / "out", tmp_path / "head"
        done = http.curl(*options, "-H", f"Accept-Encoding: {coding}", "-D", head, "-o", out,
                         daemon.url("web", f"/f{size}.txt", scheme=scheme))
        assert done.returncode == 0, done
        fields = head_of(head.read_text())
        assert fields["content-encoding"] == coding and fields["vary"] == "Accept-Encoding", fields
        assert fields["etag"].startswith('W/"') and "accept-ranges" not in fields, fields
        assert decoded(coding, out) == text_of(size)
        segment, = daemon.wait_records(index + 1)[index]["directions"]["to_client"]["segments"]
        assert segment["mode"] == "copy" and segment["reason"] == "compressed", segment
        assert segment["sink_crypto"] == crypto(serve.tls), segment
        again = http.curl(*options, "-H", f"Accept-Encoding: {coding}", "-H", f"If-None-Match: {fields['etag']}",
                          "-o", out, "-w", "%{http_code}", daemon.url("web", f"/f{size}.txt", scheme=scheme)) \
            if size == SIZES[-1] else None
        assert again is None or again.stdout.strip() in ("304", b"304"), again


def test_precompressed(serve, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    content = text_of(300000)
    (root / "a.txt").write_bytes(content)
    (root / "a.txt.gz").write_bytes(gzip.compress(content))
    daemon, options, scheme = serve(root, {"precompressed": ["br", "zstd", "gzip"], "compress": {}})
    out = tmp_path / "out"
    for codings, coding, body in (("gzip, br, zstd", "gzip", (root / "a.txt.gz").read_bytes()), ("br", None, content)):
        done = http.curl(*options, "-H", f"Accept-Encoding: {codings}", "-D", tmp_path / "head", "-o", out,
                         daemon.url("web", "/a.txt", scheme=scheme))
        assert done.returncode == 0, done
        assert head_of((tmp_path / "head").read_text()).get("content-encoding") == coding
        assert out.read_bytes() == body
    for record in daemon.wait_records(2):
        segment, = record["directions"]["to_client"]["segments"]
        assert segment["mode"] == ("copy" if crypto(serve.tls) == "user" else "sendfile"), segment
        assert segment["reason"] != "compressed", segment


def test_zero_copy_is_kept(file_server, tmp_path):
    (tmp_path / "a.txt").write_bytes(text_of(100000))
    daemon = file_server(tmp_path, {"require_zero_copy": True}, {"compress": {}})
    done = http.curl("-H", "Accept-Encoding: gzip", "-o", tmp_path / "out", daemon.url("web", "/a.txt"))
    assert done.returncode == 0 and (tmp_path / "out").read_bytes() == text_of(100000)
    segment, = daemon.wait_record()["directions"]["to_client"]["segments"]
    assert segment["mode"] == "sendfile", segment
