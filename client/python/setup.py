"""The extension module for pip, against the libshmreg that pkg-config finds; the rest is pyproject.toml."""

import shlex
import subprocess
from glob import glob

from setuptools import Extension, setup


def pkg_config(what):
    return shlex.split(subprocess.check_output(["pkg-config", what, "shmreg"], text=True))


setup(
    ext_modules=[
        Extension(
            "shmreg._shmreg",
            sorted(glob("native/*.c")),
            depends=glob("native/*.h"),
            extra_compile_args=[*pkg_config("--cflags"), "-fvisibility=hidden"],
            extra_link_args=pkg_config("--libs"),
        )
    ]
)
