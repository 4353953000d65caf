// Reads container images as deploy/image/build writes them: archives of an OCI image layout.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';

export const digestOf = (bytes) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const BLOCK = 512;
const KINDS = { 0: 'file', 5: 'directory' };

function textAt(block, start, length) {
  const field = block.subarray(start, start + length);
  const end = field.indexOf(0);
  return field.subarray(0, end < 0 ? length : end).toString();
}

const numberAt = (block, start, length) => Number.parseInt(textAt(block, start, length).trim() || '0', 8);

// Members of a POSIX tar archive (ustar), in their order. A kind that an image has no use for is its type flag.
export function readTar(bytes) {
  const members = [];
  for (let at = 0; at + BLOCK <= bytes.length && bytes[at] !== 0;) {
    const head = bytes.subarray(at, at + BLOCK);
    const size = numberAt(head, 124, 12);
    const prefix = textAt(head, 345, 155);
    const flag = String.fromCharCode(head[156]);
    members.push({
      path: (prefix === '' ? '' : `${prefix}/`) + textAt(head, 0, 100),
      kind: KINDS[flag] ?? flag,
      mode: numberAt(head, 100, 8),
      uid: numberAt(head, 108, 8),
      gid: numberAt(head, 116, 8),
      mtime: numberAt(head, 136, 12),
      names: textAt(head, 265, 32) + textAt(head, 297, 32),
      bytes: bytes.subarray(at + BLOCK, at + BLOCK + size),
    });
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return members;
}

// The one image of an archive. `files` are those of the layout by path; `members` all layers' members, in their order.
export function readImage(archive) {
  const files = Object.fromEntries(readTar(fs.readFileSync(archive)).filter(({ kind }) => kind === 'file').map((member) => [member.path, member.bytes]));
  const blob = ({ digest }) => files[`blobs/${digest.replace(':', '/')}`];
  const index = JSON.parse(files['index.json']);
  const manifest = JSON.parse(blob(index.manifests[0]));
  const config = JSON.parse(blob(manifest.config));
  const layers = manifest.layers.map((descriptor) => {
    const plain = gunzipSync(blob(descriptor));
    return { descriptor, diffId: digestOf(plain), members: readTar(plain) };
  });
  return { files, blob, index, manifest, config, layers, members: layers.flatMap(({ members }) => members) };
}

// Writes an image's files below a directory, which is made, with their owners and modes.
export function unpack(image, directory) {
  fs.mkdirSync(directory, { mode: 0o755 });
  for (const member of image.members) {
    const place = path.join(directory, member.path);
    if (member.kind === 'directory') fs.mkdirSync(place, { recursive: true });
    else fs.writeFileSync(place, member.bytes);
    fs.chmodSync(place, member.mode);
    fs.chownSync(place, member.uid, member.gid);
  }
}
