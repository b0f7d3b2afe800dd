#!/usr/bin/env python3
"""shmreg.SharedMemory in the place of multiprocessing.shared_memory.SharedMemory."""

import multiprocessing
import os
import pickle
import signal

import numpy
import shmreg
from pythonclient import TIMEOUT, Case, daemon, main, mappings, python, start_python
from shmreg import shared_memory
from shmreg._listing import _call


class Blocks(Case):
    def test_what_python_documents(self):
        first = shmreg.SharedMemory(create=True, size=10)
        buffer = first.buf
        self.assertEqual((len(buffer), first.size, type(buffer)), (10, 10, memoryview))
        buffer[:4] = bytearray([22, 33, 44, 55])
        buffer[4] = 100
        second = shmreg.SharedMemory(first.name)
        self.assertEqual(bytes(second.buf[:5]), b"\x16!,7d")
        second.buf[:5] = b"howdy"
        self.assertEqual(bytes(first.buf[:5]), b"howdy")
        self.assertEqual(repr(second), f"SharedMemory({first.name!r}, size=10)")
        second.close()
        self.assertIsNone(second.buf)
        second.close()
        del buffer
        first.close()
        first.unlink()
        self.assertRaises(FileNotFoundError, first.unlink)
        self.assertRaises(FileNotFoundError, shmreg.SharedMemory, first.name)

    def test_names(self):
        with self.assertRaises(FileExistsError):
            _ = [shmreg.SharedMemory("taken", create=True, size=1) for _ in range(2)]
        one, other = (shmreg.SharedMemory(create=True, size=1) for _ in range(2))
        self.assertNotEqual(one.name, other.name)
        slashed = shmreg.SharedMemory("/slashed", True, 5)
        self.assertEqual(slashed.name, "slashed")
        self.assertEqual(shmreg.SharedMemory("/slashed", track=False).size, 5)
        self.assertRaises(FileNotFoundError, shmreg.SharedMemory, "nothing")
        self.assertRaises(OSError, shmreg.SharedMemory, "no name", create=True, size=1)

    def test_wrong_arguments(self):
        for arguments in (
            {"create": True},
            {"create": True, "size": 0},
            {"create": True, "size": -1},
            {"name": None},
            {"size": 5},
        ):
            self.assertRaises(ValueError, shmreg.SharedMemory, **arguments)

    def test_views(self):
        block = shmreg.SharedMemory(create=True, size=100)
        view = block.buf[10:20]
        arrays = numpy.ndarray(100, "u1", block.buf), numpy.frombuffer(block.buf, "u1")
        block.close()
        view[0] = 7  # where Python's own class has failed to close, or has unmapped it
        for array in arrays:
            self.assertEqual(array[10], 7)

    def test_a_name_is_unlinked_while_others_use_it(self):
        first = shmreg.SharedMemory("a", create=True, size=1)
        second = shmreg.SharedMemory("a")
        first.unlink()
        again = shmreg.SharedMemory("a", create=True, size=1)
        first.buf[0] = 1
        self.assertEqual((second.buf[0], again.buf[0]), (1, 0))

    def test_pickles(self):
        block = shmreg.SharedMemory("a", create=True, size=5)
        block.buf[:] = b"state"
        copy = pickle.loads(pickle.dumps(block))
        self.assertEqual((copy.name, bytes(copy.buf)), ("a", b"state"))
        pickled = pickle.dumps(block)
        block.unlink()
        self.assertRaises(FileNotFoundError, pickle.loads, pickled)

    def test_closed_long_ago_and_unlinked(self):
        block = shmreg.SharedMemory("a", create=True, size=5)
        block.close()
        self.daemon.destroy("a")  # as the daemon does when nobody has opened it for a while
        block.unlink()
        self.assertRaises(FileNotFoundError, block.unlink)

    def test_forgotten(self):
        before = mappings()
        for _ in range(10):
            shmreg.SharedMemory(create=True, size=4096).buf[0] = 1
        self.assertEqual(mappings(), before)


class Processes(Case):
    def test_fork_and_spawn(self):
        for method in ("fork", "spawn"):
            block = shmreg.SharedMemory(create=True, size=2)
            child = multiprocessing.get_context(method).Process(target=fill, args=(block,))
            child.start()
            child.join(TIMEOUT)
            self.assertEqual((child.exitcode, bytes(block.buf)), (0, b"ok"), method)
            block.unlink()

    def test_who_attaches_takes_nothing_along(self):
        """python/cpython issue 82300: an unrelated process that ends destroys what others use."""
        block = shmreg.SharedMemory("a", create=True, size=5)
        block.buf[:] = b"alive"
        ends = """
            import shmreg, os, sys
            block = shmreg.SharedMemory("a")
            from multiprocessing import resource_tracker
            assert resource_tracker._resource_tracker._pid is None
            print(bytes(block.buf))
        """
        for _ in range(2):
            self.assertEqual(python(ends), "b'alive'\n")
        self.assertEqual(bytes(shmreg.SharedMemory("a").buf), b"alive")

    def test_nothing_is_left_by_a_killed_process(self):
        victim = start_python(
            """
            import shmreg, sys
            shmreg.shared_memory.LINGER_SECONDS = 0
            blocks = [shmreg.SharedMemory(f"v{i}", create=True, size=1 << 20) for i in range(3)]
            for block in blocks:
                block.buf[:] = bytes(1 << 20)
            print("ready")
            input()
            """
        )
        self.assertEqual(victim.stdout.readline(), "ready\n")
        watched = self.daemon.open_many(["v0", "v1", "v2"])
        segments = len(segments_of_all())
        for region in watched[1:]:
            region.close()
        self.assertEqual(segments, 3)
        victim.send_signal(signal.SIGKILL)
        self.assertEqual(victim.wait(TIMEOUT), -signal.SIGKILL)
        victim.stdin.close()
        victim.stdout.close()
        watched[0].close()
        for name in ("v0", "v1", "v2"):
            self.wait_until_gone(name)
        self.assertEqual(segments_of_all(), [])

    def wait_until_gone(self, name):
        try:
            # A reader of its own would keep it: ask until the daemon has seen the end.
            for _ in range(TIMEOUT * 100):
                self.daemon.describe(name)
                signal.sigtimedwait([], 0.01)
        except FileNotFoundError:
            return
        self.fail(f"{name} is still there")

    def test_kept_for_whoever_it_is_handed_to(self):
        name = python(
            """
            import shmreg
            block = shmreg.SharedMemory(create=True, size=6)
            block.buf[:] = b"handed"
            print(block.name)
            """
        ).strip()
        self.assertEqual(bytes(shmreg.SharedMemory(name).buf), b"handed")
        self.assertEqual(self.daemon.describe(name).seconds, shared_memory.LINGER_SECONDS)


def segments_of_all():
    """What this daemon has in /dev/shm."""
    status = _call(daemon.socket, "io.shmreg.Admin.GetStatus", {})
    return [name for name in os.listdir("/dev/shm") if name.startswith(f"shmreg.{status['instance']}.")]


def fill(block):
    block.buf[:] = b"ok"
    block.close()


class Lists(Case):
    def test_shareable_list(self):
        values = ["howdy", b"HoWdY", -273.154, 100, None, True, 42]
        first = shmreg.ShareableList(values, name="list")
        self.assertIsInstance(first.shm, shmreg.SharedMemory)
        second = shmreg.ShareableList(name="list")
        self.assertEqual((list(second), len(second), second.count(42)), (values, 7, 1))
        second[2] = -78.5
        self.assertEqual((first[2], first.index(42)), (-78.5, 6))
        third = pickle.loads(pickle.dumps(first))
        third[6] = 43
        self.assertEqual(second[6], 43)
        child = multiprocessing.get_context("spawn").Process(target=change, args=(first,))
        child.start()
        child.join(TIMEOUT)
        self.assertEqual((child.exitcode, first[0]), (0, "moved"))
        unnamed = shmreg.ShareableList(range(3))
        self.assertTrue(unnamed.shm.name.startswith("psm_"))
        unnamed.shm.unlink()


def change(shared):
    shared[0] = "moved"


if __name__ == "__main__":
    main()
