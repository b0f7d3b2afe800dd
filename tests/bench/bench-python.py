#!/usr/bin/env python3
"""What it costs Python to open a large array: time, and memory that becomes this process's."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "integration"))

import numpy  # which the first array would import, and time and memory with it
import shmreg
from pythonclient import Case, main, resident

SIZE = 1 << 30
ROUNDS = 200


class Open(Case):
    def test_a_large_array(self):
        with self.daemon.create("large", SIZE, attributes={"dtype": "float64", "shape": [SIZE // 8]}):
            pass
        times = []
        before = resident()
        for _ in range(ROUNDS):
            with shmreg.connect() as connection:
                begin = time.perf_counter()
                with connection.open("large") as region:
                    array = region.ndarray()
                    first = array[0]
                times.append(time.perf_counter() - begin)
            self.assertIsInstance(array, numpy.ndarray)
            self.assertEqual((first, array.nbytes), (0, SIZE))
            del array
        grown = resident() - before
        times.sort()
        print(
            f"array of {SIZE >> 20} MiB: open, attributes, first element in "
            f"{times[len(times) // 2] * 1e6:.0f} us (99%: {times[len(times) * 99 // 100] * 1e6:.0f} us), "
            f"resident memory grown by {grown >> 10} KiB"
        )
        self.assertLess(grown, 1 << 20)


if __name__ == "__main__":
    main()
