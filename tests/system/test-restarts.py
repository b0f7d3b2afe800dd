#!/usr/bin/env python3
"""Restarts and kills of the service under load: no client sees an error, and every request takes
effect once. 20 of them, or 200 with SHMREG_TEST_LONG set."""

import json
import os
import re
import sys
import unittest

from machine import Machine, require_namespaces, wait_until

BUILD_DIRECTORY = os.path.abspath(sys.argv.pop(1))
LOAD = os.path.join(BUILD_DIRECTORY, "tests/system/restart-load")
SERVICE = "shmregd.service"
RESTARTS = 200 if os.environ.get("SHMREG_TEST_LONG") else 20
USERS = (20001, 20002, 20003)
SUMMARY = re.compile(r"(\d+) requests, (\d+) wakes, (\d+) errors")

machine = None


def setUpModule():
    global machine
    machine = Machine(BUILD_DIRECTORY)


def tearDownModule():
    machine.stop()


def main_pid():
    return int(machine.get_property(SERVICE, "MainPID"))


def wait_for_new_process(old):
    wait_until(
        lambda: main_pid() not in (0, old)
        and machine.get_property(SERVICE, "ActiveState") == "active",
        "the service was started again",
    )


def stored():
    return int(machine.get_property(SERVICE, "NFileDescriptorStore"))


def end_service(number):
    """Restarts the service, or kills it, by turns; the next daemon runs when this returns."""
    old = main_pid()
    if number % 2:
        machine.run("systemctl", "kill", "--signal=KILL", SERVICE)
    else:
        machine.run("systemctl", "restart", SERVICE)
    wait_for_new_process(old)


class RestartsTest(unittest.TestCase):
    def test_nobody_notices_restarts_under_load(self):
        machine.run("shmregctl", "ping")
        loads = [machine.start(LOAD, user=user, stdin=True) for user in USERS]
        for load in loads:
            self.assertEqual(load.stdout.readline(), "ready\n")
        # Each has three connections, which the service manager keeps from their second second on.
        wait_until(lambda: stored() >= 3 * len(USERS), "the clients' sockets are stored")
        for i in range(RESTARTS):
            end_service(i)
        requests, errors = self.finish(loads)
        print(f"{RESTARTS} restarts survived, {requests} requests, {errors} errors", flush=True)
        self.assertEqual(errors, 0)

    def test_a_monitor_goes_on(self):
        machine.run("shmregctl", "ping")
        monitor = machine.start("shmregctl", "--json", "monitor")
        told = lambda: json.loads(monitor.stdout.readline())
        self.assertEqual(told()["event"], "subscribed")
        for number in range(4):
            wait_until(lambda: stored() == 1, "the monitor's socket is stored")
            end_service(number)
            name = f"restarts/{number}"
            machine.run("shmregctl", "create", name, "4096")
            machine.run("shmregctl", "destroy", name)
            events = [(event["event"], event["region"]) for event in (told(), told())]
            self.assertEqual(events, [("created", name), ("destroyed", name)])
        # It does not start again what was stopped.
        machine.run("systemctl", "stop", SERVICE)
        monitor.communicate(timeout=60)
        self.assertEqual(monitor.returncode, 1)
        self.assertEqual(machine.get_property(SERVICE, "ActiveState"), "inactive")

    def finish(self, loads):
        requests = errors = 0
        for load in loads:
            output, _ = load.communicate(timeout=60)
            print(output, end="")
            summary = SUMMARY.search(output)
            self.assertIsNotNone(summary, output)
            requests += int(summary[1])
            errors += int(summary[3])
        return requests, errors


if __name__ == "__main__":
    require_namespaces()
    unittest.main(verbosity=2)
