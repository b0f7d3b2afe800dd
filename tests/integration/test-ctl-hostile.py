#!/usr/bin/env python3
"""Names, attributes and texts built to break terminals, the log or JSON: none gets through."""

import ctypes
import json
import os
import socket

from shmregctl import CONTROL, Case, as_user, daemon, main

EVIL = [
    b"\x1b[2J\x1b]0;gone\x07",
    b"\xc2\x9b31m",
    b"line\nshmregd: error: forged",
    b"back\x08space\r\x7f",
    b"\xff\xfe\xc0\x80\xed\xa0\x80",
    b"\xe2\x80\xae" b"reversed",
    b'"},{"name":"',
    b"%s%n%s%n",
    b"../../etc/passwd",
    b"a//b",
    b"-rf",
    b".hidden",
    b"a" * 201,
    b"",
]


def call(method, parameters):
    """One Varlink call with whatever bytes; the reply, which must be one JSON object."""
    if isinstance(parameters, dict):
        parameters = json.dumps(parameters, ensure_ascii=False).encode()
    request = b'{"method":"io.shmreg.Admin.%s","parameters":%s}\0' % (method.encode(), parameters)
    reply = b""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(daemon.socket)
        connection.sendall(request)
        while not reply.endswith(b"\0"):
            part = connection.recv(65536)
            if not part:
                return None
            reply += part
    return json.loads(reply[:-1].decode())


def as_hostile(function, *arguments):
    """Runs it as the hostile user, in a process of its own; what it returns must be true."""
    pid = os.fork()
    if pid == 0:
        try:
            # Before the uid changes, as a sanitizer in it cannot read its options afterwards.
            ctypes.CDLL(os.environ["LIBSHMREG"])
            as_user()
            os._exit(0 if function(*arguments) else 1)
        finally:
            os._exit(2)
    return os.waitpid(pid, 0)[1] == 0


def expect_refused(name):
    """By every call of the library that takes a name."""
    library = ctypes.CDLL(os.environ["LIBSHMREG"])
    connection, handle = ctypes.c_void_p(), ctypes.c_void_p()
    if library.shmreg_connect(daemon.client_socket.encode(), ctypes.byref(connection)) < 0:
        return False
    return (
        library.shmreg_put(connection, name, b"x", ctypes.c_size_t(1), 0o600) < 0
        and library.shmreg_create(connection, name, ctypes.c_uint64(1), None, ctypes.byref(handle)) < 0
        and library.shmreg_open(connection, name, 1, ctypes.byref(handle)) < 0
        and library.shmreg_destroy(connection, name) < 0
        and library.shmreg_set_access(connection, b"r", 0o600, b"user:" + name + b":r") < 0
    )


class Hostile(Case):
    def log(self):
        with open(daemon.directory.name + "/log", "rb") as log:
            return log.read()

    def tearDown(self):
        log = self.log()
        log.decode()  # fails on what is no UTF-8
        self.assertIsNone(CONTROL.search(log), log)
        for line in log.splitlines():
            self.assertTrue(line.startswith(b"shmregd: "), line)
        super().tearDown()

    def test_names(self):
        """Nothing but letters, digits and _.@:+-/ makes a name, so there is nothing to escape."""
        for name in EVIL:
            self.assertTrue(as_hostile(expect_refused, name), name)
            if b"\xff" not in name:
                reply = call("CreateRegion", {"name": name.decode(), "size": 1})
                self.assertTrue(reply["error"].endswith(".Invalid"), reply)
        self.assertEqual(self.reply("list")["regions"], [])

    def test_attributes(self):
        """They are JSON, which may say anything; a terminal sees it escaped, a program as it was."""
        evil = {text.decode(): text.decode() for text in EVIL if b"\xff" not in text}
        self.assertNotIn("error", call("CreateRegion", {"name": "r", "size": 1, "attributes": evil}))
        for shown in (self.succeed("show", "r"), self.succeed("list"), self.succeed("attr", "r")):
            self.assertIsNone(CONTROL.search(shown), shown)
        raw = self.succeed("--json", "show", "r")
        self.assertIsNone(CONTROL.search(raw), raw)
        self.assertEqual(json.loads(raw)["region"]["attributes"], evil)

    def test_attributes_that_are_none(self):
        self.succeed("create", "r", "1")
        for attributes in (
            b'{"a":"\xff"}',
            b'{"a":"\\ud800"}',
            b'{"a":"\\u0000"}',
            b'{"a":1,"a":2}',
            b'{"a":1e999}',
            b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}",
            b'{"a":"' + b"x" * 5000 + b'"}',
            b"[]",
        ):
            reply = call("SetAttributes", b'{"name":"r","attributes":' + attributes + b"}")
            self.assertTrue(reply is None or "error" in reply, attributes)
        self.assertEqual(self.reply("show", "r")["region"]["attributes"], {})

    def test_sentences_that_are_too_long(self):
        """Wherever the sentence of an error is cut, it is text."""
        self.succeed("create", "r", "1")
        for blanks in range(4):
            for character in ("\u00e9", "\u20ac", "\U0001f600"):
                rule = "user:" + "x" * blanks + character * 400 + ":r"
                reply = call("SetAccess", {"name": "r", "acl": [rule]})
                self.assertIn("error", reply)
                json.dumps(reply, ensure_ascii=False).encode()
        self.fail("acl", "r", "+user:\x1b[31m\x9b:r", status=2)

    def test_what_is_no_json(self):
        for garbage in (b"\xff\xfe", b"{", b"]", b"\x1b[2J", b'"\xed\xa0\x80"'):
            self.assertIsNone(call("GetRegion", garbage), garbage)


if __name__ == "__main__":
    main()
