// The examples of clients in Python and Node.js, run as docs/clients.md says against a real server: what they do, what
// they show of failures, deadlines, and that they wait for a server that comes back. No value is printed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { secret, startServer, temporaryDirectory } from './lib/fixture.mjs';
import { run } from './lib/process.mjs';

const root = path.resolve(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '../..');
const protos = path.join(root, 'proto');
const examples = path.join(root, 'client/examples');

let directory, server, admin, stubs;

before(async () => {
  directory = temporaryDirectory();
  server = await startServer(directory);
  admin = server.admin();
  for (const name of ['FIRST', 'SECOND', 'THIRD']) await admin.cli(['credential', 'create', name], secret(name));
  stubs = path.join(directory, 'stubs');
  fs.mkdirSync(stubs);
  const generated = await run('protoc', [
    `--proto_path=${protos}`, `--proto_path=${examples}`, `--python_out=${stubs}`, `--grpc_python_out=${stubs}`,
    '--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin',
    ...fs.readdirSync(path.join(protos, 'keyferry/v1')).map((name) => `keyferry/v1/${name}`), 'rpc_status.proto',
  ], { env: { PATH: process.env.PATH } });
  assert.equal(generated.code, 0, generated.stderr);
});

after(async () => {
  await server.stop();
  fs.rmSync(directory, { recursive: true });
});

const languages = {
  Python: () => ({
    command: ['/usr/bin/python3', path.join(examples, 'manage_credentials.py')],
    env: { PYTHONPATH: stubs, PYTHONDONTWRITEBYTECODE: '1' },
  }),
  'Node.js': () => ({
    command: [process.execPath, path.join(examples, 'manage_credentials.cjs')],
    env: { KEYFERRY_PROTO: protos, NODE_PATH: path.join(root, 'tests/e2e/node_modules') },
  }),
};

for (const [language, how] of Object.entries(languages)) {
  describe(`the example in ${language}`, () => {
    const value = secret('value');
    const name = `EXAMPLE_${language.replace('.', '_').toUpperCase()}`;

    // Runs the example to its end; whatever happens, the value is not in what it says.
    async function example(args, { as = admin, env = {} } = {}) {
      const { command: [program, script], env: own } = how();
      const result = await run(program, [script, ...args], { env: { ...as.env, ...own, ...env }, input: value });
      assert.ok(!`${result.stdout}${result.stderr}`.includes(value));
      return result;
    }

    test('manages a credential from its creation to its deletion', async () => {
      const { code, stdout, stderr } = await example([name]);
      assert.equal(code, 0, stderr);
      assert.deepEqual(stdout.trimEnd().split('\n'), [
        `created orgs/dev/credentials/${name} version 1`,
        'listed 1 more',
        'rotated to version 2',
        'refused as it should be: ABORTED STALE_ETAG: Read it again and repeat the change with the new etag.',
        `resolved ${name} from version 2`,
        'deleted',
      ]);
    });

    test('shows the reason and the next step of a refusal', async () => {
      const { code, stderr } = await example(['not-a-name']);
      assert.equal(code, 1);
      assert.match(stderr, /^failed: INVALID_ARGUMENT INVALID_FIELD: credential_id: .+; .+/m);
    });

    test('is refused without a good token', async () => {
      const file = path.join(directory, 'bad.token');
      fs.writeFileSync(file, 'kfu_0123456789', { mode: 0o600 });
      const { code, stderr } = await example([name], { env: { KEYFERRY_TOKEN_FILE: file } });
      assert.equal(code, 1);
      assert.match(stderr, /^failed: UNAUTHENTICATED TOKEN_MALFORMED: /m);
    });

    test('keeps its deadline with a server that never answers', async () => {
      const silent = net.createServer(() => {}).listen(0, '127.0.0.1');
      await once(silent, 'listening');
      const env = { KEYFERRY_ADDRESS: `127.0.0.1:${silent.address().port}` };
      const { code, stderr } = await example([name, '1'], { env });
      silent.close();
      assert.equal(code, 1);
      assert.match(stderr, /failed: (DEADLINE_EXCEEDED|UNAVAILABLE) /);
    });

    test('waits for a server that comes back', async () => {
      await server.stop();
      const { command: [program, script], env } = how();
      const child = spawn(program, [script, name], { env: { ...admin.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
      child.stdin.end(value);
      let errors = '';
      const retried = new Promise((resolve) => child.stderr.on('data', (chunk) => {
        errors += chunk;
        if (errors.includes('UNAVAILABLE, trying again')) resolve();
      }));
      const ended = once(child, 'exit');
      await Promise.race([retried, ended]);
      await server.start();
      assert.deepEqual(await ended, [0, null], errors);
    });
  });
}
