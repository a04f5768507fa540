"""`sluice check`: silent when all is well; otherwise every problem at once, each with its place and the remedy."""
import os
import socket

import pytest

from support.config import config_text
from support.daemon import run_cli


def check(tmp_path, text, name="sluice.conf"):
    """(exit status, [(line, "key: problem")]) of a configuration."""
    path = tmp_path / name
    path.write_text(text)
    done = run_cli("check", "-c", path)
    assert done.stdout == "", done
    problems = []
    for line in done.stderr.splitlines():
        assert line.startswith(f"{path}:"), f"no FILE:LINE: {line}"
        number, rest = line[len(str(path)) + 1:].split(":", 1)
        problems.append((int(number), rest.strip()))
    return done.returncode, problems


GOOD = """\
backends = { app = { servers = ( "127.0.0.1:9001", { address = "127.0.0.1:9002"; weight = 2; } );
                     balance = "least_conn"; }; };
log = { access = "stderr"; format = "json"; };
admin = { listen = "127.0.0.1:9400"; };
timeouts = { connect = "500ms"; idle = "2m"; };
listeners = {
  app = { address = "127.0.0.1:8000"; proxy = "app"; relay = "auto"; };  // a comment
  other = { address = ":8001"; proxy = "app"; relay = "splice"; timeouts = { idle = "5s"; }; };  # another
};
"""


def test_a_good_one_is_silent(tmp_path):
    assert check(tmp_path, GOOD) == (0, [])


def listener(keys):
    return ("backends = { app = { servers = ( \"127.0.0.1:9001\" ); }; };\n"
            "listeners = {\n  x = { address = \"127.0.0.1:8000\"; proxy = \"app\"; " + keys + " };\n};\n")


CASES = {
    "misspelt key": (listener("relya = \"auto\";"), 3, ["relya", "relay"]),
    "misspelt section": (GOOD.replace("listeners =", "listenres ="), 6, ["listenres", "listeners"]),
    "misspelt mode": (listener("relay = \"splcie\";"), 3, ["relay", "splcie", "splice"]),
    "misspelt backend": (GOOD.replace("proxy = \"app\"; relay = \"auto\"", "proxy = \"ap\""), 7, ["ap", "app"]),
    "wrong type": ("workers = \"two\";\n" + GOOD, 1, ["workers"]),
    "out of range": ("workers = -1;\n" + GOOD, 1, ["workers"]),
    "a number that libconfig reads as 1": ("workers = 4294967297;\n" + GOOD, 1, ["4294967297"]),
    "a duration without unit": (GOOD.replace("\"500ms\"", "\"500\""), 5, ["connect", "500"]),
    "a duration of zero": (GOOD.replace("\"500ms\"", "\"0s\""), 5, ["connect"]),
    "a bad address": (GOOD.replace("127.0.0.1:8000", "127.0.0.1:99999"), 7, ["address", "99999"]),
    "a name for an address": (GOOD.replace("127.0.0.1:8000", "localhost:80"), 7, ["address"]),
    "neither proxy nor files": (GOOD.replace("proxy = \"app\"; relay = \"auto\";", ""), 7, ["proxy", "files"]),
    "two listeners on one address": (GOOD.replace(":8001", "127.0.0.1:8000"), 8, ["8000", "app"]),
    "a wildcard over an address": (GOOD.replace(":8001", ":8000"), 8, ["8000"]),
    "no servers": (GOOD.replace("\"127.0.0.1:9001\", { address = \"127.0.0.1:9002\"; weight = 2; }", ""), 1,
                   ["servers"]),
    "a forced mode that can never be": (listener("relay = \"sendfile\";"), 3, ["relay", "sendfile"]),
    "an unknown tls": (listener("tls = \"main\";"), 3, ["tls", "main"]),
    "a key twice": ("workers = 1;\nworkers = 2;\n" + GOOD, 2, []),
    "a syntax error": ("workers = 1\nlog ==\n" + GOOD, 2, []),
    "an open comment": (GOOD + "/* never closed\n", 10, ["comment"]),
    "a bad name": (GOOD.replace("  app = {", "  a*b = {"), 7, []),
    "nothing": ("", 1, ["listeners"]),
}


@pytest.mark.parametrize("case", CASES)
def test_one_problem(case, tmp_path):
    text, line, words = CASES[case]
    status, problems = check(tmp_path, text)
    assert status == 1 and problems, "accepted"
    told = [p for number, p in problems if number == line]
    assert told, f"not at line {line}: {problems}"
    assert all(any(word in p for p in told) for word in words), f"{words} not in {told}"


def test_all_problems_at_once(tmp_path):
    text = GOOD.replace("\"500ms\"", "\"soon\"").replace("relay = \"splice\"", "relay = \"fast\"")
    status, problems = check(tmp_path, "wrokers = 1;\nuser = 7;\n" + text)
    assert status == 1
    assert [number for number, _ in problems] == [1, 2, 7, 10], problems


def test_an_include_is_refused(tmp_path):
    (tmp_path / "more.conf").write_text("workers = 1;\n")
    status, problems = check(tmp_path, "@include \"more.conf\"\n" + GOOD)
    assert status == 1 and problems[0][0] == 1 and "@include" in problems[0][1], problems


def with_certificate(cert, key, root="/tmp"):
    return config_text({"tls": {"main": {"certs": ({"cert": cert, "key": key},)}},
                        "files": {"media": {"root": root}},
                        "listeners": {"web": {"address": "127.0.0.1:0", "tls": "main", "files": "media"}}})


def test_certificates_are_checked(tmp_path, certs):
    assert check(tmp_path, with_certificate(certs.localhost["cert"], certs.localhost["key"])) == (0, [])
    (tmp_path / "empty.pem").touch()
    for cert, key, word in [(certs.localhost["cert"], certs.wildcard["key"], "match"),
                            (tmp_path / "none.pem", certs.localhost["key"], "none.pem"),
                            (certs.localhost["cert"], tmp_path / "none.key", "none.key"),
                            (tmp_path / "empty.pem", certs.localhost["key"], "empty.pem"),
                            (certs.localhost["key"], certs.localhost["key"], "cert")]:
        text = with_certificate(cert, key)
        status, problems = check(tmp_path, text)
        assert status == 1 and len(problems) == 1 and word in problems[0][1], (word, problems)
        number, told = problems[0]
        assert str(cert) in text.splitlines()[number - 1] or str(key) in text.splitlines()[number - 1], problems
        assert told.count(str(key)) <= 1 and told.count(str(cert)) <= 1, f"a path twice: {told}"


def test_roots_are_checked(tmp_path, certs):
    (tmp_path / "file").touch()
    for root in (tmp_path / "none", tmp_path / "file"):
        status, problems = check(tmp_path, with_certificate(certs.localhost["cert"], certs.localhost["key"], root))
        assert status == 1 and "root" in problems[0][1], problems


def test_paths_are_relative_to_the_file(tmp_path):
    (tmp_path / "site").mkdir()
    text = ("files = { media = { root = \"site\"; }; };\n"
            "listeners = { web = { address = \"127.0.0.1:0\"; files = \"media\"; }; };\n")
    assert check(tmp_path, text) == (0, [])


def test_run_does_not_start_half_a_configuration(tmp_path):
    """The second listener is good, the first is not: nothing listens, exit status 1, the place is told."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    path = tmp_path / "sluice.conf"
    path.write_text("backends = { app = { servers = ( \"127.0.0.1:9\" ); }; };\n"
                    f"listeners = {{ good = {{ address = \"127.0.0.1:{port}\"; proxy = \"app\"; }};\n"
                    "bad = { address = \"127.0.0.1:0\"; proxy = \"none\"; }; };\n")
    done = run_cli("run", "-c", path)
    assert done.returncode == 1 and f"{path}:3: " in done.stderr and done.stdout == "", done


def test_unreadable(tmp_path):
    done = run_cli("check", "-c", tmp_path / "none.conf")
    assert done.returncode == 1 and "none.conf" in done.stderr and os.strerror(2) in done.stderr, done
    done = run_cli("check", "-c", tmp_path)
    assert done.returncode == 1 and str(tmp_path) in done.stderr, done
