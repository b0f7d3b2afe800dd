#!/usr/bin/env python3
"""The Python package: everything that can be asked of a connection, as two users."""

import errno
import os
import tempfile

import shmreg
from pythonclient import USER, Case, main, python


class Regions(Case):
    def test_create_write_and_read(self):
        with self.daemon.create("feed/prices", 5000, mode=0o640) as region:
            view = memoryview(region)
            self.assertEqual((len(region), region.size, view.nbytes), (5000, 5000, 5000))
            self.assertEqual((region.version, region.readonly, view.readonly), (1, False, False))
            view[:5] = b"hello"
            with self.daemon.open("feed/prices") as reader:
                seen = memoryview(reader)
                self.assertTrue(reader.readonly and seen.readonly)
                self.assertEqual(bytes(seen[:5]), b"hello")
                view[0:1] = b"j"
                self.assertEqual(seen[0], ord("j"))
                with self.assertRaises(TypeError):
                    seen[0] = 1
                self.assertEqual(reader.copy(1, 4), b"ello")
                self.assertEqual(os.fstat(reader.fileno()).st_size, 5000)
        self.assertTrue(region.closed)
        self.assertIn("closed", repr(region))

    def test_errors_carry_errno_and_the_daemons_text(self):
        self.daemon.create_detached("a", 1)
        self.assert_error(FileNotFoundError, errno.ENOENT, "'b'", self.daemon.open, "b")
        self.assert_error(FileExistsError, errno.EEXIST, "'a'", self.daemon.create, "a", 1)
        self.assert_error(shmreg.Error, errno.EINVAL, "", self.daemon.create, "../a", 1)
        self.assert_error(FileNotFoundError, errno.ENOENT, "/nowhere", shmreg.connect, "/nowhere/x")
        self.assert_error(shmreg.Error, errno.EMSGSIZE, "", self.daemon.put, "a", b"x" * 70000)
        for wrong in (
            lambda: self.daemon.create("b", -1),
            lambda: self.daemon.create("b", 2**64),
            lambda: self.daemon.create("b", 1, backing="paper"),
            lambda: self.daemon.create("b", 1, lifetime="long"),
            lambda: self.daemon.create("b\0", 1),
            lambda: self.daemon.open_many(["a"] * 65),
        ):
            self.assertRaises(ValueError, wrong)
        self.assertRaises(TypeError, self.daemon.create, "b", 1, colour="red")
        self.assertRaises(TypeError, self.daemon.open, "a", colour="red")

    def test_rights(self):
        self.daemon.put("secret", b"x")
        self.daemon.put("shared", b"x", mode=0o644)
        program = """
            import shmreg, sys
            daemon = shmreg.connect()
            print(bytes(daemon.open("shared")), [it.name for it in daemon.list()])
            for call in (lambda: daemon.open("secret"), lambda: daemon.open("shared", write=True)):
                try:
                    call()
                except PermissionError as error:
                    print(error.errno, error.strerror)
        """
        lines = python(program, user=True).splitlines()
        self.assertEqual(lines[0], "b'x' ['shared']")
        self.assertIn(f"{errno.EACCES} user {USER} lacks the right 'r'", lines[1])
        self.assertIn("'w' to region 'shared'", lines[2])
        self.daemon.set_access("secret", acl=[f"user:{USER}:r"])
        self.daemon.set_access("shared", mode=0o666)
        self.assertEqual(self.daemon.describe("secret").acl, [f"user:{USER}:r"])
        self.assertEqual(self.daemon.describe("shared").mode, 0o666)
        self.assertEqual(len(python(program, user=True).splitlines()), 1)

    def test_describe_and_list(self):
        with self.daemon.create(
            "feed/a",
            100,
            max_size=200,
            backing="memfd",
            lifetime="lease",
            seconds=50,
            mode=0o604,
            acl=f"user:{USER}:rw",
            attributes={"unit": "€"},
            sync_block=True,
        ):
            found = self.daemon.describe("feed/a")
            self.daemon.put("other", b"x")
            self.assertEqual([it.name for it in self.daemon.list()], ["feed/a", "other"])
            (listed,) = self.daemon.list("feed/")
        self.assertEqual((found.size, found.max_size, found.version), (100, 200, 1))
        self.assertEqual((found.backing, found.lifetime, found.seconds), ("memfd", "lease", 50))
        self.assertEqual((found.mode, found.acl), (0o604, [f"user:{USER}:rw"]))
        self.assertEqual((found.attributes, found.rights), ({"unit": "€"}, "rwm"))
        self.assertEqual((found.owner_uid, found.writers, found.sealed), (0, 1, False))
        self.assertTrue(found.sync_block and 0 <= found.remaining_seconds <= 50)
        for field in vars(found):
            if field not in ("rights", "remaining_seconds"):
                self.assertEqual(getattr(listed, field), getattr(found, field), field)
        self.daemon.renew("feed/a", 500)
        self.assertGreater(self.daemon.describe("feed/a").remaining_seconds, 50)

    def test_stage_and_publish(self):
        with self.daemon.stage("table", 10) as stage:
            self.assertEqual(stage.version, 0)
            memoryview(stage)[:] = b"0123456789"
            self.assertRaises(FileNotFoundError, self.daemon.open, "table")
            self.assertEqual(stage.publish(), 1)
            self.assertEqual(stage.version, 1)
        with self.daemon.open("table") as reader, self.daemon.stage("table", 4) as stage:
            old = memoryview(reader)
            memoryview(stage)[:] = b"next"
            self.assert_error(shmreg.StaleError, errno.ESTALE, "version 1", stage.publish, 7)
            self.assertTrue(reader.is_current)
            self.assertEqual(stage.publish(1), 2)
            self.assertFalse(reader.is_current)
            reader.refresh()
            self.assertEqual((bytes(reader), bytes(old)), (b"next", b"0123456789"))
            self.assertTrue(reader.is_current)
        with self.daemon.stage("table", 4):
            pass
        self.assertEqual(self.daemon.describe("table").version, 2)

    def test_put_and_get(self):
        self.daemon.put("config", b"one")
        self.daemon.put("config", bytearray(b"two!"))
        self.assertEqual(self.daemon.get("config"), b"two!")
        self.assertEqual(self.daemon.describe("config").version, 2)
        self.daemon.create_detached("large", 70000)
        self.assert_error(shmreg.Error, errno.EMSGSIZE, "", self.daemon.get, "large")

    def test_snapshot(self):
        self.daemon.put("source", b"content")
        told = []
        self.daemon.snapshot("source", "copy", progress=lambda *it: told.append(it), mode=0o644)
        self.assertEqual(told[-1], (7, 7))
        self.assertEqual((self.daemon.get("copy"), self.daemon.describe("copy").mode), (b"content", 0o644))
        with self.assertRaises(ZeroDivisionError):
            self.daemon.snapshot("source", "other", progress=lambda done, total: 1 / 0)

    def test_resize_and_seal(self):
        with self.daemon.create("r", 10, max_size=100, backing="memfd") as region:
            view = memoryview(region)
            self.daemon.resize("r", 50)
            self.assertFalse(region.is_current)
            self.assertEqual(region.size, 10)
            region.refresh()
            self.assertEqual((region.size, memoryview(region).nbytes, view.nbytes), (50, 50, 10))
            memoryview(region)[0] = 7
            self.assertEqual(view[0], 7)
            self.assert_error(shmreg.Error, errno.EINVAL, "", self.daemon.resize, "r", 101)
            self.assert_error(shmreg.Error, errno.EBUSY, "", self.daemon.seal, "r")
            del view
        self.daemon.seal("r")
        self.assertTrue(self.daemon.describe("r").sealed)
        self.assertRaises(PermissionError, self.daemon.open, "r", write=True)

    def test_grow_from_nothing(self):
        with self.daemon.create("r", 0, max_size=100) as region:
            empty = memoryview(region)
            self.assertEqual((region.size, empty.nbytes, bytes(empty)), (0, 0, b""))
            self.assertEqual(self.daemon.get("r"), b"")
            self.daemon.resize("r", 50)
            region.refresh()
            memoryview(region)[:] = b"x" * 50
            self.assertEqual((self.daemon.get("r"), empty.nbytes), (b"x" * 50, 0))
            del empty

    def test_adopt(self):
        fd = os.memfd_create("adopted")
        os.write(fd, b"mine already")
        os.fchmod(fd, 0o666)
        with self.daemon.adopt("adopted", fd) as region:
            self.assertEqual(bytes(region), b"mine already")
            memoryview(region)[:4] = b"ours"
            self.assertEqual(os.pread(fd, 12, 0), b"ours already")
        os.close(fd)
        self.assertEqual(self.daemon.describe("adopted").backing, "adopted")
        with tempfile.TemporaryFile() as file:
            file.write(b"file")
            file.flush()
            with open(f"/proc/self/fd/{file.fileno()}", "rb") as reading:
                with self.daemon.adopt("read", reading) as region:
                    self.assertTrue(region.readonly and memoryview(region).readonly)
                    self.assertEqual(bytes(region), b"file")

    def test_open_many_and_mapping_options(self):
        for name in ("a", "b", "c"):
            self.daemon.put(name, name.encode())
        regions = self.daemon.open_many(["a", "b", "c"])
        self.assertEqual([bytes(region) for region in regions], [b"a", b"b", b"c"])
        self.assert_error(shmreg.Error, errno.ENOENT, "'d'", self.daemon.open_many, ["a", "d"])
        with self.daemon.open("a", private=True, populate=True, no_dump=True) as private:
            memoryview(private)[:] = b"x"
            self.assertEqual(bytes(regions[0]), b"a")

    def test_attributes_and_files(self):
        with self.daemon.create("kept", 100, backing="file", durability="none") as region:
            region.flush()
            region.flush(10, 20)
            self.assert_error(shmreg.Error, errno.EINVAL, "", region.flush, 10, 200)
        self.daemon.set_attributes("kept", {"a": [1, {"b": None}]})
        self.assertEqual(self.daemon.describe("kept").attributes, {"a": [1, {"b": None}]})
        self.assertRaises(TypeError, self.daemon.set_attributes, "kept", {"a": object()})

    def test_exist_ok(self):
        self.daemon.put("a", b"four")
        with self.daemon.create("a", 100, exist_ok=True) as region:
            self.assertEqual(bytes(region), b"four")

    def test_closed(self):
        region = self.daemon.create("a", 10)
        region.close()
        region.close()
        for call in (
            lambda: memoryview(region),
            lambda: region.version,
            lambda: len(region),
            region.refresh,
            region.wait,
            region.fileno,
        ):
            self.assertRaises(ValueError, call)
        daemon = shmreg.connect()
        daemon.close()
        daemon.close()
        self.assertTrue(daemon.closed)
        self.assertRaises(ValueError, daemon.open, "a")
        self.assertRaises(ValueError, daemon.fileno)


if __name__ == "__main__":
    main()
