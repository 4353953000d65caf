// One keyferryd per test file, in a temporary directory that is removed afterwards.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import { Server } from './platform.mjs';

export function temporaryDirectory() {
  return fs.mkdtempSync(path.join(os.tmpdir(), 'keyferry-e2e-'));
}

export async function startServer(directory, flags = []) {
  const server = new Server(path.join(directory, 'data'), flags);
  await server.start();
  return server;
}

// A value that occurs nowhere else by chance.
export function secret(label) {
  return `${label}-${randomBytes(18).toString('base64url')}`;
}

// An MCP server file of one or more bindings, each a line of YAML flow mapping.
export function serverFile(id, bindings, extra = '') {
  return `id: ${id}\n${extra}transport: STDIO\ncommand: node\nargs: ["everything"]\nenv:\n${bindings.map((line) => `  - {${line}}`).join('\n')}\n`;
}

// All text of the files below a directory, byte for byte.
export function contentsOf(directory) {
  return fs.readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
    .map((file) => ({ file, bytes: fs.readFileSync(file) }));
}
