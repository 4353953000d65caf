"""Runs the tools of the machine, which deploy/setup installs."""

import os
import subprocess

from .errors import BuildError


def output_of(command, what):
    """Standard output of a command. `what` says in a failure's message what it was for."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except FileNotFoundError as error:
        raise BuildError(f"{what}: there is no {command[0]}; install it with `deploy/setup build`") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise BuildError(f"{what}: {command[0]} failed: {said[-1] if said else f'exit status {done.returncode}'}")
    return done.stdout.decode(errors="replace")


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise BuildError(f"cannot read {path}: {error.strerror}") from error
