"""What an access-log record must be, and short ways of asking about its segments.

check_record and check_against_plan hold for every record of every test; the daemon fixture applies them.
"""
MODES = ("splice", "sendfile", "mmap", "copy")
CRYPTOS = ("none", "ktls", "user")
REASONS = ("forced", "transform", "inspect", "compressed", "generated", "ktls_off", "ktls_kernel", "ktls_cipher",
           "ktls_rx_tls13", "tls_pending", "control_record", "urgent_data", "not_regular_file", "pipe_limit",
           "kernel_refused", "small_transfers", "passthrough")
DIRECTIONS = ("to_client", "to_server")
OUTCOMES = ("complete", "reset", "truncated", "timeout", "refused", "no_server", "handshake", "bad_request",
            "stopped")
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
                          "sink_crypto", "reasons"}, entry
    assert entry["direction"] in DIRECTIONS, entry
    assert entry["modes"] and set(entry["modes"]) <= set(MODES), entry
    assert entry["reasons"] and set(entry["reasons"]) <= set(REASONS), entry
    assert entry["source_crypto"] in CRYPTOS and entry["sink_crypto"] in CRYPTOS, entry
    assert entry["tls_version"] in (None, "TLSv1.2", "TLSv1.3"), entry


def check_against_plan(record, plan):
    """What really happens is always among what plan said."""
    version = record["tls"]["version"] if record["tls"] else None
    for name, direction in record["directions"].items():
        said = [e for e in plan if e["listener"] == record["listener"] and e["direction"] == name
                and e["tls_version"] == version]
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
