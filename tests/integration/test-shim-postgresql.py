#!/usr/bin/env python3
"""PostgreSQL under the shim, with a cluster of its own: parallel queries share memory by regions.

Its postmaster makes one at the start, which its children open after fork(2); every parallel query makes
another, which its workers open by name.
"""

import glob
import os
import re
import signal
import subprocess
import sys
import tempfile

from shmregctl import TIMEOUT, USER, Waiting, as_user, daemon, main

SKIPPED = 77
NAME = "shim-test"
PREFIX = f"user/{USER}/shm/PostgreSQL."
COUNT = "SELECT count(*), sum(abalance) FROM pgbench_accounts"
SETTINGS = """
dynamic_shared_memory_type = posix
listen_addresses = ''
fsync = off
shared_buffers = 8MB
max_connections = 20
max_parallel_workers_per_gather = 2
min_parallel_table_scan_size = 0
parallel_setup_cost = 0
parallel_tuple_cost = 0
"""


def find_programs():
    """The directory of the newest PostgreSQL there is."""
    found = glob.glob("/usr/lib/postgresql/*/bin/postgres")
    return os.path.dirname(max(found, key=lambda path: int(path.split("/")[4]))) if found else None


PROGRAMS = find_programs()


class PostgreSQL(Waiting):
    def setUp(self):
        self.directory = os.path.join(daemon.directory.name, "postgresql")
        os.mkdir(self.directory)
        os.chown(self.directory, USER, USER)
        self.data = os.path.join(self.directory, "data")
        self.server = None
        self.run_program("initdb", "-D", self.data, "-U", NAME, "--auth=trust", "--no-sync")
        with open(self.data + "/postgresql.conf", "a", encoding="utf-8") as file:
            file.write(SETTINGS + f"unix_socket_directories = '{self.directory}'\n")

    def tearDown(self):
        if self.server and self.server.poll() is None:
            self.kill_server()
        super().tearDown()

    def options(self):
        environment = dict(os.environ, SHMREG_SOCKET=daemon.client_socket, PGHOST=self.directory)
        environment.update(PGUSER=NAME, PGDATABASE="postgres", LC_ALL="C", SHMREG_SHIM_LINGER="1")
        return {"env": environment, "cwd": self.directory, "preexec_fn": as_user}

    def run_program(self, name, *arguments):
        result = subprocess.run(
            [os.path.join(PROGRAMS, name), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
            **self.options(),
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout.decode()

    def start_server(self):
        with open(self.directory + "/log", "a", encoding="utf-8") as log:
            self.server = subprocess.Popen(
                [os.environ["SHMREGCTL"], "exec", "--shim", "--"]
                + [os.path.join(PROGRAMS, "postgres"), "-D", self.data],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self.options(),
            )
        self.wait_until(lambda: self.server.poll() is not None or self.is_ready())
        with open(self.directory + "/log", encoding="utf-8") as log:
            self.assertIsNone(self.server.poll(), log.read())

    def is_ready(self):
        command = [os.path.join(PROGRAMS, "pg_isready"), "--quiet"]
        return subprocess.run(command, check=False, **self.options()).returncode == 0

    def processes(self):
        """The postmaster, as its lock file says, and its children."""
        with open(self.data + "/postmaster.pid", encoding="utf-8") as file:
            postmaster = int(file.readline())
        with open(f"/proc/{postmaster}/task/{postmaster}/children", encoding="utf-8") as file:
            return [postmaster, *map(int, file.read().split())]

    def kill_server(self):
        """The postmaster stops first, so that it starts nobody any more."""
        os.kill(self.processes()[0], signal.SIGSTOP)
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.assertEqual(self.server.wait(TIMEOUT), 128 + signal.SIGKILL)

    def regions(self):
        regions = self.reply("list")["regions"]
        for region in regions:
            self.assertTrue(region["name"].startswith(PREFIX), region)
            self.assertEqual((region["owner_uid"], region["mode"]), (USER, "0600"))
        return {region["name"] for region in regions}

    def run_parallel_queries(self):
        """The benchmark while it runs, and once regions of its queries have been seen."""
        before = self.regions()
        script = os.path.join(self.directory, "count.sql")
        with open(script, "w", encoding="utf-8") as file:
            file.write(COUNT + ";\n")
        command = [os.path.join(PROGRAMS, "pgbench"), "-n", "-f", script, "-c2", "-t1000000"]
        seen = set()
        with open(self.directory + "/pgbench-log", "a", encoding="utf-8") as log:
            benchmark = subprocess.Popen(command, stdout=log, stderr=log, **self.options())

        def is_enough():
            seen.update(self.regions() - before)
            return len(seen) >= 4 or benchmark.poll() is not None

        self.wait_until(is_enough)
        self.assertIsNone(benchmark.poll())
        return benchmark

    def test_killed_and_started_again(self):
        self.start_server()
        self.assertTrue(self.regions())
        self.run_program("pgbench", "--initialize", "--quiet", "--init-steps=dtg")
        plan = self.run_program("psql", "-c", "EXPLAIN (ANALYZE) " + COUNT)
        self.assertTrue(re.search("Workers Launched: [12]", plan), plan)

        benchmark = self.run_parallel_queries()
        self.assertEqual(glob.glob("/dev/shm/PostgreSQL*"), [])
        self.kill_server()
        self.assertNotEqual(benchmark.wait(TIMEOUT), 0)
        self.wait_until(lambda: not self.regions())
        self.assertEqual(os.listdir("/dev/shm"), [])

        self.start_server()
        self.assertEqual(self.run_program("psql", "-Atc", COUNT), "100000|0\n")
        benchmark = self.run_parallel_queries()
        benchmark.terminate()
        benchmark.wait(TIMEOUT)
        os.kill(self.processes()[0], signal.SIGINT)
        self.assertEqual(self.server.wait(TIMEOUT), 0)
        self.wait_until(lambda: not self.regions())
        self.assertEqual(os.listdir("/dev/shm"), [])


def mount_privately():
    """An empty /dev/shm, and accounts among which is the user: initdb asks for his name."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/dev/shm"], check=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as accounts:
        with open("/etc/passwd", encoding="utf-8") as present:
            accounts.write(f"{present.read()}{NAME}:x:{USER}:{USER}::/:/bin/sh\n")
        accounts.flush()
        os.chmod(accounts.name, 0o644)
        subprocess.run(["mount", "--bind", accounts.name, "/etc/passwd"], check=True)


if __name__ == "__main__":
    if not PROGRAMS:
        print("PostgreSQL is not installed")
        sys.exit(SKIPPED)
    if "PRIVATE" in os.environ:
        mount_privately()
        main()
    # What PostgreSQL has of System V's memory is left when it is killed, and goes with the namespace.
    os.environ["PRIVATE"] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--ipc", sys.executable, __file__])
