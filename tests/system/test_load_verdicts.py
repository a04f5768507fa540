"""sluice-load held to its verdicts: what is deliberately slow or takes another path is told to be that, what may not
be counted is told, and its pages are drawn as meant, in light and dark."""
import os
import re

import pytest

from support import env
from support.browser import colours_of, run_browser
from support.load import load_json, run_load, wrapper

MODES = ("modes", "--sizes", "200kB", "-c", "2", "-d", "50ms", "--repeat", "2", "--groups", "relay")
PEERS = ("peers", "--size", "200kB", "-d", "50ms", "--repeat", "2")


def with_conf_edited(tmp_path, script):
    """A program that edits its configuration with sed and then is Sluice."""
    return wrapper(tmp_path, f"if [[ $1 == run ]]; then sed -i -e '{script}' \"$3\"; fi")


def paced(rate, burst):
    return f'limits = {{ bandwidth = {{ to_client = "{rate}"; burst = "{burst}"; }}; }};'


def test_a_slow_mode_is_told_to_be_slow(tmp_path):
    """This Sluice paces what it splices, and what auto chooses for: copying is the best there, and the only one."""
    program = with_conf_edited(tmp_path, f's/relay = "\\(splice\\|auto\\)";/& {paced("1MiB", "32KiB")}/')
    page = tmp_path / "page.html"
    document, _ = load_json(*MODES, "--sluice", program, "--html", page, timeout=120)
    rows = {row["mode"]: row for row in document["rows"]}
    assert all(row["failed"] is None and row["fell_back"] is None for row in rows.values())
    assert rows["copy"]["rank"]["throughput"] == "best"
    assert rows["splice"]["rank"]["throughput"] == rows["auto"]["rank"]["throughput"] == "none"
    assert rows["splice"]["gb_per_s"]["max"] < 0.003 < rows["copy"]["gb_per_s"]["min"]
    assert rows["splice"]["latency_ms"]["p50"] > 100
    assert rows["splice"]["loses"]["throughput"]["to"] == "copy"
    assert 0.5 < rows["splice"]["loses"]["throughput"]["by"] < 1
    assert rows["copy"]["loses"] == {"cpu": None, "throughput": None}
    assert rows["auto"]["worse_than_best"]["throughput"] > 0.5
    done = run_load(*MODES, "--sluice", program, timeout=120)
    lines = {line.split()[1]: line for line in done.stdout.splitlines() if line.startswith("| ")}
    assert re.search(r"\d\) \* \|", lines["copy"]), done.stdout
    assert re.search(r"trunc +\| +[\d.]+ \([\d.–]+\) +\|", lines["splice"]), done.stdout
    assert "less throughput than the best" in lines["auto"], done.stdout
    assert re.search(r"^Zero copy loses here:\n  relay, 200 kB x 2, drain trunc: splice .*\b\d+ % less throughput than "
                     r"copy$", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"<h2>Where zero copy loses</h2>\n<ul>\n(<li>.*</li>\n)*<li>relay, 200 kB, 2 at a time, drain trunc: "
                     r"splice \d+ % less throughput than copy</li>", page.read_text())


def test_a_slow_sluice_misses_its_targets(tmp_path):
    program = with_conf_edited(tmp_path, f's/proxy = "http"; }}/proxy = "http"; {paced("512KiB", "32KiB")} }}/; '
                                         f's/proxy = "echo"; }}/proxy = "echo"; {paced("10KiB", "4KiB")} }}/')
    arguments = (*PEERS, "--only", "bulk,echo", "--sluice", program)
    document, _ = load_json(*arguments, timeout=240)
    for row in document["rows"]:
        goal = next(goal for goal in row["goals"] if goal["more_is_better"])
        assert row["failed"] is False and goal["verdict"] == "missed" and goal["ratio"] < 0.5, row
        assert goal["ratios"]["max"] < goal["target"]
    done = run_load(*PEERS, "--only", "bulk", "--repeat", 1, "--strict", "--sluice", program, timeout=120)
    assert done.returncode == 1
    line, = [line for line in done.stdout.splitlines() if "| throughput, GB/s" in line]
    assert "| missed |" in line, line


def test_a_contest_of_another_mode_has_no_result(tmp_path):
    """This Sluice splices where it was told to copy: what it cost then is not what copying costs."""
    program = with_conf_edited(tmp_path, 's/relay = "copy"/relay = "splice"/')
    arguments = (*PEERS, "--only", "bulk-copy", "--sluice", program)
    document, _ = load_json(*arguments, status=1, timeout=120)
    row, = document["rows"]
    assert row["failed"] is True and row["unavailable"] == "sluice took another path: splice, none to none: forced"
    assert [goal["verdict"] for goal in row["goals"]] == ["none"]
    assert row["sluice"]["figures"] == {}
    assert "sluice took another path: splice" in run_load(*arguments, timeout=120).stdout


def test_without_the_right_to_count_system_calls(tmp_path):
    """Who may not is told so, in the table, the JSON and the page, and has every other figure."""
    page = tmp_path / "page.html"
    powerless = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
    document, _ = load_json(*MODES, "--html", page, timeout=120, prefix=powerless)
    reason = document["syscalls_uncounted"]
    assert reason in ("it takes root, or CAP_PERFMON", "the tracepoint raw_syscalls:sys_enter cannot be read here")
    for row in document["rows"]:
        assert row["syscalls_per_gb"] is row["syscalls_per_request"] is row["bytes_per_call"] is None
        assert row["gb_per_s"]["min"] > 0 and row["cpu_s_per_gb"]["server"] and row["latency_ms"]["count"] > 0
    assert f"System calls were not counted: {reason}." in page.read_text()
    done = run_load(*MODES, timeout=120, prefix=powerless)
    assert done.returncode == 0 and f"System calls were not counted: {reason}.\n" in done.stdout


# ---- the pages, in a browser ----

GROUND = {"light": "#ffffff", "dark": "#0d1117"}
COPY = {"light": "#bc4c00", "dark": "#f0883e"}
SPLICE = {"light": "#0969da", "dark": "#58a6ff"}


def assert_drawn(tmp_path, page, scheme, *wanted):
    """Each colour of `wanted` covers as much as a bar or some points, and in this scheme only."""
    other = {"light": "dark", "dark": "light"}[scheme]
    colours = colours_of(tmp_path, page, scheme)
    assert colours.most_common(1)[0][0] == GROUND[scheme], colours.most_common(5)
    for colour in wanted:
        assert colours[colour[scheme]] > 100, (scheme, colour, colours.most_common(12))
        assert colours[colour[other]] < 20, (scheme, colour, colours.most_common(12))


@pytest.mark.skipif(env.KTLS or env.SLOW, reason="what a browser draws is the same everywhere, and it is slow here")
def test_pages_are_drawn_in_light_and_dark(tmp_path, backend):
    modes, load = tmp_path / "modes.html", tmp_path / "load.html"
    load_json(*MODES, "--html", modes, timeout=120)
    load_json("tcp", "-n", 20, "--html", load, backend(lambda sock: sock.sendall(b"x")).address)
    assert_drawn(tmp_path, modes, "light", COPY, SPLICE)
    assert_drawn(tmp_path, modes, "dark", COPY, SPLICE)
    assert_drawn(tmp_path, load, "dark", SPLICE)  # the first line has that colour
    # The page forbids the browser to fetch anything, and none of it is missing for that.
    done = run_browser(tmp_path, modes, "--dump-dom", "--enable-logging=stderr", "--v=0")
    assert done.stdout.count("<svg") == modes.read_text().count("<svg") == 3, done
    assert "Content Security Policy" not in done.stderr, done.stderr
