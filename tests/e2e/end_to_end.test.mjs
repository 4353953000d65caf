// The main job from outside: what is stored is what a real MCP server, launched through the injector under the official
// client, receives; and what it must not receive.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { secret, serverFile, startServer, temporaryDirectory } from './lib/fixture.mjs';
import { launchEverything } from './lib/mcp.mjs';
import { commandLineOf, environOf } from './lib/process.mjs';

let directory, server, admin, ann, bob;
const values = { org: secret('org'), team: secret('team'), ann: secret('ann'), static: secret('static') };

before(async () => {
  directory = temporaryDirectory();
  server = await startServer(directory);
  admin = server.admin();
  ann = await server.user('ann');
  bob = await server.user('bob');
  await admin.cli(['team', 'create', 'eng']);
  await admin.cli(['team', 'add-member', 'eng', 'ann', '--role', 'owner']);
  await admin.cli(['credential', 'create', 'API_KEY'], values.org);
  await ann.cli(['credential', 'create', 'API_KEY', '--team', 'eng'], values.team);
  await admin.apply(serverFile('tools', [
    'name: API_KEY, orgSecret: API_KEY',
    'name: AUTH, orgSecret: API_KEY, template: "Bearer {value}"',
    'name: PINNED, orgSecret: API_KEY, overridable: false',
    `name: FIXED, static: ${values.static}`,
    'name: ABSENT, userSecret: NOBODY_HAS_IT, required: false',
  ]));
});

after(async () => {
  await server.stop();
  fs.rmSync(directory, { recursive: true });
});

// Launches the MCP server, answers its environment and process facts, and closes it.
async function environmentFor(identity, args = [], extra = {}) {
  const launched = await launchEverything({ ...identity.variables, ...extra }, ['--mcp-server', 'tools', ...args]);
  try {
    const env = await launched.env();
    return { env, started: environOf(launched.pid), command: commandLineOf(launched.pid), errors: launched.errors, stderr: launched.stderr };
  } finally {
    await launched.close();
  }
}

describe('values by scope', () => {
  test('the organization answers a user who has nothing narrower', async () => {
    const { env } = await environmentFor(bob);
    assert.equal(env.API_KEY, values.org);
    assert.equal(env.AUTH, `Bearer ${values.org}`);
    assert.equal(env.PINNED, values.org);
    assert.equal(env.FIXED, values.static);
    assert.ok(!('ABSENT' in env));
  });

  test('the team answers a member who names it, except where the scope is pinned', async () => {
    const { env } = await environmentFor(ann, ['--team', 'eng']);
    assert.equal(env.API_KEY, values.team);
    assert.equal(env.AUTH, `Bearer ${values.team}`);
    assert.equal(env.PINNED, values.org);
  });

  test('a personal override wins, for its owner alone, and reverts when it is removed', async () => {
    await ann.cli(['credential', 'create', 'API_KEY', '--me'], values.ann);
    assert.equal((await environmentFor(ann)).env.API_KEY, values.ann);
    assert.equal((await environmentFor(ann, ['--team', 'eng'])).env.API_KEY, values.ann);
    assert.equal((await environmentFor(bob)).env.API_KEY, values.org);
    await ann.cli(['credential', 'delete', 'API_KEY', '--me', '--yes']);
    assert.equal((await environmentFor(ann)).env.API_KEY, values.org);
  });

  test('a full resource name does what the id does', async () => {
    const launched = await launchEverything(bob.variables, ['--mcp-server', 'orgs/dev/mcpServers/tools']);
    try {
      assert.equal((await launched.env()).API_KEY, values.org);
    } finally {
      await launched.close();
    }
  });

  test('a team\'s MCP server resolves for its members', async () => {
    await ann.apply(serverFile('teamtools', ['name: API_KEY, teamSecret: API_KEY'], 'team: eng\n'));
    const launched = await launchEverything(ann.variables, ['--mcp-server', 'teamtools', '--team', 'eng']);
    try {
      assert.equal((await launched.env()).API_KEY, values.team);
    } finally {
      await launched.close();
    }
  });
});

describe('rotation and deletion', () => {
  test('a launch after a rotation has the new value', async () => {
    values.org = secret('rotated');
    await admin.cli(['credential', 'rotate', 'API_KEY'], values.org);
    assert.equal((await environmentFor(bob)).env.API_KEY, values.org);
  });

  test('a running process keeps what it was launched with', async () => {
    const launched = await launchEverything(bob.variables, ['--mcp-server', 'tools']);
    try {
      const previous = values.org;
      values.org = secret('again');
      await admin.cli(['credential', 'rotate', 'API_KEY'], values.org);
      assert.equal((await launched.env()).API_KEY, previous);
    } finally {
      await launched.close();
    }
  });

  test('a launch after the deletion of a required credential exits 78', async () => {
    await admin.cli(['credential', 'create', 'SHORT_LIVED'], 'x');
    await admin.apply(serverFile('short', ['name: SHORT_LIVED, orgSecret: SHORT_LIVED']));
    assert.equal((await bob.inject(['--mcp-server', 'short', '--', 'true'])).code, 0);
    await admin.cli(['credential', 'delete', 'SHORT_LIVED', '--yes']);
    const result = await bob.inject(['--mcp-server', 'short', '--', 'true']);
    assert.equal(result.code, 78);
    assert.match(result.stderr, /SHORT_LIVED/);
  });
});

describe('what the process must not see', () => {
  const callers = { CALLERS_OWN: 'kept', UNWANTED: 'dropped', KEYFERRY_PROFILE: '', KEYFERRY_ANYTHING: 'identity' };

  test('no variable of Keyferry and no token', async () => {
    const { env, started, command, errors } = await environmentFor(bob, ['--unset', 'UNWANTED'], callers);
    for (const seen of [env, started]) {
      assert.deepEqual(Object.keys(seen).filter((name) => name.startsWith('KEYFERRY_')), []);
      assert.equal(seen.CALLERS_OWN, 'kept');
      assert.ok(!('UNWANTED' in seen));
      assert.ok(!JSON.stringify(seen).includes(bob.token));
    }
    assert.ok(!command.join(' ').includes(bob.token));
    assert.ok(!command.join(' ').includes(values.org));
    assert.match(command.join(' '), /server-everything/);
    assert.deepEqual(errors, []);
  });

  test('--clean-env keeps eight kinds of variable and the bindings', async () => {
    const { env } = await environmentFor(bob, ['--clean-env'], { ...callers, LANG: 'C', LC_ALL: 'C', TZ: 'UTC', TMPDIR: '/tmp' });
    const allowed = /^(HOME|PATH|USER|LANG|LC_.*|TERM|TZ|TMPDIR|API_KEY|AUTH|PINNED|FIXED)$/;
    assert.deepEqual(Object.keys(env).filter((name) => !allowed.test(name)), []);
    assert.equal(env.LC_ALL, 'C');
    assert.equal(env.API_KEY, values.org);
  });

  test('a bound name replaces the caller\'s', async () => {
    const { env } = await environmentFor(bob, [], { API_KEY: 'the callers', FIXED: 'the callers' });
    assert.equal(env.API_KEY, values.org);
    assert.equal(env.FIXED, values.static);
  });
});
