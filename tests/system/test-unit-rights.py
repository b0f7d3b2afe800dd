#!/usr/bin/env python3
"""Units as subjects of access rules, under a real systemd: what tells two services of one user apart."""

import os
import sys
import unittest

from machine import Machine, require_namespaces, wait_until

BUILD_DIRECTORY = os.path.abspath(sys.argv.pop(1))
CHECK_FILE = os.path.join(BUILD_DIRECTORY, "client/examples/example-check-file")
CONTENT = "for the feed only"
ACCOUNT, ACCOUNT_UID = "daemon", 1  # of every Debian; a unit takes no uid without an account

machine = None


def setUpModule():
    global machine
    machine = Machine(BUILD_DIRECTORY)


def tearDownModule():
    machine.stop()


def ctl(*arguments, **options):
    return machine.run("shmregctl", *arguments, **options)


def run_as_unit(unit, *command):
    """Runs a command as a transient unit of the system's service manager, to its end."""
    return machine.run(
        *("systemd-run", "--quiet", "--wait", "--pipe", "--collect", f"--unit={unit}"),
        *(f"--uid={ACCOUNT}", "--setenv=PATH=/usr/local/bin:/usr/bin:/bin"),
        *command,
        check=False,
    )


class UnitRightsTest(unittest.TestCase):
    def setUp(self):
        ctl("put", "rights/feed", "--mode", "0600", input=CONTENT)

    def tearDown(self):
        ctl("destroy", "rights/feed")

    def assert_reads(self, result):
        self.assertEqual((result.returncode, result.stdout), (0, CONTENT), result.stderr)

    def assert_refused(self, result, unit):
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("rights/feed", result.stderr)
        self.assertIn(unit, result.stderr)
        self.assertNotIn(CONTENT, result.stdout)

    def test_one_of_two_services_of_the_same_user(self):
        ctl("acl", "rights/feed", "+unit:feed.service:r")
        read = ("shmregctl", "get", "rights/feed")
        self.assert_reads(run_as_unit("feed.service", *read))
        self.assert_refused(run_as_unit("other.service", *read), "other.service")
        self.assertNotEqual(ctl("get", "rights/feed", user=ACCOUNT_UID, check=False).returncode, 0)

    def test_the_client_socket_knows_the_unit_too(self):
        machine.write_file("/run/feed", CONTENT)
        ctl("acl", "rights/feed", "+unit:feed.service:r")
        check = (CHECK_FILE, "rights/feed", "/run/feed")
        allowed = run_as_unit("feed.service", *check)
        self.assertEqual(allowed.returncode, 0, allowed.stderr)
        self.assert_refused(run_as_unit("other.service", *check), "other.service")

    def test_every_instance_of_a_template(self):
        ctl("acl", "rights/feed", "+unit:worker@*.service:r")
        read = ("shmregctl", "get", "rights/feed")
        self.assert_reads(run_as_unit("worker@1.service", *read))
        self.assert_reads(run_as_unit("worker@second.service", *read))
        self.assert_refused(run_as_unit("worker.service", *read), "worker.service")

    def test_unit_of_a_users_own_service_manager(self):
        """It is no unit of the system, whatever its user calls it."""
        for name, rights in (("mine", f"unit:{ACCOUNT}/mine.service:r"), ("feed", "unit:feed.service:r")):
            ctl("acl", "rights/feed", "+" + rights)
            machine.write_file(
                f"/etc/systemd/user/{name}.service",
                "[Service]\nType=oneshot\n"
                f"ExecStart=/bin/sh -c 'shmregctl get rights/feed >/tmp/{name}.out 2>&1; echo $? >/tmp/{name}.end'\n"
                "Environment=PATH=/usr/local/bin:/usr/bin:/bin\n",
            )
            wants = "/etc/systemd/user/default.target.wants"
            machine.run("mkdir", "-p", wants)
            machine.run("ln", "-sf", f"../{name}.service", wants)
        machine.run("systemctl", "start", f"user@{ACCOUNT_UID}.service")
        self.addCleanup(machine.run, "systemctl", "stop", f"user@{ACCOUNT_UID}.service")

        def output(name):
            wait_until(
                lambda: machine.run("cat", f"/tmp/{name}.end", check=False).stdout.strip(), f"{name} has ended"
            )
            return machine.run("cat", f"/tmp/{name}.out").stdout

        self.assertEqual(output("mine"), CONTENT)
        self.assertIn("lacks the right", output("feed"))


if __name__ == "__main__":
    require_namespaces()
    unittest.main()
