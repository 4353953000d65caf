// `keyferry-injector agent` and `keyferry-launch` as in a pod: two containers with an MCP server each that is not ours,
// under the official SDK's client.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { secret, serverFile, startServer, temporaryDirectory } from './lib/fixture.mjs';
import { everything, launch, memory } from './lib/mcp.mjs';
import { Identity, programs } from './lib/platform.mjs';
import { childEnvironmentsOf, childrenOf, commandLineOf, coreLimitOf, environOf, linkedLibrariesOf, run } from './lib/process.mjs';

// Socket paths are short.
const pod = fs.mkdtempSync(path.join(os.tmpdir(), 'kfpod-'));
const values = [];
let directory, server, admin, identity, agent;

function remember(value) {
  values.push(value);
  return value;
}

async function until(what, condition, timeoutMs = 60_000) {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) assert.fail(`not within ${timeoutMs} ms: ${what}`);
    await sleep(50);
  }
}

class Agent {
  constructor(name, containers, flags = []) {
    this.folder = path.join(pod, name);
    this.containers = containers;
    this.flags = flags;
    this.log = '';
    fs.mkdirSync(this.folder, { mode: 0o700 });
  }

  start() {
    const containers = Object.entries(this.containers)
      .flatMap(([name, mcpServer]) => ['--container', `name=${name},directory=${path.join(this.folder, name)},mcp-server=${mcpServer}`]);
    this.process = spawn(programs.injector, ['agent', '--control-dir', path.join(this.folder, 'control'), ...containers, ...this.flags],
      { env: identity.env, stdio: ['ignore', 'ignore', 'pipe'] });
    this.process.stderr.on('data', (chunk) => { this.log += chunk; });
    this.exited = new Promise((resolve) => this.process.once('exit', (code, signal) => resolve({ code, signal })));
    return until('the agent is ready', async () => (await this.check('ready')).code === 0 || this.process.exitCode !== null);
  }

  check(what) {
    return run(programs.injector, ['agent', `--check-${what}`, '--control-dir', path.join(this.folder, 'control')], { env: {} });
  }

  stop(signal = 'SIGTERM') {
    this.process.kill(signal);
    return this.exited;
  }

  socket(container) {
    return path.join(this.folder, container, 'agent.sock');
  }

  // A command line through the launcher of a container.
  through(container, command, options = []) {
    return [programs.launch, '--socket', this.socket(container), ...options, '--', ...command];
  }

  runIn(container, command, options = []) {
    const [program, ...args] = this.through(container, command, options);
    return run(program, args, { env: { PATH: process.env.PATH } });
  }
}

async function rotate(changes) {
  const file = path.join(directory, 'values.json');
  fs.writeFileSync(file, JSON.stringify(changes), { mode: 0o600 });
  await admin.cli(['credential', 'rotate-many', '-f', file]);
}

before(async () => {
  directory = temporaryDirectory();
  server = await startServer(directory);
  admin = server.admin();
  await admin.cli(['credential', 'create', 'TOKEN'], remember(secret('token')));
  await admin.cli(['credential', 'create', 'OTHER'], remember(secret('other')));
  // Too short to be redacted, so that it shows who answers.
  await admin.cli(['credential', 'create', 'STEP'], 's0');
  await admin.apply(serverFile('everything', ['name: TOKEN, orgSecret: TOKEN', 'name: STEP, orgSecret: STEP']));
  await admin.apply(serverFile('memory', ['name: OTHER, orgSecret: OTHER', 'name: STEP, orgSecret: STEP']));
  await admin.cli(['workload', 'create', 'pod', '--mcp-server', 'everything', '--mcp-server', 'memory']);
  const { stdout } = await admin.cli(['token', 'create', '--workload', 'pod', '-o', 'json']);
  const file = path.join(directory, 'pod.token');
  fs.writeFileSync(file, remember(JSON.parse(stdout).token), { mode: 0o600 });
  identity = new Identity(server, file);
  agent = new Agent('main', { a: 'everything', b: 'memory' });
  await agent.start();
});

after(async () => {
  await agent?.stop('SIGKILL');
  await server.stop();
  fs.rmSync(directory, { recursive: true });
  fs.rmSync(pod, { recursive: true });
});

describe('two containers of one pod', () => {
  let a, b;

  before(async () => {
    a = await launch(agent.through('a', everything), {});
    b = await launch(agent.through('b', memory, ['--debounce=0']), {});
  });

  after(() => Promise.all([a?.close(), b?.close()]));

  const stepOfB = () => childEnvironmentsOf(b.pid).map((env) => env.STEP);

  test('each command has its own environment and nothing of the other\'s', async () => {
    const env = await a.env();
    assert.equal(env.TOKEN, '[keyferry:TOKEN]');
    assert.equal(env.STEP, 's0');
    assert.equal(env.OTHER, undefined);
    assert.deepEqual(Object.keys(env).filter((name) => name.startsWith('KEYFERRY_')), []);
    const [child] = childrenOf(b.pid);
    assert.equal(environOf(child).OTHER, values[1]);
    assert.equal(environOf(child).TOKEN, undefined);
    assert.deepEqual(JSON.parse(await b.tool('read_graph')), { entities: [], relations: [] });
  });

  test('a rotation reaches both, and no call fails', async () => {
    let rotating = true;
    const counts = { a: 0, b: 0 };
    const work = [
      (async () => { for (; rotating; counts.a += 1) await a.tool('echo', { message: 'x' }); })(),
      (async () => { for (; rotating; counts.b += 1) await b.tool('read_graph'); })(),
    ];
    try {
      for (let step = 1; step <= 5; step += 1) {
        await rotate({ TOKEN: remember(secret('token')), OTHER: remember(secret('other')), STEP: `s${step}` });
        await until('both have moved', async () => (await a.env()).STEP === `s${step}` && stepOfB().includes(`s${step}`));
      }
    } finally {
      rotating = false;
      await Promise.all(work);
    }
    assert.ok(counts.a > 10 && counts.b > 10, JSON.stringify(counts));
    assert.deepEqual([...a.errors, ...b.errors], []);
    await until('the rollout has both on the newest version', async () => {
      const rollout = JSON.parse((await admin.cli(['credential', 'rollout', 'STEP', '-o', 'json'])).stdout);
      return rollout.currentCount === 2 && (rollout.outdatedCount ?? 0) === 0;
    });
  });

  test('a killed agent: commands go on, and are moved to what changed meanwhile when it is back', async () => {
    await agent.stop('SIGKILL');
    assert.match(await a.tool('echo', { message: 'alone' }), /alone/);
    await rotate({ TOKEN: remember(secret('token')), STEP: 'mid' });
    await b.tool('read_graph');
    assert.equal((await a.env()).STEP, 's5');
    await agent.start();
    await until('both have moved', async () => (await a.env()).STEP === 'mid' && stepOfB().includes('mid'));
    assert.deepEqual([...a.errors, ...b.errors], []);
  });

  test('a hostile launcher in one container disturbs nobody', async () => {
    const sockets = [];
    const attack = (bytes) => {
      const socket = net.connect(agent.socket('b'));
      socket.on('error', () => {});
      socket.write(bytes);
      sockets.push(socket);
      return socket;
    };
    attack(Buffer.alloc(1 << 20, 0xff));
    attack('GET / HTTP/1.1\r\nHost: agent\r\n\r\n');
    attack(Buffer.from([0, 0, 0, 0x1c, 1, 0]));
    const hello = Buffer.from('0000001c01000100000000000000000000000000000000070000000474657374', 'hex');
    const confirm = Buffer.from('000000110200000000000000010000000000000001', 'hex');
    attack(Buffer.concat([hello, ...Array(5000).fill(confirm)]));
    await until('they are dropped', () => /container b: a launcher is dropped: it confirms what it was not sent/.test(agent.log));
    for (let i = 0; i < 200; i += 1) attack('').pause();
    for (let i = 0; i < 20; i += 1) assert.match(await a.tool('echo', { message: `call ${i}` }), new RegExp(`call ${i}`));
    await rotate({ STEP: 'hit' });
    await until('the other container has moved', async () => (await a.env()).STEP === 'hit');
    await b.tool('read_graph');
    for (const socket of sockets) socket.destroy();
    await until('its own launches work again', async () => (await agent.runIn('b', ['true'], ['--startup-timeout=2s'])).code === 0);
    assert.equal(agent.log.match(/container b: too many connections; one more is closed/g).length, 1, 'said once');
    assert.ok((agent.log.match(/container b: too many connections in a short time/g) ?? []).length <= 1, 'said once');
    assert.equal((await agent.check('live')).code, 0);
  });

  test('drains: tells launchers, stays until their commands have ended, and exits 0', async () => {
    const processes = async () => JSON.parse((await admin.cli(['process', 'list', '-o', 'json'])).stdout);
    const live = (await processes()).filter((one) => one.watching).map((one) => one.name);
    assert.equal(live.length, 2);
    agent.process.kill('SIGTERM');
    await until('it is draining', async () => (await agent.check('ready')).code === 69);
    await until('the launcher says so', () => /keyferry-launch: the agent is about to end/.test(a.stderr));
    assert.match(await a.tool('echo', { message: 'still' }), /still/);
    assert.equal(agent.process.exitCode, null);
    await Promise.all([a.close(), b.close()]);
    assert.deepEqual(await agent.exited, { code: 0, signal: null });
    assert.ok(!fs.existsSync(agent.socket('a')), 'its socket is removed');
    const left = (await processes()).map((one) => one.name);
    assert.deepEqual(left.filter((name) => live.includes(name)), [], 'what has ended is not counted');
    for (const value of values) {
      for (const text of [a.stderr, b.stderr, agent.log]) assert.ok(!text.includes(value), 'a value is in a log');
    }
    await agent.start();
  });
});

describe('what a socket gives', () => {
  test('the values of its own container alone, to whoever can reach it', async () => {
    const env = async (container) => (await agent.runIn(container, ['env'], ['--exec'])).stdout;
    assert.match(await env('a'), /^TOKEN=/m);
    assert.doesNotMatch(await env('a'), /^OTHER=/m);
    assert.match(await env('b'), /^OTHER=/m);
    assert.doesNotMatch(await env('b'), /^TOKEN=/m);
  });

  test('another user is refused', { skip: process.getuid() !== 0 && 'only root becomes another user' }, async () => {
    const guarded = new Agent('guarded', {}, ['--container', `name=c,directory=${path.join(pod, 'guarded', 'c')},mcp-server=memory,uid=12345`]);
    for (const folder of [pod, guarded.folder]) fs.chmodSync(folder, 0o711);
    await guarded.start();
    try {
      const as = (uid) => run('setpriv', [`--reuid=${uid}`, '--clear-groups', ...guarded.through('c', ['true'], ['--startup-timeout=2s'])],
        { env: { PATH: process.env.PATH } });
      const copy = await run(programs.launch, ['--copy-to', guarded.folder], { env: {} });
      assert.equal(copy.code, 0, copy.stderr);
      guarded.through = (container, command, options = []) => [path.join(guarded.folder, 'keyferry-launch'), '--socket', guarded.socket(container), ...options, '--', ...command];
      assert.equal((await as(12345)).code, 0);
      const other = await as(12346);
      assert.equal(other.code, 77);
      assert.match(other.stderr, /this socket serves user 12345/);
    } finally {
      await guarded.stop();
    }
  });

  test('77 once the right to it is gone, at once', async () => {
    await admin.cli(['workload', 'revoke', 'pod', 'memory']);
    const refused = await until('it is refused', async () => {
      const result = await agent.runIn('b', ['true']);
      return result.code === 77 && result;
    });
    assert.match(refused.stderr, /^keyferry-launch: [^\n]+\n$/);
    await admin.cli(['workload', 'grant', 'pod', 'memory']);
    await until('it is permitted again', async () => (await agent.runIn('b', ['true'])).code === 0);
  });

  test('78 while a required variable has no value', async () => {
    await admin.cli(['credential', 'create', 'GONE'], 'a value');
    await admin.apply(serverFile('memory', ['name: OTHER, orgSecret: OTHER', 'name: GONE, orgSecret: GONE']));
    await until('it is there', async () => /^GONE=/m.test((await agent.runIn('b', ['env'], ['--exec'])).stdout));
    await admin.cli(['credential', 'delete', 'GONE', '--yes']);
    const refused = await until('a deleted value is given to nobody', async () => {
      const result = await agent.runIn('b', ['true']);
      return result.code === 78 && result;
    });
    assert.match(refused.stderr, /GONE/);
    await admin.apply(serverFile('memory', ['name: OTHER, orgSecret: OTHER', 'name: STEP, orgSecret: STEP']));
    await until('it is there again', async () => (await agent.runIn('b', ['true'])).code === 0);
  });
});

describe('the agent\'s process', () => {
  test('is not dumpable, shows no secret, and is small', async () => {
    const { pid } = agent.process;
    assert.equal(coreLimitOf(pid), '0');
    if (process.getuid() !== 0) assert.equal(fs.statSync(`/proc/${pid}/mem`).uid, 0);
    const seen = JSON.stringify([commandLineOf(pid), environOf(pid)]);
    for (const value of values) assert.ok(!seen.includes(value));
    const resident = Number(/^VmRSS:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
    assert.ok(resident < 20 * 1024, `${resident} KiB`);
  });

  test('the launcher is a static program', async () => {
    assert.deepEqual(await linkedLibrariesOf(programs.launch), []);
    assert.ok(fs.statSync(programs.launch).size <= 1.5 * 1024 * 1024);
  });
});

describe('while keyferryd is gone', () => {
  test('new launches get the last known values until --max-stale, and the newest when it is back', async () => {
    const strict = new Agent('strict', { a: 'everything' }, ['--max-stale=3s']);
    await strict.start();
    const session = await launch(agent.through('a', everything), {});
    await server.stop('SIGKILL');
    try {
      const late = await until('the launcher says that values are the last known', async () => {
        const result = await agent.runIn('a', ['sh', '-c', 'echo $STEP'], ['--on-rotate=restart']);
        assert.equal(result.code, 0, result.stderr);
        return /the values are the last that the agent knew/.test(result.stderr) && result;
      });
      assert.equal(late.stdout, 'hit\n');
      assert.match(await session.tool('echo', { message: 'on' }), /on/);
      const refused = await until('too old', async () => {
        const result = await strict.runIn('a', ['true'], ['--startup-timeout=1s']);
        return result.code === 69 && result;
      });
      assert.match(refused.stderr, /older than --max-stale/);
      assert.equal((await strict.check('ready')).code, 69);
      assert.equal((await strict.check('live')).code, 0);
    } finally {
      await server.start();
    }
    await until('new launches are current again', async () => {
      const result = await strict.runIn('a', ['sh', '-c', 'echo $STEP'], ['--startup-timeout=1s']);
      return result.code === 0 && !/last that the agent knew/.test(result.stderr);
    });
    await rotate({ STEP: 'back' });
    await until('the running one has moved', async () => (await session.env()).STEP === 'back');
    assert.deepEqual(session.errors, []);
    await session.close();
    await strict.stop();
  });
});
