#!/usr/bin/env python3
"""run-with-daemon.py COMMAND...: runs a test of any language against a daemon of its own.

The command finds it by SHMREG_SOCKET and SHMREG_ADMIN_SOCKET; its exit status is passed on. Needs
SHMREGD and SHMREGCTL in the environment.
"""

import json
import os
import subprocess
import sys

from shmregctl import ctl, daemon


def destroy_all():
    """Persistent regions would outlive the daemon."""
    for region in json.loads(ctl("--json", "list").stdout)["regions"]:
        ctl("destroy", region["name"])


def main():
    daemon.start()
    try:
        environment = dict(
            os.environ,
            SHMREG_SOCKET=daemon.client_socket,
            SHMREG_ADMIN_SOCKET=daemon.socket,
        )
        return subprocess.run(sys.argv[1:], env=environment, check=False).returncode
    finally:
        destroy_all()
        daemon.stop()


if __name__ == "__main__":
    sys.exit(main())
