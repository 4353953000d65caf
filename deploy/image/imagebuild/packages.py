"""What is taken from Debian packages, and what an image says about it."""

import os
import re

from .errors import BuildError
from .tools import output_of, read

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n")


def owner_of(path):
    """Name of the package that a file of this machine is from. Packages may know it from before /lib became /usr/lib."""
    names = {path, path.removeprefix("/usr") if path.startswith("/usr/lib") else f"/usr{path}"}
    for name in sorted(names):
        try:
            answer = output_of(["dpkg-query", "--search", name], "looking for a package")
        except BuildError:
            continue
        return answer.split(":")[0]
    raise BuildError(f"{path} is of no Debian package, so an image cannot say which version it has; remove it, and "
                     "install the package that has it")


def record_of(package):
    """What dpkg has on a package, in the form and place where scanners of images look: var/lib/dpkg/status.d/NAME."""
    fields = ("Package", "Version", "Architecture", "Maintainer", "Source", "Section", "Homepage")
    form = "Status: ${db:Status-Want} ${db:Status-Eflag} ${db:Status-Status}\\n"
    form += "".join(f"{field}: ${{{field}}}\\n" for field in fields)
    lines = output_of(["dpkg-query", "--show", f"--showformat={form}", package], f"package {package}").splitlines()
    return "".join(f"{line}\n" for line in lines if not line.endswith(": ")).encode()


def copyright_of(package):
    path = f"/usr/share/doc/{package}/copyright"
    if not os.path.isfile(path):
        raise BuildError(f"there is no {path}, which has to go with the image; install {package}, with its copyright file")
    return read(path)


def certificate_bundle():
    """The CAs of the package ca-certificates. What this machine trusts besides is its own affair, so its bundle is not used."""
    listed = output_of(["dpkg-query", "--listfiles", "ca-certificates"], "the CA certificates").splitlines()
    paths = sorted(path for path in listed if path.startswith("/usr/share/ca-certificates/") and path.endswith(".crt"))
    bundle = b"".join(certificate for path in paths for certificate in _CERTIFICATE.findall(read(path)))
    if not bundle:
        raise BuildError("the package ca-certificates has no certificate; install it again")
    return bundle
