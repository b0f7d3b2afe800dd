#!/usr/bin/env python3
"""shmregctl and the daemon: status, reload, monitor, the command line, terminals, and nonsense."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import tempfile
import threading

from shmregctl import TIMEOUT, Case, command, daemon, main


class TheDaemon(Case):
    def test_ping_status_reload(self):
        self.assertRegex(self.succeed("ping"), rb"^the daemon answered after [0-9.]+ ms\n$")
        self.assertEqual(self.reply("ping"), {})
        status = self.reply("status")
        self.assertEqual(status["pid"], daemon.process.pid)
        usage = self.reply("usage")["accounts"]
        self.assertIn({"kind": "connections", "used": 1, "limit": 16384}, usage[0]["usage"])
        shown = self.succeed("usage", user=True).decode()
        self.assertRegex(shown, r"total .* 1 of 16384 +none\n")
        self.assertRegex(shown, r"user +\S+ .* 1 of 8192 +none\n")
        shown = self.succeed("status", user=True).decode()
        self.assertIn(str(daemon.process.pid), shown)
        self.assertRegex(shown, r"(?m)^KIND +USED +LIMIT$")
        self.assertEqual(self.succeed("reload"), b"")
        self.fail("reload", user=True, saying="administrator")

    def test_a_daemon_that_root_has_started_keeps_no_privilege(self):
        with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as status:
            fields = dict(line.split(":\t") for line in status.read().splitlines() if ":\t" in line)
        self.assertEqual(fields["Uid"].split(), ["0"] * 4)
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(fields[kind], 16), 0, kind)
        self.assertEqual(fields["NoNewPrivs"], "1")

    def test_a_reload_that_is_refused_names_the_place(self):
        daemon.configure("{\n  nonsense\n}")
        try:
            self.fail("reload", saying=daemon.configuration)
        finally:
            daemon.configure("{}")
        self.succeed("reload")

    def monitor(self, *options):
        return subprocess.Popen(
            command("monitor", *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def test_monitor_says_when_it_has_begun(self):
        process = self.monitor("--json")
        self.assertEqual(json.loads(process.stdout.readline())["event"], "subscribed")
        self.succeed("create", "m", "1")
        self.assertEqual(json.loads(process.stdout.readline())["event"], "created")
        process.kill()
        process.communicate()

    def lines_until(self, process, text):
        """Makes and ends regions until the monitor, which starts meanwhile, says the text."""
        lines = []
        for _ in range(TIMEOUT * 10):
            self.succeed("create", "m", "1")
            self.succeed("destroy", "m")
            if lines or select.select([process.stdout], [], [], 0.1)[0]:
                lines.append(process.stdout.readline())
                if text in lines[-1]:
                    return lines
        raise AssertionError(f"{text} not among {lines}")

    def test_monitor(self):
        for options in ((), ("--json",)):
            process = self.monitor(*options)
            lines = self.lines_until(process, b"destroyed")
            for line in lines if options else ():
                self.assertIn(json.loads(line)["region"], ("", "m"))
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(TIMEOUT), -signal.SIGINT)
            process.stdout.close()
            process.stderr.close()

    def test_monitor_into_a_pipe_that_breaks(self):
        process = self.monitor()
        self.lines_until(process, b"created")
        process.stdout.close()
        while process.poll() is None:
            self.succeed("create", "m", "1")
            self.succeed("destroy", "m")
        self.assertEqual(process.returncode, 1)
        self.assertIn(b"Broken pipe", process.stderr.read())
        process.stderr.close()

    def test_monitor_waits_for_the_daemon(self):
        process = self.monitor("--json")
        events = lambda: json.loads(process.stdout.readline())["event"]
        self.assertEqual(events(), "subscribed")
        daemon.process.kill()
        daemon.process.wait(TIMEOUT)
        self.assertIn(b"waiting", process.stderr.readline())
        daemon.run()
        self.assertEqual([events(), events()], ["missed", "subscribed"])
        self.succeed("create", "m", "1")
        self.assertEqual(events(), "created")
        process.kill()
        process.communicate()

    def test_monitor_does_not_wait_for_nobody(self):
        process = self.monitor()
        self.lines_until(process, b"created")
        daemon.process.kill()
        daemon.process.wait(TIMEOUT)
        process.stdout.close()
        self.assertEqual(process.wait(TIMEOUT), 1)
        self.assertIn(b"Broken pipe", process.stderr.read())
        process.stderr.close()
        daemon.run()


class CommandLine(Case):
    def test_usage_errors(self):
        for arguments, text in (
            ((), "command"),
            (("frob",), "'frob'"),
            (("show",), "NAME"),
            (("show", "a", "b"), "'b'"),
            (("ping", "x"), "'x'"),
            (("list", "--frob"), "--frob"),
            (("--user", "list"), "exclude"),
            (("\x1b[2J",), "u001b"),
        ):
            self.fail(*arguments, status=2, saying=text)

    def test_help_and_version(self):
        names = re.findall(rb"(?m)^  ([a-z]+) ", self.succeed("--help"))
        self.assertEqual(len(names), 22)
        for name in names:
            self.assertIn(b"Usage: shmregctl " + name, self.succeed(name.decode(), "--help"))
        self.assertRegex(self.succeed("--version"), rb"^shmregctl [0-9.]+\n$")

    def test_where_the_daemon_is(self):
        environment = dict(os.environ, SHMREG_ADMIN_SOCKET=daemon.socket)

        def ping(*options):
            return subprocess.run(
                [os.environ["SHMREGCTL"], *options, "ping"],
                env=environment,
                capture_output=True,
                timeout=TIMEOUT,
                check=False,
            )

        self.assertEqual(ping().returncode, 0)
        self.fail("ping", socket_path="/nonexistent/sock", saying="/nonexistent/sock")
        self.fail("ping", socket_path="/" + "x" * 200, saying="path")
        with tempfile.TemporaryDirectory() as runtime:
            os.symlink(os.path.dirname(daemon.socket), runtime + "/shmregd")
            for value, status in ((runtime, 0), ("", 1), ("relative", 1)):
                environment["XDG_RUNTIME_DIR"] = value
                result = ping("--user")
                self.assertEqual(result.returncode, status, result.stderr)

    def test_a_daemon_that_talks_nonsense(self):
        for answer, text in (
            (b"", "closed the connection"),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n\0", "no JSON"),
            (b"[]\0", "no Varlink reply"),
            (b'{"parameters": {"regions": [{"name": 1}]}}\0', "makes no sense"),
            (b'{"parameters": {"regions": ', "closed the connection"),
            (b'{"error": "org.varlink.service.MethodNotFound"}\0', "MethodNotFound"),
        ):
            with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as fake:
                fake.bind(directory + "/sock")
                fake.listen()
                server = threading.Thread(target=self.answer, args=(fake, answer))
                server.start()
                self.fail("list", socket_path=directory + "/sock", saying=text)
                server.join()

    @staticmethod
    def answer(fake, answer):
        connection, _ = fake.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)

    def on_terminal(self, *arguments, **environment):
        ours, theirs = pty.openpty()
        subprocess.run(
            command(*arguments),
            stdout=theirs,
            env={"TERM": "xterm", **environment},
            check=True,
            timeout=TIMEOUT,
        )
        os.close(theirs)
        output = b""
        with contextlib.suppress(OSError):
            while chunk := os.read(ours, 65536):
                output += chunk
        os.close(ours)
        return output

    def test_colour_is_for_terminals_that_want_it(self):
        self.assertIn(b"\x1b[1mNAME", self.on_terminal("list"))
        self.assertTrue(self.on_terminal("list", NO_COLOR="1").startswith(b"NAME"))
        self.assertTrue(self.on_terminal("list", "--no-color").startswith(b"NAME"))
        self.assertTrue(self.on_terminal("list", TERM="dumb").startswith(b"NAME"))
        self.succeed("create", "a", "1")
        self.assertNotIn(b"\x1b", self.succeed("list"))


if __name__ == "__main__":
    main()
