"""A directory behind a FUSE file system that lets every opening and read wait (tests/tools/slow_fs.py)."""
import os
import subprocess
from contextlib import contextmanager

from support.env import ROOT, seconds, wait_for


@contextmanager
def slow_directory(shown, mounted, delay_ms):
    """What is in shown is in mounted, too, until the end: whoever uses it must have let go of it by then."""
    process = subprocess.Popen(["/usr/bin/python3", ROOT / "tests/tools/slow_fs.py", shown, mounted, str(delay_ms)])
    wait_for(lambda: mounted.is_mount() or process.poll() is not None, "the slow file system to be mounted")
    assert process.poll() is None, "it ended"
    yield mounted
    subprocess.run(["umount", mounted] if os.geteuid() == 0 else ["fusermount3", "-u", mounted], check=False)
    process.terminate()
    process.wait(seconds(10))
