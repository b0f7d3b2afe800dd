"""What the tests of the Python package share: a real daemon that can be killed, and other processes.

Run by meson with SHMREGD and PYTHONPATH in the environment; needs root, to be two users.
"""

import os
import subprocess
import sys
import textwrap
import unittest

from shmregctl import TIMEOUT, USER, as_user, daemon

import shmreg


def restart():
    """Kills the daemon at once and starts another with the same directories."""
    daemon.process.kill()
    daemon.process.wait()
    daemon.run()


def python(code, *arguments, user=False, status=0):
    """Runs a program in an interpreter of its own; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(code), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        preexec_fn=as_user if user else None,
        timeout=TIMEOUT,
        check=False,
        text=True,
    )
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done.stdout


def start_python(code, *arguments, user=False):
    """The same, running: with pipes to talk to it."""
    return subprocess.Popen(
        [sys.executable, "-u", "-c", textwrap.dedent(code), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=as_user if user else None,
        text=True,
    )


def mappings():
    """How many mappings of regions this process has."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        return sum("shmreg." in line for line in maps)


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def resident():
    """Bytes of memory that are this process's."""
    with open("/proc/self/statm", encoding="utf-8") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


class Case(unittest.TestCase):
    def setUp(self):
        self.daemon = shmreg.connect()

    def tearDown(self):
        for region in self.daemon.list():
            self.daemon.destroy(region.name)
        self.daemon.close()

    def assert_error(self, kind, code, text, call, *arguments, **options):
        with self.assertRaises(kind) as caught:
            call(*arguments, **options)
        self.assertIsInstance(caught.exception, shmreg.Error)
        self.assertEqual(caught.exception.errno, code)
        self.assertIn(text, caught.exception.strerror)


def main():
    """Runs the tests of the calling program against one daemon."""
    if os.geteuid() != 0:
        sys.exit("this test must be root, to be two users")
    daemon.start()
    os.environ["SHMREG_SOCKET"] = daemon.client_socket
    os.environ["SHMREG_ADMIN_SOCKET"] = daemon.socket
    try:
        unittest.main()
    finally:
        daemon.stop()


__all__ = ["Case", "TIMEOUT", "USER", "as_user", "daemon", "descriptors", "main", "mappings"]
__all__ += ["python", "resident", "restart", "start_python"]
