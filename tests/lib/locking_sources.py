#!/usr/bin/env python3
"""Prints those of the source files given on standard input, separated by NUL, that say or include something of locks.

Usage: git ls-files -z -- '*.cc' | locking_sources.py

clang's thread-safety analysis has nothing to say about the others: no lock and no annotation of one is declared in what
they see. Included files are those of this repository, named from its top, which must be the working directory.
"""
import os
import re
import sys

LOCKS = re.compile(r"absl::Mutex|MutexLock|_GUARDED_BY|_LOCKS_(REQUIRED|EXCLUDED)|_LOCKABLE|_LOCK_FUNCTION")
INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)


def main():
    known = {}

    def sees_locks(path):
        if path not in known:
            known[path] = False
            if os.path.exists(path):
                text = open(path, encoding="utf-8").read()
                known[path] = bool(LOCKS.search(text)) or any(sees_locks(p) for p in INCLUDE.findall(text))
        return known[path]

    for path in sys.stdin.read().split("\0"):
        if path and sees_locks(path):
            sys.stdout.write(path + "\0")


main()
