#!/usr/bin/env python3
"""What it costs Python to open a large array: time, and memory that becomes this process's."""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "integration"))

import numpy  # which the first array would import, and time and memory with it
import shmreg
from pythonclient import Case, daemon, main, resident

SIZE = 1 << 30
ROUNDS = 200


def waited(*pids):
    """Seconds that these processes were ready to run and had no CPU: somebody else's doing."""
    texts = (Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii") for pid in pids)
    return sum(int(text.split()[1]) for text in texts) / 1e9


def show(times):
    """Of times in order."""
    half, most = (times[len(times) * percent // 100] * 1e6 for percent in (50, 99))
    return f"{half:.0f} us (99%: {most:.0f} us)"


class Open(Case):
    def test_a_large_array(self):
        with self.daemon.create("large", SIZE, attributes={"dtype": "float64", "shape": [SIZE // 8]}):
            pass
        times, undisturbed = [], []
        before = resident()
        for _ in range(ROUNDS):
            with shmreg.connect() as connection:
                waits = waited(os.getpid(), daemon.process.pid)
                begin = time.perf_counter()
                region = connection.open("large")
                array = region.ndarray()
                first = array[0]
                times.append(time.perf_counter() - begin)
                undisturbed.append(times[-1] - waited(os.getpid(), daemon.process.pid) + waits)
            self.assertIsInstance(array, numpy.ndarray)
            self.assertEqual((first, array.nbytes), (0, SIZE))
            del array
            region.close()
        grown = resident() - before
        times.sort()
        undisturbed.sort()
        print(
            f"array of {SIZE >> 20} MiB: open, attributes, first element in {show(times)}, "
            f"without waiting for a CPU {show(undisturbed)}, resident memory grown by {grown >> 10} KiB"
        )
        self.assertLess(undisturbed[ROUNDS // 2], 0.001)
        self.assertLess(grown, 1 << 20)


if __name__ == "__main__":
    main()
