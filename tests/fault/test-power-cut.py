#!/usr/bin/env python3
"""The power goes at any moment, and a daemon starts on what is left on the disk.

The system calls of a daemon are recorded while file regions are created, replaced, copied and
destroyed. Between any two calls, states of the disk are made in which everything that was not synced is
lost, or kept, or some of it; on each, a new daemon must know exactly the regions of before or after
the request that was under way, each with one whole content.

Run by meson with SHMREGD in the environment; needs root and strace. SHMREG_TEST_LONG=1: more
states, and cuts within calls.
"""

import base64
import contextlib
import hashlib
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

from disk import TRACED, Disk

SKIPPED = 77
TIMEOUT = 30
SEED = 1
LONG = bool(os.environ.get("SHMREG_TEST_LONG"))
SUBSETS = 20 if LONG else 1
OLD = b"old." * 500
NEW = b"new!" * 2000
THIRD = b"3rd-" * 300


running = set()


class Daemon:
    """One on the directories given, with a connection for the calls of an administrator."""

    def __init__(self, root, *before):
        self.log = open(root + "/log", "wb")
        os.makedirs(root + "/run")
        with open(root + "/shmregd.json", "w", encoding="utf-8") as file:
            file.write('{"default_backing":"file"}')
        self.process = subprocess.Popen(
            [
                *before,
                os.environ["SHMREGD"],
                "--foreground",
                f"--config={root}/shmregd.json",
                f"--runtime-directory={root}/run",
                f"--state-directory={root}/state",
            ],
            stdin=subprocess.DEVNULL,
            stderr=self.log,
        )
        self.connect(root + "/run/admin.sock")
        self.pid = self.call("GetStatus")["pid"]
        running.add(self)

    def connect(self, path):
        for _ in range(TIMEOUT * 500):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(TIMEOUT)
            with contextlib.suppress(OSError):
                self.socket.connect(path)
                return
            if self.process.poll() is not None:
                break
            self.socket.close()
            select.select([], [], [], 0.002)
        with open(self.log.name, encoding="utf-8") as log:
            raise AssertionError("the daemon does not start: " + log.read())

    def call(self, method, **parameters):
        message = {"method": "io.shmreg.Admin." + method, "parameters": parameters}
        self.socket.sendall(json.dumps(message).encode() + b"\0")
        reply = b""
        while not reply.endswith(b"\0"):
            part = self.socket.recv(1 << 20)
            assert part, "the daemon has closed the connection"
            reply += part
        reply = json.loads(reply[:-1])
        assert "error" not in reply, reply
        return reply["parameters"]

    def regions(self):
        names = [region["name"] for region in self.call("ListRegions")["regions"]]
        return {name: base64.b64decode(self.call("GetValue", name=name)["data"]) for name in names}

    def stop(self, how=signal.SIGTERM):
        running.discard(self)
        os.kill(self.pid, how)
        self.process.wait(TIMEOUT)
        self.socket.close()
        self.log.close()


def put(daemon, name, data):
    daemon.call("PutValue", name=name, data=base64.b64encode(data).decode())


# What is asked for, and what there is afterwards.
REQUESTS = [
    (lambda daemon: daemon.call("CreateRegion", name="a", size=700), {"a": bytes(700)}),
    (lambda daemon: put(daemon, "b", OLD), {"a": bytes(700), "b": OLD}),
    (lambda daemon: put(daemon, "b", NEW), {"a": bytes(700), "b": NEW}),
    (
        lambda daemon: daemon.call("SnapshotRegion", source="b", name="c"),
        {"a": bytes(700), "b": NEW, "c": NEW},
    ),
    (lambda daemon: put(daemon, "a", THIRD), {"a": THIRD, "b": NEW, "c": NEW}),
    (lambda daemon: daemon.call("DestroyRegion", name="b"), {"a": THIRD, "c": NEW}),
    (lambda daemon: put(daemon, "c", OLD), {"a": THIRD, "c": OLD}),
]


class PowerCut(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="shmreg-power-cut-")
        self.addCleanup(directory.cleanup)
        self.root = directory.name

    def tearDown(self):
        for daemon in list(running):
            daemon.stop(signal.SIGKILL)

    def make_root(self, name):
        root = f"{self.root}/{name}"
        os.makedirs(root)
        return root

    def record(self):
        """Carries the requests out and returns the disk that has seen the calls."""
        root = self.make_root("first")
        Daemon(root).stop()
        shutil.copytree(root + "/state", root + "/base")
        shutil.rmtree(root + "/run")
        daemon = Daemon(
            root,
            *("strace", "--follow-forks", "-xx", "-y", "--string-limit=2000000"),
            *("--output=" + root + "/calls", "--trace=" + TRACED),
        )
        for request, expected in REQUESTS:
            request(daemon)
        self.assertEqual(daemon.regions(), expected)
        daemon.stop()
        disk = Disk(root + "/state", root + "/base")
        disk.read(root + "/calls")
        return disk

    def start_on(self, image):
        """The regions that a daemon knows with this on its disk."""
        root = self.make_root("next")
        for path, content in image.items():
            os.makedirs(os.path.dirname(f"{root}/state/{path}"), exist_ok=True)
            with open(f"{root}/state/{path}", "wb") as file:
                file.write(content)
        os.makedirs(root + "/state/segments", exist_ok=True)
        daemon = Daemon(root)
        regions = daemon.regions()
        segments = len(os.listdir(root + "/state/segments"))
        daemon.stop(signal.SIGKILL)
        shutil.rmtree(root)
        return regions, segments

    def test_one_whole_version_of_each_region(self):
        disk = self.record()
        chance = random.Random(SEED)
        keeps = [lambda: False, lambda: True] + [lambda: chance.random() < 0.5] * SUBSETS
        states = [{}] + [expected for _, expected in REQUESTS]
        seen = set()
        # The first answer is that to GetStatus.
        self.assertGreaterEqual(disk.answers[-1], len(REQUESTS) + 1)
        for cut in range(len(disk.changes) + 1) if LONG else disk.boundaries:
            answered = min(max(disk.answers[cut] - 1, 0), len(REQUESTS))
            for keep in keeps:
                image = disk.image(cut, keep)
                identity = hashlib.sha256(repr((answered, sorted(image.items()))).encode()).digest()
                if identity in seen:
                    continue
                seen.add(identity)
                regions, segments = self.start_on(image)
                self.assertIn(regions, states[answered : answered + 2], f"cut before {cut}")
                self.assertEqual(segments, len(regions), f"cut before {cut}")
        print(f"{len(disk.changes)} changes, {len(seen)} states of the disk")


if __name__ == "__main__":
    if os.geteuid() != 0 or not shutil.which("strace"):
        sys.exit(SKIPPED)
    os.umask(0o077)
    unittest.main()
