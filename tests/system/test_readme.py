"""The README against the program: its reference is what `sluice reference` prints, its configuration passes `check`,
and the commands it names exist."""
import re
import shlex
import subprocess

from support.env import BIN, ROOT

README = (ROOT / "README.md").read_text()


def run(*args):
    return subprocess.run([BIN, *args], capture_output=True, text=True, timeout=60, check=False)


def test_the_reference_is_what_the_program_prints():
    section = re.search(r"<!-- reference: begin -->(.*?)<!-- reference: end -->", README, re.DOTALL)[1]
    assert section.strip() == run("reference").stdout.strip(), "put the output of `sluice reference` into the README"


def test_the_configurations_are_good(tmp_path, certs):
    samples = re.findall(r"<!-- configuration -->\n```\n(.*?)```", README, re.DOTALL)
    assert samples
    (tmp_path / "dev").mkdir()
    pair = certs.make("readme", "DNS:localhost,DNS:*.localhost")
    (tmp_path / "dev" / "localhost.pem").write_bytes(pair["cert"].read_bytes())
    (tmp_path / "dev" / "localhost.key").write_bytes(pair["key"].read_bytes())
    (tmp_path / "dev" / "localhost.key").chmod(0o600)
    (tmp_path / "site").mkdir()
    for sample in samples:
        (tmp_path / "readme.conf").write_text(sample)
        result = run("check", "-c", tmp_path / "readme.conf")
        assert result.returncode == 0 and not result.stderr and not result.stdout, result


def test_every_command_is_in_the_usage():
    usage = run("--help").stdout
    commands = set(re.findall(r"^    sluice (\w+)", README, re.MULTILINE))
    assert commands == {"run", "check", "plan", "probe", "serve", "relay", "demo", "reference"}
    for command in commands:
        assert re.search(rf"^\s+{command}\b", usage, re.MULTILINE), command


def test_every_path_it_names_is_in_the_tree():
    words = {word.rstrip(",.:;)") for line in re.findall(r"^    (\S.*)$", README, re.MULTILINE)
             for word in shlex.split(line.split("#")[0].replace("'", ""), posix=False)}
    named = {word for word in words if re.match(r"(conf|tests|certs|relay|proxy)/", word)}
    assert {"conf/quickstart", "tests/run", "conf/sluice.conf"} <= named
    assert all((ROOT / word).exists() for word in named), named
