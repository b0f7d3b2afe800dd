#!/usr/bin/env python3
"""shmregctl on regions: create, list, show, put, get, change, destroy, as two users."""

import ctypes
import json
import os
import signal
import subprocess
import tempfile

from shmregctl import CONTROL, TIMEOUT, USER, Case, as_user, command, daemon, main

PR_SET_NAME = 15


class Holder:
    """A process of another user that holds a region, under a name that is meant to do harm."""

    NAME = b"\x1b[m\xc2\x9b\x7fevil"

    def __init__(self, region, access):
        self.wake, theirs = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.hold(region, access, theirs)
            finally:
                os._exit(1)
        os.close(theirs)
        assert os.read(self.wake, 1) == b"+", "the holder did not get its region"

    def hold(self, region, access, ready):
        ctypes.CDLL(None).prctl(PR_SET_NAME, self.NAME, 0, 0, 0)
        library = ctypes.CDLL(os.environ["LIBSHMREG"])
        connection, handle = ctypes.c_void_p(), ctypes.c_void_p()
        as_user()
        if library.shmreg_connect(daemon.client_socket.encode(), ctypes.byref(connection)) < 0:
            return
        if library.shmreg_open(connection, region.encode(), access, ctypes.byref(handle)) < 0:
            return
        os.write(ready, b"+")
        signal.pause()

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.wake)


class Regions(Case):
    def test_create_says_nothing_and_show_says_it_all(self):
        self.assertEqual(
            self.succeed(
                *("create", "feed/prices", "4M", "--backing=memfd", "--max-size", "8MiB"),
                *("--mode=640", f"--acl=user:{USER}:rw,group:0:r"),
                *("--attributes", '{"dtype": "<f4"}', "--lifetime=attached", "--seconds=5m"),
            ),
            b"",
        )
        region = self.reply("show", "feed/prices")["region"]
        expected = {
            "name": "feed/prices",
            "version": 1,
            "backing": "memfd",
            "size": 4 << 20,
            "max_size": 8 << 20,
            "owner_uid": 0,
            "mode": "0640",
            "acl": [f"user:{USER}:rw", "group:0:r"],
            "attributes": {"dtype": "<f4"},
            "lifetime": "attached",
            "seconds": 300,
        }
        self.assertEqual({key: region[key] for key in expected}, expected)
        shown = self.succeed("show", "feed/prices").decode()
        for text in ("4 MiB (4194304 bytes)", "8 MiB", "memfd", "attached 5m", '"dtype": "<f4"'):
            self.assertIn(text, shown)

    def test_create_with_a_sync_block(self):
        region = self.reply("create", "a", "1", "--sync-block")["region"]
        self.assertIs(region["sync_block"], True)
        self.assertRegex(self.succeed("show", "a").decode(), "Sync block: +yes")
        self.assertIs(self.reply("create", "b", "1")["region"]["sync_block"], False)
        self.assertRegex(self.succeed("show", "b").decode(), "Sync block: +no")

    def test_create_of_huge_pages(self):
        if os.path.exists("/sys/kernel/mm/hugepages/hugepages-2048kB"):
            self.succeed("create", "huge", "3M", "--huge-pages=2M")
            region = self.reply("show", "huge")["region"]
            self.assertEqual((region["backing"], region["huge_pages"]), ("memfd", "2M"))
            self.assertEqual((region["size"], region["max_size"]), (3 << 20, 4 << 20))
            self.assertIn("memfd, huge pages of 2M", self.succeed("show", "huge").decode())
        self.fail("create", "a", "1", "--huge-pages=2M", "--backing=shm", saying="only a memfd")
        self.assertNotIn("huge_pages", self.reply("create", "a", "1")["region"])

    def test_create_with_a_durability(self):
        for text, word, seconds in (
            ("none", "none", 0),
            ("publish", "publish", 0),
            ("interval:2m", "interval", 120),
        ):
            self.succeed("create", word, "1", "--backing=file", "--durability", text)
            region = self.reply("show", word)["region"]
            self.assertEqual((region["durability"], region["durability_seconds"]), (word, seconds))
        self.assertRegex(self.succeed("show", "interval").decode(), "Durability: +interval 2m")
        self.succeed("create", "m", "1")
        self.assertNotIn("Durability", self.succeed("show", "m").decode())
        self.fail("create", "a", "1", "--durability=publish", saying="file")
        for wrong in ("interval", "interval:", "interval:x", "always"):
            self.fail("create", "a", "1", f"--durability={wrong}", status=2, saying="dura")

    def test_snapshot(self):
        self.succeed("put", "source", "--mode=644", input=b"content")
        self.assertEqual(self.succeed("snapshot", "source", "copy"), b"")
        self.succeed("put", "source", input=b"other")
        self.assertEqual(self.succeed("get", "copy"), b"content")
        reply = self.reply("snapshot", "source", "second", "--backing=memfd", "--mode=600")
        self.assertEqual((reply["done"], reply["total"]), (5, 5))
        region = reply["region"]
        self.assertEqual((region["backing"], region["mode"]), ("memfd", "0600"))
        self.fail("snapshot", "source", "copy", saying="copy")
        self.fail("snapshot", "nothing", "third", saying="nothing")
        self.fail("snapshot", "source", status=2)

    def test_create_with_nothing_but_a_size(self):
        region = self.reply("create", "--", "a", "1")["region"]
        self.assertEqual((region["mode"], region["lifetime"]), ("0600", "persistent"))
        self.fail("create", "a", "1", saying="'a'")

    def test_create_refused_before_the_daemon_is_asked(self):
        for arguments in (
            ("1.5G",),
            ("-1",),
            ("4KB",),
            ("",),
            ("1", "--backing=disk"),
            ("1", "--lifetime=forever"),
            ("1", "--mode=0777"),
            ("1", "--mode=rw"),
            ("1", "--acl=alice"),
            ("1", "--attributes=[]"),
            ("1", "--seconds=soon"),
            ("1", "--max-size=big"),
            ("1", "--huge-pages=4K"),
            ("1", "--sync-block=yes"),
            ("1", "--frob"),
            ("1", "2"),
            (),
        ):
            self.fail("create", "a", *arguments, status=2, socket_path="/nonexistent")

    def test_create_refused_by_the_daemon(self):
        self.fail("create", "a", "0")
        self.fail("create", "a", "0", "--max-size=1", "--backing=memfd", saying="no memfd has")
        self.fail("create", "../a", "1", saying="name")
        self.fail("create", "a\x1b[31m", "1")
        self.fail("create", "a", "2", "--max-size=1")
        self.fail("create", "a", "1", "--lifetime=owner")
        self.fail("create", b"\xff", "1", status=2, saying="UTF-8")

    def test_list(self):
        self.assertEqual(self.succeed("list"), b"")
        for name in ("b/2", "b/1", "a"):
            self.succeed("create", name, "1536", "--mode=0604", "--acl=user:1:r")
        rows = [line.split() for line in self.succeed("list").decode().splitlines()]
        self.assertEqual([row[0] for row in rows], ["NAME", "a", "b/1", "b/2"])
        self.assertEqual(rows[1][1:8], ["1.5", "KiB", "shm", "persistent", "root", "0604+", "1"])
        self.assertEqual([r["name"] for r in self.reply("list", "b/")["regions"]], ["b/1", "b/2"])
        self.assertEqual(self.reply("list", "zzz"), {"regions": []})

    def test_destroy_goes_on_after_a_refusal(self):
        self.succeed("create", "a", "1")
        self.succeed("create", "c", "1")
        result = self.fail("destroy", "a", "nope", "c", "never")
        self.assertEqual(result.stderr.count(b"shmregctl: "), 2)
        self.assertIn(b"'nope'", result.stderr)
        self.assertIn(b"'never'", result.stderr)
        self.assertEqual(self.reply("list")["regions"], [])

    def test_lease(self):
        self.succeed("create", "l", "1", "--lifetime=lease", "--seconds=1m")
        region = self.reply("renew", "l", "2h")["region"]
        self.assertGreater(region["remaining_seconds"], 7000)
        self.assertIn("left", self.succeed("show", "l").decode())
        self.succeed("renew", "l")
        self.fail("renew", "l", "tomorrow", status=2)
        self.succeed("create", "p", "1")
        self.fail("renew", "p", saying="'p'")

    def test_holders_and_clients(self):
        self.succeed("create", "held", "1", f"--acl=user:{USER}:rw")
        holders = [Holder("held", 1), Holder("held", 2)]
        try:
            shown = self.reply("show", "held")
            self.assertEqual(
                sorted((a["pid"], a["uid"], a["access"]) for a in shown["attachments"]),
                sorted([(holders[0].pid, USER, "read"), (holders[1].pid, USER, "write")]),
            )
            table = self.succeed("show", "held").decode()
            for holder in holders:
                self.assertRegex(table, rf"(?m)^ *{holder.pid} +{USER} +(read|write) +1 ")
            clients = self.succeed("clients")
            self.assertIsNone(CONTROL.search(clients), clients)
            self.assertIn(b"evil", clients)
            raw = self.succeed("clients", "--json")
            self.assertIsNone(CONTROL.search(raw), raw)
            self.assertEqual(
                {client["pid"] for client in json.loads(raw)["clients"]},
                {holder.pid for holder in holders},
            )
            self.assertIn(str(holders[0].pid).encode(), self.succeed("clients", user=True))
        finally:
            for holder in holders:
                holder.end()


class Values(Case):
    def put_and_get(self, data, as_file):
        with tempfile.TemporaryFile() as file:
            if as_file:
                file.write(b"skipped" + data)
                file.flush()
                os.lseek(file.fileno(), len(b"skipped"), os.SEEK_SET)
                self.succeed("put", "v", stdin=file)
            else:
                self.succeed("put", "v", input=data)
        self.assertEqual(self.succeed("get", "v"), data)

    def test_every_size_around_a_part(self):
        for size in (1, 2, 3, 61439, 61440, 61441, 122880, 3 << 20):
            data = os.urandom(size)
            self.put_and_get(data, as_file=True)
            self.put_and_get(data[::-1], as_file=False)
        self.assertEqual(self.reply("show", "v")["region"]["version"], 16)

    def test_put_creates_with_a_mode(self):
        self.assertEqual(self.reply("put", "v", "--mode=0604", input=b"x" * 100000)["version"], 1)
        self.assertEqual(self.reply("show", "v")["region"]["mode"], "0604")
        self.assertEqual(self.succeed("get", "v", user=True), b"x" * 100000)
        self.fail("put", "v", "--mode=9", status=2, input=b"x")

    def test_publish(self):
        self.fail("publish", "v", input=b"x", saying="no region 'v'")
        self.succeed("put", "v", input=b"first")
        self.assertEqual(self.succeed("publish", "v", input=b"second"), b"2\n")
        big = bytes(range(256)) * 1000
        self.assertEqual(self.succeed("publish", "--expect=2", "v", input=big), b"3\n")
        self.fail("publish", "v", "--expect", "2", input=big, saying="is at version 3, not 2")
        self.fail("publish", "v", "--expect=0", status=2, input=b"x", saying="no version")
        self.fail("publish", "v", "--expect=3x", status=2, input=b"x", saying="no version")
        self.assertEqual(self.reply("publish", "v", input=b"x")["version"], 4)

    def test_put_of_a_file_that_hides_its_size(self):
        with open("/proc/self/environ", "rb") as file:
            expected = file.read()
        with open("/proc/self/environ", "rb") as file:
            self.succeed("put", "v", stdin=file)
        self.assertEqual(self.succeed("get", "v"), expected)

    def test_what_cannot_be_put_or_got(self):
        self.fail("put", "v", input=b"", saying="'v'")
        directory = os.open("/", os.O_RDONLY)
        self.fail("put", "v", stdin=directory, saying="standard input")
        os.close(directory)
        self.fail("get", "nope", saying="'nope'")
        self.succeed("put", "v", input=b"secret")
        self.fail("get", "v", user=True, saying="'r'")
        self.fail("put", "v", user=True, input=b"x", saying="'w'")

    def test_json_parts_are_one_object_a_line(self):
        self.succeed("put", "v", input=b"y" * 150000)
        lines = self.succeed("get", "v", "--json").splitlines()
        self.assertEqual(len(lines), 3)
        self.assertEqual([json.loads(line)["size"] for line in lines], [150000] * 3)

    def test_output_that_cannot_be_written(self):
        self.succeed("put", "v", input=b"z" * (1 << 20))
        with open("/dev/full", "wb") as full:
            self.fail("get", "v", stdout=full, saying="No space left")
            self.fail("list", stdout=full, saying="No space left")
            self.fail("--help", stdout=full, saying="No space left")
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, "wb") as pipe:
            self.fail("get", "v", stdout=pipe, saying="Broken pipe")
        closed = ["sh", "-c", '"$@" >&-', "sh", *command("list")]
        result = subprocess.run(closed, capture_output=True, timeout=TIMEOUT, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"Bad file descriptor", result.stderr)


class Changes(Case):
    def setUp(self):
        self.succeed("create", "a", "1")
        self.succeed("create", "b", "1")

    def region(self, name="a"):
        return self.reply("show", name)["region"]

    def test_chmod(self):
        self.assertEqual(self.succeed("chmod", "644", "a", "b"), b"")
        self.assertEqual((self.region("a")["mode"], self.region("b")["mode"]), ("0644", "0644"))
        self.fail("chmod", "u+r", "a", status=2)
        self.fail("chmod", "0644", status=2)
        self.fail("chmod", "0600", "a", user=True, saying="'m'")

    def test_acl(self):
        self.assertEqual(self.succeed("acl", "a"), b"")
        self.succeed("acl", "a", f"user:{USER}:rwm,group:5:r")
        self.assertEqual(self.succeed("acl", "a"), f"user:{USER}:rwm\ngroup:5:r\n".encode())
        self.succeed("acl", "a", "-group:5", "+user:7:r", f"-user:{USER}:m")
        self.assertEqual(self.region()["acl"], [f"user:{USER}:rw", "user:7:r"])
        self.fail("acl", "a", "-group:5", saying="group:5")
        self.fail("acl", "a", "user:1:r", "+user:2:r", status=2)
        self.fail("acl", "a", "user:1", status=2)
        self.fail("acl", "a", "+user:1:q", status=2)
        self.succeed("acl", "a", "")
        self.assertEqual(self.region()["acl"], [])
        self.assertEqual(self.reply("acl", "a", "user:7:r")["region"]["acl"], ["user:7:r"])
        self.assertEqual(self.reply("acl", "a")["region"]["acl"], ["user:7:r"])

    def test_resize(self):
        self.succeed("create", "g", "1K", "--max-size=4K")
        self.assertEqual(self.succeed("resize", "g", "2K"), b"")
        self.assertEqual(self.reply("resize", "g", "4096")["region"]["size"], 4096)
        self.fail("resize", "g", "5K", saying="max_size")
        self.fail("resize", "g", "1K", saying="publish")
        self.fail("resize", "g", "4K", user=True, saying="'m'")
        self.fail("resize", "g", "much", status=2, saying="much")
        self.fail("resize", "g", status=2)

    def test_seal(self):
        self.assertRegex(self.succeed("list").decode(), r"(?m)^a .* 0600 +1 +0 +0 ")
        self.assertEqual(self.succeed("seal", "a", "b"), b"")
        self.assertIs(self.region()["sealed"], True)
        self.assertRegex(self.succeed("show", "a").decode(), r"(?m)^ *Version: +1, sealed$")
        self.assertRegex(self.succeed("list").decode(), r"(?m)^a .* 0600 +1 sealed +0 +0 ")
        self.fail("resize", "a", "1", saying="sealed")
        self.succeed("put", "a", input=b"next")
        self.assertIs(self.region()["sealed"], False)
        self.assertRegex(self.succeed("show", "a").decode(), r"(?m)^ *Version: +2$")
        self.fail("seal", "a", user=True, saying="'m'")
        self.fail("seal", "nothing", saying="'nothing'")
        self.fail("seal", status=2)

    def test_rights_given_are_rights_to_use(self):
        self.fail("get", "a", user=True)
        self.succeed("acl", "a", f"+user:{USER}:r")
        self.assertEqual(self.succeed("get", "a", user=True), b"\0")
        self.assertEqual([r["name"] for r in self.reply("list", user=True)["regions"]], ["a"])

    def test_attr(self):
        self.assertEqual(self.succeed("attr", "a"), b"{}\n")
        self.succeed("attr", "a", '{"dtype": "<f4", "unit": "µm"}')
        self.assertEqual(self.succeed("attr", "a").decode(), '{"dtype":"<f4","unit":"µm"}\n')
        self.succeed("attr", "a", "shape=[2,3]", "unit=", "note=it's here")
        self.assertEqual(
            self.region()["attributes"], {"dtype": "<f4", "shape": [2, 3], "note": "it's here"}
        )
        self.fail("attr", "a", "[]", status=2)
        self.fail("attr", "a", "{", status=2)
        self.fail("attr", "a", '{"x": "' + "y" * 5000 + '"}')
        self.fail("attr", "a", "x=1", user=True)


if __name__ == "__main__":
    main()
