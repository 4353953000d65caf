// A platform's service makes a session, an injector's workload presents it, and the command gets that user's values.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { secret, serverFile, startServer, temporaryDirectory } from './lib/fixture.mjs';
import { Identity } from './lib/platform.mjs';

const shared = secret('shared');
const personal = secret('personal');
let directory, server, admin, platform, runner;

// A service's or workload's identity, with a token in a file of its own.
async function identity(kind, id, ...options) {
  await admin.cli([kind, 'create', id, ...options]);
  const { stdout } = await admin.cli(['token', 'create', `--${kind}`, id, '-o', 'json']);
  const file = path.join(directory, `${id}.token`);
  fs.writeFileSync(file, JSON.parse(stdout).token, { mode: 0o600 });
  return new Identity(server, file);
}

async function session(...options) {
  const { stdout } = await platform.cli(['session', 'create', '--user', 'ada', '--mcp-server', 'tools', '-o', 'json', ...options]);
  const made = JSON.parse(stdout);
  const file = path.join(directory, `${made.session.name.split('/').pop()}.session`);
  fs.writeFileSync(file, `${made.token}\n`, { mode: 0o600 });
  return { file, token: made.token, name: made.session.name };
}

const show = ['--mcp-server', 'tools', '--', 'sh', '-c', 'echo "$API_KEY"; env | grep -c KEYFERRY_'];

function assertRefused(result, code, pattern, token) {
  assert.equal(result.code, code, result.stderr);
  assert.equal(result.stdout, '');
  assert.match(result.stderr, /^keyferry-injector: [^\n]+\n$/);
  assert.match(result.stderr, pattern);
  assert.ok(!token || !result.stderr.includes(token.slice(10, 40)));
}

before(async () => {
  directory = temporaryDirectory();
  server = await startServer(directory);
  admin = server.admin();
  await admin.cli(['credential', 'create', 'API_KEY'], shared);
  await admin.apply(serverFile('tools', ['name: API_KEY, orgSecret: API_KEY']));
  await admin.apply(serverFile('other', ['name: API_KEY, orgSecret: API_KEY']));
  const ada = await server.user('ada');
  await ada.cli(['credential', 'create', 'API_KEY', '--me'], personal);
  platform = await identity('service', 'platform', '--can-create-sessions');
  runner = await identity('workload', 'runner', '--can-use-sessions', '--mcp-server', 'tools', '--mcp-server', 'other');
});

after(async () => {
  await server.stop();
  fs.rmSync(directory, { recursive: true });
});

test('the user\'s own value answers within the session, and the command sees no KEYFERRY_ variable', async () => {
  const { file } = await session();
  assert.equal((await runner.inject(show)).stdout, `${shared}\n0\n`);
  assert.equal((await runner.inject(['--session-file', file, ...show])).stdout, `${personal}\n0\n`);
  assert.equal((await runner.inject(show, { env: { KEYFERRY_SESSION_FILE: file } })).stdout, `${personal}\n0\n`);
});

test('77: revoked, of another workload, for another MCP server, or no session at all', async () => {
  const revoked = await session();
  await platform.cli(['session', 'revoke', revoked.name]);
  assertRefused(await runner.inject(['--session-file', revoked.file, ...show]), 77, /session.*revoked/, revoked.token);
  const bound = await session('--workload', 'another');
  assertRefused(await runner.inject(['--session-file', bound.file, ...show]), 77, /another workload/, bound.token);
  const good = await session();
  assertRefused(await runner.inject(['--session-file', good.file, '--mcp-server', 'other', '--', 'true']), 77,
    /not for orgs\/dev\/mcpServers\/other/, good.token);
  assertRefused(await admin.inject(['--session-file', good.file, ...show]), 77, /session/, good.token);
  assertRefused(await runner.inject(['--session-file', runner.tokenFile, ...show]), 77, /not a session/, runner.token);
});

test('77: the user is gone', async () => {
  await server.user('bob');
  const { stdout } = await platform.cli(['session', 'create', '--user', 'bob', '--mcp-server', 'tools', '-o', 'json']);
  const file = path.join(directory, 'bob.session');
  fs.writeFileSync(file, JSON.parse(stdout).token, { mode: 0o600 });
  assert.equal((await runner.inject(['--session-file', file, ...show])).stdout, `${shared}\n0\n`);
  await admin.cli(['user', 'delete', 'bob', '--yes']);
  assertRefused(await runner.inject(['--session-file', file, ...show]), 77, /user was deleted/, JSON.parse(stdout).token);
});

test('64: a session file that is absent, empty or open to others', async () => {
  assertRefused(await runner.inject(['--session-file', path.join(directory, 'absent'), ...show]), 64, /session file.*absent/);
  const empty = path.join(directory, 'empty');
  fs.writeFileSync(empty, '\n', { mode: 0o600 });
  assertRefused(await runner.inject(show, { env: { KEYFERRY_SESSION_FILE: empty } }), 64, /session file is empty/);
  const { file, token } = await session();
  fs.chmodSync(file, 0o644);
  assertRefused(await runner.inject(['--session-file', file, ...show]), 64, /session file is open to other users/, token);
});

test('sessions survive a restart of the server, and no token stands in its log', async () => {
  const { file, token } = await session();
  await server.stop('SIGKILL');
  await server.start();
  assert.equal((await runner.inject(['--session-file', file, ...show])).stdout, `${personal}\n0\n`);
  assert.ok(!fs.readFileSync(server.logFile, 'utf8').includes(token.slice(4, 40)));
});
