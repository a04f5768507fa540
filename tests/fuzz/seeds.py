"""seeds.py DIRECTORY: writes the raw requests of tests/requests.txt as seeds, whole for the parser of heads, and the
chunks of those that have some for the parser of bodies (behind a byte that says so, see fuzz_http_body.c)."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
from support.raw_requests import rows  # noqa: E402

LONGEST = 4096  # a fuzzer learns nothing from more


def main():
    heads, bodies = Path(sys.argv[1]) / "http_request", Path(sys.argv[1]) / "http_body"
    for directory in (heads, bodies):
        directory.mkdir(parents=True, exist_ok=True)
        for old in directory.iterdir():
            old.unlink()
    for row in rows():
        if len(row.raw) > LONGEST:
            continue
        (heads / f"row-{row.line}").write_bytes(row.raw)
        head, end, body = row.raw.partition(b"\r\n\r\n")
        if end and body and b"chunked" in head:
            (bodies / f"row-{row.line}").write_bytes(b"\1" + body)


main()
