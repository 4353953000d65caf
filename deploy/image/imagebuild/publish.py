"""Puts results in their place: each whole, and none before all are made."""

import os
import shutil

from .errors import BuildError


class Publication:
    """Collects results beside where they will be, and moves them there in the end.

    For `with`: nothing is left behind, wherever in its block an exception or a signal ends it.
    """

    def __init__(self, directory):
        self._directory = os.path.abspath(directory)
        self._work = os.path.join(self._directory, f".keyferry-image-{os.getpid()}")
        self._made_directory = not os.path.isdir(self._directory)
        self._results = []

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        shutil.rmtree(self._work, ignore_errors=True)
        if failed and self._made_directory and os.path.isdir(self._directory) and not os.listdir(self._directory):
            os.rmdir(self._directory)

    def open(self):
        try:
            os.makedirs(self._directory, exist_ok=True)
            os.mkdir(self._work, 0o700)
        except OSError as error:
            raise BuildError(f"cannot write to {self._directory}: {error.strerror}") from error

    def add_file(self, name, data):
        with open(self._place(name), "xb") as file:
            file.write(data)

    def add_layout(self, name, files):
        place = self._place(name)
        for path, data in files.items():
            os.makedirs(os.path.dirname(os.path.join(place, path)), exist_ok=True)
            with open(os.path.join(place, path), "xb") as file:
                file.write(data)

    def add_tree(self, name, tree, mtime):
        tree.write_to(self._place(name), mtime)

    def finish(self):
        """Moves the results, each over what an earlier build left. Answers their paths."""
        for name in self._results:
            self._check_replaceable(os.path.join(self._directory, name))
        return [self._move(name) for name in self._results]

    def _place(self, name):
        self._results.append(name)
        return os.path.join(self._work, name)

    def _check_replaceable(self, path):
        if os.path.islink(path) or not os.path.isdir(path):
            return
        if os.listdir(path) and not os.path.isfile(os.path.join(path, "oci-layout")):
            raise BuildError(f"{path} is there and is no image; move it away, or name another --output or --rootfs")

    def _move(self, name):
        made, target = os.path.join(self._work, name), os.path.join(self._directory, name)
        if os.path.isdir(target) and not os.path.islink(target):
            os.rename(target, f"{made}.old")
        os.replace(made, target)
        return target
