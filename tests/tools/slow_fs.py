"""A FUSE file system that shows a directory, read only, and lets every opening and read wait, of directories as well.

slow_fs.py DIRECTORY MOUNTPOINT DELAY_MS: in the foreground until it is unmounted. Its answers may overlap: each
request waits by itself, as on a disk with a queue. Knows nothing of Sluice.
"""
import errno
import os
import sys
import time

from fusepy import FUSE, FuseOSError, Operations


class SlowDirectory(Operations):
    def __init__(self, root, delay):
        self.root, self.delay = root, delay

    def _path(self, path):
        return os.path.join(self.root, path.lstrip("/"))

    def getattr(self, path, fh=None):
        try:
            stat = os.lstat(self._path(path))
        except OSError as error:
            raise FuseOSError(error.errno) from None
        return {key: getattr(stat, key) for key in ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_mtime",
                                                    "st_atime", "st_ctime")}

    def readdir(self, path, fh):
        time.sleep(self.delay)
        return [".", "..", *os.listdir(self._path(path))]

    def open(self, path, flags):
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise FuseOSError(errno.EROFS)
        time.sleep(self.delay)
        return os.open(self._path(path), os.O_RDONLY)

    def read(self, path, size, offset, fh):
        time.sleep(self.delay)
        return os.pread(fh, size, offset)

    def release(self, path, fh):
        os.close(fh)


if __name__ == "__main__":
    FUSE(SlowDirectory(sys.argv[1], int(sys.argv[3]) / 1000), sys.argv[2], foreground=True, ro=True,
         allow_other=os.geteuid() == 0, fsname="slow")
