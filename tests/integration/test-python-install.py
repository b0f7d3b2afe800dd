#!/usr/bin/env python3
"""What `pip install` does with the package: built and loaded in an environment of its own, offline."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from pythonclient import TIMEOUT, main


class Pip(unittest.TestCase):
    def test_install_and_use(self):
        source = os.path.join(os.environ["SHMREG_SOURCE"], "client/python")
        library = os.environ["LIBSHMREG"]
        with tempfile.TemporaryDirectory(prefix="shmreg-pip-") as folder:
            shutil.copytree(source, folder + "/source")
            environment = {
                key: value for key, value in os.environ.items() if not key.startswith("PYTHON")
            }
            environment["PKG_CONFIG_PATH"] = os.environ["SHMREG_PKG_CONFIG"]
            environment["CFLAGS"] = "-O0"
            environment["LD_LIBRARY_PATH"] = os.path.dirname(library)
            self.run_there(
                environment,
                *(sys.executable, "-m", "venv", "--system-site-packages", "--without-pip"),
                folder + "/venv",
            )
            python = folder + "/venv/bin/python3"
            self.run_there(
                environment,
                *(python, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-index"),
                *("--disable-pip-version-check", folder + "/source"),
            )
            program = """
import importlib.metadata, shmreg
shmreg.put_array("pip", b"installed")
print(shmreg.__file__, importlib.metadata.version("shmreg"))
with shmreg.connect() as daemon:
    print(bytes(daemon.open("pip")))
    daemon.destroy("pip")
"""
            output = self.run_there(environment, python, "-c", program, cwd=folder)
        site = f"venv/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
        self.assertEqual(output, f"{folder}/{site}/shmreg/__init__.py 0.1.0\nb'installed'\n")

    def run_there(self, environment, *command, cwd=None):
        done = subprocess.run(
            command,
            env=environment,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=4 * TIMEOUT,
            check=False,
            text=True,
        )
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout


if __name__ == "__main__":
    main()
