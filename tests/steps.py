"""The steps of tests/run: builds, linters and suites, some at a time, each with its log in build/logs.

Started by tests/run, which has installed what is needed. A suite is a step whose runner writes JUnit XML, from which
its tests are counted. After a failure the other steps go on; what was skipped is named, and a suite in which no test
ran has failed. A few tests that failed while other steps kept the machine busy are run once more at the end, alone:
those that fail again have failed, the others are named. It knows of Sluice's programs only where they are built.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree
from dataclasses import dataclass, field
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
BUILD = TREE / "build"
LOGS = BUILD / "logs"
PYTEST = ("/usr/bin/python3", "-m", "pytest", "-o", "faulthandler_timeout=300")
VALGRIND = "valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite"
# Not the files: valgrind 3.19 does not know openat2, so Sluice cannot open one under it.
VALGRIND_TESTS = ("tests/system/test_ktls.py", "-k", "proxy or probe")
FUZZ_SECONDS = 15
MOST_LANES = 4  # more would only disturb one another: a build uses all CPUs by itself
STEP_SECONDS = 2100
MOST_ALONE = 6  # more failures in a suite are no disturbance
TESTS_FAILED = (1, 8)  # what pytest and ctest end with when they ran everything and some of it failed
TAIL_LINES, TAIL_COLUMNS = 60, 300

SANITIZERS = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "second_deadlock_stack=1",
}


@dataclass
class Step:
    """One command. A suite's has a report, which its runner writes."""
    name: str
    command: list
    after: tuple = ()
    report: Path = None
    environment: dict = field(default_factory=dict)
    again: tuple = ()  # what to add to the command for those tests alone that failed
    state: str = "waiting"  # then running, and at last ok, failed, or left: what it comes after has failed
    begun: float = 0.0
    status: int = 0
    seconds: float = 0.0
    passed: int = 0
    failed: int = 0
    skipped: list = field(default_factory=list)
    failures: list = field(default_factory=list)  # names of tests
    only_alone: list = field(default_factory=list)  # those of them that passed when run alone

    @property
    def log(self):
        return LOGS / f"{self.name}.log"

    def text(self):
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def read_report(self):
        """Counts the tests of a suite; returns what is wrong with the report itself."""
        try:
            cases = list(xml.etree.ElementTree.parse(self.report).iter("testcase"))
        except (OSError, xml.etree.ElementTree.ParseError) as error:
            return f"no report: {error}"
        for case in cases:
            if case.find("failure") is not None or case.find("error") is not None:
                self.failed += 1
                self.failures.append(case.get("name"))
            elif case.find("skipped") is not None or case.get("status") in ("disabled", "notrun"):
                self.skipped.append(case.get("name"))
            else:
                self.passed += 1
        return "" if self.passed + self.failed else "no test ran"

    def totals(self):
        """The closing line of the suite's own runner."""
        found = re.findall(r"^=+ (.*\d.* in [\d.]+s.*?) =+$|^(\d+% tests passed.*)$", self.text(), re.MULTILINE)
        return "".join(found[-1]) if found else "(its runner printed no totals)"


def build(name, directory, *options):
    script = '. conf/setup.sh && build_configure "$@" && build "$1" all'
    return Step(name, ["bash", "-c", script, name, str(TREE / directory), *options])


def unit(name, directory, after, prefix=(), environment=None):
    report = LOGS / f"{name}.xml"
    command = [*prefix, "ctest", "--test-dir", directory, "--output-on-failure", "--output-junit", str(report)]
    return Step(name, command, after, report, environment or {}, ("--rerun-failed",))


def system(name, after, tests, program="build/sluice", prefix=(), environment=None):
    report = LOGS / f"{name}.xml"
    variables = {"SLUICE_BIN": str(TREE / program), "SLUICE_PEERS": str(BUILD / "peers" / "root"),
                 "SLUICE_TOOLS": str(BUILD / "tests"), **(environment or {})}
    command = [*prefix, *PYTEST, "-o", f"cache_dir={LOGS / name}.cache", f"--junit-xml={report}", *tests]
    return Step(name, command, after, report, variables, ("--last-failed", "--last-failed-no-failures=none"))


def sources(*suffixes):
    return sorted(str(path.relative_to(TREE)) for folder in ("conf", "certs", "relay", "proxy", "tests")
                  for path in (TREE / folder).rglob("*") if path.suffix in suffixes)


def fixed_layout():
    """Sanitizers' shadow memory collides with the random layout of some kernels; some containers forbid to fix it."""
    prefix = ["setarch", "-R"]
    return prefix if subprocess.run([*prefix, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0 else []


def guest_prefix():
    """A little less than a step may take, so that a guest ends by itself and its output is kept."""
    return ["tests/guest/run", "--timeout", str(STEP_SECONDS - 30), "--"]


def list_steps(options):
    matching = ["-k", options.k] if options.k else []
    native = ["tests/system", "-m", "not guest_only", *matching]
    ktls = ["tests/system", "-m", "ktls or guest_only", *matching]
    tested = ["-DSLUICE_TESTS=ON", "-DSLUICE_WERROR=ON"]
    clang = ["-DCMAKE_C_COMPILER=clang-14"]
    yield build("gcc", "build", *tested)
    yield unit("unit", "build", ("gcc",))
    yield system("system", ("gcc",), native)
    if options.quick:
        return

    layout = fixed_layout()
    slow = {**SANITIZERS, "SLUICE_SLOW": "1"}
    yield build("asan", "build-asan", *tested, "-DSLUICE_SANITIZE=address,undefined")
    yield system("system-asan", ("asan", "gcc"), native, "build-asan/sluice", layout, slow)
    yield build("tsan", "build-tsan", *tested, "-DSLUICE_SANITIZE=thread")
    yield system("system-tsan", ("tsan", "gcc"), native, "build-tsan/sluice", layout, slow)
    if options.guest:
        guest = guest_prefix()
        yield system("guest-runner", (), ["tests/guest"])
        yield system("guest", ("gcc", "guest-runner"), ktls, prefix=guest)
        yield build("ubsan", "build-ubsan", *tested, "-DSLUICE_SANITIZE=undefined")
        yield system("guest-ubsan", ("ubsan", "gcc", "guest-runner"), ktls, "build-ubsan/sluice", guest, SANITIZERS)
        yield system("guest-valgrind", ("gcc", "guest-runner"), VALGRIND_TESTS, prefix=guest,
                     environment={"SLUICE_WRAP": VALGRIND, "SLUICE_SLOW": "1"})
    yield unit("unit-asan", "build-asan", ("asan",), layout, SANITIZERS)
    yield unit("unit-tsan", "build-tsan", ("tsan",), layout, SANITIZERS)
    yield build("clang", "build-clang", *clang, *tested)
    yield build("fuzzers", "build-fuzz", *clang, "-DSLUICE_WERROR=ON", "-DSLUICE_FUZZ=ON",
                "-DSLUICE_SANITIZE=address,undefined", f"-DSLUICE_FUZZ_SECONDS={FUZZ_SECONDS}")
    yield unit("fuzz", "build-fuzz", ("fuzzers",), layout, SANITIZERS)
    yield Step("format", ["clang-format-14", "--dry-run", "-Werror", *sources(".c", ".h")])
    # Its list macros are the one system header that cppcheck must see to parse us.
    queue = next(Path("/usr/include").glob("*/sys/queue.h"), "sys/queue.h")
    yield Step("cppcheck", ["cppcheck", "--std=c11", "--enable=warning,performance,portability", f"--include={queue}",
                            "--suppressions-list=tests/cppcheck.suppress", "--quiet", "--error-exitcode=1",
                            "-D_GNU_SOURCE", "-I.", *sources(".c")])


class Runner:
    """Runs the steps in their order, as far as what they come after allows."""

    def __init__(self, steps, lanes):
        self.steps = {step.name: step for step in steps}
        self.lanes = lanes
        self.running = {}

    def run(self):
        try:
            while self.start_what_can() or self.running:
                self.end_what_has()
                time.sleep(0.05)
        finally:
            for process in self.running:
                stop(process)

    def run_failures_alone(self):
        """What failed only for want of a quiet machine passes now; a fault of ours fails again."""
        for step in self.steps.values():
            if not step.again or step.status not in TESTS_FAILED or not 0 < len(step.failures) <= MOST_ALONE:
                continue
            alone = Step(f"{step.name}-alone", [*step.command, *step.again], (), step.report, step.environment)
            self.start(alone)
            while self.running:
                self.end_what_has()
                time.sleep(0.05)
            if alone.state == "ok" and alone.passed == len(step.failures):
                step.state, step.failed, step.only_alone = "ok", 0, step.failures
                step.passed += alone.passed

    def start_what_can(self):
        for step in self.steps.values():
            if step.state != "waiting":
                continue
            before = [self.steps[name].state for name in step.after if name in self.steps]
            if "failed" in before or "left" in before:
                step.state = "left"
                print(f"  left    {step.name}: it comes after {', '.join(step.after)}", flush=True)
            elif len(self.running) < self.lanes and all(state == "ok" for state in before):
                self.start(step)
        return any(step.state == "waiting" for step in self.steps.values())

    def start(self, step):
        if step.report:
            step.report.unlink(missing_ok=True)
        with open(step.log, "wb") as log:
            process = subprocess.Popen(step.command, cwd=TREE, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       start_new_session=True, env={**os.environ, **step.environment})
        step.state, step.begun = "running", time.monotonic()
        self.running[process] = step

    def end_what_has(self):
        for process, step in list(self.running.items()):
            step.seconds = time.monotonic() - step.begun
            if process.poll() is not None:
                step.status = process.returncode
                self.end(process, step, "" if process.returncode == 0 else f"exit status {process.returncode}")
            elif step.seconds > STEP_SECONDS:
                stop(process)
                self.end(process, step, f"ended after {STEP_SECONDS} s")

    def end(self, process, step, problem):
        del self.running[process]
        if step.report:
            problem = "; ".join(filter(None, (problem, step.read_report())))
        if problem and not step.failed:
            step.failed = 1  # a failure that is no test's: it counts as one
        step.state = "failed" if problem or step.failed else "ok"
        print(f"  {step.state:7} {step.name:15} {step.seconds:6.1f} s  {problem}", flush=True)
        if step.state == "failed":
            lines = step.text().splitlines()
            print(f"--- the end of {step.log.relative_to(TREE)}, {len(lines)} lines",
                  *(line[:TAIL_COLUMNS] for line in lines[-TAIL_LINES:]), "---", sep="\n", flush=True)


def stop(process):
    """Politely first: a guest's runner has a whole kernel to end."""
    for number, seconds in ((signal.SIGTERM, 15), (signal.SIGKILL, 15)):
        try:
            os.killpg(process.pid, number)
            process.wait(seconds)
        except ProcessLookupError:
            process.wait()
        except subprocess.TimeoutExpired:
            continue


def report(steps, options):
    print()
    for step in steps:
        if step.report:
            print(f"{step.name}: {'left out, because of an earlier failure' if step.state == 'left' else step.totals()}")
    for step in steps:
        for name in step.only_alone:
            print(f"failed on the busy machine, passed alone: {step.name}: {name[:TAIL_COLUMNS]}")
        for name in step.skipped:
            print(f"skipped: {step.name}: {name[:TAIL_COLUMNS]}")
    failed = [step.name for step in steps if step.state != "ok"]
    if failed:
        print(f"not good: {', '.join(failed)}")
    if options.quick:
        print("left out (--quick): sanitizers, fuzzing, clang, linters, and the tests in a kernel with kTLS")
    elif not options.guest:
        print("left out (--without-guest): the tests in a kernel with kTLS, and their UBSan and valgrind runs")
    passed, failures = sum(step.passed for step in steps), sum(step.failed for step in steps)
    skipped = sum(len(step.skipped) for step in steps)
    print(f"{passed} passed, {failures} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


def main():
    parser = argparse.ArgumentParser(prog="tests/run", usage="tests/run --help tells")
    parser.add_argument("--without-guest", dest="guest", action="store_false")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("-k")
    options = parser.parse_args()
    LOGS.mkdir(parents=True, exist_ok=True)
    steps = list(list_steps(options))
    # What the tests write outside the tree goes with them; it is in /tmp for the sake of short names of UNIX sockets.
    with tempfile.TemporaryDirectory(prefix="sluice-") as scratch:
        os.chmod(scratch, 0o711)  # some tests become another user
        os.environ["TMPDIR"] = scratch
        runner = Runner(steps, min(max(os.cpu_count() or 1, 2), MOST_LANES))
        runner.run()
        runner.run_failures_alone()
    return report(steps, options)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
