"""What an access-log record must be, and short ways of asking about its segments.

check_record and check_against_plan hold for every record of every test; the daemon fixture applies them.
"""
from support import env

MODES = ("splice", "sendfile", "mmap", "copy")
CRYPTOS = ("none", "ktls", "user")
REASONS = ("forced", "transform", "inspect", "compressed", "generated", "ktls_off", "ktls_kernel", "ktls_cipher",
           "ktls_rx_tls13", "tls_pending", "control_record", "urgent_data", "not_regular_file", "pipe_limit",
           "kernel_refused", "small_transfers", "passthrough")
DIRECTIONS = ("to_client", "to_server")
OUTCOMES = ("complete", "reset", "truncated", "timeout", "refused", "no_server", "handshake", "bad_request",
            "limited", "stopped")
KEYS = {"time", "listener", "client", "target", "duration_ms", "closed_by", "tls", "directions"}


def is_kernel(segment):
    cryptos = (segment["source_crypto"], segment["sink_crypto"])
    return segment["mode"] in ("splice", "sendfile") and "user" not in cryptos


def check_record(record):
    missing = KEYS - record.keys()
    assert not missing, f"record lacks {missing}: {record}"
    assert record["closed_by"] in ("client", "server", "sluice"), record
    assert record["outcome"] in OUTCOMES, record
    assert record["duration_ms"] >= 0, record
    assert set(record["directions"]) == set(DIRECTIONS), record
    for direction in record["directions"].values():
        check_direction(direction)


def check_direction(direction):
    assert direction["user_bytes"] + direction["kernel_bytes"] == direction["bytes"], direction
    assert direction["head_bytes"] >= 0, direction
    segments = direction["segments"]
    assert sum(segment["bytes"] for segment in segments) == direction["bytes"], direction
    assert sum(s["bytes"] for s in segments if is_kernel(s)) == direction["kernel_bytes"], direction
    for segment in segments:
        assert set(segment) == {"mode", "source_crypto", "sink_crypto", "reason", "bytes"}, segment
        assert segment["mode"] in MODES and segment["reason"] in REASONS, segment
        assert segment["source_crypto"] in CRYPTOS and segment["sink_crypto"] in CRYPTOS, segment


def check_plan_entry(entry):
    assert set(entry) >= {"listener", "route", "tls_version", "direction", "modes", "source_crypto",
                          "sink_crypto", "reasons", "refusals"}, entry
    assert entry["direction"] in DIRECTIONS, entry
    assert entry["modes"] or entry["refusals"] or entry["route"].endswith("-> deny"), entry
    assert set(entry["modes"]) <= set(MODES), entry
    assert set(entry["reasons"]) <= set(REASONS) and set(entry["refusals"]) <= set(REASONS), entry
    assert bool(entry["modes"]) == bool(entry["reasons"]), entry
    assert entry["source_crypto"] in CRYPTOS and entry["sink_crypto"] in CRYPTOS, entry
    assert entry["tls_version"] in (None, "TLSv1.2", "TLSv1.3"), entry
    assert entry["server_tls_version"] in (None, "TLSv1.2", "TLSv1.3"), entry


def check_against_plan(record, plan):
    """What really happens is always among what plan said."""
    version = record["tls"]["version"] if record["tls"] else None
    server_version = record["server_tls"]["version"] if "server_tls" in record else None
    for name, direction in record["directions"].items():
        said = [e for e in plan if e["listener"] == record["listener"] and e["direction"] == name
                and e["tls_version"] == version and e["server_tls_version"] == server_version]
        for segment in direction["segments"]:
            assert any(segment["mode"] in e["modes"] and segment["reason"] in e["reasons"]
                       and segment["source_crypto"] == e["source_crypto"]
                       and segment["sink_crypto"] == e["sink_crypto"] for e in said), \
                f"{name} {version}: {segment} is not among what plan said: {said}"


def segments(record, direction):
    """The segments that moved something, as (mode, source_crypto, sink_crypto, reason)."""
    return [(s["mode"], s["source_crypto"], s["sink_crypto"], s["reason"])
            for s in record["directions"][direction]["segments"] if s["bytes"]]


def kinds(record, direction):
    return set(segments(record, direction))


def moved(record, direction):
    return record["directions"][direction]["bytes"]


def bytes_in(record, direction, mode):
    return sum(s["bytes"] for s in record["directions"][direction]["segments"] if s["mode"] == mode)


SPLICE = ("splice", "none", "none", "passthrough")
SPLICE_FORCED = ("splice", "none", "none", "forced")
COPY_FORCED = ("copy", "none", "none", "forced")
COPY_SMALL = ("copy", "none", "none", "small_transfers")
SENDFILE = ("sendfile", "none", "none", "passthrough")
GENERATED = ("copy", "none", "none", "generated")

# auto may copy while it learns that a transfer is bulk: this much of 1 MiB, and of anything larger.
AUTO_COPY_MAX = 1 << 20


def check_plain_relay(record, direction, relay, size):
    """A plain TCP relay of `size` bytes under policy `relay` went the way the policy says."""
    got = record["directions"][direction]
    assert got["bytes"] == size, record
    found = kinds(record, direction)
    if size == 0:
        assert not found, record
    elif relay == "splice":
        assert found == {SPLICE_FORCED} and got["user_bytes"] == 0, record
    elif relay == "copy":
        assert found == {COPY_FORCED} and got["kernel_bytes"] == 0, record
    elif size <= 16 << 10:
        assert found == {COPY_SMALL}, record
    else:
        assert found <= {COPY_SMALL, SPLICE}, record
        if size >= 8 << 20:
            assert SPLICE in found and got["user_bytes"] <= AUTO_COPY_MAX, record


# With TLS to the client, what is to be expected depends on the kernel alone.


def tx_crypto():
    return "ktls" if env.KTLS else "user"


def rx_crypto():
    return "ktls" if env.KTLS else "user"


def check_tls(record, version):
    assert record["tls"]["version"] == version, record
    assert record["tls"]["cipher"].startswith("TLS_"), record


def check_tls_relay(record, direction, version, relay, size):
    """A TLS-terminating proxy moved `size` bytes the way policy and host say."""
    check_tls(record, version)
    got, found = record["directions"][direction], kinds(record, direction)
    assert got["bytes"] == size, record
    if direction == "to_client":
        cryptos = ("none", tx_crypto())
    else:
        cryptos = (rx_crypto(), "none")
    if size == 0:
        assert not found, record
    elif relay == "copy":
        assert found == {("copy", *cryptos, "forced")}, record
    elif "user" in cryptos:
        assert found == {("copy", *cryptos, "ktls_kernel")}, record
    else:
        check_kernel_tls(record, direction, relay, cryptos, size)


def check_kernel_tls(record, direction, relay, cryptos, size):
    got, found = record["directions"][direction], kinds(record, direction)
    splice = ("splice", *cryptos, "forced" if relay == "splice" else "passthrough")
    aside = {("copy", *cryptos, "control_record"), ("copy", *cryptos, "tls_pending")}
    small = {("copy", *cryptos, "small_transfers")} if relay == "auto" else set()
    assert found <= {splice} | aside | small, record
    if relay == "splice" or size >= 8 << 20:
        assert splice in found and got["user_bytes"] <= AUTO_COPY_MAX, record


def file_kind(relay, tls=False):
    """The one segment by which a file goes out under policy `relay`."""
    if not tls:
        return (relay, "none", "none", "forced") if relay != "auto" else SENDFILE
    if relay != "auto":
        return (relay, "none", tx_crypto(), "forced")
    return ("sendfile", "none", "ktls", "passthrough") if env.KTLS else ("copy", "none", "user", "ktls_kernel")


def generated(tls=False):
    """The one segment of a page that was made in memory."""
    return ("copy", "none", tx_crypto() if tls else "none", "generated")


def check_file(record, relay, size, tls=False, statuses=(200, 206)):
    got, kind = record["directions"]["to_client"], file_kind(relay, tls)
    assert got["bytes"] == size and kinds(record, "to_client") == ({kind} if size else set()), record
    is_kernel_kind = kind[0] == "sendfile" and kind[2] != "user"
    assert got["kernel_bytes" if is_kernel_kind else "user_bytes"] == size, record
    assert record["outcome"] == "complete" and record["status"] in statuses, record


def check_parts(record, relay, size, ranges, tls=False):
    """`size` bytes in all went out: those of the ranges (first, last) as a file's, the others made by Sluice."""
    kind, moved = file_kind(relay, tls), sum(last - first + 1 for first, last in ranges)
    generated = ("copy", "none", tx_crypto() if tls else "none", "generated")
    got = record["directions"]["to_client"]
    assert got["bytes"] == size and kinds(record, "to_client") == {kind, generated}, record
    assert sum(s["bytes"] for s in got["segments"] if s["reason"] != "generated") == moved, record
    assert got["kernel_bytes"] == (moved if kind[0] == "sendfile" else 0), record
    assert record["outcome"] == "complete" and record["status"] == 206, record
