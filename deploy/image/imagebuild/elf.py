"""Programs and the shared libraries that they need, as readelf tells of them. Nothing is run to find out."""

import os
import re
from dataclasses import dataclass

from .errors import BuildError
from .tools import output_of

# readelf's name of a machine: its name in images (that of Go), in Debian, and in paths of libraries.
_ARCHITECTURES = {
    "Advanced Micro Devices X86-64": ("amd64", "amd64", "x86_64-linux-gnu"),
    "AArch64": ("arm64", "arm64", "aarch64-linux-gnu"),
}


@dataclass(frozen=True)
class Elf:
    path: str
    architecture: str
    debian_architecture: str
    triplet: str
    # The dynamic loader's path; empty in static programs and in libraries.
    interpreter: str
    needed: tuple


def read_elf(path):
    text = output_of(["readelf", "--file-header", "--program-headers", "--dynamic", "--wide", path], f"reading {path}")
    machine = re.search(r"^\s*Machine:\s+(.+)$", text, re.M)
    if machine is None:
        raise BuildError(f"{path} is no program: it has no ELF header")
    if machine[1] not in _ARCHITECTURES:
        raise BuildError(f"{path} is for {machine[1]}; images are made for {' and '.join(_ARCHITECTURES)}")
    if re.search(r"\((RPATH|RUNPATH)\)", text):
        raise BuildError(f"{path} looks for libraries in folders of its own (RUNPATH), which an image does not have")
    interpreter = re.search(r"\[Requesting program interpreter: ([^\]]+)\]", text)
    needed = re.findall(r"\(NEEDED\)\s+Shared library: \[([^\]]+)\]", text)
    return Elf(path, *_ARCHITECTURES[machine[1]], interpreter[1] if interpreter else "", tuple(needed))


def libraries_of(programs):
    """Path in an image: path on this machine, of the loader and of each library that the programs (`Elf`) need.

    Those are taken from where Debian's loader looks without a cache, so that an image needs none.
    """
    found = {}
    waiting = list(programs)
    while waiting:
        elf = waiting.pop()
        if elf.interpreter:
            found[elf.interpreter.lstrip("/")] = os.path.realpath(elf.interpreter)
        for name in elf.needed:
            place = f"lib/{elf.triplet}/{name}"
            loader = any(os.path.basename(path) == name for path in found)
            if loader or place in found:
                continue
            real = os.path.realpath(f"/{place}")
            if not os.path.isfile(real):
                raise BuildError(f"{elf.path} needs {name}, which is not in /lib/{elf.triplet}; install its package")
            found[place] = real
            waiting.append(read_elf(real))
    return found
