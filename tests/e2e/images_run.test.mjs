// The images of deploy/image/build, run as a cluster would: as their own user, with a read-only root, without capabilities.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { noContainers, Runtime } from './lib/containers.mjs';
import { secret, serverFile, temporaryDirectory } from './lib/fixture.mjs';
import { readImage, unpack } from './lib/images.mjs';
import { programs } from './lib/platform.mjs';
import { environOf, run } from './lib/process.mjs';

const BUILD = path.resolve(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '../../deploy/image/build');
const BIN = path.dirname(path.dirname(programs.keyferryd));
const NONROOT = 65532;

async function until(what, condition, timeoutMs = 60_000) {
  for (const end = Date.now() + timeoutMs; ; await sleep(50)) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) assert.fail(`not within ${timeoutMs} ms: ${what}`);
  }
}

describe('the images run', { skip: noContainers }, () => {
  const images = {};
  let directory, runtime, server, admin;

  const at = (...parts) => path.join(directory, ...parts);

  // A folder of the image's user, as a volume of a cluster is.
  function volume(name) {
    fs.mkdirSync(at(name), { mode: 0o700 });
    fs.chownSync(at(name), NONROOT, NONROOT);
    return at(name);
  }

  function ownFile(file, text) {
    fs.writeFileSync(file, text, { mode: 0o600 });
    fs.chownSync(file, NONROOT, NONROOT);
  }

  // A container of an image: `command` replaces that of the image, `entrypoint` its entrypoint, as in a pod.
  function start(name, { entrypoint, command, env = {}, ...options }) {
    const { config } = images[name].config;
    assert.equal(config.User, `${NONROOT}:${NONROOT}`);
    const own = Object.fromEntries(config.Env.map((entry) => entry.split('=', 2)));
    return runtime.start(name, {
      rootfs: at(`root-${name}`),
      args: [...(entrypoint ?? config.Entrypoint), ...(command ?? config.Cmd)],
      env: { ...own, ...env },
      cwd: config.WorkingDir,
      uid: NONROOT,
      gid: NONROOT,
      namespaces: { network: 'host' },
      ...options,
    });
  }

  const serverMounts = () => [
    { destination: '/etc/keyferry', source: at('config'), readOnly: true },
    { destination: '/var/lib/keyferry', source: at('data') },
    { destination: '/var/lib/keyferry-keys', source: at('keys') },
  ];

  const addressOf = (container, program) => until(`${program} is ready`, () => {
    assert.equal(container.exitCode, undefined, container.logs);
    return new RegExp(`${program} ready address=(\\S+)`).exec(container.stdoutText)?.[1];
  });

  async function certificate(folder) {
    const { code, stderr } = await run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
      '-subj', '/CN=keyferry.test', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1',
      '-keyout', path.join(folder, 'tls.key'), '-out', path.join(folder, 'tls.crt')], { env: { PATH: process.env.PATH } });
    assert.equal(code, 0, stderr);
    fs.chownSync(path.join(folder, 'tls.key'), NONROOT, NONROOT);
  }

  const cli = (args, input) => run(programs.keyferry, args, { env: admin, input });

  async function succeeds(args, input) {
    const result = await cli(args, input);
    assert.equal(result.code, 0, `keyferry ${args.join(' ')}: ${result.stderr}`);
    return result.stdout;
  }

  async function drains(container) {
    await container.signal('TERM');
    assert.equal(await container.wait(), 0, container.logs);
  }

  before(async () => {
    directory = temporaryDirectory();
    const { code, stdout, stderr } = await run(BUILD, ['--bin-dir', BIN, '--output', at('images'), '-o', 'json'],
      { env: { PATH: process.env.PATH }, timeoutMs: 300_000 });
    assert.equal(code, 0, stderr);
    for (const { image, path: file } of JSON.parse(stdout).images) {
      images[image] = readImage(file);
      unpack(images[image], at(`root-${image}`));
    }
    for (const name of ['config', 'data', 'keys', 'identity', 'control', 'sockets', 'bin']) volume(name);
    await certificate(at('config'));
    fs.writeFileSync(at('config', 'keyferryd.yaml'), `listen: 127.0.0.1:0
data_dir: /var/lib/keyferry/data
tls: {cert_file: /etc/keyferry/tls.crt, key_file: /etc/keyferry/tls.key}
key_provider: {file: /var/lib/keyferry-keys/kek}
`);
    runtime = await Runtime.open();
  });

  after(async () => {
    await runtime?.close();
    fs.rmSync(directory, { recursive: true });
  });

  describe('server', () => {
    test('init makes a store and its admin', async () => {
      const init = await start('server', {
        command: ['init', '--config', '/etc/keyferry/keyferryd.yaml', '--org', 'acme', '--admin', 'ada', '--token-file', '/var/lib/keyferry-keys/ada.token'],
        mounts: serverMounts(),
      });
      assert.equal(await init.wait(), 0, init.logs);
      assert.equal(fs.statSync(at('keys', 'kek')).uid, NONROOT);
    });

    test('serves by the image\'s own command', async () => {
      server = await start('server', { mounts: serverMounts() });
      const address = await addressOf(server, 'keyferryd');
      admin = { PATH: process.env.PATH, HOME: '/nonexistent', KEYFERRY_ADDRESS: address, KEYFERRY_CA_FILE: at('config', 'tls.crt'),
        KEYFERRY_TOKEN_FILE: at('keys', 'ada.token'), KEYFERRY_ORG: 'acme' };
      await succeeds(['status']);
    });

    test('its process has the image\'s user, no capability, and gets none', () => {
      const status = fs.readFileSync(`/proc/${server.pid}/status`, 'utf8');
      assert.match(status, new RegExp(`^Uid:\\s+${NONROOT}\\s+${NONROOT}\\s+${NONROOT}\\s+${NONROOT}$`, 'm'));
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) assert.match(status, new RegExp(`^${set}:\\s+0+$`, 'm'));
      assert.match(status, /^NoNewPrivs:\s+1$/m);
    });

    test('the image\'s own command line reaches it', async () => {
      fs.copyFileSync(at('config', 'tls.crt'), at('identity', 'ca.pem'));
      ownFile(at('identity', 'token'), fs.readFileSync(at('keys', 'ada.token')));
      const status = await start('server', {
        entrypoint: ['/usr/local/bin/keyferry'],
        command: ['status'],
        env: { KEYFERRY_ADDRESS: admin.KEYFERRY_ADDRESS, KEYFERRY_CA_FILE: '/run/identity/ca.pem',
          KEYFERRY_TOKEN_FILE: '/run/identity/token', KEYFERRY_ORG: 'acme' },
        mounts: [{ destination: '/run/identity', source: at('identity'), readOnly: true }],
      });
      assert.equal(await status.wait(), 0, status.logs);
    });
  });

  describe('injector', () => {
    const value = secret('value');

    test('without a command it says what it does', async () => {
      const help = await start('injector', {});
      assert.equal(await help.wait(), 0, help.logs);
      assert.match(help.stdoutText, /Usage: keyferry-injector COMMAND/);
    });

    test('the webhook answers its probe over TLS, and drains', async () => {
      const webhook = await start('injector', {
        command: ['webhook', '--listen=127.0.0.1:0', '--tls-cert=/etc/keyferry/tls.crt', '--tls-key=/etc/keyferry/tls.key', '--shutdown-delay=0s'],
        mounts: [{ destination: '/etc/keyferry', source: at('config'), readOnly: true }],
      });
      const [host, port] = (await addressOf(webhook, 'webhook')).split(':');
      const status = await new Promise((resolve, reject) => {
        https.get({ host, port, path: '/healthz', ca: fs.readFileSync(at('config', 'tls.crt')), servername: 'localhost', agent: false },
          (answer) => { answer.resume(); resolve(answer.statusCode); }).on('error', reject);
      });
      assert.equal(status, 200);
      await drains(webhook);
    });

    test('keyferry-launch installs itself on a volume, as the webhook has it do', async () => {
      const install = await start('injector', {
        entrypoint: ['/usr/local/bin/keyferry-launch', '--copy-to', '/keyferry/bin'],
        command: [],
        mounts: [{ destination: '/keyferry/bin', source: at('bin') }],
      });
      assert.equal(await install.wait(), 0, install.logs);
      assert.equal(fs.statSync(at('bin', 'keyferry-launch')).mode & 0o777, 0o555);
    });

    test('the agent becomes ready, serves a container that has nothing but the launcher, and drains', async () => {
      await succeeds(['credential', 'create', 'TOKEN'], value);
      fs.writeFileSync(at('tools.yaml'), serverFile('tools', ['name: TOKEN, orgSecret: TOKEN']));
      await succeeds(['mcp-server', 'apply', '-f', at('tools.yaml')]);
      await succeeds(['workload', 'create', 'pod', '--mcp-server', 'tools']);
      ownFile(at('identity', 'token'), JSON.parse(await succeeds(['token', 'create', '--workload', 'pod', '-o', 'json'])).token);
      const agent = await start('injector', {
        command: ['agent', '--control-dir', '/run/keyferry/control', '--container', 'name=a,directory=/run/keyferry/sockets,mcp-server=tools'],
        env: { KEYFERRY_ADDRESS: admin.KEYFERRY_ADDRESS, KEYFERRY_ORG: 'acme', KEYFERRY_TOKEN_FILE: '/run/keyferry/identity/token',
          KEYFERRY_CA_FILE: '/run/keyferry/identity/ca.pem' },
        mounts: [
          { destination: '/run/keyferry/identity', source: at('identity'), readOnly: true },
          { destination: '/run/keyferry/control', source: at('control') },
          { destination: '/run/keyferry/sockets', source: at('sockets') },
        ],
      });
      const check = (what) => agent.exec(['/usr/local/bin/keyferry-injector', 'agent', `--check-${what}`, '--control-dir', '/run/keyferry/control']);
      await until('the agent is ready', async () => {
        assert.equal(agent.exitCode, undefined, agent.logs);
        return (await check('ready')).code === 0;
      });
      assert.equal((await check('live')).code, 0);

      const empty = at('root-empty');
      fs.mkdirSync(empty, { mode: 0o755 });
      const launched = await runtime.start('empty', {
        rootfs: empty,
        args: ['/keyferry/bin/keyferry-launch', '--socket', '/keyferry/socket/agent.sock', '--', '/keyferry/bin/keyferry-launch', '--socket', '/absent', '--startup-timeout=1h', '--', '/none'],
        uid: NONROOT,
        mounts: [{ destination: '/keyferry/bin', source: at('bin'), readOnly: true }, { destination: '/keyferry/socket', source: at('sockets'), readOnly: true }],
      });
      const child = await until('the command runs', () => {
        assert.equal(launched.exitCode, undefined, launched.logs);
        return fs.readFileSync(`/proc/${launched.pid}/task/${launched.pid}/children`, 'utf8').trim();
      });
      assert.equal(await until('it has its value', () => environOf(child).TOKEN), value);
      await launched.signal('KILL');
      await launched.wait();

      await drains(agent);
      for (const container of [agent, launched, server]) assert.ok(!container.logs.includes(value), `${container.name} shows the value`);
    });
  });

  test('the server drains', () => drains(server));
});
