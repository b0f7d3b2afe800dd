#!/usr/bin/env python3
"""The Python package: nothing that ends in any order crashes the interpreter or stays behind."""

import gc
import multiprocessing
import os
import random
import signal
import threading
import weakref

import numpy
import shmreg
from pythonclient import Case, daemon, descriptors, main, mappings, python, resident, restart

CYCLES = 1000


class Ends(Case):
    def test_a_view_outlives_its_region_and_the_connection(self):
        before = mappings()
        connection = shmreg.connect()
        region = connection.create("a", 10000)
        views = [memoryview(region), memoryview(region)[5:], region.data.cast("H")]
        views += [numpy.frombuffer(region, "u1"), numpy.ndarray(10000, "u1", region)]
        views += [numpy.asarray(memoryview(region)), region.ndarray("uint8")]
        views[0][:] = b"x" * 10000
        region.close()
        connection.close()
        forgotten = weakref.ref(region)
        del region, connection
        gc.collect()
        self.assertEqual(mappings(), before + 1)
        for view in views:
            self.assertEqual(bytes(view)[-1:], b"x")
            view[0] = 9
        self.assertIsNotNone(forgotten())  # one array has only that to hold on to
        del views, view
        gc.collect()
        self.assertIsNone(forgotten())
        self.assertEqual(mappings(), before)

    def test_a_region_outlives_its_connection(self):
        with shmreg.connect() as connection:
            region = connection.create("a", 10, max_size=100)
        self.assertTrue(connection.closed)
        memoryview(region)[:] = b"0123456789"
        self.daemon.resize("a", 20)
        self.assertTrue(region.wait(10))
        region.refresh()
        self.assertEqual((region.size, bytes(region)[:10]), (20, b"0123456789"))
        self.assertRaises(ValueError, connection.open, "a")

    def test_an_old_version_stays_as_long_as_it_is_seen_and_no_longer(self):
        self.daemon.put("a", b"version 1")
        before = mappings()
        with self.daemon.open("a") as region:
            views = []
            for number in range(2, 12):
                views.append(memoryview(region))
                self.daemon.put("a", b"version %d" % number)
                region.refresh()
            self.assertEqual(mappings(), before + 11)
            for number, view in enumerate(views, 1):
                self.assertEqual(bytes(view), b"version %d" % number)
            del views[1:], view
            views[0].release()
            self.assertEqual(mappings(), before + 1)
            for number in range(100):
                self.daemon.put("a", b"%d" % number)
                region.refresh()
                self.assertEqual(hash(bytes(region)), hash(b"%d" % number))
            self.assertEqual(mappings(), before + 1)
        self.assertEqual(mappings(), before)

    def test_open_and_close_leave_nothing(self):
        self.daemon.create_detached("a", 1 << 20, sync_block=True)
        for way, cycles in (
            (self.open_and_close, CYCLES),
            (self.open_and_forget, CYCLES),
            (self.connect_and_open, CYCLES // 10),
        ):
            way()
            gc.collect()
            before = mappings(), descriptors()
            for _ in range(cycles):
                way()
            self.assertEqual((mappings(), descriptors()), before)
        # The daemon hears of closes without being asked; a call says that it has heard.
        self.assertEqual(self.daemon.describe("a").readers, 0)

    def open_and_close(self):
        with self.daemon.open("a") as region:
            memoryview(region)[:1].tobytes()

    def open_and_forget(self):
        numpy.frombuffer(self.daemon.open("a"), "u1")[0].item()

    @staticmethod
    def connect_and_open():
        with shmreg.connect() as connection, connection.open("a") as region:
            connection.fileno()
            region.ndarray("uint8")[-1].item()

    def test_an_array_is_opened_without_a_copy(self):
        size = 1 << 30
        with self.daemon.create("a", size) as region:
            region.ndarray("uint8")[-1] = 42
        self.daemon.set_attributes("a", {"dtype": "float64", "shape": [1 << 17, 1 << 10]})
        before = resident()
        with self.daemon.open("a") as region:
            array = region.ndarray()
            self.assertEqual((array.nbytes, array.shape, array.dtype), (size, (1 << 17, 1 << 10), "<f8"))
            self.assertNotEqual(array[-1, -1], 0)
            self.assertFalse(array.flags.writeable or array.flags.owndata)
            self.assertLess(resident() - before, 1 << 20)

    def test_the_end_of_the_interpreter(self):
        for keep in ("memory", "lock", "loop"):
            python(
                """
                import asyncio, sys, threading, shmreg, numpy
                keep = sys.argv[1]
                connection = shmreg.connect()
                region = connection.create("end/" + keep, 1000, sync_block=True)
                class Late:
                    def __init__(self, it): self.it = it
                    def __del__(self): bytes(self.it)[:1]
                if keep == "memory":
                    sys.late = [Late(region), Late(memoryview(region)), connection]
                    sys.late += [Late(region.ndarray("uint8")), Late(numpy.ndarray(9, "u1", region))]
                if keep == "lock":
                    region.lock().acquire()
                if keep == "loop":
                    loop = asyncio.new_event_loop()
                    task = loop.create_task(region.wait_async())
                    loop.run_until_complete(asyncio.sleep(0))
                for _ in range(2):
                    threading.Thread(target=region.wait, daemon=True).start()
                """,
                keep,
            )

    def test_ctrl_c_ends_a_wait(self):
        output = python(
            """
            import os, signal, threading, shmreg
            region = shmreg.connect().create("a", 1)
            main = threading.get_ident()
            wake = lambda: os.kill(os.getpid(), signal.SIGINT)
            threading.Timer(0.05, wake).start()
            try:
                region.wait()
            except KeyboardInterrupt:
                print("interrupted")
            """
        )
        self.assertEqual(output, "interrupted\n")

    def test_a_page_that_was_taken_away_is_an_error(self):
        with self.daemon.create("a", 1 << 16) as region:
            memoryview(region)[:] = b"x" * (1 << 16)
            os.ftruncate(region.fileno(), 4096)
            self.assertEqual(region.copy(0, 4096), b"x" * 4096)
            self.assert_error(shmreg.Error, 14, "", region.copy)


class Threads(Case):
    def test_all_at_once(self):
        """Opens, refreshes, views, closes and news of one region by many threads."""
        self.daemon.put("a", b"0" * 100)
        shared = self.daemon.open("a")
        stop = threading.Event()
        faults = []

        def run(seed):
            dice = random.Random(seed)
            views = []
            try:
                while not stop.is_set():
                    chosen = dice.randrange(6)
                    if chosen == 0:
                        shared.refresh()
                    elif chosen == 1:
                        views.append(memoryview(shared))
                    elif chosen == 2:
                        views.append(numpy.frombuffer(self.daemon.open("a"), "u1"))
                    elif chosen == 3:
                        self.daemon.process()
                    elif chosen == 4:
                        shared.wait(0)
                    else:
                        for view in views:
                            assert len(set(bytes(view))) == 1, bytes(view)
                        del views[dice.randrange(4) :], view
            except UnboundLocalError:
                run(seed + 1)
            except BaseException as fault:  # pylint: disable=broad-except
                faults.append(fault)

        threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for number in range(200):
            self.daemon.put("a", b"%d" % (number % 10) * 100)
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(faults, [])
        shared.close()

    def test_closed_by_another_thread_while_one_waits(self):
        region = self.daemon.create("a", 1)
        result = []
        begun = threading.Event()

        def wait():
            begun.set()
            result.append(region.wait())

        waiting = threading.Thread(target=wait)
        waiting.start()
        begun.wait()
        region.close()
        self.daemon.destroy("a")
        waiting.join(20)
        self.assertFalse(waiting.is_alive())


class Forks(Case):
    def test_a_child_goes_on_and_leaves_the_parents_alone(self):
        region = self.daemon.create("a", 100)
        view = memoryview(region)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                view[0] = 1
                self.daemon.put("b", b"of the child")
                region.close()
                self.daemon.close()
                del view
                status = 0
            finally:
                os._exit(status)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual((view[0], self.daemon.get("b")), (1, b"of the child"))
        self.assertEqual(self.daemon.describe("a").writers, 1)
        region.close()

    def test_pools(self):
        self.daemon.create_detached("a", 1 << 16)
        for method in ("fork", "spawn"):
            context = multiprocessing.get_context(method)
            with context.Pool(2) as pool:
                pool.map(write_one, range(20))
            with self.daemon.open("a") as region:
                self.assertEqual(bytes(region)[:20], bytes(range(1, 21)))
                self.daemon.put("a", bytes(1 << 15))


def write_one(index):
    with shmreg.default_connection().open("a", write=True) as region:
        memoryview(region)[index] = index + 1


class Restarts(Case):
    def test_the_daemon_is_killed_and_started_again(self):
        region = self.daemon.create("a", 1000)
        view = memoryview(region)
        view[:5] = b"hello"
        restart()
        self.assertEqual(bytes(view[:5]), b"hello")
        self.daemon.put("b", b"x")
        self.assertEqual(self.daemon.describe("a").writers, 1)
        region.refresh()
        region.close()
        self.assertEqual(bytes(view[:5]), b"hello")

    def test_no_daemon(self):
        region = self.daemon.create("a", 1000)
        daemon.process.kill()
        daemon.process.wait()
        try:
            memoryview(region)[0] = 1
            self.assertRaises(ConnectionRefusedError, shmreg.connect)
            self.assertRaises(ConnectionRefusedError, self.daemon.process)
            region.close()
        finally:
            daemon.run()
            daemon.wait_until_ready()


if __name__ == "__main__":
    signal.alarm(110)
    main()
