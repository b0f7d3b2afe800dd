"""A disk as a power cut leaves it, from the system calls that strace recorded.

The model is harsher than any file system: of what was not synced when the power went, each write of
a sector, each change of a size and each name may be on the disk or not, whatever their order. A
sync of a file keeps its content, a sync of a directory the names in it; O_DSYNC keeps one write.
"""

import os
import re

SECTOR = 512
HEX = re.compile(rb"(?:\\x[0-9a-f]{2})*")
CALL = re.compile(rb"(\d+) +(\w+)\((.*)\) += (-?\d+)")
UNFINISHED = re.compile(rb"(\d+) +(\w+\(.*) <unfinished \.\.\.>$")
RESUMED = re.compile(rb"(\d+) +<\.\.\. \w+ resumed>(.*)$")
TRACED = (
    "openat,close,fcntl,lseek,write,pwrite64,writev,pwritev,ftruncate,fallocate,copy_file_range,"
    "renameat,renameat2,unlinkat,fsync,fdatasync,sendmsg,sendto"
)


def decode(text):
    return bytes.fromhex(text.replace(b"\\x", b"").decode())


def strings(text):
    return [decode(quoted) for quoted in re.findall(rb'"((?:\\x[0-9a-f]{2})*)"', text)]


def calls(path):
    """The finished calls in order of their end: name, arguments as text, result."""
    begun = {}
    with open(path, "rb") as file:
        for line in file:
            if match := UNFINISHED.match(line):
                begun[match[1]] = match[2]
                continue
            if match := RESUMED.match(line):
                line = match[1] + b" " + begun.pop(match[1]) + match[2]
            if match := CALL.match(line):
                yield match[2].decode(), match[3], int(match[4])


class File:
    def __init__(self, content=b""):
        self.base = content  # on disk before the record begins
        self.content = bytearray(content)  # what programs see
        self.position = 0


class Change:
    """One change that a power cut may undo, until it is synced."""

    def __init__(self, where, apply):
        self.where = where  # a file or the path of a directory
        self.apply = apply
        self.synced_at = None


class Disk:
    """Reads a record of calls; images() are what may be left of the directory below @root."""

    def __init__(self, root, base):
        self.root = root
        self.base = {}  # path below root: its file
        for directory, _, names in os.walk(base):
            for name in names:
                path = os.path.join(directory, name)
                with open(path, "rb") as file:
                    self.base[os.path.relpath(path, base)] = File(file.read())
        self.names = dict(self.base)
        self.descriptors = {}  # number: (a file or the path of a directory, whether O_DSYNC)
        self.changes = []
        self.answers = [0]  # how many had been sent after so many changes
        self.boundaries = [0]  # how many changes there are between two calls

    def read(self, path):
        for name, arguments, result in calls(path):
            handler = getattr(self, "on_" + name, None)
            if handler and result >= 0:
                handler(arguments, result)
                if self.boundaries[-1] < len(self.changes):
                    self.boundaries.append(len(self.changes))

    # The directory of a call that has one, and the name in it, as a path below root.
    def path(self, arguments, which=0):
        directories = re.findall(rb"(?:^|, )(?:\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})*)>", arguments)
        directory = os.fsdecode(decode(directories[which]))
        name = os.fsdecode(strings(arguments)[which])
        path = os.path.relpath(os.path.join(directory, name), self.root)
        return None if path.startswith("..") else path

    def descriptor(self, arguments):
        return int(re.match(rb"\d+", arguments)[0])

    def opened(self, arguments):
        return self.descriptors.get(self.descriptor(arguments), (None, False))

    def record(self, where, apply, synced=False):
        change = Change(where, apply)
        self.changes.append(change)
        self.answers.append(self.answers[-1])
        if synced:
            change.synced_at = len(self.changes)

    def name(self, *pairs):
        """Names come and go together: (path, file or None)."""
        for path, file in pairs:
            if file:
                self.names[path] = file
            else:
                self.names.pop(path, None)
        self.record(os.path.dirname(pairs[0][0]), lambda names, contents: names.update(pairs))

    def write(self, file, offset, data, synced):
        end = offset + len(data)
        file.content.extend(bytes(max(0, end - len(file.content))))
        file.content[offset:end] = data
        while data:
            size = SECTOR - offset % SECTOR
            self.record(file, self.writer(file, offset, data[:size]), synced)
            offset, data = offset + size, data[size:]

    @staticmethod
    def writer(file, offset, data):
        def apply(names, contents):
            content = contents[file]
            content.extend(bytes(max(0, offset + len(data) - len(content))))
            content[offset : offset + len(data)] = data

        return apply

    def on_openat(self, arguments, result):
        path = self.path(arguments)
        self.descriptors.pop(result, None)
        if path is None:
            return
        if b"O_DIRECTORY" in arguments:
            self.descriptors[result] = ("" if path == "." else path, False)
            return
        if b"O_CREAT" in arguments and path not in self.names:
            self.name((path, File()))
        if path in self.names:
            self.descriptors[result] = (self.names[path], b"O_DSYNC" in arguments)

    def on_close(self, arguments, result):
        self.descriptors.pop(self.descriptor(arguments), None)

    def on_fcntl(self, arguments, result):
        if b"F_DUPFD" in arguments:
            self.descriptors[result] = self.opened(arguments)

    def on_lseek(self, arguments, result):
        file, _ = self.opened(arguments)
        if isinstance(file, File):
            file.position = result

    def on_pwrite64(self, arguments, result):
        file, synced = self.opened(arguments)
        if isinstance(file, File):
            offset = int(arguments.rsplit(b", ", 1)[1])
            self.write(file, offset, strings(arguments)[-1][:result], synced)

    def on_pwritev(self, arguments, result):
        file, synced = self.opened(arguments)
        if isinstance(file, File):
            offset = int(arguments.rsplit(b", ", 1)[1])
            self.write(file, offset, b"".join(strings(arguments))[:result], synced)

    def on_write(self, arguments, result):
        file, synced = self.opened(arguments)
        data = b"".join(strings(arguments))[:result]
        if isinstance(file, File):
            self.write(file, file.position, data, synced)
            file.position += result
        elif b"<" + b"".join(b"\\x%02x" % byte for byte in b"socket:") in arguments:
            self.answers[-1] += data.count(b"\0")

    on_writev = on_sendmsg = on_sendto = on_write

    def on_ftruncate(self, arguments, result):
        file, synced = self.opened(arguments)
        size = int(arguments.rsplit(b", ", 1)[1])
        if not isinstance(file, File):
            return

        def apply(names, contents):
            resize(contents[file], size)

        resize(file.content, size)
        self.record(file, apply, synced)

    def on_copy_file_range(self, arguments, result):
        numbers = re.match(rb"(\d+)<.*?>, \[(\d+)\], (\d+)<.*?>, \[(\d+)\]", arguments)
        source, _ = self.descriptors[int(numbers[1])]
        target, synced = self.descriptors[int(numbers[3])]
        start = int(numbers[2])
        self.write(target, int(numbers[4]), bytes(source.content[start : start + result]), synced)

    def on_renameat(self, arguments, result):
        old, new = self.path(arguments, 0), self.path(arguments, 1)
        if old is not None:
            self.name((new, self.names[old]), (old, None))

    on_renameat2 = on_renameat

    def on_unlinkat(self, arguments, result):
        path = self.path(arguments)
        if path is not None:
            self.name((path, None))

    def on_fsync(self, arguments, result):
        where, _ = self.opened(arguments)
        for change in self.changes:
            if where is not None and change.where is where or change.where == where:
                change.synced_at = change.synced_at or len(self.changes)

    on_fdatasync = on_fsync

    def image(self, cut, keep):
        """Path and content of each file after the power went before change @cut; of what was not
        synced, what @keep says stays."""
        names = dict(self.base)
        contents = {}
        for change in self.changes[:cut]:
            if isinstance(change.where, File):
                contents.setdefault(change.where, bytearray(change.where.base))
            if change.synced_at and change.synced_at <= cut or keep():
                change.apply(names, contents)
        return {
            path: bytes(contents.get(file, file.base)) for path, file in names.items() if file
        }


def resize(content, size):
    del content[size:]
    content.extend(bytes(size - len(content)))
