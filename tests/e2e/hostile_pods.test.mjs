// Hostile code in one container of a rewritten pod, against the other containers, the agent and their credentials. Each
// attack is also run where it must succeed, in a pod that the webhook would refuse, so that it is known to work.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cluster } from './lib/cluster.mjs';
import { noContainers } from './lib/containers.mjs';
import { Identity } from './lib/platform.mjs';
import { PodWorld, until } from './lib/pod_fixture.mjs';
import { childrenOf, coreLimitOf, environOf } from './lib/process.mjs';

const ATTACK = fs.readFileSync(new URL('pods/attack.py', import.meta.url), 'utf8');
const STRANGERS = ['as-victim', 'as-agent', 'as-root'];
const ATTACKERS = ['neighbour', ...STRANGERS];
const TRIED = ['/keyferry/socket/../victim/agent.sock', '/keyferry/socket/../../run/keyferry/sockets/victim/agent.sock',
  '/run/keyferry/sockets/victim/agent.sock', '/run/keyferry/identity/token', '/run/keyferry/identity/..data/token',
  '/run/keyferry/control/control.sock'];
// What `processes` says of one that is not in the process namespace, and of one of another user or that is not dumpable.
const UNSEEN = { program: '', environ: 'ENOENT', variables: [], root: 'ENOENT', fd: 'ENOENT', mem: 'ENOENT', readv: 'ESRCH', signal: 'ESRCH', ptrace: 'ESRCH' };
const CLOSED = { environ: 'EACCES', variables: [], root: 'EACCES', fd: 'EACCES', mem: 'EACCES', readv: 'EPERM', ptrace: 'EPERM' };
// Whether the kernel lets processes of one user trace each other, as it does unless Yama is there.
const YAMA = '/proc/sys/kernel/yama/ptrace_scope';
const MAY_TRACE = !fs.existsSync(YAMA) || fs.readFileSync(YAMA, 'utf8') === '0\n';

// Offers the socket of a container to all in its network.
const PASS_ON = `
import socket, threading
def copy(source, target):
    while data := source.recv(4096): target.sendall(data)
    target.shutdown(socket.SHUT_WR)
listener = socket.socket(socket.AF_UNIX)
listener.bind("\\0passed-on")
listener.listen()
while True:
    near, far = listener.accept()[0], socket.socket(socket.AF_UNIX)
    far.connect("/keyferry/socket/agent.sock")
    for pair in (near, far), (far, near): threading.Thread(target=copy, args=pair, daemon=True).start()
`;
let world;

async function attack(pod, container, what, ...args) {
  const { code, stdout, stderr } = await pod.container(container).exec(['python3', '-c', ATTACK, what, ...args.map(String)]);
  assert.equal(code, 0, stderr);
  assert.ok(!world.shows(stdout + stderr), 'attacks print no value');
  return JSON.parse(stdout);
}

// Names of the variables that the command of a container was given, once it runs.
async function variablesOf(pod, name) {
  const [pid] = await until(`the command of ${name} runs`, () => {
    const children = childrenOf(pod.container(name).current.pid);
    return children.some((child) => fs.readFileSync(`/proc/${child}/comm`, 'utf8') === 'sleep\n') && children;
  });
  return Object.keys(environOf(pid)).filter((variable) => /^[A-Z]+$/.test(variable) && !['PATH', 'HOME', 'PWD'].includes(variable)).sort();
}

const containerOf = (object, name) => [...object.spec.initContainers, ...object.spec.containers].find((container) => container.name === name);
const mount = (object, container, name, mountPath) => { (containerOf(object, container).volumeMounts ??= []).push({ name, mountPath }); };

before(async () => { if (!noContainers) world = await PodWorld.open(); });
after(() => world?.close());

describe('hostile code beside a container with a credential', { skip: noContainers }, () => {
  let pod;

  before(async () => {
    pod = await world.run('hostile.yaml');
    for (const name of ['victim', 'neighbour']) await variablesOf(pod, name);
  });
  after(() => pod?.kill());

  test('the victim and the neighbour have values of their own', async () => {
    assert.deepEqual(await variablesOf(pod, 'victim'), ['STEP', 'TOKEN']);
    assert.deepEqual(await variablesOf(pod, 'neighbour'), ['OTHER', 'STEP']);
  });

  for (const attacker of ATTACKERS) {
    const own = attacker === 'neighbour';

    test(`${attacker}: no path leads to another's socket or to a token`, async () => {
      const found = await attack(pod, attacker, 'search');
      assert.deepEqual(found.tokens, []);
      for (const [, variables] of found.sockets) assert.deepEqual(variables, ['OTHER', 'STEP']);
      assert.equal(found.sockets.length > 0, own);
      assert.deepEqual(await attack(pod, attacker, 'paths', ...TRIED), Object.fromEntries(TRIED.map((file) => [file, 'ENOENT'])));
      assert.deepEqual(await attack(pod, attacker, 'mountinfo'), own ? ['/keyferry/bin', '/keyferry/socket'] : []);
    });

    test(`${attacker}: the network that the containers share leads to no socket`, async () => {
      const { listed, answered } = await attack(pod, attacker, 'unix');
      assert.ok(listed >= 3, 'the sockets are listed by name');
      assert.deepEqual(answered, []);
    });

    test(`${attacker}: no process of another container is seen, by this machine's numbers neither`, async () => {
      const others = ['victim', 'keyferry-agent'].map((name) => pod.container(name).current.pid);
      const seen = await attack(pod, attacker, 'processes', ...others, childrenOf(others[0])[0]);
      for (const pid of [...others, childrenOf(others[0])[0]]) assert.deepEqual(seen[pid], UNSEEN);
      const programs = Object.values(seen).map(({ program }) => program).filter(Boolean);
      assert.deepEqual(programs, own ? ['keyferry-launch', 'sleep'] : ['sleep']);
    });
  }

  test('the neighbour\'s own launcher shows neither memory nor environment to its own user', async () => {
    const [launcher, command] = Object.values(await attack(pod, 'neighbour', 'processes')).filter(({ program }) => program !== '');
    assert.deepEqual(launcher, { ...CLOSED, program: 'keyferry-launch', signal: 'ok' });
    assert.deepEqual([command.program, command.environ], ['sleep', 'ok'], 'its command is an ordinary process');
  });

  test('the mount of a socket cannot be written, renamed in, linked from, made writable or taken off', async () => {
    const { 'link out': linked, ...others } = await attack(pod, 'neighbour', 'tamper', '/keyferry/socket');
    assert.equal(linked, 'EXDEV');
    assert.deepEqual(new Set(Object.values(others)), new Set(['EROFS']), JSON.stringify(others));
    const { writable, off, unmasked } = await attack(pod, 'neighbour', 'remount', '/keyferry/socket');
    for (const [what, result] of Object.entries({ writable, off, unmasked })) assert.notEqual(result, 'ok', what);
    const installed = await pod.container('neighbour').exec(['sh', '-c', 'echo x > /keyferry/bin/keyferry-launch || echo x > /keyferry/bin/new']);
    assert.match(installed.stderr, /Read-only file system/);
  });

  test('another user of the container is refused at its socket', async () => {
    const launch = ['/keyferry/bin/keyferry-launch', '--socket', '/keyferry/socket/agent.sock', '--exec', '--', 'true'];
    assert.equal((await pod.container('victim').exec(launch)).code, 0);
    const refused = await pod.container('victim').exec(launch, { uid: 1001 });
    assert.equal(refused.code, 77);
    assert.match(refused.stderr, /this socket serves user 1000/);
  });

  test('the agent and the launcher dump no core, whatever the container may', () => {
    const launcher = pod.container('victim').current.pid;
    for (const pid of [launcher, pod.container('keyferry-agent').current.pid]) {
      assert.equal(coreLimitOf(pid), '0');
      assert.equal(fs.statSync(`/proc/${pid}/mem`).uid, 0, 'it is not dumpable');
    }
    assert.notEqual(coreLimitOf(childrenOf(launcher)[0]), '0', 'its command is an ordinary process');
  });
});

describe('pods that the webhook refuses, run all the same', { skip: noContainers }, () => {
  // Runs hostile.yaml after a change that is made past the webhook.
  async function changed(change) {
    const object = await world.inject('hostile.yaml');
    change(object);
    return world.kubelet.run(object);
  }

  test('every way in below is refused by the webhook', async () => {
    const refused = async (pattern, change) => {
      const object = await world.inject('hostile.yaml');
      change(object);
      await assert.rejects(world.injectAgain(object), (error) => /exited 65/.test(error.message) && pattern.test(error.message));
    };
    const { spec } = await world.inject('hostile.yaml');
    const added = spec.volumes.map(({ name }) => name).filter((name) => name.startsWith('keyferry-'));
    assert.equal(added.length, 5);
    for (const volume of added) await refused(/writes to what is not its own/, (object) => mount(object, 'as-agent', volume, '/stolen'));
    await refused(/see the agent's process/, (object) => { object.spec.shareProcessNamespace = true; });
    await refused(/writes to what is not its own/, (object) => object.spec.initContainers.splice(1, 0, planter('true')));
    await refused(/writes to what is not its own/, (object) => {
      containerOf(object, 'neighbour').volumeMounts.find(({ name }) => name.startsWith('keyferry-socket')).readOnly = false;
    });
    await refused(/does not mount what is its own alone/, (object) => {
      containerOf(object, 'as-agent').volumeMounts.push({ name: 'keyferry-socket-victim', mountPath: '/stolen', readOnly: true });
    });
  });

  test('a mount of the identity: the token is found; a mount of the socket: its user is answered, others are not', async () => {
    const pod = await changed((object) => {
      mount(object, 'as-agent', 'keyferry-identity', '/stolen');
      for (const name of STRANGERS) mount(object, name, 'keyferry-socket-victim', '/planted');
    });
    assert.ok((await attack(pod, 'as-agent', 'search')).tokens.length > 0);
    assert.deepEqual(await attack(pod, 'as-victim', 'paths', '/planted/agent.sock'), { '/planted/agent.sock': ['STEP', 'TOKEN'] });
    for (const name of ['as-agent', 'as-root']) assert.deepEqual((await attack(pod, name, 'search')).sockets, []);
    const passing = pod.container('victim').exec(['python3', '-c', PASS_ON], { timeoutMs: 60_000 });
    await until('a socket that is passed on to the network is found', async () => (await attack(pod, 'as-root', 'unix')).answered.includes('@passed-on'));
    const tampered = await attack(pod, 'as-victim', 'tamper', '/planted');
    assert.equal(tampered.rename, 'ok');
    assert.equal(tampered.unlink, 'ok', 'who may write there can take the socket away');
    await pod.kill();
    await passing;
  });

  test('one process namespace: the agent and the launchers are closed to all, a command\'s environment is open to its user', async () => {
    const pod = await changed((object) => { object.spec.shareProcessNamespace = true; });
    for (const attacker of STRANGERS) {
      await variablesOf(pod, 'victim');
      const seen = Object.values(await attack(pod, attacker, 'processes'));
      const ours = seen.filter(({ program }) => program.startsWith('keyferry-'));
      assert.equal(ours.length, 3);
      for (const { program, signal, ...rest } of ours) assert.deepEqual(rest, CLOSED, `${attacker}, ${program}`);
      const open = seen.filter(({ variables }) => variables.includes('TOKEN'));
      assert.equal(open.length, attacker === 'as-victim' ? 1 : 0, attacker);
      for (const { mem, readv, ptrace } of MAY_TRACE ? open : []) assert.deepEqual([mem, readv, ptrace], ['ok', 'ok', 'ok']);
    }
    await pod.kill();
  });

  const planter = (script) => ({
    name: 'planter', image: 'tools', command: ['sh', '-c', script], securityContext: { runAsUser: 1000 },
    volumeMounts: [{ name: 'keyferry-socket-victim', mountPath: '/planted' }, { name: 'shared', mountPath: '/shared' }],
  });
  const planted = (container) => changed((object) => object.spec.initContainers.splice(1, 0, container));

  for (const [what, script] of Object.entries({
    'a symbolic link': 'ln -s /shared/elsewhere /planted/agent.sock',
    'a symbolic link to another socket': 'ln -s ../../control/control.sock /planted/agent.sock',
    'a hard link to a file': 'echo > /planted/file && ln /planted/file /planted/agent.sock',
    'a FIFO': 'mkfifo /planted/agent.sock',
    'a directory': 'mkdir /planted/agent.sock',
  })) {
    test(`${what} in the socket's place before the agent starts: it does not start, and says why`, async () => {
      await assert.rejects(planted(planter(script)), /keyferry-agent does not start: keyferry-injector: this is not a socket: [^\n]*victim\/agent\.sock/);
    });
  }

  const LISTENS = 'import os, socket, time; s = socket.socket(socket.AF_UNIX); s.bind("/planted/agent.sock"); s.listen()';
  const squatter = (more) => ({
    ...planter(`exec python3 -c '${LISTENS}; ${more}; open("/planted/up", "w"); time.sleep(1000)'`),
    restartPolicy: 'Always',
    startupProbe: { exec: { command: ['test', '-e', '/planted/up'] }, periodSeconds: 1, failureThreshold: 60 },
  });

  test('a process that listens there for all: the agent does not start', async () => {
    await assert.rejects(planted(squatter('os.chmod("/planted/agent.sock", 0o777)')), /another process serves this socket/);
  });

  for (const [what, container] of Object.entries({
    'a process that listens there for itself': squatter('pass'),
    'a socket that nobody serves': planter(`python3 -c '${LISTENS}'`),
  })) {
    test(`${what} is replaced by the agent's`, async () => {
      const pod = await planted(container);
      assert.deepEqual(await variablesOf(pod, 'victim'), ['STEP', 'TOKEN']);
      await pod.kill();
    });
  }
});

describe('a pod\'s token or session, taken elsewhere', { skip: noContainers }, () => {
  let pod, file;

  before(async () => {
    pod = await world.run('hostile.yaml');
    file = path.join(world.directory, 'stolen.token');
  });
  after(() => pod?.kill());

  // A launch on another machine with a token.
  async function replay(token, mcpServer = 'everything', more = []) {
    fs.writeFileSync(file, token, { mode: 0o600 });
    const identity = new Identity(world.server, file);
    const result = await identity.inject(['--mcp-server', mcpServer, ...more, '--', 'sh', '-c', 'test "$STEP" && echo launched']);
    assert.ok(!world.shows(result.stdout + result.stderr), 'neither a value nor the token is shown');
    return result;
  }

  const refused = async (...replayed) => {
    const result = await replay(...replayed);
    assert.equal(result.code, 77, result.stderr);
    assert.equal(result.stdout, '');
  };

  test('it is as good as the pod while the pod is there, for what the pod may launch', async () => {
    const stolen = fs.readFileSync(path.join(pod.volume('keyferry-identity'), 'token'), 'utf8');
    assert.equal((await replay(stolen)).stdout, 'launched\n');
    await refused(stolen, 'forbidden');
  });

  test('refused: ended, for another audience, of another service account, of another issuer, with an older signature', async () => {
    await refused(pod.token({ expires: -90 }));
    await refused(pod.token({ audience: 'https://kubernetes.default.svc.cluster.local' }));
    await refused(pod.token({ serviceAccount: 'default' }));
    await refused(pod.token({ namespace: 'other' }));
    await refused(new Cluster(world.directory).token({ namespace: 'tools', serviceAccount: 'mcp', pod: pod.name, uid: pod.uid }));
    const [head, , signature] = pod.token().split('.');
    await refused([head, pod.token({ expires: 7200 }).split('.')[1], signature].join('.'));
    assert.equal((await replay(pod.token())).stdout, 'launched\n', 'and a good one is still taken');
  });

  test('a session that is bound to another workload is refused', async () => {
    await world.admin.cli(['workload', 'grant', 'runner', '--can-use-sessions']);
    const session = async (workload) => {
      const { stdout } = await world.admin.cli(['session', 'create', '--user', 'admin', '--mcp-server', 'everything', '--workload', workload, '-o', 'json']);
      const taken = path.join(world.directory, `${workload}.session`);
      fs.writeFileSync(taken, JSON.parse(stdout).token, { mode: 0o600 });
      return ['--session-file', taken];
    };
    await world.admin.cli(['workload', 'create', 'elsewhere', '--mcp-server', 'everything', '--can-use-sessions']);
    assert.equal((await replay(pod.token(), 'everything', await session('runner'))).stdout, 'launched\n');
    await refused(pod.token(), 'everything', await session('elsewhere'));
  });

  test('refused once the pod is deleted, although it has not ended', async () => {
    const stolen = pod.token();
    assert.equal((await replay(stolen)).stdout, 'launched\n');
    world.cluster.pods.delete(pod.uid);
    await until('the review counts no more', async () => (await replay(stolen)).code === 77);
    await refused(stolen);
    await refused(pod.token(), 'memory');
  });
});
