"""sluice-load modes and peers: rows that took another path than theirs have no figures, the rest have all of them."""
import html.parser
import os
import re

import pytest

from support import env
from support.load import load_json, run_load, wrapper

JSON_MD = env.ROOT / "tests" / "load" / "sluice_load" / "JSON.md"
MODES = ("modes", "--sizes", "1KiB,200kB", "-c", "2", "-d", "50ms", "--repeat", "2")
PEERS = ("peers", "--size", "1MB", "-d", "50ms", "--repeat", "2", "--idle", "100", "--files", "500")
ALL_MODES = {"relay": ["copy", "splice", "auto"], "files": ["copy", "mmap", "sendfile"], "files-tls": ["user"],
             "relay-tls": ["user"]}


def keys_of(value):
    """All names of members, at any depth."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            if key not in ("reasons", "figures", "failures", "statuses"):  # their members are names of other things
                yield from keys_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from keys_of(item)


def check_documented(document):
    documented = set(re.findall(r'[`"{]"?([a-z0-9_]+)"?(?=[`",}])', JSON_MD.read_text()))
    documented |= set(re.findall(r'"([a-z0-9_]+)"', JSON_MD.read_text()))
    assert set(keys_of(document)) <= documented


@pytest.fixture(scope="module")
def modes():
    return load_json(*MODES, timeout=120)


def test_every_mode_has_figures(modes):
    document, _ = modes
    groups = dict(ALL_MODES)
    if document["ktls"]:
        groups = {**groups, "files-tls": ["user", "ktls"], "relay-tls": ["user", "ktls"]}
    assert [(row["group"], row["size"], row["mode"]) for row in document["rows"]] == [
        (group, size, mode) for group, names in groups.items() for size in (1024, 200000) for mode in names]
    for row in document["rows"]:
        assert row["fell_back"] is None and row["failed"] is None
        assert len(row["gb_per_s"]["values"]) == 2
        assert row["gb_per_s"]["min"] <= row["gb_per_s"]["median"] <= row["gb_per_s"]["max"]
        assert row["bytes"] == row["requests"] * row["size"]
        assert row["cpu_s_per_gb"]["server"]["min"] > 0
        assert row["latency_ms"]["count"] == row["requests"]
        assert row["drain"] == ("copy" if "tls" in row["group"] else "trunc")


def test_the_paths_are_those_of_the_mode(modes):
    document, _ = modes
    for row in document["rows"]:
        to_client = {(path["mode"], path["sink_crypto"]) for path in row["paths"] if path["direction"] == "to_client"}
        crypto = row["mode"] if row["mode"] in ("user", "ktls") else "none"
        mode = {"user": "copy", "ktls": "sendfile" if row["group"] == "files-tls" else "splice"}.get(row["mode"],
                                                                                                row["mode"])
        if row["mode"] == "auto":
            assert to_client <= {("copy", "none"), ("splice", "none")} and row["worse_than_best"]
        else:
            assert to_client == {(mode, crypto)}
            assert "worse_than_best" not in row and set(row["loses"]) == {"cpu", "throughput"}
        if row["mode"] in ("splice", "sendfile"):
            assert row["user_bytes_per_byte"] == 0
        if mode in ("copy", "mmap"):
            assert row["user_bytes_per_byte"] == 1


def test_system_calls_are_counted_or_it_says_why(modes):
    document, _ = modes
    for row in document["rows"]:
        if document["syscalls_uncounted"]:
            assert row["syscalls_per_gb"] is None
        else:
            assert row["syscalls_per_request"] >= 2
            assert row["bytes_per_call"] == pytest.approx(1e9 / row["syscalls_per_gb"])


def test_progress_is_told(modes):
    _, stderr = modes
    assert re.search(r"^1 of \d+: relay, 1 KiB x 2, drain trunc$", stderr, re.MULTILINE)
    assert re.search(r"^\d+ of \d+: .*, about \d+ s left$", stderr, re.MULTILINE)


def test_what_falls_back_has_no_figures(tmp_path):
    """This Sluice copies where it was told to send files or to splice."""
    program = wrapper(tmp_path, 'if [[ $1 == run ]]; then sed -i \'s/relay = "\\(sendfile\\|splice\\)"/relay = "copy"/\' '
                                '"$3"; fi')
    arguments = ("--sluice", program, "--groups", "relay,files")
    document, _ = load_json(*MODES, *arguments, status=1, timeout=120)
    for row in document["rows"]:
        if row["mode"] in ("sendfile", "splice"):
            assert row["fell_back"] == "copy, none to none: forced"
            assert not {"gb_per_s", "cpu_s_per_gb", "latency_ms", "paths", "rank"} & row.keys()
        else:
            assert row["fell_back"] is None and row["gb_per_s"]
    done = run_load(*MODES, *arguments, "--quiet", timeout=120)
    assert done.returncode == 1
    lines = [line for line in done.stdout.splitlines() if re.match(r"\| (sendfile|splice) ", line)]
    assert len(lines) == 4
    for line in lines:
        assert "fell back: copy, none to none: forced" in line
        assert re.search(r"(\| +– ){12}", line), line


def test_a_load_that_fails_has_no_figures(tmp_path):
    """Behind this Sluice's splicing listener there is no server."""
    program = wrapper(tmp_path, "if [[ $1 == run ]]; then sed -i 's/proxy = \"origin\"; relay = \"splice\"/"
                                "proxy = \"gone\"; relay = \"splice\"/; "
                                "s/backends = {/& gone = { servers = ( \"127.0.0.1:9\" ); };/' \"$3\"; fi")
    document, _ = load_json(*MODES, "--sluice", program, "--groups", "relay", status=1, timeout=120)
    for row in document["rows"]:
        if row["mode"] == "splice":
            assert row["failed"] and row["fell_back"] is None and "gb_per_s" not in row
        else:
            assert row["gb_per_s"] and row["failed"] is None


def test_a_server_that_dies_is_no_result(tmp_path):
    program = wrapper(tmp_path, 'if [[ $1 == run ]]; then echo "no thank you" >&2; exit 3; fi')
    done = run_load(*MODES, "--sluice", program)
    assert done.returncode == 1
    assert "no thank you" in done.stderr and not done.stdout


def test_other_drains_and_files_not_in_the_cache():
    document, _ = load_json("modes", "--sizes", "2MB", "-c", "1", "-d", "50ms", "--repeat", "1", "--groups",
                            "files,files-tls", "--drain", "copy,verify", "--cold", timeout=120)
    cells = {(row["group"], row["drain"], row["cold"]) for row in document["rows"]}
    assert cells == {(group, drain, cold) for group in ("files", "files-tls") for drain in ("copy", "verify")
                     for cold in (False, True)}
    for row in document["rows"]:
        assert row["failed"] is None and row["fell_back"] is None
        if row["cold"]:
            assert row["requests"] == 1
        assert row["rank"] == {"cpu": "none", "throughput": "none"}  # one repetition ranks nothing


def test_nothing_is_left_behind(tmp_path):
    done = run_load("modes", "--sizes", "1KiB", "-c", "1", "-d", "50ms", "--repeat", "1", "--groups", "files",
                    env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def peers():
    return load_json(*PEERS, timeout=240)


def test_every_contest_is_carried_out(peers):
    document, _ = peers
    listed = [line.split()[0] for line in run_load("peers", "--list").stdout.splitlines()]
    assert [row["name"] for row in document["rows"]] == listed
    for row in document["rows"]:
        if row["name"].startswith("ktls") and not document["ktls"]:
            assert row["unavailable"] == "this kernel has no kTLS" and row["failed"] is False
            assert [goal["verdict"] for goal in row["goals"]] == ["none"]
            continue
        assert row["unavailable"] is None
        for goal in row["goals"]:
            ours = row["sluice"]["figures"][goal["metric"]]["spread"]
            theirs = row["peer"]["figures"][goal["metric"]]["spread"]
            assert len(ours["values"]) == len(theirs["values"]) == 2
            value = ours["median"] if goal["of"] == "ours" else goal["ratio"]
            if goal["target"] is None:
                assert goal["verdict"] == "open" and goal["ratio"] > 0
            else:
                met = value >= goal["target"] if goal["more_is_better"] else value <= goal["target"]
                assert goal["verdict"] == ("met" if met else "missed")
            # Of a peer's worker, not of the process that only watches it.
            assert theirs["min"] > 0


def test_the_table_of_targets(peers):
    """What is compared, and the ratio that is wanted; for some only figures are."""
    document, _ = peers
    goals = {(row["name"], goal["metric"]): (goal["more_is_better"], goal["target"])
             for row in document["rows"] for goal in row["goals"]}
    open_goals = {(name, metric) for (name, metric), (_, target) in goals.items() if target is None}
    assert open_goals == {("files-small", "CPU per request")} | {
        (name, metric) for name in ("files-medium", "files-many", "files-cold", "https-small", "https-medium")
        for metric in ("requests/s", "CPU per request")}
    assert {goal: wanted for goal, wanted in goals.items() if goal not in open_goals} == {
        ("bulk", "CPU per GB"): (False, 0.45), ("bulk", "throughput"): (True, 1.2),
        ("bulk-1m", "CPU per GB"): (False, 0.75), ("bulk-copy", "CPU per GB"): (False, 0.5),
        ("echo", "requests/s"): (True, 1.1), ("echo", "CPU per request"): (False, 0.9),
        ("connections", "requests/s"): (True, 1.1), ("files", "CPU per GB"): (False, 0.7),
        ("files-small", "requests/s"): (True, 1.2), ("https", "CPU per GB"): (False, 0.9),
        ("tls-full", "CPU per request"): (False, 1.0), ("tls-resumed", "CPU per request"): (False, 0.9),
        ("tls-relay", "CPU per GB"): (False, 0.9), ("tls-relay-hitch", "CPU per GB"): (False, 0.9),
        ("ktls", "throughput"): (True, 1.0), ("ktls-user", "throughput"): (True, 2.0),
        ("idle", "memory"): (False, 1024), ("mixed", "p99"): (False, 0.75),
    }


def test_a_peer_that_is_missing_is_told(tmp_path):
    document, stderr = load_json(*PEERS, "--only", "echo", "--peers", tmp_path, status=1)
    row, = document["rows"]
    assert row["failed"] is True and row["unavailable"] == "haproxy-copy could not be started"
    assert [goal["verdict"] for goal in row["goals"]] == ["none", "none"]
    assert "tests/peers" in stderr


def test_members_are_documented(modes, peers, backend):
    check_documented(modes[0])
    check_documented(peers[0])
    document, _ = load_json("tcp", "-n", 1, "--pid", os.getpid(), backend(lambda sock: sock.sendall(b"x")).address)
    check_documented(document)


class Page(html.parser.HTMLParser):
    """Counts elements, and finds what a page would fetch from elsewhere."""

    def __init__(self, text):
        super().__init__()
        self.counts, self.references, self.open, self.text = {}, [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.references += [value for name, value in attributes if name in ("src", "href", "action", "data", "xlink:href")]
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read_page(path):
    text = path.read_text()
    page = Page(text)
    assert page.open == [] and page.references == [] and "script" not in page.counts
    assert "url(" not in text and "@import" not in text
    assert "http://" not in text and "https://" not in text
    assert "default-src 'none'" in text and "prefers-color-scheme:dark" in text
    assert "nan" not in re.findall(r'="[^"]*"', text)
    return page


def test_pages(tmp_path, backend):
    modes, peers, load = tmp_path / "modes.html", tmp_path / "peers.html", tmp_path / "load.html"
    load_json(*MODES, "--groups", "relay,files-tls", "--html", modes, timeout=120)
    load_json(*PEERS, "--only", "echo,idle,ktls", "--html", peers, timeout=120)
    load_json("tcp", "-n", 3, "--html", load, backend(lambda sock: sock.sendall(b"x")).address)
    page = read_page(modes)
    assert page.counts["svg"] == 6  # throughput, processor time and latency, each of two groups
    assert {"relay, 2 at a time, drain trunc", "files-tls, 2 at a time, drain copy"} <= set(page.text.splitlines())
    page = read_page(peers)
    assert page.counts["svg"] == 1 and page.counts["table"] == 1
    assert "this kernel has no kTLS" in page.text or env.KTLS
    assert read_page(load).counts["svg"] == 1


def test_a_page_that_cannot_be_written(backend):
    done = run_load("tcp", "-n", 1, "--html", "/nonexistent/page.html",
                    backend(lambda sock: sock.sendall(b"x")).address)
    assert done.returncode == 1 and "/nonexistent/page.html" in done.stderr


