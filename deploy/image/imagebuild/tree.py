"""A file system tree in memory, which becomes a layer of an image or a directory."""

import os
from dataclasses import dataclass

from .errors import BuildError


@dataclass(frozen=True)
class Entry:
    # None for a directory.
    data: bytes
    mode: int
    owner: int = 0


class Tree:
    """Entries by path, without a slash at either end. All belong to root and are for everyone to read, or say otherwise."""

    def __init__(self):
        self._entries = {}

    def add_file(self, path, data, mode=0o644):
        self._add(path, Entry(data, mode))

    def add_directory(self, path, mode=0o755, owner=0):
        self._add(path, Entry(None, mode, owner))

    def add_tree(self, other):
        for path, entry in other.sorted():
            if entry.data is not None or path not in self._entries:
                self._add(path, entry)

    def sorted(self):
        """Pairs of path and entry, a directory before what is in it."""
        return sorted(self._entries.items())

    @property
    def size(self):
        return sum(len(entry.data) for entry in self._entries.values() if entry.data is not None)

    def _add(self, path, entry):
        if path in self._entries:
            raise BuildError(f"two files want to be /{path} in the image")
        parent = os.path.dirname(path)
        if parent and parent not in self._entries:
            self.add_directory(parent)
        self._entries[path] = entry

    def write_to(self, directory, mtime):
        """Makes `directory`, which must not exist, with all of it. Owners can only be set by root."""
        os.mkdir(directory, 0o755)
        for path, entry in self.sorted():
            place = os.path.join(directory, path)
            if entry.data is None:
                os.mkdir(place)
            else:
                with open(place, "xb") as file:
                    file.write(entry.data)
            os.chmod(place, entry.mode)
            if os.geteuid() == 0:
                os.chown(place, entry.owner, entry.owner)
        for path, _ in reversed(self.sorted()):
            os.utime(os.path.join(directory, path), (mtime, mtime))
        os.utime(directory, (mtime, mtime))
