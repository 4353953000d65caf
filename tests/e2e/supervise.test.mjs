// `keyferry-injector exec --supervise` with MCP servers that are not ours, under the official SDK's client: rotation under
// load, and redaction.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { secret, serverFile, startServer, temporaryDirectory } from './lib/fixture.mjs';
import { everything, gitlab, launchThrough } from './lib/mcp.mjs';
import { programs } from './lib/platform.mjs';
import { run } from './lib/process.mjs';
import { rotate as rotateBy, until } from './lib/rotation.mjs';

let directory, server, admin;

before(async () => {
  directory = temporaryDirectory();
  server = await startServer(directory);
  admin = server.admin();
});

after(async () => {
  await server.stop();
  fs.rmSync(directory, { recursive: true });
});

const supervised = (id, command, options) => launchThrough(['--mcp-server', id, '--supervise', ...(options?.flags ?? [])], command, admin.variables, options);

const rotate = (values) => rotateBy(admin, values);

const processesOf = async (id) => JSON.parse((await admin.cli(['process', 'list', '--mcp-server', id, '-o', 'json'])).stdout);
const rolloutOf = async (name) => JSON.parse((await admin.cli(['credential', 'rollout', name, '-o', 'json'])).stdout);

const userInterface = {
  capabilities: { sampling: {}, elicitation: {}, roots: { listChanged: true } },
  prepare(client) {
    client.setRequestHandler(CreateMessageRequestSchema, async (request) => ({
      model: 'none', role: 'assistant', content: { type: 'text', text: `sampled ${request.params.messages[0].content.text}` },
    }));
    client.setRequestHandler(ElicitRequestSchema, async () => ({ action: 'decline' }));
    client.setRequestHandler(ListRootsRequestSchema, async () => ({ roots: [{ uri: 'file:///srv', name: 'srv' }] }));
  },
};

describe('a session that is looked after', () => {
  // The long value is redacted wherever it shows; the short one is too short for that, and says which version answers.
  const first = secret('token');
  let session;

  before(async () => {
    await admin.cli(['credential', 'create', 'TOKEN'], first);
    await admin.cli(['credential', 'create', 'STEP'], 's0');
    await admin.apply(serverFile('everything', ['name: TOKEN, orgSecret: TOKEN', 'name: STEP, orgSecret: STEP']));
    session = await supervised('everything', everything, userInterface);
  });

  after(() => session.close());

  test('the environment-printing tool shows no value', async () => {
    const env = await session.env();
    assert.equal(env.TOKEN, '[keyferry:TOKEN]');
    assert.equal(env.STEP, 's0');
    assert.deepEqual(Object.keys(env).filter((name) => name.startsWith('KEYFERRY_')), []);
  });

  test('a value that a tool is made to print in other forms is redacted too', async () => {
    for (const text of [first, encodeURIComponent(first), Buffer.from(first).toString('base64'), Buffer.from(first).toString('hex')]) {
      const answer = await session.tool('echo', { message: `<${text}>` });
      assert.ok(!answer.includes(text), 'a value came through');
      assert.match(answer, /\[keyferry:TOKEN\]/);
    }
  });

  test('200 rotations under load: no call fails, is lost, answered twice or by a process that is too old', async () => {
    const ROTATIONS = 200;
    const DRAIN_MS = 10_000;
    const values = [first];
    const acknowledged = [{ step: 0, time: Date.now() }];
    const counts = { env: 0, echo: 0, sampling: 0, progress: 0 };
    let rotating = true;
    // As it arrives: the client forgets a call's progress once it has the answer.
    const progress = new Map();
    const deliver = session.client.transport.onmessage;
    session.client.transport.onmessage = (message, ...rest) => {
      if (message.method === 'notifications/progress') {
        const { progressToken, progress: step } = message.params;
        progress.set(progressToken, [...(progress.get(progressToken) ?? []), step]);
      }
      deliver(message, ...rest);
    };

    const newestBefore = (time) => acknowledged.filter((entry) => entry.time <= time).at(-1)?.step ?? 0;
    const loops = {
      async env() {
        const sent = Date.now();
        const env = await session.env();
        assert.equal(env.TOKEN, '[keyferry:TOKEN]');
        const step = Number(env.STEP.slice(1));
        const oldest = newestBefore(sent - DRAIN_MS);
        assert.ok(step >= oldest, `answered by step ${step}, but ${oldest} was current ${DRAIN_MS} ms before the call`);
      },
      async echo() {
        const text = `echo ${Math.random()}`;
        assert.match(await session.tool('echo', { message: text }), new RegExp(text.replace('.', '\\.')));
      },
      async sampling() {
        const prompt = `prompt ${Math.random()}`;
        assert.ok((await session.tool('trigger-sampling-request', { prompt })).includes(prompt));
      },
      async progress() {
        await session.client.callTool(
          { name: 'trigger-long-running-operation', arguments: { duration: 1, steps: 4 } }, undefined,
          { onprogress: () => {}, timeout: 60_000 });
      },
    };
    const work = Object.entries(loops).map(async ([name, call]) => {
      while (rotating) {
        await call();
        counts[name] += 1;
        await sleep(5);
      }
    });

    const rotations = (async () => {
      for (let step = 1; step <= ROTATIONS; step += 1) {
        values.push(secret('token'));
        await rotate({ TOKEN: values.at(-1), STEP: `s${step}` });
        acknowledged.push({ step, time: Date.now() });
        await sleep(100);
      }
    })().finally(() => { rotating = false; });
    await Promise.all([rotations, ...work]);

    await until('the last value is in use', async () => (await session.env()).STEP === `s${ROTATIONS}`, 60_000);
    // The client takes the answer before the progress that came with it in one read, bare servers' as well.
    assert.deepEqual(session.errors.filter((error) => !error.message.includes('progress notification for an unknown token')), []);
    assert.equal(progress.size, counts.progress);
    for (const steps of progress.values()) assert.deepEqual(steps, [1, 2, 3, 4]);
    assert.ok(Math.min(...Object.values(counts)) >= 5, JSON.stringify(counts));
    for (const value of values) assert.ok(!session.stderr.includes(value), 'a value is in the log');
  });

  test('the rollout says when the last process has moved', async () => {
    const following = run(programs.keyferry, ['credential', 'rollout', 'TOKEN', '--watch', '-o', 'json'], { env: admin.env });
    await rotate({ TOKEN: secret('token'), STEP: 'last' });
    await until('the new process answers', async () => (await session.env()).STEP === 'last');
    const rollout = await until('nobody is on an older version', async () => {
      const now = await rolloutOf('TOKEN');
      return (now.outdatedCount ?? 0) === 0 && now.currentCount === 1 && now;
    });
    assert.equal(rollout.processes[0].heldVersion, rollout.currentVersion);
    const { code, stdout } = await following;
    assert.equal(code, 0);
    const states = stdout.trim().split('\n').map((line) => JSON.parse(line));
    assert.equal(states.at(-1).outdatedCount ?? 0, 0);
  });

  test('no process is left behind, and none of the injector\'s when the client goes', async () => {
    const children = () => fs.readFileSync(`/proc/${session.pid}/task/${session.pid}/children`, 'utf8').trim().split(/\s+/).filter(Boolean);
    await until('one process', () => children().length === 1);
    const [child] = children();
    assert.equal((await processesOf('everything')).length, 1, 'the processes that were replaced have no records');
    await session.close();
    await until('the process ended', () => !fs.existsSync(`/proc/${child}`) && !fs.existsSync(`/proc/${session.pid}`));
    assert.deepEqual(await processesOf('everything'), []);
    assert.equal((await rolloutOf('TOKEN')).currentCount ?? 0, 0);
  });
});

describe('the record of a process', () => {
  // It keeps what it has and ends with its standard input, with 7.
  const launched = () => {
    const child = spawn(
      programs.injector, ['exec', '--mcp-server', 'recorded', '--supervise', '--on-rotate=ignore', '--', 'sh', '-c', 'cat; exit 7'],
      { env: admin.env, stdio: ['pipe', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.ended = new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal, stderr })));
    return child;
  };

  before(async () => {
    await admin.cli(['credential', 'create', 'RECORDED'], secret('token'));
    await admin.apply(serverFile('recorded', ['name: RECORDED, orgSecret: RECORDED']));
  });

  test('ends with it, and so does a rollout that waits for it', async () => {
    const child = launched();
    await until('it runs', async () => (await rolloutOf('RECORDED')).currentCount === 1);
    await rotate({ RECORDED: secret('token') });
    assert.equal((await rolloutOf('RECORDED')).outdatedCount, 1);
    const following = run(programs.keyferry, ['credential', 'rollout', 'RECORDED', '--watch', '-o', 'json'], { env: admin.env });
    child.stdin.end();
    assert.deepEqual(await child.ended, { code: 7, signal: null, stderr: '' });
    assert.deepEqual(await processesOf('recorded'), []);
    assert.equal((await following).code, 0);
  });

  test('ends minutes after an injector that is killed', async () => {
    const child = launched();
    await until('it runs', async () => (await rolloutOf('RECORDED')).currentCount === 1);
    child.kill('SIGKILL');
    await child.ended;
    const [left] = await until('the server notices', async () => {
      const processes = await processesOf('recorded');
      return !processes[0].watching && processes;
    });
    assert.ok(Date.parse(left.leaseExpireTime) <= Date.now() + 5 * 60_000, left.leaseExpireTime);
  });
});

describe('as process 1', () => {
  test('orphans are reaped, and exit code and redaction are as ever', async () => {
    const token = secret('token');
    await admin.cli(['credential', 'create', 'FIRST_PROCESS'], token);
    await admin.apply(serverFile('first', ['name: FIRST_PROCESS, orgSecret: FIRST_PROCESS']));
    const user = process.getuid() === 0 ? [] : ['--user', '--map-root-user'];
    const script = '(sleep 0.1 &); (sleep 0.1 &); sleep 0.5; cat /proc/[0-9]*/stat | cut -d" " -f3 | tr -d "\\n"; echo " $FIRST_PROCESS"; exit 9';
    const { code, stdout } = await run(
      'unshare', [...user, '--pid', '--fork', '--mount', '--mount-proc', programs.injector, 'exec', '--mcp-server', 'first',
        '--supervise', '--on-rotate=ignore', '--', 'sh', '-c', script], { env: admin.env });
    assert.match(stdout, /^[DRS]+ \[keyferry:FIRST_PROCESS\]\n$/);
    assert.equal(code, 9);
  });
});

describe('a server that cannot start with the new values', () => {
  test('the old process goes on, and the log says why', async () => {
    await admin.cli(['credential', 'create', 'MODE'], 'good');
    await admin.apply(serverFile('picky', ['name: MODE, orgSecret: MODE']));
    const picky = ['sh', '-c', `[ "$MODE" = bad ] && exit 3; exec "$@"`, 'sh', ...everything];
    const session = await supervised('picky', picky);
    try {
      await rotate({ MODE: 'bad' });
      await until('a log line', () => /keyferry-injector: .*\n/.test(session.stderr));
      assert.equal((await session.env()).MODE, 'good');
      await rotate({ MODE: 'fine' });
      await until('the next value is taken', async () => (await session.env()).MODE === 'fine');
      assert.deepEqual(session.errors, []);
    } finally {
      await session.close();
    }
  });
});

describe('a server with an HTTP client of its own', () => {
  test('calls with the new token after a rotation, and its errors show no token', async () => {
    const tokens = [secret('glpat'), secret('glpat')];
    const seen = [];
    const api = http.createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(500, { 'content-type': 'text/plain' }).end(`refused: ${request.headers.authorization}`);
    });
    await new Promise((resolve) => api.listen(0, '127.0.0.1', resolve));
    await admin.cli(['credential', 'create', 'GITLAB_PERSONAL_ACCESS_TOKEN'], tokens[0]);
    await admin.apply(serverFile('gitlab', [
      'name: GITLAB_PERSONAL_ACCESS_TOKEN, orgSecret: GITLAB_PERSONAL_ACCESS_TOKEN',
      `name: GITLAB_API_URL, static: "http://127.0.0.1:${api.address().port}/api/v4"`,
    ]));
    const session = await supervised('gitlab', gitlab);
    const search = () => session.client.callTool({ name: 'search_repositories', arguments: { search: 'x' } })
      .then((result) => JSON.stringify(result), (error) => error.message);
    try {
      for (const token of tokens) {
        if (token !== tokens[0]) await rotate({ GITLAB_PERSONAL_ACCESS_TOKEN: token });
        await until('the token is in use', async () => {
          const answer = await search();
          assert.ok(tokens.every((value) => !answer.includes(value)), 'a value came through');
          return seen.at(-1) === `Bearer ${token}`;
        });
      }
      assert.deepEqual(session.errors, []);
    } finally {
      await session.close();
      api.close();
    }
  });
});
