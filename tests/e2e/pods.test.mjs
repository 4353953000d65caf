// Pods as `keyferry inject` rewrites them, run as containers: real MCP servers under the official SDK's client.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { noContainers } from './lib/containers.mjs';
import { attach } from './lib/mcp.mjs';
import { PodWorld, until } from './lib/pod_fixture.mjs';
import { childEnvironmentsOf, childrenOf, commandLineOf, environOf } from './lib/process.mjs';

let world;

// The environments of what the launcher of a container has started, which this machine alone can see.
const environmentsIn = (instance) => childEnvironmentsOf(instance.current.pid);

// Whom the agent's token belongs to, and its mode.
function tokenOf(pod) {
  const { uid, gid, mode } = fs.statSync(path.join(pod.volume('keyferry-identity'), 'token'));
  return { uid, gid, mode: mode & 0o777 };
}

before(async () => { if (!noContainers) world = await PodWorld.open(); });
after(() => world?.close());

describe('a pod with two MCP servers', { skip: noContainers }, () => {
  let pod, everything, memory;

  before(async () => {
    pod = await world.run('two-servers.yaml');
    everything = await attach(pod.container('everything').current);
    memory = await attach(pod.container('memory').current);
    await pod.ready('bystander');
  });

  const newest = (name) => world.values[name].at(-1);
  const moved = (step) => until(`both have moved to ${step}`, async () => (await everything.env()).STEP === step
    && environmentsIn(pod.container('memory')).some((env) => env.STEP === step));

  test('each has the environment of its own, and the container that was not chosen has none', async () => {
    const env = await everything.env();
    assert.equal(env.TOKEN, '[keyferry:TOKEN]');
    assert.equal(env.STEP, 's0');
    assert.equal(env.OTHER, undefined);
    const [real] = environmentsIn(pod.container('everything'));
    assert.ok(real.TOKEN === newest('TOKEN'), 'the process has the value');
    assert.deepEqual(JSON.parse(await memory.tool('read_graph')), { entities: [], relations: [] });
    const [other] = environmentsIn(pod.container('memory'));
    assert.ok(other.OTHER === newest('OTHER') && other.TOKEN === undefined, 'the other has its own alone');
    for (const name of ['everything', 'memory', 'bystander']) {
      const seen = JSON.stringify(name === 'bystander' ? environOf(pod.container(name).current.pid) : environmentsIn(pod.container(name)));
      assert.doesNotMatch(seen, /KEYFERRY_/);
    }
    assert.doesNotMatch(fs.readFileSync(path.join(pod.volume('notes'), 'bystander'), 'utf8'), /TOKEN|OTHER|STEP|KEYFERRY/);
  });

  test('no part of the definition and of the launchers\' environments has a value or a token', () => {
    assert.ok(!world.shows(JSON.stringify(pod.definition)));
    for (const name of ['everything', 'memory', 'bystander', 'keyferry-agent']) {
      assert.ok(!world.shows(JSON.stringify(environOf(pod.container(name).current.pid))), name);
    }
  });

  test('wrapped probes and hooks have the environment', async () => {
    await pod.ready('everything');
    const { postStart } = pod.container('everything').hooks;
    assert.equal(postStart.code, 0, postStart.stderr);
    assert.equal(fs.readFileSync(path.join(pod.volume('notes'), 'everything'), 'utf8'), `postStart ${newest('TOKEN').length}\n`);
  });

  test('the agent\'s probes succeed, and the server knows which pod runs what', async () => {
    assert.ok(await pod.container('keyferry-agent').probe('livenessProbe'));
    const rollout = await until('both are confirmed', async () => {
      const answer = JSON.parse((await world.admin.cli(['credential', 'rollout', 'STEP', '-o', 'json'])).stdout);
      return answer.currentCount === 2 && answer;
    });
    assert.match(JSON.stringify(rollout), /two-servers/);
  });

  test('rotations reach both, and no call is lost', async () => {
    let rotating = true;
    const counts = { everything: 0, memory: 0 };
    const calls = [
      (async () => { for (; rotating; counts.everything += 1) await everything.tool('echo', { message: 'x' }); })(),
      (async () => { for (; rotating; counts.memory += 1) await memory.tool('read_graph'); })(),
    ];
    try {
      for (const step of ['s1', 's2', 's3']) {
        await world.rotate(step);
        await moved(step);
      }
    } finally {
      rotating = false;
      await Promise.all(calls);
    }
    assert.ok(counts.everything > 10 && counts.memory > 10, JSON.stringify(counts));
    assert.deepEqual([...everything.errors, ...memory.errors], []);
    assert.ok(environmentsIn(pod.container('everything')).some((env) => env.TOKEN === newest('TOKEN')), 'it has the newest value');
  });

  test('the agent is killed: the pod starts it again, commands go on and are moved to what is new', async () => {
    const agent = pod.container('keyferry-agent');
    await agent.current.signal('KILL');
    await everything.tool('echo', { message: 'alone' });
    await until('it is started again', () => agent.restarts === 1);
    await agent.started();
    await world.rotate('back');
    await moved('back');
    assert.deepEqual([...everything.errors, ...memory.errors], []);
  });

  test('the token is projected anew, and the agent goes on with it', async () => {
    pod.refresh('keyferry-identity');
    await pod.container('keyferry-agent').current.signal('KILL');
    await until('it is started again', () => pod.container('keyferry-agent').restarts === 2);
    await world.rotate('anew');
    await moved('anew');
  });

  test('the end: hooks, containers, and the agent last', async () => {
    const order = [];
    for (const name of ['everything', 'memory', 'bystander', 'keyferry-agent']) pod.container(name).finished.then(() => order.push(name));
    await pod.stop();
    assert.equal(order.at(-1), 'keyferry-agent');
    assert.equal(pod.container('keyferry-agent').current.exitCode, 0);
    assert.equal(pod.container('everything').current.exitCode, 143);
    const { preStop } = pod.container('everything').hooks;
    assert.equal(preStop.code, 0, preStop.stderr);
    assert.match(fs.readFileSync(path.join(pod.volume('notes'), 'everything'), 'utf8'), new RegExp(`\\npreStop ${newest('TOKEN').length}\n`));
    for (const name of ['everything', 'memory', 'bystander', 'keyferry-agent']) assert.ok(!world.shows(pod.container(name).logs), `the log of ${name}`);
  });
});

describe('other pods', { skip: noContainers }, () => {
  test('a Job ends with its container: the agent does not keep it alive', async () => {
    const pod = await world.run('job.yaml');
    assert.deepEqual(tokenOf(pod), { uid: 65532, gid: 0, mode: 0o600 }, 'the token is the user\'s that all run as');
    assert.equal(await pod.finished(), 'Succeeded');
    assert.equal(pod.container('report').current.stdoutText, `done: ${world.values.TOKEN.at(-1).length} characters, 65532, of $(the) pod\n`);
    assert.equal(pod.container('keyferry-agent').current.exitCode, 0);
  });

  test('without a command: that of the MCP server\'s definition', async () => {
    await world.admin.apply(`id: defined
transport: STDIO
command: /srv/node
args: [/srv/node_modules/@modelcontextprotocol/server-everything/dist/index.js, stdio, 5$(HOME), $$]
env: [{name: TOKEN, orgSecret: TOKEN}]
`);
    await world.admin.cli(['workload', 'grant', 'runner', 'defined']);
    const pod = await world.run('no-command.yaml', ['--ask-server']);
    const client = await attach(pod.container('server').current);
    assert.equal((await client.env()).TOKEN, '[keyferry:TOKEN]');
    const [command] = childrenOf(pod.container('server').current.pid).map(commandLineOf);
    assert.deepEqual(command.slice(-3), ['stdio', '5$(HOME)', '$$']);
    pod.container('server').current.stdin.end();
    assert.equal(await pod.finished(), 'Succeeded');
  });

  test('a root with nothing but one static program, and its exit status', async () => {
    const pod = await world.run('scratch.yaml');
    assert.deepEqual(tokenOf(pod), { uid: 0, gid: 2000, mode: 0o640 }, 'the token is the fsGroup\'s');
    assert.equal(await pod.finished(), 'Failed');
    assert.equal(pod.container('probe').current.exitCode, 3);
    assert.equal(pod.container('probe').current.stdoutText, `TOKEN has ${world.values.TOKEN.at(-1).length} characters, OTHER is not there\n`);
  });

  test('a service account without a grant: the container ends with 77 and says so', async () => {
    const object = await world.inject('scratch.yaml');
    object.spec.serviceAccountName = 'stranger';
    const pod = await world.kubelet.run(object);
    assert.equal(await pod.finished(), 'Failed');
    assert.equal(pod.container('probe').current.exitCode, 77);
    assert.match(pod.container('probe').logs, /^keyferry-launch: [^\n]*refused/m);
    assert.equal(pod.container('probe').current.stdoutText, '');
  });
});

test('what is not executed is refused', { skip: noContainers }, async () => {
  const object = await world.inject('scratch.yaml');
  const probe = () => object.spec.containers.find(({ name }) => name === 'probe');
  probe().volumeDevices = [];
  await assert.rejects(world.kubelet.run(object), /spec\.containers\[probe\]\.volumeDevices is not implemented/);
  delete probe().volumeDevices;
  object.spec.volumes[0].emptyDir.kind = 'x';
  await assert.rejects(world.kubelet.run(object), /emptyDir\.kind is not implemented/);
});
