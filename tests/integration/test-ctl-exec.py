#!/usr/bin/env python3
"""shmregctl exec: programs with regions as descriptors, and unchanged programs under the shim."""

import os
import signal
import subprocess
import sys
import unittest

from shmregctl import TIMEOUT, USER, Waiting, as_user, daemon, main

PYTHON = "/usr/bin/python3"
ROUNDS = 20
SHARED_MEMORY = """
import sys, time
from multiprocessing import shared_memory
first = shared_memory.SharedMemory(create=True, size=100000, name="shim_test")
first.buf[99999] = 7
second = shared_memory.SharedMemory(name="shim_test")
assert second.size >= 100000 and second.buf[99999] == 7
print("ready", flush=True)
sys.stdin.read()
first.unlink()
first.close()
second.close()
"""


def environment(**more):
    return dict(os.environ, SHMREG_SOCKET=daemon.client_socket, **more)


class Exec(Waiting):
    def run_exec(self, *arguments):
        return subprocess.run(
            [os.environ["SHMREGCTL"], "exec", *arguments],
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )

    def test_descriptors_and_paths(self):
        self.succeed("put", "a/b-c", input=b"first")
        self.succeed("put", "d", input=b"second")
        script = 'cat /proc/self/fd/4 "$SHMREG_FD_a_b_c"; printf X >&3'
        result = self.run_exec(
            "--region=a/b-c=4", "--region", "d:rw=3", "--", "sh", "-c", script
        )
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, b"firstfirst", b""))
        self.assertEqual(self.succeed("get", "d"), b"Xecond")

    def test_reading_only(self):
        self.succeed("put", "a", input=b"first")
        result = self.run_exec("--region=a=3", "--", "sh", "-c", "printf X >&3")
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(self.succeed("get", "a"), b"first")

    def test_status(self):
        self.assertEqual(self.run_exec("--", "sh", "-c", "exit 7").returncode, 7)
        self.assertEqual(self.run_exec("--", "sh", "-c", "kill -9 $$").returncode, 128 + 9)
        self.assertEqual(self.run_exec("--", "/nowhere").returncode, 127)
        self.assertEqual(self.run_exec("--region=none=3", "--", "true").returncode, 1)
        self.assertEqual(self.run_exec("--region=none", "--", "true").returncode, 2)

    def test_held_until_the_end_and_signals(self):
        self.succeed("create", "a", "1", "--lifetime=attached", "--seconds=1")
        process = subprocess.Popen(
            [os.environ["SHMREGCTL"], "exec", "--region=a=3", "--"]
            + ["sh", "-c", "echo ready; exec sleep 1000"],
            env=environment(),
            stdout=subprocess.PIPE,
        )
        self.assertEqual(process.stdout.readline(), b"ready\n")
        self.assertEqual(self.reply("list")["regions"][0]["readers"], 1)
        process.terminate()
        self.assertEqual(process.wait(TIMEOUT), 128 + signal.SIGTERM)
        process.stdout.close()
        self.wait_until_none()

    def test_held_over_a_restart_of_the_daemon(self):
        self.succeed("create", "a", "1", "--lifetime=attached", "--seconds=1")
        process = subprocess.Popen(
            [os.environ["SHMREGCTL"], "exec", "--region=a:rw=3", "--"]
            + ["sh", "-c", "echo ready; read line; printf X >&3"],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.assertEqual(process.stdout.readline(), b"ready\n")
        self.assertEqual(self.reply("list")["regions"][0]["writers"], 1)
        daemon.process.kill()
        daemon.process.wait(TIMEOUT)
        daemon.run()
        self.wait_until(lambda: self.reply("list")["regions"][0]["writers"] == 1)
        process.communicate(b"go on\n", TIMEOUT)
        self.assertEqual(process.returncode, 0)
        self.wait_until_none()


class Shim(Waiting):
    def start(self, program=(PYTHON, "-c", SHARED_MEMORY), **more):
        process = subprocess.Popen(
            [os.environ["SHMREGCTL"], "exec", "--shim", "--", *program],
            env=environment(SHMREG_SHIM_LINGER="1", **more),
            preexec_fn=as_user,
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.assertEqual(process.stdout.readline(), b"ready\n")
        return process

    def test_python(self):
        process = self.start()
        (region,) = self.reply("list")["regions"]
        self.assertEqual(region["name"], f"user/{USER}/shm/shim_test")
        self.assertEqual((region["size"], region["backing"]), (100000, "shm"))
        self.assertFalse(os.path.exists("/dev/shm/shim_test"))
        process.communicate()
        self.assertEqual(process.returncode, 0)
        self.assertEqual(self.reply("list")["regions"], [])

    def test_python_killed_with_its_tracker(self):
        process = self.start()
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        self.wait_until_none()
        self.assertFalse(os.path.exists("/dev/shm/shim_test"))

    @unittest.skipUnless("BOOST_PROGRAM" in os.environ, "built without Boost")
    def test_boost(self):
        program = [os.environ["BOOST_PROGRAM"]]
        process = self.start(program)
        (region,) = self.reply("list")["regions"]
        self.assertEqual((region["size"], region["name"]), (100000, f"user/{USER}/shm/shim_test"))
        process.communicate()
        self.assertEqual((process.returncode, self.reply("list")["regions"]), (0, []))
        process = self.start(program)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        self.wait_until_none()

    @unittest.skipUnless("BOOST_PROGRAM" in os.environ, "built without Boost")
    def test_boost_opens_what_another_is_creating(self):
        crowd = 'for i in 1 2 3 4 5 6; do "$0" share & pids="$pids $!"; done; '
        crowd += "for pid in $pids; do wait $pid || exit 1; done"
        for _ in range(ROUNDS):
            subprocess.run(
                [os.environ["SHMREGCTL"], "exec", "--shim", "--", "sh", "-c", crowd]
                + [os.environ["BOOST_PROGRAM"]],
                env=environment(SHMREG_SHIM_LINGER="60"),
                preexec_fn=as_user,
                timeout=TIMEOUT,
                check=True,
            )
            self.succeed("destroy", f"user/{USER}/shm/shim_test")

    def test_names_that_are_not_mapped(self):
        process = self.start(SHMREG_SHIM_NAMES="other*")
        self.assertEqual(self.reply("list")["regions"], [])
        self.assertTrue(os.path.exists("/dev/shm/shim_test"))
        process.communicate()
        self.assertEqual(process.returncode, 0)

    def test_without_a_daemon(self):
        for fallback, status in (("yes", 0), ("no", 1)):
            result = subprocess.run(
                [os.environ["SHMREGCTL"], "exec", "--shim", "--", PYTHON, "-c", SHARED_MEMORY],
                env=dict(os.environ, SHMREG_SOCKET="/nowhere", SHMREG_SHIM_FALLBACK=fallback),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TIMEOUT,
                check=False,
            )
            self.assertEqual(result.returncode, status, result.stderr)


if __name__ == "__main__":
    if "PRIVATE" in os.environ:
        main()
    # Names that fall through are to meet nobody else's.
    mounts = 'mount -t tmpfs -o mode=1777 tmpfs /dev/shm && PRIVATE=1 exec "$@"'
    test = [sys.executable, "-W", "ignore::ResourceWarning", __file__]
    os.execvp("unshare", ["unshare", "--mount", "sh", "-c", mounts, "sh", *test])
