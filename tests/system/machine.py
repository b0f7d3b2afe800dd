"""A systemd of its own with shmregd installed (see boot-systemd), and commands run in it."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

DEADLINE_SECONDS = 30
BOOT_SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "boot-systemd")


def skip(reason):
    """Ends the test program as skipped, which meson knows by the exit status."""
    print(reason)
    sys.exit(77)


def require_namespaces():
    """Skips unless namespaces and control groups can be made as boot-systemd makes them."""
    if os.geteuid() != 0:
        skip("needs root: it boots a systemd in namespaces of its own")
    with tempfile.TemporaryDirectory() as directory:
        probe = (
            "nsenter --mount=/proc/self/ns/mnt mount --make-rprivate / && "
            f"mount -t cgroup2 cgroup2 {directory} && "
            "unshare --pid --fork --kill-child --uts --ipc --cgroup true"
        )
        result = subprocess.run(
            ["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", probe],
            capture_output=True,
            text=True,
        )
    if result.returncode != 0:
        skip(f"no namespaces or control groups here: {result.stderr.strip()}")


def wait_until(condition, what):
    """Asks until the condition holds, and returns its true value."""
    end = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {DEADLINE_SECONDS} seconds: {what}")


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


class Machine:
    def __init__(self, build_directory):
        """Boots it; it ends with this program, in whichever way that ends."""
        self.build_directory = build_directory
        self.directory = tempfile.mkdtemp(prefix="shmreg-system.")
        self.init = None
        self.unshare = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL"]
            + ["unshare", "--mount", "--propagation", "unchanged"]
            + [BOOT_SCRIPT, self.directory, build_directory],
            stdin=subprocess.DEVNULL,
        )
        try:
            self.init = wait_until(self._find_init, "systemd runs")
            wait_until(self._is_booted, "systemd has booted")
        except BaseException:
            self.stop()
            raise

    def _find_init(self):
        """The only child of what began as `unshare` and is `unshare --fork` in the end."""
        if self.unshare.poll() is not None:
            raise AssertionError("boot-systemd failed")
        for child in children_of(self.unshare.pid):
            try:
                with open(f"/proc/{child}/comm") as comm:
                    if comm.read() == "systemd\n":
                        return child
            except FileNotFoundError:
                pass
        return None

    def _is_booted(self):
        result = self.run("systemctl", "is-system-running", "--wait", check=False)
        return result.stdout.strip() in ("running", "degraded")

    def _inside(self, command, user):
        namespaces = ["--pid", "--mount", "--uts", "--ipc", "--cgroup", "--root", "--wd"]
        as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        return ["nsenter", "--target", str(self.init)] + namespaces + as_user + list(command)

    def run(self, *command, user=None, check=True, input=None, text=True):
        """Runs a command to its end, as root or as another uid."""
        result = subprocess.run(
            self._inside(command, user),
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=text,
            timeout=DEADLINE_SECONDS,
            env={"PATH": os.defpath + ":/usr/local/bin:/usr/sbin:/sbin"},
        )
        if check and result.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {result.returncode}: {result.stderr}")
        return result

    def start(self, *command, user=None, stdin=False):
        """Starts a command whose output is read as it comes."""
        return subprocess.Popen(
            self._inside(command, user),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )

    def terminate(self, process):
        """Sends SIGTERM to a command that was started: nsenter waits for it, and has no other child."""
        (command,) = children_of(process.pid)
        os.kill(command, signal.SIGTERM)

    def get_property(self, unit, name):
        return self.run("systemctl", "show", "--value", "--property", name, unit).stdout.strip()

    def journal(self, *matches):
        """The entries of shmregd's journal, as dictionaries."""
        self.run("journalctl", "--sync")
        arguments = ["--no-pager", "--output=json", "--unit=shmregd.service"]
        lines = self.run("journalctl", *arguments, *matches).stdout.splitlines()
        return [json.loads(line) for line in lines]

    def write_file(self, path, content):
        """Writes a file in the machine; its directory is made."""
        self.run("mkdir", "-p", os.path.dirname(path))
        self.run("tee", path, input=content)

    def stop(self):
        """Ends the machine, and removes what is left of it: its control group and its directory."""
        ended = os.pidfd_open(self.init) if self.init else None
        self.unshare.kill()  # --kill-child
        self.unshare.wait()
        if ended is not None:
            select.select([ended], [], [], DEADLINE_SECONDS)
            os.close(ended)
        self._remove_control_group()
        shutil.rmtree(self.directory)

    def _remove_control_group(self):
        """In a mount of cgroup2 of its own: where the machine has it is not for us to guess."""
        script = (
            "nsenter --mount=/proc/self/ns/mnt mount --make-rprivate / && "
            'mount -t cgroup2 cgroup2 "$0" && '
            'own="$0$(sed -n s/^0:://p /proc/self/cgroup)/$(basename "$0")" && '
            'if [ -d "$own" ]; then find "$own" -depth -type d -exec rmdir {} +; fi'
        )
        subprocess.run(
            ["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", script, self.directory],
            check=True,
        )
