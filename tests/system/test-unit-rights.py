#!/usr/bin/env python3
"""Units as subjects of access rules and of limits, under a real systemd: what tells two services of one user apart."""

import json
import os
import sys
import unittest

from machine import Machine, require_namespaces, wait_until

BUILD_DIRECTORY = os.path.abspath(sys.argv.pop(1))
CHECK_FILE = os.path.join(BUILD_DIRECTORY, "client/examples/example-check-file")
SHARE_FILE = os.path.join(BUILD_DIRECTORY, "client/examples/example-share-file")
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


class UnitLimitsTest(unittest.TestCase):
    LIMITS_FILE = "/etc/shmregd/conf.d/50-units.json"

    def setUp(self):
        limits = {"units": {"feed.service": {"regions": 1}, "worker@*.service": {"bytes": 20}}}
        machine.write_file(self.LIMITS_FILE, json.dumps({"limits": limits}))
        ctl("reload")

    def tearDown(self):
        machine.run("rm", self.LIMITS_FILE)
        ctl("reload")

    def create(self, unit, name, *command):
        """A unit of ACCOUNT's makes a region, which goes with the test; the command's result."""
        name = f"user/{ACCOUNT_UID}/{name}"
        self.addCleanup(ctl, "destroy", name, check=False)
        return run_as_unit(unit, *(argument.replace("NAME", name) for argument in command))

    def assert_made(self, unit, name, *command):
        made = self.create(unit, name, *command)
        self.assertEqual(made.returncode, 0, made.stderr)

    def assert_only_first_is_full(self, first, second, sentence, *command):
        """The first unit makes one region, and is refused another, which the second unit makes."""
        self.assert_made(first, "first", *command)
        refused = self.create(first, "second", *command)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn(sentence, refused.stderr)
        self.assert_made(second, "second", *command)

    def test_one_of_two_services_of_the_same_user_meets_its_limit(self):
        """What it made counts for it also after it has ended, until that is destroyed."""
        command = ("shmregctl", "create", "NAME", "4096")
        sentence = "limit on regions of unit feed.service: 1 of 1 in use, 1 more asked for"
        self.assert_only_first_is_full("feed.service", "other.service", sentence, *command)
        ctl("destroy", f"user/{ACCOUNT_UID}/first")
        self.assert_made("feed.service", "third", *command)

    def test_each_instance_of_a_template_has_its_limit_on_the_client_socket(self):
        machine.write_file("/run/feed", CONTENT)
        sentence = "limit on bytes of unit worker@1.service: 17 of 20 in use, 17 more asked for"
        command = (SHARE_FILE, "NAME", "/run/feed")
        self.assert_only_first_is_full("worker@1.service", "worker@2.service", sentence, *command)


if __name__ == "__main__":
    require_namespaces()
    unittest.main()
