#!/usr/bin/env python3
"""write-prices.py NAME: publishes each line of numbers that it reads as an array of float64

Readers in any language see the whole old array or the whole new one, and sleep in between. The region
lives as long as this process.
"""

import array
import sys

import shmreg


def main(name: str) -> None:
    connection = shmreg.connect()
    for line in sys.stdin:
        prices = array.array("d", map(float, line.split()))
        version = connection.put_array(name, prices, lifetime="owner", mode=0o644)
        print(f"{name}: version {version}, {len(prices)} prices", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: write-prices.py NAME")
    main(sys.argv[1])
