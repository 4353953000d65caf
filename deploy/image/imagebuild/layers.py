"""The two trees of an image: what all images share, so that a machine has it once, and what is its own."""

import os
import tempfile

from . import contents, packages
from .elf import libraries_of, read_elf
from .errors import BuildError
from .tools import output_of, read
from .tree import Tree


class Programs:
    """The programs of an image: read, checked to fit each other and this machine, and stripped."""

    def __init__(self, image, find):
        paths = {name: find(contents.PROGRAMS[name], name) for name in image.programs}
        self.elves = {name: read_elf(path) for name, path in paths.items()}
        self.architecture = self._architecture()
        self.version = self._version(image.programs[0], paths[image.programs[0]])
        self.stripped = {name: _stripped(path) for name, path in paths.items()}
        self.licenses = {name: find(contents.LICENSE_DIRECTORY, f"{name}-LICENSE") for name in contents.BUILT_LICENSES}

    def _architecture(self):
        # Their libraries come from this machine.
        here = output_of(["dpkg", "--print-architecture"], "the machine").strip()
        for elf in self.elves.values():
            if elf.debian_architecture != here:
                raise BuildError(f"{elf.path} is for {elf.debian_architecture}, and this machine's libraries are for {here}; "
                                 "build the image on a machine of its kind")
        return next(iter(self.elves.values())).architecture

    @staticmethod
    def _version(name, path):
        words = output_of([os.path.abspath(path), "--version"], f"asking {path} for its version").split()
        if len(words) != 2 or words[0] != name:
            raise BuildError(f"{path} does not say that it is {name}: `--version` answers \"{' '.join(words)[:80]}\"")
        return words[1]


def base_layer(programs):
    """Runtime, CA certificates and users."""
    tree = Tree()
    for path, text in contents.TEXT_FILES.items():
        tree.add_file(path, text.encode())
    tree.add_file(contents.CA_BUNDLE, packages.certificate_bundle())
    tree.add_file("etc/os-release", read("/usr/lib/os-release"))
    owners = {"ca-certificates"}
    for path, source in libraries_of(programs.elves.values()).items():
        # The loader is run by the kernel, the others are only read.
        tree.add_file(path, read(source), 0o755 if os.access(source, os.X_OK) else 0o644)
        owners.add(packages.owner_of(source))
    for package in owners:
        tree.add_file(f"var/lib/dpkg/status.d/{package}", packages.record_of(package))
    for package in owners.union(contents.STATIC_PACKAGES):
        tree.add_file(f"usr/share/doc/{package}/copyright", packages.copyright_of(package))
    return tree


def program_layer(image, programs, repository):
    tree = Tree()
    for name, data in programs.stripped.items():
        tree.add_file(f"{contents.PROGRAM_DIRECTORY}/{name}", data, 0o755)
    tree.add_file("usr/share/doc/keyferry/copyright", read(os.path.join(repository, "LICENSE")))
    for name in contents.BUILT_LICENSES:
        tree.add_file(f"usr/share/doc/{name}/copyright", read(programs.licenses[name]))
    for directory in image.directories:
        tree.add_directory(directory, 0o700, contents.NONROOT)
    return tree


def _stripped(path):
    with tempfile.TemporaryDirectory(prefix="keyferry-image-") as directory:
        result = os.path.join(directory, "stripped")
        output_of(["strip", "--strip-all", "-o", result, path], f"stripping {path}")
        return read(result)
