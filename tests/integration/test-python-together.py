#!/usr/bin/env python3
"""The Python package: news, locks, arrays; what several processes do together."""

import asyncio
import errno
import functools
import operator
import unittest

import numpy
import shmreg
from pythonclient import TIMEOUT, Case, main, python, restart, start_python

DTYPES = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
DTYPES += ("float32", "float64")


class Waiting(Case):
    def test_wait(self):
        with self.daemon.create("a", 10) as region:
            self.assertFalse(region.wait(0))
            self.assertFalse(region.wait(0.01))
            publisher = start_python(
                """
                import shmreg
                input()
                shmreg.connect().put("a", b"new")
                """
            )
            publisher.stdin.write("\n")
            publisher.stdin.close()
            self.assertTrue(region.wait(TIMEOUT))
            region.refresh()
            self.assertEqual(bytes(region), b"new")
            self.assertEqual(publisher.wait(), 0)
            publisher.stdout.close()

    def test_process(self):
        with self.daemon.create("a", 10, max_size=20) as a, self.daemon.create("b", 10) as b:
            self.daemon.fileno()
            self.assertEqual(self.daemon.process(), [])
            self.daemon.resize("a", 20)
            self.daemon.put("a", b"x")
            self.daemon.destroy("b")
            news = dict(self.daemon.process())
            self.assertEqual(set(news), {a, b})
            self.assertIn(shmreg.News.PUBLISHED, news[a])
            self.assertEqual(news[b], shmreg.News.DESTROYED)
            self.assertEqual(self.daemon.process(), [])


class Asyncio(unittest.IsolatedAsyncioTestCase, Case):
    async def test_wait_async(self):
        with self.daemon.create("a", 10) as region, self.daemon.create("b", 10) as other:
            self.assertFalse(await region.wait_async(0.01))
            waiting = [asyncio.create_task(region.wait_async()) for _ in range(3)]
            still = asyncio.create_task(other.wait_async())
            await asyncio.sleep(0)
            with shmreg.connect() as somebody:
                somebody.put("a", b"new")
            self.assertEqual(await asyncio.wait_for(asyncio.gather(*waiting), TIMEOUT), [True] * 3)
            self.assertTrue(await region.wait_async())
            self.assertFalse(still.done())
            still.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await still
            self.assertEqual(self.daemon._watchers, {})

    async def test_news_as_it_comes(self):
        with self.daemon.create("a", 10) as region:
            seen = []
            publishing = asyncio.create_task(asyncio.to_thread(self.publish, 5))
            async for about, news in self.daemon.news():
                self.assertIs(about, region)
                seen.append(news)
                if shmreg.News.DESTROYED in news:
                    break
            await publishing
            self.assertIn(shmreg.News.PUBLISHED, functools.reduce(operator.or_, seen))

    def publish(self, count):
        with shmreg.connect() as connection:
            for number in range(count):
                connection.put("a", b"%d" % number)
            connection.destroy("a")

    async def test_the_daemon_is_restarted(self):
        with self.daemon.create("a", 10) as region:
            waiting = asyncio.create_task(region.wait_async())
            await asyncio.sleep(0)
            restart()
            await asyncio.to_thread(self.publish, 1)
            self.assertTrue(await asyncio.wait_for(waiting, TIMEOUT))

    async def test_the_connection_is_closed(self):
        connection = shmreg.connect()
        region = connection.create("a", 1)
        waiting = asyncio.create_task(region.wait_async())
        await asyncio.sleep(0)
        connection.close()
        with self.assertRaises(ValueError):
            await asyncio.wait_for(waiting, TIMEOUT)


class Locks(Case):
    def setUp(self):
        super().setUp()
        self.region = self.daemon.create("a", 4096, sync_block=True)

    def tearDown(self):
        self.region.close()
        super().tearDown()

    def test_lock(self):
        with self.region.lock() as lock:
            self.assertFalse(lock.owner_died)
            self.assertRaises(RuntimeError, self.region.close)
            self.assert_error(shmreg.Error, errno.EDEADLK, "", self.region.lock().acquire)
            output = python(
                """
                import shmreg
                region = shmreg.connect().open("a", write=True)
                try:
                    with region.lock(0.01):
                        print("locked")
                except TimeoutError as error:
                    print(error.strerror)
                print(region.lock(0).acquire())
                """
            )
            self.assertEqual(output, "the lock of region 'a' is somebody else's\nFalse\n")
        with self.daemon.open("a") as reader:
            self.assert_error(shmreg.Error, errno.EACCES, "", reader.lock().acquire)

    def test_a_dead_owner(self):
        dies = """
            import os, shmreg
            region = shmreg.connect().open("a", write=True)
            region.lock().acquire()
            region.write_begin()
            os.kill(os.getpid(), 9)
        """
        python(dies, status=-9)
        self.assertRaises(TimeoutError, self.region.read_begin, 0.01)
        with self.region.lock() as lock:
            self.assertTrue(lock.owner_died)
            lock.recovered()
        self.region.read_begin()
        python(dies, status=-9)
        with self.region.lock() as lock:
            self.assertTrue(lock.owner_died)
        with self.assertRaises(shmreg.Error) as caught:
            with self.region.lock():
                pass
        self.assertEqual(caught.exception.errno, errno.ENOTRECOVERABLE)

    def test_readers_see_all_of_a_change_or_nothing(self):
        writer = start_python(
            """
            import shmreg
            region = shmreg.connect().open("a", write=True)
            view = memoryview(region)
            for number in range(500):
                with region.writing():
                    view[:] = bytes([number % 256]) * 4096
            print("done")
            """
        )
        seen = set()
        with self.daemon.open("a") as reader:
            while writer.poll() is None:
                content = reader.read()
                self.assertEqual(len(set(content)), 1)
                seen.add(content[0])
                self.assertEqual(len(reader.read(100, 50)), 50)
        self.assertEqual(writer.communicate()[0], "done\n")

    def test_event(self):
        event = 0
        notifier = start_python(
            """
            import shmreg
            region = shmreg.connect().open("a", write=True)
            for _ in range(3):
                region.notify()
            """
        )
        while event < 3:
            event = self.region.wait_event(event, TIMEOUT)
        self.assertEqual(notifier.wait(), 0)
        notifier.stdin.close()
        notifier.stdout.close()
        self.assertRaises(TimeoutError, self.region.wait_event, event, 0.01)

    def test_range_lock(self):
        tried = """
            import shmreg
            region = shmreg.connect().open("a", write=True)
            for offset in (5, 10):
                try:
                    with region.range_lock(offset, 5, wait=False):
                        print("free")
                except BlockingIOError:
                    print("somebody's")
        """
        with self.region.range_lock(0, 10):
            self.assertEqual(python(tried), "somebody's\nfree\n")
        self.assertEqual(python(tried), "free\nfree\n")

    def test_no_sync_block(self):
        with self.daemon.create("b", 1) as region:
            self.assert_error(shmreg.Error, errno.EOPNOTSUPP, "", region.notify)


class Arrays(Case):
    def test_every_dtype(self):
        for dtype in DTYPES:
            for order in "CF":
                values = numpy.array([[0, 1, 2], [3, 4, 5]]).astype(dtype, order=order)
                self.daemon.put_array("a", values)
                region = self.daemon.open("a")
                seen = region.ndarray()
                region.close()
                self.assertEqual((seen.dtype, seen.shape), (values.dtype, values.shape))
                self.assertTrue((seen == values).all())
                self.assertEqual(seen.flags.f_contiguous, order == "F")
                attributes = self.daemon.describe("a").attributes
                self.assertEqual(
                    attributes,
                    {
                        "media_type": "application/x-ndarray",
                        "dtype": dtype,
                        "shape": [2, 3],
                        "order": order,
                    },
                )
                if order == "C":
                    with self.daemon.open("a") as region:
                        self.assertEqual(region.view().tolist(), values.tolist())
                else:
                    with self.daemon.open("a") as region, self.assertRaises(ValueError):
                        region.view()
        self.assertEqual(self.daemon.describe("a").version, 2 * len(DTYPES))

    def test_shapes(self):
        for value in (
            numpy.float64(4.5),
            numpy.zeros(0, "i4"),
            numpy.zeros((3, 0)),
            numpy.arange(24).reshape(2, 3, 4)[:, ::2, 1:],
            numpy.arange(5, dtype=">i4"),
        ):
            self.daemon.put_array("a", value)
            with self.daemon.open("a") as region:
                seen = region.ndarray()
                self.assertEqual(seen.shape, value.shape)
                self.assertEqual(seen.tolist(), value.tolist())
                if seen.size:
                    self.assertEqual(region.view().tolist(), value.tolist())
                del seen

    def test_without_numpy(self):
        self.daemon.put_array("a", numpy.arange(6, dtype="i2").reshape(2, 3))
        output = python(
            """
            import sys
            sys.modules["numpy"] = None
            import array, shmreg
            region = shmreg.default_connection().open("a")
            view = region.ndarray()
            print(view.tolist(), view.format, view.readonly)
            print(shmreg.put_array("b", array.array("d", [1.5, 2.5]), mode=0o644))
            print(shmreg.put_array("c", b"bytes"), shmreg.put_array("d", array.array("l", [-1])))
            """
        )
        self.assertEqual(output, "[[0, 1, 2], [3, 4, 5]] h True\n1\n1 1\n")
        for name, values, dtype in (("b", [1.5, 2.5], "f8"), ("c", list(b"bytes"), "u1")):
            with self.daemon.open(name) as region:
                self.assertEqual((region.ndarray().tolist(), region.ndarray().dtype), (values, dtype))
        with self.daemon.open("d") as region:
            self.assertEqual((region.ndarray().tolist(), region.ndarray().dtype), ([-1], "i8"))

    def test_attributes_of_others(self):
        with self.daemon.create("a", 100) as region:
            region.ndarray("<u4")[:] = 7
            for attributes, shape in (
                ({}, (100,)),
                ({"dtype": "float32"}, (25,)),
                ({"dtype": "<f8", "shape": [3, 4]}, (3, 4)),
                ({"dtype": "|b1", "shape": []}, ()),
            ):
                self.daemon.set_attributes("a", attributes)
                with self.daemon.open("a") as reader:
                    self.assertEqual(reader.ndarray().shape, shape)
            for attributes in (
                {"dtype": "float16"},
                {"dtype": ["float32"]},
                {"dtype": "float64", "shape": [13]},
                {"shape": [-1]},
                {"shape": [1.5]},
                {"shape": [2**62, 8]},
                {"shape": "12"},
                {"order": "K"},
            ):
                self.daemon.set_attributes("a", attributes)
                with self.daemon.open("a") as reader:
                    self.assertRaises(ValueError, reader.ndarray)
                    self.assertRaises(ValueError, reader.view)
            self.assertEqual(region.ndarray("uint32", [5, 5]).sum(), 7 * 25)
        self.assertRaises(ValueError, self.daemon.put_array, "c", numpy.zeros(3, "c16"))
        self.assertRaises(ValueError, self.daemon.put_array, "c", memoryview(b"abcd")[::2])

    def test_a_reader_never_sees_the_shape_of_another_version(self):
        writer = start_python(
            """
            import numpy, shmreg
            for number in range(1, 300):
                shmreg.put_array("a", numpy.full(number % 7 + 1, number % 7 + 1, "i8"), mode=0o644)
            """
        )
        seen = 0
        while writer.poll() is None:
            try:
                region = self.daemon.open("a")
            except FileNotFoundError:
                continue
            values = region.ndarray()
            self.assertEqual(set(values.tolist()), {len(values)})
            seen += 1
        writer.communicate()
        self.assertEqual(writer.returncode, 0)
        self.assertGreater(seen, 10)


class Typing(unittest.TestCase):
    def test_the_stub_has_what_the_module_has(self):
        import ast
        import inspect
        import os

        from shmreg import _shmreg

        with open(os.path.dirname(shmreg.__file__) + "/_shmreg.pyi", encoding="utf-8") as stub:
            tree = ast.parse(stub.read())
        stated = {it.target.id for it in tree.body if isinstance(it, ast.AnnAssign)}
        classes = {it.name: it for it in tree.body if isinstance(it, ast.ClassDef)}
        self.assertEqual(
            stated | set(classes), {name for name in vars(_shmreg) if not name.startswith("__")}
        )
        for name, node in classes.items():
            methods = {it.name for it in node.body if isinstance(it, ast.FunctionDef)}
            real = {it for it in vars(getattr(_shmreg, name)) if not it.startswith("__")}
            self.assertEqual({it for it in methods if not it.startswith("__")}, real, name)
        self.assertTrue(inspect.getdoc(shmreg))


if __name__ == "__main__":
    main()
