// What Keyferry's programs load, write and show to other processes of the machine.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { contentsOf, secret, serverFile, startServer, temporaryDirectory } from './lib/fixture.mjs';
import { programs } from './lib/platform.mjs';
import { commandLineOf, coreLimitOf, environOf, linkedLibrariesOf, mappedLibrariesOf } from './lib/process.mjs';

let directory, server, admin;
const secrets = [];

function remember(value) {
  secrets.push(value);
  return value;
}

before(async () => {
  directory = temporaryDirectory();
  server = await startServer(directory);
  admin = server.admin();
  remember(admin.token);
  const ann = await server.user('ann');
  remember(ann.token);
  await admin.cli(['credential', 'create', 'API_KEY', '--description', 'for tests'], remember(secret('first')));
  await admin.cli(['credential', 'rotate', 'API_KEY'], remember(secret('second')));
  await ann.cli(['credential', 'create', 'API_KEY', '--me'], remember(secret('mine')));
  await admin.apply(serverFile('tools', ['name: API_KEY, orgSecret: API_KEY', `name: FIXED, static: ${remember(secret('static'))}`]));
  assert.equal((await ann.inject(['--mcp-server', 'tools', '--', 'true'])).code, 0);
  // Failures are logged as well, and must not show what was sent.
  await admin.inject(['--mcp-server', 'absent', '--', 'true']);
  await assert.rejects(admin.cli(['credential', 'create', 'API_KEY'], remember(secret('duplicate'))));
  await assert.rejects(admin.cli(['credential', 'create', 'LD_PRELOAD'], remember(secret('hijack'))));
});

after(async () => {
  await server.stop();
  fs.rmSync(directory, { recursive: true });
});

// The C and C++ runtime; all else is linked statically.
const RUNTIME = /^(linux-vdso|ld-linux[-a-z0-9_]*|libc|libm|libstdc\+\+|libgcc_s)(\.so.*)$/;

describe('libraries', () => {
  for (const [name, program] of Object.entries(programs)) {
    // A static program (agent.test.mjs).
    if (name === 'launch') continue;
    test(`${name} links the C and C++ runtime and nothing else`, async () => {
      const libraries = await linkedLibrariesOf(program);
      assert.ok(libraries.length >= 3, libraries.join(' '));
      assert.deepEqual(libraries.filter((library) => !RUNTIME.test(library)), []);
    });
  }

  test('a running keyferryd has no OpenSSL mapped, nor any library but the runtime', () => {
    const libraries = mappedLibrariesOf(server.pid);
    assert.ok(libraries.length >= 3, libraries.join(' '));
    assert.deepEqual(libraries.filter((library) => /ssl|crypto/.test(library)), []);
    assert.deepEqual(libraries.filter((library) => !RUNTIME.test(library)), []);
  });
});

describe('keyferryd', () => {
  test('makes no core files and is not dumpable', () => {
    assert.equal(coreLimitOf(server.pid), '0');
    // Memory of a process that is not dumpable belongs to root and cannot be read by its own user.
    if (process.getuid() !== 0) assert.equal(fs.statSync(`/proc/${server.pid}/mem`).uid, 0);
  });

  test('says on one line that it is ready', () => assert.ok(server.readyLine.includes(server.address), server.readyLine));

  test('has no secret in its command line or environment', () => {
    const seen = JSON.stringify([commandLineOf(server.pid), environOf(server.pid)]);
    for (const value of secrets) assert.ok(!seen.includes(value));
  });

  test('writes files that only their owner can read', () => {
    const wrong = [];
    for (const entry of fs.readdirSync(server.dataDir, { recursive: true })) {
      const file = path.join(server.dataDir, entry);
      const stat = fs.lstatSync(file);
      if ((stat.mode & 0o077) !== 0) wrong.push(`${entry} ${(stat.mode & 0o777).toString(8)}`);
    }
    // RocksDB's own files have modes of its own choice; their directory keeps others out.
    assert.equal(fs.statSync(server.dataDir).mode & 0o777, 0o700);
    assert.deepEqual(wrong.filter((line) => line.startsWith('dev')), []);
    for (const name of ['ca.pem', 'admin.token', 'address']) {
      assert.equal(fs.statSync(path.join(server.devDir, name)).mode & 0o777, 0o600, name);
    }
  });

  test('shows no value and no token in its log or on standard output', () => {
    const log = fs.readFileSync(server.logFile, 'utf8') + server.readyLine;
    assert.ok(log.length > 0);
    for (const value of secrets) assert.ok(!log.includes(value));
  });

  test('keeps no value in clear in any file of its data directory but the admin\'s token', () => {
    for (const { file, bytes } of contentsOf(server.dataDir)) {
      const found = secrets.filter((value) => bytes.includes(value));
      assert.deepEqual(found, file.endsWith('admin.token') ? [admin.token] : [], file);
    }
  });

  test('drains and ends with exit code 0 on SIGTERM, and opens again', async () => {
    const { code, signal } = await server.stop();
    assert.deepEqual({ code, signal }, { code: 0, signal: null });
    await server.start();
    await admin.cli(['credential', 'describe', 'API_KEY']);
  });
});
