"""What the kernel knows: the options of another process's sockets, and networks of a test's own. As root."""
import contextlib
import ctypes
import os
import socket
import subprocess
import threading

_LIBC = ctypes.CDLL(None, use_errno=True)
_PIDFD_OPEN, _PIDFD_GETFD, _CLONE_NEWNET = 434, 438, 0x40000000


def _check(result):
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def sockets_of(pid):
    """Duplicates of all sockets of a process; close them soon, or the process's own close() closes nothing."""
    pidfd, found = _check(_LIBC.syscall(_PIDFD_OPEN, pid, 0)), []
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                if os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
                    found.append(socket.socket(fileno=_check(_LIBC.syscall(_PIDFD_GETFD, pidfd, int(name), 0))))
            except FileNotFoundError:
                pass
    finally:
        os.close(pidfd)
    return found


def options(pid, matches, names):
    """{name: value} of the one socket for which matches(sock) is true. names: {name: (level, option)}."""
    socks = sockets_of(pid)
    try:
        (sock,) = [s for s in socks if _holds(matches, s)]
        return {name: sock.getsockopt(*option) if name != "congestion"
                else sock.getsockopt(*option, 16).rstrip(b"\0").decode() for name, option in names.items()}
    finally:
        for sock in socks:
            sock.close()


def _holds(matches, sock):
    try:
        return matches(sock)
    except OSError:
        return False


def run(*args):
    subprocess.run(args, check=True, capture_output=True)


class Network:
    """A network namespace with a name, and nothing in it but loopback."""

    def __init__(self, name):
        self.name = f"sluice-{os.getpid()}-{name}"
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *args):
        run("ip", "-n", self.name, *args)

    def sysctl(self, name, value):
        run("ip", "netns", "exec", self.name, "sysctl", "-qw", f"{name}={value}")

    def call(self, function):
        """function() on a thread that lives in this network: sockets and processes it makes stay there."""
        result = []

        def enter():
            fd = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
            try:
                _check(_LIBC.setns(fd, _CLONE_NEWNET))
                result.append((function(), None))
            except BaseException as error:
                result.append((None, error))
            finally:
                os.close(fd)
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        value, error = result[0]
        if error:
            raise error
        return value

    def counter(self, name):
        """One of /proc/net/netstat's TcpExt."""
        text = self.call(lambda: open("/proc/thread-self/net/netstat").read())
        names, values = [line.split() for line in text.splitlines() if line.startswith("TcpExt:")]
        return int(values[names.index(name)])

    def close(self):
        with contextlib.suppress(subprocess.CalledProcessError):
            run("ip", "netns", "del", self.name)


def link(left, left_address, right, right_address):
    """A cable between two networks; the addresses are called as the device is: by the other network's name."""
    one, other = f"v{right.name[-8:]}", f"v{left.name[-8:]}"
    run("ip", "link", "add", one, "netns", left.name, "type", "veth", "peer", "name", other, "netns", right.name)
    for network, device, address in ((left, one, left_address), (right, other, right_address)):
        network.ip("address", "add", address, "dev", device)
        network.ip("link", "set", device, "up")
    return one, other
