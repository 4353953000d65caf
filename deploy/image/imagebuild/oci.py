"""Images in the form of the OCI image specification, version 1.0 (1.1 reads the same). Equal trees give equal bytes."""

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from datetime import datetime, timezone

from .contents import ENVIRONMENT, NONROOT

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True)
class Layer:
    compressed: bytes
    # "DiffID" of config.md: the digest of the archive before compression.
    diff_id: str
    size: int
    made_by: str


@dataclass(frozen=True)
class BuiltImage:
    # Of the manifest: what `image@sha256:...` names.
    digest: str
    files: dict
    layers: tuple


def digest_of(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _archive(add_members):
    """A tar archive without anything of this machine in it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        add_members(archive)
    return buffer.getvalue()


def _member(path, mode, mtime, size=0, kind=tarfile.REGTYPE, owner=0):
    member = tarfile.TarInfo(path)
    member.mode, member.mtime, member.size, member.type = mode, mtime, size, kind
    member.uid = member.gid = owner
    return member


def make_layer(tree, mtime, made_by):
    """layer.md, "Creating" and "gzip Media Types": paths relative to the root, sorted, numbers for owners."""

    def add(archive):
        for path, entry in tree.sorted():
            if entry.data is None:
                archive.addfile(_member(f"{path}/", entry.mode, mtime, kind=tarfile.DIRTYPE, owner=entry.owner))
            else:
                archive.addfile(_member(path, entry.mode, mtime, len(entry.data), owner=entry.owner), io.BytesIO(entry.data))

    plain = _archive(add)
    # Level 9 is 1 % smaller and takes three times as long.
    return Layer(gzip.compress(plain, compresslevel=6, mtime=0), digest_of(plain), len(plain), made_by)


def _json(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _descriptor(media_type, data, **more):
    """descriptor.md, "Properties"."""
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), **more}


def labels_of(image, version):
    """annotations.md, "Pre-Defined Annotation Keys"."""
    prefix = "org.opencontainers.image"
    return {
        f"{prefix}.title": image.title,
        f"{prefix}.description": image.description,
        f"{prefix}.version": version,
        f"{prefix}.licenses": "Apache-2.0",
    }


def _config(image, version, architecture, layers, mtime):
    """config.md, "Properties"."""
    created = datetime.fromtimestamp(mtime, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "created": created,
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": f"{NONROOT}:{NONROOT}",
            "ExposedPorts": {f"{port}/tcp": {} for port in image.ports},
            "Env": [f"{name}={value}" for name, value in sorted(ENVIRONMENT.items())],
            "Entrypoint": [image.entrypoint],
            "Cmd": list(image.command),
            "WorkingDir": "/",
            "Labels": labels_of(image, version),
            "StopSignal": "SIGTERM",
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": created, "created_by": layer.made_by} for layer in layers],
    }


def build_image(image, version, architecture, layers, reference, mtime):
    """All files of an image layout (image-layout.md, "Content") that holds the one image, named `reference`."""
    blobs = {}

    def blob(media_type, data, **more):
        descriptor = _descriptor(media_type, data, **more)
        blobs[f"blobs/{descriptor['digest'].replace(':', '/')}"] = data
        return descriptor

    config = blob(_CONFIG, _json(_config(image, version, architecture, layers, mtime)))
    # manifest.md, "Image Manifest Property Descriptions".
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": config,
        "layers": [blob(_LAYER, layer.compressed) for layer in layers],
        "annotations": labels_of(image, version),
    }
    listed = blob(
        _MANIFEST,
        _json(manifest),
        platform={"architecture": architecture, "os": "linux"},
        annotations={"org.opencontainers.image.ref.name": reference},
    )
    # image-layout.md, "oci-layout file" and "index.json file".
    files = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json({"schemaVersion": 2, "mediaType": _INDEX, "manifests": [listed]}),
        **blobs,
    }
    return BuiltImage(listed["digest"], files, tuple(layers))


def layout_archive(files, mtime):
    """The layout as one tar archive, as `podman load`, `skopeo copy oci-archive:` and `ctr image import` take it."""

    def add(archive):
        for folder in ("blobs/", "blobs/sha256/"):
            archive.addfile(_member(folder, 0o755, mtime, kind=tarfile.DIRTYPE))
        for path, data in sorted(files.items()):
            archive.addfile(_member(path, 0o644, mtime, len(data)), io.BytesIO(data))

    return _archive(add)
