#!/usr/bin/env python3
"""The units under a real systemd: they start, restart, reload and stop as an operator expects."""

import json
import os
import sys
import unittest

from machine import DEADLINE_SECONDS, Machine, require_namespaces, wait_until

BUILD_DIRECTORY = os.path.abspath(sys.argv.pop(1))
CHECK_FILE = os.path.join(BUILD_DIRECTORY, "client/examples/example-check-file")
DATA_FILE = "/usr/bin/tail"
READER = 20001
SERVICE = "shmregd.service"
CONFIGURATION = "/etc/shmregd/shmregd.json"

MOST_SOCKETS = 512

# So many that not all can be stored; each says HELLO as the library does.
MANY_CLIENTS = f"""
import socket, struct
clients = []
for number in range({MOST_SOCKETS} + 50):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.connect("/run/shmregd/client.sock")
    client.send(struct.pack("=HHIiI", 1, 0, 1, 0, 16) + struct.pack("=IIQ", 1, 1, 1000 + number))
    client.recv(100)
    clients.append(client)
print("connected", flush=True)
waiting, other = socket.socketpair()
waiting.recv(1)
"""

CONFIG_LOADED = "8f0b2a7c1d5e4a83b9d86c2f74a1e905"
CONFIG_REFUSED = "3e1c64a2f7d84b0f9ab1d25c80e7f64d"
REGION_CREATED = "a1c5d0b4e6f74c2d8b3e9f7a60d1c258"
RIGHTS_CHANGED = "e2ef621ce89d43b585527f5cf9035025"
REQUEST_REFUSED = "93d1fd5344014efdb69a5b66e12153ae"
ADMINISTRATION = "6def7a2cedfa496f800e5d1557a0c0a9"

machine = None


def setUpModule():
    global machine
    machine = Machine(BUILD_DIRECTORY)


def tearDownModule():
    machine.stop()


def main_pid():
    return int(machine.get_property(SERVICE, "MainPID"))


def ctl(*arguments, **options):
    return machine.run("shmregctl", *arguments, **options)


def put(name, content, *options):
    ctl("put", name, *options, input=content, text=False)


def get(name):
    return ctl("get", name, text=False).stdout


def create_of_each_backing():
    """Regions with some content, by name."""
    contents = {}
    for backing in ("shm", "memfd", "file"):
        name = f"units/{backing}"
        contents[name] = os.urandom(10000)
        ctl("create", name, "10000", "--backing", backing)
        put(name, contents[name])
    return contents


class UnitsTest(unittest.TestCase):
    """Each test finds the service as it is after boot: not started, its sockets open, no regions."""

    def tearDown(self):
        result = ctl("--json", "list", check=False)
        if result.returncode == 0:
            for region in json.loads(result.stdout)["regions"]:
                ctl("destroy", region["name"])
        machine.run("rm", "-rf", "/etc/shmregd", f"/run/systemd/system/{SERVICE}.d")
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "stop", SERVICE)
        machine.run("systemctl", "reset-failed")

    def assert_contents(self, contents):
        for name, content in contents.items():
            self.assertEqual(get(name), content, name)

    def wait_for_new_process(self, old):
        wait_until(
            lambda: main_pid() not in (0, old)
            and machine.get_property(SERVICE, "ActiveState") == "active",
            "the service was started again",
        )

    def test_first_use_of_admin_socket_starts_service(self):
        self.assertEqual(machine.get_property(SERVICE, "ActiveState"), "inactive")
        ctl("ping")
        self.assertEqual(machine.get_property(SERVICE, "ActiveState"), "active")

    def test_first_use_of_client_socket_starts_service(self):
        result = machine.run(CHECK_FILE, "units/none", DATA_FILE, user=READER, check=False)
        self.assertIn("units/none", result.stderr)
        self.assertEqual(machine.get_property(SERVICE, "ActiveState"), "active")

    def test_runs_as_its_own_user_without_capabilities(self):
        ctl("ping")
        status = machine.run("cat", f"/proc/{main_pid()}/status").stdout
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        uid = machine.run("id", "-u", "shmregd").stdout.strip()
        self.assertEqual(fields["Uid"].split(), [uid] * 4)
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(fields[kind], 16), 0, kind)
        self.assertEqual(fields["NoNewPrivs"], "1")
        self.assertEqual(fields["Seccomp"], "2")

    @unittest.skipUnless(os.access("/proc/pressure/memory", os.W_OK), "a kernel without PSI")
    def test_memory_pressure_is_heard_of(self):
        ctl("status")
        self.assertFalse(
            [e for e in machine.journal() if "memory pressure is not told" in e["MESSAGE"]]
        )

    def test_directories_are_its_own(self):
        ctl("ping")
        modes = machine.run("stat", "--format=%U %a", "/run/shmregd", "/var/lib/shmregd").stdout
        self.assertEqual(modes.splitlines(), ["shmregd 755", "shmregd 700"])

    def test_status_has_a_sentence(self):
        ctl("create", "units/one", "4096")
        wait_until(
            lambda: "1 regions" in machine.get_property(SERVICE, "StatusText"),
            "the status counts the region",
        )
        status = machine.run("systemctl", "status", "--no-pager", SERVICE).stdout
        self.assertIn(machine.get_property(SERVICE, "StatusText"), status)

    def test_segments_are_in_the_shared_memory_of_the_machine(self):
        ctl("create", "units/one", "4096")
        owner = machine.run("find", "/dev/shm", "-name", "shmreg.*", "-printf", "%u %m\n").stdout
        self.assertIn("shmregd 600\n", owner)

    def test_restart_keeps_regions_of_each_backing(self):
        contents = create_of_each_backing()
        old = main_pid()
        machine.run("systemctl", "restart", SERVICE)
        self.assertNotEqual(main_pid(), old)
        self.assert_contents(contents)

    def test_sigkill_keeps_regions_of_each_backing(self):
        contents = create_of_each_backing()
        old = main_pid()
        machine.run("systemctl", "kill", "--signal=KILL", SERVICE)
        self.wait_for_new_process(old)
        self.assert_contents(contents)

    def test_reader_does_not_notice_a_restart(self):
        with open(DATA_FILE, "rb") as file:
            content = file.read()
        put("units/data", content)
        ctl("acl", "units/data", f"+user:{READER}:r")
        reader = machine.start(CHECK_FILE, "--keep", "units/data", DATA_FILE, user=READER)
        self.assertIn("is equal", reader.stdout.readline())
        machine.run("systemctl", "restart", SERVICE)
        machine.terminate(reader)
        output, _ = reader.communicate(timeout=DEADLINE_SECONDS)
        self.assertIn("without a difference", output)
        self.assertIn("has 1 reader(s)", output)
        self.assertEqual(reader.returncode, 0)

    def test_many_clients_leave_room_for_memfds(self):
        ctl("ping")
        clients = machine.start("python3", "-c", MANY_CLIENTS, user=READER)
        self.assertEqual(clients.stdout.readline(), "connected\n")
        stored = lambda: int(machine.get_property(SERVICE, "NFileDescriptorStore"))
        wait_until(lambda: stored() >= MOST_SOCKETS, "the sockets are stored")
        wait_until(
            lambda: any("connect again" in entry["MESSAGE"] for entry in machine.journal()),
            "the daemon says that some are not",
        )
        self.assertEqual(stored(), MOST_SOCKETS)
        ctl("create", "units/memfd", "4096", "--backing", "memfd")
        wait_until(lambda: stored() == MOST_SOCKETS + 1, "the memfd is stored")
        machine.terminate(clients)
        clients.communicate(timeout=DEADLINE_SECONDS)
        wait_until(lambda: stored() == 1, "the service manager has let go of the sockets")

    def kept(self):
        kept = json.loads(ctl("--json", "status").stdout)["kept"]
        return kept["used"], kept["limit"], kept["left_out"]

    def test_memfds_beyond_the_store_are_counted(self):
        content = "[Service]\nFileDescriptorStoreMax=11\nEnvironment=FDSTORE=11\n"
        machine.write_file(f"/run/systemd/system/{SERVICE}.d/store.conf", content)
        machine.run("systemctl", "daemon-reload")
        for number in range(10):
            ctl("create", f"units/{number}", "4096", "--backing", "memfd")
        self.assertEqual(self.kept(), (8, 8, 2))
        self.assertRegex(ctl("show", "units/7").stdout, r"(?m)^Backing: +memfd$")
        self.assertIn("memfd, ends with the daemon", ctl("show", "units/8").stdout)
        self.assertTrue(any("store is full" in entry["MESSAGE"] for entry in machine.journal()))
        ctl("destroy", "units/0")
        self.assertEqual(self.kept(), (8, 8, 1))
        machine.run("systemctl", "restart", SERVICE)
        self.assertEqual(self.kept(), (8, 8, 0))
        names = [region["name"] for region in json.loads(ctl("--json", "list").stdout)["regions"]]
        self.assertEqual(names, [f"units/{number}" for number in range(1, 9)])

    def test_stop_and_start(self):
        contents = create_of_each_backing()
        del contents["units/memfd"]  # systemd lets go of what it keeps for a service it stops
        machine.run("systemctl", "stop", SERVICE)
        self.assertEqual(machine.get_property(SERVICE, "ActiveState"), "inactive")
        self.assertEqual(machine.get_property(SERVICE, "Result"), "success")
        machine.run("test", "-S", "/run/shmregd/client.sock")
        machine.run("systemctl", "start", SERVICE)
        self.assert_contents(contents)

    def test_declared_region_is_there_for_the_first_client(self):
        declared = {"name": "units/tail", "owner": str(READER), "group": str(READER), "content": DATA_FILE}
        machine.write_file("/etc/shmregd/regions.d/tail.json", json.dumps(declared))
        with open(DATA_FILE, "rb") as file:
            content = file.read()
        result = machine.run("shmregctl", "get", "units/tail", user=READER, text=False)
        self.assertEqual(result.stdout, content)
        declared["mode"] = "0644"
        machine.write_file("/etc/shmregd/regions.d/tail.json", json.dumps(declared))
        self.assertEqual(ctl("reload").stderr, "")
        result = machine.run("shmregctl", "get", "units/tail", user=READER + 1, text=False)
        self.assertEqual(result.stdout, content)
        self.assertEqual(json.loads(ctl("--json", "status").stdout)["problems"], [])

    def test_reload_takes_a_good_configuration(self):
        ctl("ping")
        old = main_pid()
        machine.write_file(CONFIGURATION, '{"limits": {"user": {"regions": 1}}}')
        machine.run("systemctl", "reload", SERVICE)
        self.assertEqual(main_pid(), old)
        self.assertTrue(machine.journal(f"MESSAGE_ID={CONFIG_LOADED}"))
        ctl("create", f"user/{READER}/one", "4096", user=READER)
        refused = ctl("create", f"user/{READER}/two", "4096", user=READER, check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("regions", refused.stderr)

    def test_reload_refuses_a_bad_configuration(self):
        machine.write_file(CONFIGURATION, '{"limits": {"user": {"regions": 1}}}')
        ctl("ping")
        old = main_pid()
        machine.write_file(CONFIGURATION, '{"limits": {"user": {"reigons": 5}}}')
        machine.run("systemctl", "reload", SERVICE, check=False)
        entry = wait_until(
            lambda: machine.journal(f"MESSAGE_ID={CONFIG_REFUSED}", f"_PID={old}"),
            "the refusal is in the journal",
        )[0]
        self.assertIn("reigons", entry["MESSAGE"])
        self.assertIn(CONFIGURATION, entry["MESSAGE"])
        self.assertEqual(machine.get_property(SERVICE, "ActiveState"), "active")
        self.assertEqual(main_pid(), old)
        ctl("create", f"user/{READER}/one", "4096", user=READER)
        self.assertEqual(ctl("create", f"user/{READER}/two", "4096", user=READER, check=False).returncode, 1)

    def test_journal_has_fields(self):
        ctl("create", f"user/{READER}/journal", "4096", user=READER)
        ctl("chmod", "0640", f"user/{READER}/journal", user=READER)
        ctl("chmod", "0600", f"user/{READER}/journal")
        entries = machine.journal(f"SHMREG_REGION=user/{READER}/journal")
        kinds = [entry["MESSAGE_ID"] for entry in entries]
        self.assertEqual(kinds, [REGION_CREATED, RIGHTS_CHANGED, RIGHTS_CHANGED])
        for entry in entries:
            self.assertIn(f"user/{READER}/journal", entry["MESSAGE"])
            self.assertEqual(entry["_SYSTEMD_UNIT"], SERVICE)
            self.assertEqual(entry["SYSLOG_IDENTIFIER"], "shmregd")
        self.assertEqual(entries[1]["SHMREG_CLIENT_UID"], str(READER))
        self.assertGreater(int(entries[1]["SHMREG_CLIENT_PID"]), 0)
        self.assertIn("0640", entries[1]["SHMREG_REASON"])
        acts = [entry.get("SHMREG_ADMINISTRATOR") for entry in entries]
        self.assertEqual(acts, [None, None, "yes"])

    def test_journal_has_refusals_and_acts_of_administrators(self):
        ctl("create", "units/audit", "4096")
        machine.run(
            *("systemd-run", "--quiet", "--wait", "--collect", "--unit=audited"),
            "--setenv=PATH=/usr/local/bin:/usr/bin:/bin",
            *("setpriv", f"--reuid={READER}", f"--regid={READER}", "--clear-groups"),
            *("shmregctl", "get", "units/audit"),
            check=False,
        )
        machine.run("systemctl", "reload", SERVICE)
        ctl("reload")
        (refusal,) = machine.journal(f"MESSAGE_ID={REQUEST_REFUSED}", "SHMREG_REGION=units/audit")
        self.assertEqual(refusal["SHMREG_CLIENT_UID"], str(READER))
        self.assertEqual(refusal["SHMREG_CLIENT_UNIT"], "audited.service")
        self.assertIn("lacks the right 'r'", refusal["SHMREG_REASON"])
        act = machine.journal(f"MESSAGE_ID={ADMINISTRATION}", f"_PID={main_pid()}")[-1]
        self.assertEqual((act["SHMREG_REASON"], act["SHMREG_CLIENT_UID"]), ("Reload", "0"))

    def test_journalctl_explains(self):
        machine.run("journalctl", "--update-catalog")
        ctl("create", "units/explained", "4096")
        machine.run("journalctl", "--sync")
        match = f"MESSAGE_ID={REGION_CREATED}"
        explained = machine.run("journalctl", "-x", "--no-pager", match, "SHMREG_REGION=units/explained").stdout
        self.assertIn("Subject: Region units/explained was created", explained)

    def set_watchdog(self, seconds):
        content = f"[Service]\nWatchdogSec={seconds}\n"
        machine.write_file(f"/run/systemd/system/{SERVICE}.d/watchdog.conf", content)
        machine.run("systemctl", "daemon-reload")

    def test_watchdog_is_answered(self):
        self.set_watchdog(1)
        ctl("ping")
        old = main_pid()

        def last_ping():
            return int(machine.get_property(SERVICE, "WatchdogTimestampMonotonic"))

        first = last_ping()
        wait_until(lambda: last_ping() > first + 3000000, "pings for three seconds")
        self.assertEqual(main_pid(), old)

    def test_watchdog_replaces_a_daemon_that_hangs(self):
        self.set_watchdog(1)
        contents = create_of_each_backing()
        old = main_pid()
        machine.run("systemctl", "kill", "--signal=STOP", SERVICE)
        self.wait_for_new_process(old)
        self.assert_contents(contents)

    def test_exposure_is_low(self):
        ctl("ping")
        machine.run("systemd-analyze", "security", "--no-pager", "--threshold=10", SERVICE)


if __name__ == "__main__":
    require_namespaces()
    unittest.main(verbosity=2)
