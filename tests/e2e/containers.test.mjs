// Nothing of the containers that tests run stays on the machine.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Runtime, noContainers } from './lib/containers.mjs';
import { run } from './lib/process.mjs';

test('mounts below the memory of a runtime go with it', { skip: noContainers }, async () => {
  const runtime = await Runtime.open();
  const volume = path.join(runtime.memory, 'volume');
  const [program, ...args] = runtime.inside(['sh', '-c', 'mkdir "$1" && mount -t tmpfs tmpfs "$1"', 'sh', volume]);
  const { code, stderr } = await run(program, args, { env: process.env });
  assert.equal(code, 0, stderr);
  await runtime.close();
  // What holds them removes all itself, as it does where the tests are killed.
  assert.equal(await runtime.closed, 0);
  assert.equal(fs.existsSync(path.dirname(runtime.memory)), false);
});
