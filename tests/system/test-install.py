#!/usr/bin/env python3
"""`meson install` puts things where systemd, pkg-config and man expect them, below DESTDIR."""

import os
import re
import subprocess
import sys
import tempfile
import unittest

BUILD_DIRECTORY, PREFIX, MANDIR, PYTHON = sys.argv[1:5]
del sys.argv[1:5]
SOURCES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

PROGRAM = """
#include <errno.h>
#include <shmreg.h>
#include <stdio.h>

int main(void) {
    shmreg_conn *conn;
    int r = shmreg_connect("/nowhere/client.sock", &conn);

    puts(shmreg_error_message());
    return r == -ENOENT ? 0 : 1;
}
"""

destination = None


def setUpModule():
    global destination
    destination = tempfile.TemporaryDirectory(prefix="shmreg-install.")
    run("meson", "install", "-C", BUILD_DIRECTORY, "--no-rebuild", "--destdir", destination.name)


def tearDownModule():
    destination.cleanup()


def run(*command, **options):
    result = subprocess.run(command, capture_output=True, text=True, **options)
    if result.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {result.stdout}{result.stderr}")
    return result.stdout


def installed(path):
    return destination.name + os.path.abspath(path)


def systemd_path(variable):
    return run("pkg-config", f"--variable={variable}", "systemd").strip()


class InstallTest(unittest.TestCase):
    def assert_installed(self, *paths):
        for path in paths:
            self.assertTrue(os.path.isfile(installed(path)), path)

    def test_programs(self):
        for path in ("sbin/shmregd", "bin/shmregctl", "libexec/shmregd/shmreg-fsck"):
            output = run(installed(f"{PREFIX}/{path}"), "--version")
            self.assertRegex(output, rf"^{os.path.basename(path)} \d+\.\d+\.\d+$")

    def test_units_are_where_systemd_looks(self):
        for variable in ("systemdsystemunitdir", "systemduserunitdir"):
            for unit in ("shmregd.service", "shmregd-client.socket", "shmregd-admin.socket"):
                self.assert_installed(f"{systemd_path(variable)}/{unit}")
        self.assert_installed(f"{systemd_path('sysusersdir')}/shmregd.conf")
        self.assert_installed(f"{systemd_path('tmpfilesdir')}/shmregd.conf")

    def test_man_pages_are_where_man_looks(self):
        pages = ("shmregd.8", "shmreg-fsck.8", "shmregctl.1", "shmregd.json.5", "libshmreg.3")
        for page in (*pages, "libshmreg-posix.7", "shmregd.regions.5"):
            self.assert_installed(f"{PREFIX}/{MANDIR}/man{page[-1]}/{page}")

    @unittest.skipUnless(PYTHON, "built without Python")
    def test_package_is_where_python_looks(self):
        program = "import site; print(*site.getsitepackages(), sep='\\n')"
        folders = run(PYTHON, "-c", program).split()
        (folder,) = (it for it in folders if os.path.isdir(installed(it + "/shmreg")))
        (library,) = run("find", destination.name, "-name", "libshmreg.so.0").split()
        environment = {
            "LD_LIBRARY_PATH": os.path.dirname(library),
            "PYTHONPATH": installed(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        output = run(PYTHON, "-c", "import shmreg; print(shmreg.__version__)", env=environment)
        self.assertRegex(output, r"^\d+\.\d+\.\d+$")

    def test_program_builds_with_pkg_config_and_runs(self):
        (pc_file,) = run("find", destination.name, "-name", "shmreg.pc").split()
        environment = dict(os.environ)
        environment["PKG_CONFIG_PATH"] = os.path.dirname(pc_file)
        environment["PKG_CONFIG_SYSROOT_DIR"] = destination.name
        flags = run("pkg-config", "--cflags", "--libs", "shmreg", env=environment).split()
        with tempfile.TemporaryDirectory() as directory:
            source, program = f"{directory}/program.c", f"{directory}/program"
            with open(source, "w") as file:
                file.write(PROGRAM)
            run("cc", "-Wall", "-Werror", "-o", program, source, *flags)
            libraries = os.path.dirname(os.path.dirname(pc_file))
            output = run(program, env=dict(os.environ, LD_LIBRARY_PATH=libraries))
        self.assertIn("/nowhere/client.sock", output)

    def test_library_needs_only_libc(self):
        (library,) = run("find", destination.name, "-name", "libshmreg.so.0").split()
        needed = re.findall(r"NEEDED\s+(?!ld-linux)(\S+)", run("objdump", "-p", library))
        self.assertEqual(needed, ["libc.so.6"])

    def test_shim_is_beside_the_library(self):
        (library,) = run("find", destination.name, "-name", "libshmreg.so.0").split()
        directory = os.path.dirname(library)
        shim = f"{directory}/libshmreg-posix.so"
        self.assertIn("libshmreg.so.0", run("objdump", "-p", shim))
        # The loader warns of what it cannot preload, and goes on without.
        environment = dict(os.environ, LD_LIBRARY_PATH=directory, LD_PRELOAD=shim)
        result = subprocess.run(["true"], env=environment, capture_output=True, check=True)
        self.assertEqual(result.stderr, b"")

    def test_catalogue_explains_every_kind_of_event(self):
        with open(f"{SOURCES}/daemon/ground/log.h", encoding="utf-8") as file:
            kinds = re.findall(r'X\(\w+,\s+"([0-9a-f]{32})"', file.read())
        path = systemd_path("catalogdir") + "/shmregd.catalog"
        with open(installed(path), encoding="utf-8") as file:
            explained = re.findall(r"^-- (\S+)$", file.read(), re.MULTILINE)
        self.assertGreater(len(kinds), 10)
        self.assertEqual(explained, kinds)
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(root + os.path.dirname(path))
            os.makedirs(root + "/var/lib/systemd/catalog")
            os.symlink(installed(path), root + path)
            run("journalctl", "--update-catalog", f"--root={root}")
            listed = run("journalctl", "--list-catalog", f"--root={root}", "--no-pager")
        self.assertEqual(sorted(re.findall("^[0-9a-f]{32}", listed, re.MULTILINE)), sorted(kinds))

    def test_units_are_valid(self):
        for manager, variable in (("--system", "systemdsystemunitdir"), ("--user", "systemduserunitdir")):
            self.verify(manager, installed(systemd_path(variable)))

    def verify(self, manager, directory):
        """systemd-analyze says nothing of good units; programs and man pages are not in place yet."""
        names = ("shmregd.service", "shmregd-client.socket", "shmregd-admin.socket")
        with tempfile.TemporaryDirectory() as copies:
            for name in names:
                with open(f"{directory}/{name}") as original, open(f"{copies}/{name}", "w") as copy:
                    copy.write(original.read().replace(f"={PREFIX}", f"={installed(PREFIX)}"))
            environment = dict(os.environ, SYSTEMD_UNIT_PATH=f"{copies}:")
            if manager == "--user":
                environment["XDG_RUNTIME_DIR"] = copies
            result = subprocess.run(
                ["systemd-analyze", "verify", manager, "--man=no"]
                + [f"{copies}/{name}" for name in names],
                capture_output=True,
                text=True,
                env=environment,
            )
        complaints = [line for line in result.stderr.splitlines() if "shmreg" in line]
        self.assertEqual(complaints, [])
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_exposure_is_low(self):
        unit = installed(f"{systemd_path('systemdsystemunitdir')}/shmregd.service")
        run("systemd-analyze", "security", "--no-pager", "--offline=yes", "--threshold=10", unit)


if __name__ == "__main__":
    unittest.main(verbosity=2)
