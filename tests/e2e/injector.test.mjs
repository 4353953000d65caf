// keyferry-injector as a program: exit codes, streams, descriptors, signals and limits.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { secret, serverFile, startServer, temporaryDirectory } from './lib/fixture.mjs';
import { programs } from './lib/platform.mjs';
import { coreLimitOf, run } from './lib/process.mjs';

let directory, server, admin;
const value = secret('value');

before(async () => {
  directory = temporaryDirectory();
  server = await startServer(directory);
  admin = server.admin();
  await admin.cli(['credential', 'create', 'API_KEY'], value);
  await admin.apply(serverFile('tools', ['name: API_KEY, orgSecret: API_KEY']));
  await admin.apply(serverFile('lacking', [
    'name: API_KEY, orgSecret: API_KEY',
    'name: FIRST_MISSING, orgSecret: FIRST_MISSING',
    'name: SECOND_MISSING, userSecret: SECOND_MISSING',
  ]));
});

after(async () => {
  await server.stop();
  fs.rmSync(directory, { recursive: true });
});

const tools = (...command) => ['--mcp-server', 'tools', '--', ...command];

// Nothing was launched: the exit code, one line on standard error, silence on standard output.
function assertRefused(result, code, pattern) {
  assert.equal(result.code, code, result.stderr);
  assert.equal(result.stdout, '');
  assert.match(result.stderr, /^keyferry-injector: [^\n]+\n$/);
  assert.match(result.stderr, pattern);
  assert.ok(!result.stderr.includes(value));
  assert.ok(!result.stderr.includes(admin.token));
}

describe('exit codes before launch', () => {
  for (const [name, args, pattern] of [
    ['no MCP server', ['--', 'true'], /--mcp-server/],
    ['no command', ['--mcp-server', 'tools'], /--/],
    ['unknown flag', ['--frob', ...['--mcp-server', 'tools', '--', 'true']], /--frob/],
    ['an option that needs --supervise', ['--rotation', 'serial', ...['--mcp-server', 'tools', '--', 'true']], /--supervise/],
    ['an unknown policy', ['--supervise', '--on-rotate', 'panic', ...['--mcp-server', 'tools', '--', 'true']], /--on-rotate/],
    ['bad timeout', ['--startup-timeout', '5', '--mcp-server', 'tools', '--', 'true'], /--startup-timeout/],
  ]) {
    test(`64: ${name}`, async () => assertRefused(await admin.inject(args), 64, pattern));
  }

  test('64: no address configured', async () => {
    const result = await run(programs.injector, ['exec', ...tools('true')], { env: { PATH: process.env.PATH, HOME: directory } });
    assertRefused(result, 64, /KEYFERRY_ADDRESS/);
  });

  test('64: the CA file is missing', async () => {
    assertRefused(await admin.inject(tools('true'), { env: { KEYFERRY_CA_FILE: path.join(directory, 'absent.pem') } }), 64, /absent\.pem/);
  });

  test('64: others can read the token file', async () => {
    const open = path.join(directory, 'open.token');
    fs.writeFileSync(open, admin.token);
    fs.chmodSync(open, 0o644);
    assertRefused(await admin.inject(tools('true'), { env: { KEYFERRY_TOKEN_FILE: open } }), 64, /open\.token/);
  });

  test('69: nothing listens, within the startup timeout', async () => {
    const started = Date.now();
    const result = await admin.inject(['--startup-timeout', '2s', ...tools('true')], { env: { KEYFERRY_ADDRESS: '127.0.0.1:1' } });
    assertRefused(result, 69, /127\.0\.0\.1:1/);
    assert.ok(Date.now() - started < 20_000);
  });

  test('69: the server\'s certificate is of another CA', async () => {
    const other = temporaryDirectory();
    const stranger = await startServer(other);
    try {
      const env = { KEYFERRY_CA_FILE: path.join(stranger.devDir, 'ca.pem') };
      assertRefused(await admin.inject(['--startup-timeout', '1s', ...tools('true')], { env }), 69, /certificate|trust|CA/i);
    } finally {
      await stranger.stop();
      fs.rmSync(other, { recursive: true });
    }
  });

  test('77: a token that the server does not know', async () => {
    const other = temporaryDirectory();
    const stranger = await startServer(other);
    try {
      const env = { KEYFERRY_TOKEN_FILE: stranger.admin().tokenFile };
      assertRefused(await admin.inject(tools('true'), { env }), 77, /token/i);
    } finally {
      await stranger.stop();
      fs.rmSync(other, { recursive: true });
    }
  });

  test('77: text that is no token', async () => {
    const wrong = path.join(directory, 'wrong.token');
    fs.writeFileSync(wrong, 'not-a-token', { mode: 0o600 });
    assertRefused(await admin.inject(tools('true'), { env: { KEYFERRY_TOKEN_FILE: wrong } }), 77, /token/i);
  });

  test('77: an MCP server that does not exist', async () => {
    assertRefused(await admin.inject(['--mcp-server', 'absent', '--', 'true']), 77, /mcpServers\/absent/);
  });

  test('78: every missing variable, the scopes tried and what to do', async () => {
    const result = await admin.inject(['--mcp-server', 'lacking', '--', 'true']);
    assertRefused(result, 78, /FIRST_MISSING/);
    assert.match(result.stderr, /SECOND_MISSING/);
    assert.match(result.stderr, /orgs\/dev\/credentials\/FIRST_MISSING/);
    assert.match(result.stderr, /orgs\/dev\/users\/admin\/credentials\/SECOND_MISSING/);
    assert.ok(!/\bAPI_KEY\b/.test(result.stderr));
  });

  test('--allow-partial launches all the same', async () => {
    const result = await admin.inject(['--mcp-server', 'lacking', '--allow-partial', '--', 'sh', '-c', 'echo "${FIRST_MISSING-unset} $API_KEY"']);
    assert.equal(result.stdout, `unset ${value}\n`);
    assert.equal(result.code, 0);
  });

  test('126: a file that cannot be run', async () => {
    const file = path.join(directory, 'plain');
    fs.writeFileSync(file, 'x', { mode: 0o600 });
    assertRefused(await admin.inject(tools(file)), 126, /plain/);
  });

  test('127: no such program', async () => assertRefused(await admin.inject(tools('no-such-program')), 127, /no-such-program/));
});

describe('as if the injector were not there', () => {
  test('standard input, output and error are the child\'s, byte for byte', async () => {
    const bytes = Buffer.from([...Array(256).keys()]);
    const result = await admin.inject(tools('sh', '-c', 'cat; printf oops >&2'), { input: bytes.toString('latin1') });
    assert.equal(result.stdout, bytes.toString('latin1'));
    assert.equal(result.stderr, 'oops');
  });

  test('the exit code is the child\'s', async () => assert.equal((await admin.inject(tools('sh', '-c', 'exit 7'))).code, 7));

  test('death by a signal is the child\'s', async () => {
    assert.equal((await admin.inject(tools('sh', '-c', 'kill -TERM $$'))).signal, 'SIGTERM');
  });

  test('the process is replaced: same id, no parent of Keyferry\'s', async () => {
    const child = spawn(programs.injector, ['exec', ...tools('sh', '-c', 'echo $$ $PPID')], { env: admin.env });
    let text = '';
    child.stdout.on('data', (chunk) => { text += chunk; });
    await new Promise((resolve) => child.on('close', resolve));
    assert.equal(text.trim(), `${child.pid} ${process.pid}`);
  });

  test('no descriptor but 0, 1 and 2 is open', async () => {
    const result = await admin.inject(tools(process.execPath, '-e', `
      const fs = require('fs');
      const inherited = fs.readdirSync('/proc/self/fd').map((fd) => { try { return fs.readlinkSync('/proc/self/fd/' + fd); } catch { return ''; } });
      console.log(inherited.filter((target) => /keyferry|socket.*tcp|ca\\.pem|token/.test(target)).length);
    `));
    assert.equal(result.stdout, '0\n');
    const listed = await admin.inject(tools('sh', '-c', 'ls /proc/self/fd'));
    assert.deepEqual(listed.stdout.trim().split('\n'), ['0', '1', '2', '3']);
  });

  test('no signal is ignored or blocked that was not before', async () => {
    const masks = async (command, args) => {
      const { stdout } = await run(command, args, { env: admin.env });
      return stdout.match(/^Sig(Blk|Ign|Cgt):.*$/gm);
    };
    const plain = await masks('cat', ['/proc/self/status']);
    assert.deepEqual(await masks(programs.injector, ['exec', ...tools('cat', '/proc/self/status')]), plain);
  });

  test('the core file limit is the caller\'s', async () => {
    const limit = await run('sh', ['-c', 'ulimit -c'], { env: admin.env });
    assert.equal((await admin.inject(tools('sh', '-c', 'ulimit -c'))).stdout, limit.stdout);
  });

  test('several launches at once', async () => {
    const results = await Promise.all(Array.from({ length: 16 }, () => admin.inject(tools('sh', '-c', 'printf %s "$API_KEY"'))));
    assert.deepEqual(results.map((result) => result.stdout), Array(16).fill(value));
  });
});

describe('waiting for keyferryd', () => {
  test('a server that comes up within the startup timeout is reached', async () => {
    await server.stop();
    const launch = admin.inject(['--startup-timeout', '10s', ...tools('sh', '-c', 'printf %s "$API_KEY"')]);
    await server.start();
    const result = await launch;
    assert.equal(result.stdout, value, result.stderr);
  });

  test('while it waits it is not dumpable and makes no core files', async () => {
    const child = spawn(programs.injector, ['exec', ...tools('true')], {
      env: { ...admin.env, KEYFERRY_ADDRESS: '127.0.0.1:1' }, stdio: ['ignore', 'ignore', 'pipe'],
    });
    try {
      await new Promise((resolve) => child.once('spawn', resolve));
      const deadline = Date.now() + 10_000;
      while (coreLimitOf(child.pid) !== '0' && Date.now() < deadline) await new Promise(setImmediate);
      assert.equal(coreLimitOf(child.pid), '0');
      // Memory of a process that is not dumpable belongs to root and cannot be read by its own user.
      if (process.getuid() !== 0) assert.equal(fs.statSync(`/proc/${child.pid}/mem`).uid, 0);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
