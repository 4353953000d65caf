"""What code in one container tries against the others. Prints what it got, as JSON: names and error names, no value."""
import ctypes
import errno
import json
import os
import re
import socket
import stat
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
libc.process_vm_readv.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong]
libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
PTRACE_ATTACH, PTRACE_DETACH = 16, 17
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MNT_DETACH = 1, 32, 4096, 2
JWT = re.compile(rb"eyJ[\w-]+\.[\w-]+\.[\w-]+")
HELLO = bytes.fromhex("0000001c01000100000000000000000000000000000000070000000474657374")


def attempt(function, *arguments):
    """'ok', or the name of the error."""
    try:
        function(*arguments)
        return "ok"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))


def called(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


def ask(address):
    """Says hello at a socket. The names of the variables that it answers with, or why there are none."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        try:
            peer.connect(address)
            peer.sendall(HELLO)
            stream = peer.makefile("rb")
            while True:
                size, kind = struct.unpack(">IB", stream.read(5))
                body = stream.read(size - 1)
                if kind == 16:
                    return {"variables": variables(body)}
                if kind == 18:
                    return {"error": body[0]}
        except OSError as error:
            return {"error": errno.errorcode.get(error.errno, type(error).__name__)}
        except struct.error:
            return {"error": "closed"}


def variables(body):
    (count,), at, names = struct.unpack(">I", body[16:20]), 20, []

    def text(start):
        (size,) = struct.unpack(">I", body[start:start + 4])
        return body[start + 4:start + 4 + size], start + 4 + size

    for _ in range(count):
        name, at = text(at)
        _, at = text(at)
        _, at = text(at + 1)
        at += 16
        names.append(name.decode())
    return sorted(names)


def search(*_):
    """Every socket and token that can be found by a path, those below /proc/PID/root, cwd and fd included."""
    own = str(os.getpid())
    roots = ["/"] + [f"/proc/{pid}/{link}" for pid in os.listdir("/proc") if pid.isdigit() and pid != own for link in ("root", "cwd")]
    found, seen = {"sockets": [], "tokens": []}, set()
    for root in roots:
        look_below(root, found, seen)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                look_at(f"/proc/{pid}/fd/{fd}", found)
        except OSError:
            pass
    return found


def look_below(root, found, seen):
    skipped = {"proc", "sys", "usr", "srv", "dev", "bin", "sbin", "lib", "lib32", "lib64"}
    for folder, folders, files in os.walk(root, onerror=lambda error: None):
        folders[:] = [name for name in folders if not (folder == root and name in skipped)]
        for name in files:
            path = os.path.join(folder, name)
            key = attempt(lambda: seen.add((os.stat(path).st_dev, os.stat(path).st_ino)))
            if key == "ok":
                look_at(path, found)


def look_at(path, found):
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISSOCK(mode) and not path.startswith("/proc/self"):
            answer = ask(path)
            if "variables" in answer:
                found["sockets"].append([path, answer["variables"]])
        elif stat.S_ISREG(mode) and os.stat(path).st_size < 1 << 20:
            with open(path, "rb") as file:
                if JWT.search(file.read()):
                    found["tokens"].append(path)
    except OSError:
        pass


def paths(*tried):
    return {path: ask(path).get("variables") or attempt(os.stat, path) for path in tried}


def mountinfo(*_):
    with open("/proc/self/mountinfo", encoding="utf8") as file:
        return sorted(line.split()[4] for line in file if "keyferry" in line.split()[4])


def unix(*_):
    """Names of sockets that /proc/net/unix has, of the network that the containers share, where somebody answers."""
    with open("/proc/net/unix", encoding="utf8") as file:
        names = [line.split()[7] for line in file.readlines()[1:] if len(line.split()) > 7]
    return {"listed": len(names), "answered": [name for name in names if "variables" in ask("\0" + name[1:] if name[0] == "@" else name)]}


def tamper(folder, *_):
    """Puts other things in a socket's place. What succeeds is undone, but for the last."""
    here, other = os.path.join(folder, "agent.sock"), os.path.join(folder, "moved")
    result = {"rename": attempt(os.rename, here, other)}
    attempt(os.rename, other, here)
    result["hard link"] = attempt(os.link, here, other)
    attempt(os.unlink, other)
    for name, make in [("symlink", lambda: os.symlink("/shared", other)), ("fifo", lambda: os.mkfifo(other)),
                       ("file", lambda: os.close(os.open(other, os.O_CREAT | os.O_WRONLY)))]:
        result[name] = attempt(make)
        attempt(os.unlink, other)
    result["bind"] = attempt(lambda: socket.socket(socket.AF_UNIX).bind(other))
    attempt(os.unlink, other)
    result["link out"] = attempt(os.link, here, "/shared/linked")
    attempt(os.unlink, "/shared/linked")
    result["chmod"] = attempt(os.chmod, here, 0o666)
    result["unlink"] = attempt(os.unlink, here)
    return result


def remount(folder, *_):
    """A user namespace of its own, with all capabilities in it, to make a read-only mount writable or to take it off."""
    result = {"namespace": attempt(lambda: called(libc.unshare(CLONE_NEWUSER | CLONE_NEWNS)))}
    path = folder.encode()
    result["writable"] = attempt(lambda: called(libc.mount(None, path, None, MS_REMOUNT | MS_BIND, None)))
    result["off"] = attempt(lambda: called(libc.umount2(path, MNT_DETACH)))
    result["unmasked"] = attempt(lambda: called(libc.umount2(b"/proc/keys", MNT_DETACH)))
    return result


def processes(*numbers):
    """What can be had of each process that is seen, and of those with these numbers."""
    own = {os.getpid(), os.getppid()}
    pids = {int(pid) for pid in os.listdir("/proc") if pid.isdigit()} | set(map(int, numbers))
    return {pid: against(pid) for pid in sorted(pids - own)}


def against(pid):
    result = {"program": "", "environ": "", "variables": []}
    try:
        with open(f"/proc/{pid}/comm", encoding="utf8") as file:
            result["program"] = file.read().strip()
        with open(f"/proc/{pid}/environ", "rb") as file:
            result["variables"] = sorted(entry.split(b"=")[0].decode() for entry in file.read().split(b"\0") if b"=" in entry)
        result["environ"] = "ok"
    except OSError as error:
        result["environ"] = errno.errorcode[error.errno]
    result["root"] = attempt(os.listdir, f"/proc/{pid}/root/")
    result["fd"] = attempt(os.readlink, f"/proc/{pid}/fd/0")
    address = address_in(pid)
    result["mem"] = attempt(read_memory, pid, address)
    result["readv"] = attempt(read_vector, pid, address)
    result["signal"] = attempt(os.kill, pid, 0)
    result["ptrace"] = attempt(trace, pid)
    return result


def address_in(pid):
    try:
        with open(f"/proc/{pid}/maps", encoding="utf8") as file:
            return int(next(line for line in file if " rw" in line).split("-")[0], 16)
    except (OSError, StopIteration):
        return 0x400000


def read_memory(pid, address):
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        file.seek(address)
        file.read(16)


def read_vector(pid, address):
    buffer = ctypes.create_string_buffer(16)
    local = (ctypes.c_ulong * 2)(ctypes.addressof(buffer), 16)
    remote = (ctypes.c_ulong * 2)(address, 16)
    called(libc.process_vm_readv(pid, ctypes.addressof(local), 1, ctypes.addressof(remote), 1, 0))


def trace(pid):
    called(libc.ptrace(PTRACE_ATTACH, pid, 0, 0))
    os.waitpid(pid, 0x40000000)
    libc.ptrace(PTRACE_DETACH, pid, 0, 0)


print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
