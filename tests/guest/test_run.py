"""What tests/guest/run promises: status, output, arguments, directory, environment, time-out, nothing left over, and kTLS.

Most of it is asked of one boot, which costs two seconds. It knows nothing of Sluice.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run")
TREE = RUN.parents[2]
JOBS = TREE / "build" / "guest" / "jobs"

KTLS_BOTH_ENDS = """
import socket, struct
TCP_ULP, SOL_TLS, TLS_TX, TLS_RX = 31, 282, 1, 2
versions = {"TLS 1.2": 0x303, "TLS 1.3": 0x304}
# cipher: number, bytes of iv, key and salt (linux/tls.h)
ciphers = {"AES-128-GCM": (51, 8, 16, 4), "AES-256-GCM": (52, 8, 32, 4), "ChaCha20-Poly1305": (54, 12, 32, 0)}
for version, code in versions.items():
    for cipher, (number, iv, key, salt) in ciphers.items():
        listener = socket.create_server(("127.0.0.2", 0))
        source = socket.create_connection(listener.getsockname())
        sink = listener.accept()[0]
        info = struct.pack("HH", code, number) + bytes(iv + key + salt + 8)
        for end, direction in ((source, TLS_TX), (sink, TLS_RX)):
            end.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
            end.setsockopt(SOL_TLS, direction, info)
        source.sendall(b"x" * 40000)
        source.close()
        received = b""
        while chunk := sink.recv(65536):
            received += chunk
        print(version, cipher, received == b"x" * 40000)
print(dict(line.split() for line in open("/proc/net/tls_stat"))["TlsTxSw"])
"""


def run(*command, timeout=60, **options):
    return subprocess.run([RUN, "--timeout", str(timeout), "--", *command], capture_output=True, text=True,
                          check=False, timeout=timeout + 30, **options)


def guests():
    """The processes of guests that are this tree's, and the directories of their jobs."""
    ours = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and str(JOBS).encode() in (process / "cmdline").read_bytes():
                ours.append(int(process.name))
        except OSError:
            continue
    return ours, sorted(JOBS.iterdir()) if JOBS.exists() else []


@pytest.fixture(name="nothing_left", autouse=True)
def fixture_nothing_left():
    before = guests()
    yield
    assert guests() == before


def start_waiting_command(marker):
    """A run of a command that prints `marker` and then waits for ever."""
    started = subprocess.Popen([RUN, "--", "sh", "-c", f"echo {marker}; sleep 1000 & exec sleep 1001"],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert started.stdout.readline() == f"{marker}\n"
    return started


def test_output_arguments_directory_and_environment_arrive(tmp_path):
    directory = tmp_path / "a  directory with ' and \" and spaces"
    directory.mkdir()
    script = """
        echo to stderr >&2
        pwd
        printf '[%s]' "$@"; echo
        echo "$SLUICE_TEST_PASSED|$TEST_NOT_PASSED"
        echo written > here
        cat; echo end of stdin
        touch /etc/written-by-a-guest 2>/dev/null && rm /etc/written-by-a-guest && echo /etc can be written
        exit 255"""
    arguments = ["a b", "q'q", 'd"d', "", "$HOME", "new\nline", "-x", "--"]
    environment = {**os.environ, "SLUICE_TEST_PASSED": "a 'value'"}
    done = run("sh", "-c", script, "sh", *arguments, cwd=directory, env=environment)
    assert done.stderr == "to stderr\n"
    lines = done.stdout.split("\n")
    assert lines[0] == str(directory)
    assert "\n".join(lines[1:3]) == "".join(f"[{argument}]" for argument in arguments)
    assert lines[3] == "a 'value'|"
    assert (directory / "here").read_text() == "written\n"
    if where() == "guest":
        assert lines[4:] == ["end of stdin", ""]
    assert done.returncode == 255


def where():
    return subprocess.run([RUN, "--where"], capture_output=True, text=True, check=True).stdout.strip()


def test_kernel_has_ktls_for_each_version_and_cipher():
    done = run("/usr/bin/python3", "-c", KTLS_BOTH_ENDS)
    assert done.stderr == ""
    *lines, count = done.stdout.splitlines()
    assert lines == [f"{version} {cipher} True" for version in ("TLS 1.2", "TLS 1.3")
                     for cipher in ("AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305")]
    assert int(count) >= len(lines)
    assert done.returncode == 0


@pytest.mark.parametrize("command, status", [
    (["true"], 0), (["sh", "-c", "kill -SEGV $$"], 128 + signal.SIGSEGV), (["/nonexistent"], 127), (["/etc/passwd"], 126)])
def test_status_is_the_commands(command, status):
    done = run(*command)
    assert done.returncode == status
    assert done.stdout == ""
    assert done.stderr == "" or status in (126, 127)


def test_two_at_a_time_do_not_collide():
    both = [subprocess.Popen([RUN, "--", "sh", "-c", f"echo {name}; sleep 1; exit {name}"], stdout=subprocess.PIPE,
                             text=True) for name in (3, 4)]
    assert [one.communicate(timeout=60)[0] for one in both] == ["3\n", "4\n"]
    assert [one.returncode for one in both] == [3, 4]


def test_timeout_ends_it_with_its_output_kept():
    begun = time.monotonic()
    done = run("sh", "-c", "echo begun; sleep 1000 & while :; do :; done", timeout=6)
    assert time.monotonic() - begun < 20
    assert done.returncode == 124
    assert done.stdout == "begun\n"
    assert done.stderr.startswith("tests/guest/run: ended after 6 s: sh -c")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_it(number):
    started = start_waiting_command("waiting")
    started.send_signal(number)
    assert started.wait(30) == 128 + number
    started.stdout.close()


def test_killed_it_still_leaves_nothing():
    before = guests()
    started = start_waiting_command("waiting")
    started.kill()
    started.wait(30)
    started.stdout.close()
    deadline = time.monotonic() + 30
    while guests()[0] or len(guests()[1]) > len(before[1]):
        assert time.monotonic() < deadline, "processes or a job directory are left"
        time.sleep(0.05)
