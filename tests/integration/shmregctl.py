"""What the tests of the operator's command share: a real daemon, and ways to run shmregctl.

Run by meson with SHMREGD, SHMREGCTL and LIBSHMREG in the environment; needs root, to be two users.
"""

import contextlib
import json
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import unittest

USER = 20001
TIMEOUT = 30
CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")


def as_user():
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)


class Daemon:
    """A daemon with directories of its own, in which anyone may create regions of any name."""

    def start(self):
        self.directory = tempfile.TemporaryDirectory(prefix="shmregctl-test-")
        root = self.directory.name
        os.chmod(root, 0o755)
        self.configuration = root + "/shmregd.json"
        self.socket = root + "/run/admin.sock"
        self.client_socket = root + "/run/client.sock"
        self.configure("{}")
        os.mkdir(root + "/conf.d")
        with open(root + "/conf.d/open.json", "w", encoding="utf-8") as file:
            file.write('{"namespaces": {"*": {"create": ["anyone"]}}}')
        self.run()

    def run(self):
        """Starts it with the directories there are, once more if it has ended."""
        root = self.directory.name
        with open(root + "/log", "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [
                    os.environ["SHMREGD"],
                    "--foreground",
                    "--config=" + self.configuration,
                    f"--runtime-directory={root}/run",
                    f"--state-directory={root}/state",
                ],
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        self.wait_until_ready()

    def wait_until_ready(self):
        for _ in range(TIMEOUT * 100):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(self.socket)
                return
            if self.process.poll() is not None:
                break
            select.select([], [], [], 0.01)
        with open(self.directory.name + "/log", encoding="utf-8") as log:
            sys.exit("the daemon does not start: " + log.read())

    def configure(self, text):
        with open(self.configuration, "w", encoding="utf-8") as file:
            file.write(text)

    def stop(self):
        self.process.terminate()
        self.process.wait(TIMEOUT)
        self.directory.cleanup()


daemon = Daemon()


def command(*arguments, socket_path=None):
    return [os.environ["SHMREGCTL"], "--socket=" + (socket_path or daemon.socket), *arguments]


def ctl(*arguments, user=False, socket_path=None, **options):
    """Runs shmregctl; returns the finished process with its bytes."""
    if "stdin" not in options and "input" not in options:
        options["stdin"] = subprocess.DEVNULL
    options.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(
        command(*arguments, socket_path=socket_path),
        stderr=subprocess.PIPE,
        preexec_fn=as_user if user else None,
        timeout=TIMEOUT,
        check=False,
        **options,
    )


class Case(unittest.TestCase):
    maxDiff = None

    def succeed(self, *arguments, **options):
        """Runs a command that must succeed and keep standard error empty; returns its output."""
        result = ctl(*arguments, **options)
        self.assertEqual((result.returncode, result.stderr), (0, b""), arguments)
        return result.stdout

    def reply(self, *arguments, **options):
        """The one object that --json prints."""
        output = self.succeed("--json", *arguments, **options)
        self.assertEqual(output.count(b"\n"), 1)
        return json.loads(output)

    def fail(self, *arguments, status=1, saying="", **options):
        result = ctl(*arguments, **options)
        self.assertEqual(result.returncode, status, (arguments, result.stderr))
        self.assertTrue(result.stderr.startswith(b"shmregctl: "), result.stderr)
        self.assertIn(saying, result.stderr.decode())
        self.assertIsNone(CONTROL.search(result.stderr), result.stderr)
        self.assertEqual(b"--help'" in result.stderr, status == 2, result.stderr)
        return result

    def tearDown(self):
        for region in self.reply("list")["regions"]:
            self.succeed("destroy", region["name"])


class Waiting(Case):
    def wait_until(self, condition):
        for _ in range(TIMEOUT * 20):
            if condition():
                return
            select.select([], [], [], 0.05)
        raise AssertionError("what was waited for does not come")

    def wait_until_none(self):
        self.wait_until(lambda: not self.reply("list")["regions"])


def main():
    """Runs the tests of the calling program against one daemon."""
    if os.geteuid() != 0:
        sys.exit("this test must be root, to be two users")
    daemon.start()
    try:
        unittest.main()
    finally:
        daemon.stop()
