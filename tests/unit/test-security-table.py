#!/usr/bin/env python3
"""Every row of the tables in docs/security.md names tests, and every one of them exists and is run."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
REFERENCE = re.compile(r"`([a-z0-9-]+)/(\w+)`")


def rows(text):
    """The last cell of each row below a table's head, with its line number."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("|") and not line.endswith(" tests |") and not line.startswith("|---"):
            yield number, line.rstrip("|").rpartition("|")[2]


def fault(program, test):
    """What is wrong with a reference; None if nothing is."""
    sources = [*ROOT.glob(f"tests/*/test-{program}.c"), *ROOT.glob(f"tests/*/test-{program}.py")]
    if not sources:
        return f"there is no tests/*/test-{program}"
    for source in sources:
        text = source.read_text(encoding="utf-8")
        build = (source.parent / "meson.build").read_text(encoding="utf-8")
        name = program.removeprefix("ctl-")
        if not re.search(rf"'(test-)?({re.escape(program)}|{re.escape(name)})(\.py)?'", build):
            return f"{source.parent}/meson.build does not run {program}"
        if source.suffix == ".py" and re.search(rf"^    def {test}\(self", text, re.M):
            return None
        # Made, and added to its suite.
        if f"START_TEST({test})" in text and len(re.findall(rf"\b{test}\b", text)) > 1:
            return None
    return f"{program} has no test {test}"


def main():
    document = ROOT / "docs/security.md"
    faults, count = [], 0
    for number, cell in rows(document.read_text(encoding="utf-8")):
        references = REFERENCE.findall(cell)
        count += len(references)
        if not references:
            faults.append(f"{document}:{number}: no test")
        for reference in references:
            if why := fault(*reference):
                faults.append(f"{document}:{number}: {why}")
    if count == 0:
        faults.append(f"{document}: no tables")
    print(*faults, sep="\n", end="\n" if faults else "")
    print(f"{count} references, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
