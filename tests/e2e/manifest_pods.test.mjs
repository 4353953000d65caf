// deploy/kubernetes: the real programs run as the pods say: their users, files, flags, configuration and probes.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { after, before, describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pod } from './lib/kubelet.mjs';
import { named, ofKind } from './lib/manifests.mjs';
import { programs } from './lib/platform.mjs';
import { ROOT, certificate, directory, made, missing, rendered, setUp, tearDown, test, version } from './lib/rendered.mjs';

const PATIENCE_MS = 60_000;

// A program that starts although it must not is stopped by nobody else, and would keep the tests from ending.
const pods = [];
function keep(pod) {
  pods.push(pod);
  return pod;
}

before(setUp);
after(() => {
  for (const pod of pods) pod.kill();
  tearDown();
});

// An HTTPS request to a program of this machine that shows a certificate for `name`.
function ask(port, target, { name = 'localhost', token, body, method = body ? 'POST' : 'GET' } = {}) {
  return new Promise((resolve, reject) => {
    const request = https.request({
      host: '127.0.0.1', port, path: target, method, ca: made('ca.crt'), servername: name,
      headers: { ...(token && { authorization: `Bearer ${token}` }), ...(body && { 'content-type': 'application/json' }) },
    }, (response) => {
      let text = '';
      response.on('data', (chunk) => { text += chunk; });
      response.on('end', () => resolve({ status: response.statusCode, text }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

// What volumes hold: the rendered ConfigMaps, and what the rest is.
function contents(objects, more) {
  const maps = ofKind(objects, 'ConfigMap').map(({ metadata, data }) => [`ConfigMap/${metadata.name}`, data]);
  return { ...Object.fromEntries(maps), ...more };
}

function copyPrograms() {
  const folder = path.join(directory, 'bin');
  if (fs.existsSync(folder)) return folder;
  fs.chmodSync(directory, 0o755);
  fs.mkdirSync(folder);
  fs.copyFileSync(programs.keyferryd, path.join(folder, 'keyferryd'));
  fs.copyFileSync(programs.keyferry, path.join(folder, 'keyferry'));
  fs.copyFileSync(programs.injector, path.join(folder, 'keyferry-injector'));
  for (const name of fs.readdirSync(folder)) fs.chmodSync(path.join(folder, name), 0o755);
  return folder;
}

const ANY_PORT = [['0.0.0.0:7443', '127.0.0.1:0'], ['0.0.0.0:9443', '127.0.0.1:0'], ['0.0.0.0:8443', '127.0.0.1:0'], ['0.0.0.0:9090', '127.0.0.1:0']];
const portOf = (line, what) => Number(new RegExp(`${what}=[^ ]*:(\\d+)`).exec(line)[1]);

function serverPod(overlay, folder, more, substitutes = []) {
  const objects = rendered[overlay].objects;
  const sources = contents(objects, {
    'Secret/keyferry-kek': { kek: `${randomBytes(32).toString('base64')}\n` },
    'Secret/keyferry-tls': certificate('keyferry'),
    'Secret/keyferry-metrics': { token: randomBytes(16).toString('hex') },
    'ConfigMap/keyferry-issuer': { 'jwks.json': '{"keys":[]}' },
    ...more,
  });
  const home = path.join(directory, folder);
  fs.mkdirSync(home);
  const pod = keep(new Pod(home, named(objects, 'StatefulSet', 'keyferry').spec.template,
    { sources, programs: copyPrograms(), substitutes: [...substitutes, ...ANY_PORT] }));
  return { pod, token: sources['Secret/keyferry-metrics'].token };
}

describe('the pod of the server', () => {
  let pod, token, server, grpc;
  const store = () => pod.path('/var/lib/keyferry/store');
  const firstMap = () => Object.keys(pod.sources).find((name) => name.startsWith('ConfigMap/keyferry-first-')).slice('ConfigMap/'.length);
  const adminToken = () => pod.path('/run/keyferry/admin.token');

  before(async () => {
    if (!missing) ({ pod, token } = serverPod('with-copied-keys', 'server'));
  });
  after(() => server?.stop());

  test('is initialized once', async () => {
    const first = await pod.run('init');
    assert.equal(first.code, 0, first.stderr);
    assert.doesNotMatch(first.stdout + first.stderr, /kf_/);
    const admin = fs.readFileSync(adminToken());
    assert.equal(fs.statSync(store()).mode & 0o77, 0);
    const onDisk = fs.readdirSync(pod.path('/var/lib/keyferry'), { recursive: true }).map((name) => pod.path(`/var/lib/keyferry/${name}`));
    for (const file of onDisk.filter((each) => fs.statSync(each).isFile())) assert.equal(fs.readFileSync(file).includes(admin), false, file);
    const second = await pod.run('init');
    assert.equal(second.code, 0, second.stderr);
    assert.match(second.stderr, /nothing was done/);
    assert.deepEqual(fs.readFileSync(adminToken()), admin);
  });

  test('serves with the files that it is given, and probes answer', async () => {
    server = await pod.start('keyferryd');
    grpc = portOf(server.line, ' address');
    const { livenessProbe, readinessProbe } = pod.container('keyferryd');
    for (const { httpGet } of [livenessProbe, readinessProbe]) {
      assert.equal(httpGet.scheme, 'HTTPS');
      assert.equal((await ask(portOf(server.line, 'metrics'), httpGet.path)).status, 200, httpGet.path);
    }
    const metrics = portOf(server.line, 'metrics');
    assert.equal((await ask(metrics, '/metrics', { name: 'keyferry', token })).status, 200);
    assert.equal((await ask(metrics, '/metrics', { token: 'x'.repeat(32) })).status, 401);
  });

  test('listens where the container says', () => {
    const { data } = rendered['with-copied-keys'].objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name.startsWith('keyferry-server-'));
    const configured = [...data['keyferryd.yaml'].matchAll(/listen: 0\.0\.0\.0:(\d+)/g)].map(([, port]) => Number(port));
    assert.deepEqual(configured, pod.container('keyferryd').ports.map(({ containerPort }) => containerPort));
  });

  test('answers `kubectl exec` of the first ADMIN, and has made a backup', async () => {
    const here = { KEYFERRY_ADDRESS: `localhost:${grpc}` };
    const status = async () => {
      const { code, stdout, stderr } = await pod.exec('keyferryd', ['keyferry', 'status', '--data-dir', store(), '-o', 'json'], here);
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout);
    };
    // It is made beside the start.
    const deadline = Date.now() + PATIENCE_MS;
    let answer = await status();
    while (answer.lastBackupOutcome === 'NONE' && Date.now() < deadline) answer = await status();
    assert.equal(answer.principal, 'orgs/acme/users/admin');
    assert.equal(answer.health, 'SERVING');
    assert.equal(answer.lastBackupOutcome, 'SUCCEEDED', answer.lastBackupProblem);
    assert.equal(fs.readdirSync(pod.path('/var/backups/keyferry/store')).filter((name) => !name.startsWith('.')).length >= 1, true);
    const hours = (Date.parse(answer.tokenExpireTime) - Date.now()) / 3_600_000;
    assert.ok(hours > 0 && hours <= 24, answer.tokenExpireTime);
    const issued = await pod.exec('keyferryd', ['keyferry', 'token', 'create', '--user', 'admin', '-o', 'json'], here);
    assert.match(JSON.parse(issued.stdout).token, /^kf_u_/);
  });

  test('is there again after a restart, as long as the volume is opened at its own directory alone', async () => {
    assert.deepEqual(await server.stop(), { code: 0 });
    server = undefined;
    assert.equal(pod.spec.securityContext.fsGroupChangePolicy, 'OnRootMismatch');
    pod.openToGroup(pod.path('/var/lib/keyferry'));
    server = await pod.start('keyferryd');
    await server.stop();
    server = undefined;
    pod.openToGroup(pod.path('/var/lib/keyferry'), { everything: true });
    await assert.rejects(pod.start('keyferryd'), /can be used by others/);
    fs.chmodSync(store(), 0o700);
  });

  test('is entered again where a new token is asked for, and not otherwise', async () => {
    fs.rmSync(adminToken());
    assert.equal((await pod.run('init')).code, 0);
    assert.equal(fs.existsSync(adminToken()), false);
    pod.sources[`ConfigMap/${firstMap()}`]['new-token'] = 'true';
    const { code, stderr } = await pod.run('init');
    assert.equal(code, 0, stderr);
    assert.match(fs.readFileSync(adminToken(), 'utf8'), /^kf_u_/);
    pod.sources[`ConfigMap/${firstMap()}`]['new-token'] = 'false';
  });

  test('is not made anew where its volume is lost and backups are there', async () => {
    fs.renameSync(store(), `${store()}.lost`);
    const { code, stderr } = await pod.run('init');
    assert.equal(code, 1);
    assert.match(stderr, /holds backups, .*restore/);
    assert.equal(fs.existsSync(store()), false);
    fs.renameSync(`${store()}.lost`, store());
  });

  test('is checked and restored by the job for maintenance', async () => {
    const [{ args: [, ...files] }] = rendered.maintenance.objects[0].spec.template.spec.containers;
    const maintain = (words) => pod.exec('keyferryd', ['keyferryd', ...words.map((word) => pod.here(word))]);
    const verified = await maintain(['verify', ...files]);
    assert.match(verified.stdout, /every record of .* is authentic/, verified.stderr);
    // As job.yaml shows them.
    const [backup] = fs.readdirSync(pod.path('/var/backups/keyferry/store')).filter((name) => /^\d/.test(name));
    const shown = [...fs.readFileSync(path.join(ROOT, 'deploy/kubernetes/maintenance/job.yaml'), 'utf8').matchAll(/#   \[(.*), \.\.\.\]/g)]
      .map(([, words]) => words.replace('NAME', backup).split(', '));
    assert.deepEqual(shown.map(([command]) => command), ['restore']);
    for (const words of shown) {
      const { code, stderr } = await maintain([...words, ...files.slice(1)]);
      assert.equal(code, 0, stderr);
    }
    const restored = await maintain(['verify', '--data-dir=/var/lib/keyferry/restored', ...files.slice(1)]);
    assert.equal(restored.code, 0, restored.stderr);
  });

  test('is refused a KEK that everybody can read', async () => {
    fs.chmodSync(fs.realpathSync(pod.path('/etc/keyferry/kek/kek')), 0o444);
    await assert.rejects(pod.start('keyferryd'), /KEK file .* can be used by others/);
  });
});

describe('the pod of the server with components', () => {
  let api, asked;

  before(async () => {
    if (missing) return;
    let tell;
    asked = new Promise((resolve) => { tell = resolve; });
    api = https.createServer({ cert: made('api.crt'), key: made('api.key') }, (request, response) => {
      tell(`${request.url} ${request.headers.authorization}`);
      response.setHeader('content-type', 'application/json');
      response.end('{"keys":[]}');
    });
    await new Promise((resolve) => api.listen(0, '127.0.0.1', resolve));
  });
  after(() => api?.close());

  test('asks the API server with its own token, and serves browsers', async () => {
    const origin = `https://localhost:${api.address().port}`;
    const { pod } = serverPod('with-all', 'components', {
      token: { '': 'of-the-pod' }, 'ConfigMap/kube-root-ca.crt': { 'ca.crt': made('ca.crt') }, 'Secret/keyferry-browsers-tls': certificate('api'),
    },
      [['https://kubernetes.default.svc/', `${origin}/`], ['url: https://kubernetes.default.svc\n', `url: ${origin}\n`]]);
    const init = await pod.run('init');
    assert.equal(init.code, 0, init.stderr);
    const server = await pod.start('keyferryd');
    try {
      const first = await Promise.race([asked, sleep(PATIENCE_MS, 'nothing', { ref: false })]);
      assert.equal(first, '/openid/v1/jwks Bearer of-the-pod', server.errors());
      const { env, ports } = pod.container('keyferryd');
      const listen = env.find(({ name }) => name === 'KEYFERRYD_HTTP_LISTEN').value;
      assert.equal(listen, `0.0.0.0:${ports.find(({ name }) => name === 'browsers').containerPort}`);
    } finally {
      assert.deepEqual(await server.stop(), { code: 0 });
    }
  });
});

function reviewOf(container) {
  return JSON.stringify({
    apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview',
    request: {
      uid: '1', resource: { group: '', version: 'v1', resource: 'pods' }, operation: 'CREATE',
      object: {
        metadata: { labels: { 'keyferry.dev/inject': 'true' }, annotations: { 'keyferry.dev/mcp-server': 'github' } },
        spec: { containers: [{ name: 'server', image: 'x', ...container }] },
      },
    },
  });
}

function patchOf({ text }) {
  const { response } = JSON.parse(text);
  assert.equal(response.allowed, true, response.status?.message);
  return Buffer.from(response.patch, 'base64').toString();
}

function webhookPod(overlay, folder, more = {}, substitutes = []) {
  const { objects } = rendered[overlay];
  const home = path.join(directory, folder);
  fs.mkdirSync(home);
  return keep(new Pod(home, named(objects, 'Deployment', 'keyferry-webhook').spec.template, {
    sources: contents(objects, { 'Secret/keyferry-webhook-tls': certificate('keyferry-webhook'), ...more }),
    programs: copyPrograms(), substitutes: [...substitutes, ...ANY_PORT],
  }));
}

const DEFINITION = `id: github
transport: STDIO
command: from-the-definition
`;

describe('the pods with the component ask-server', () => {
  test('the webhook asks the server with the token of its Secret', async () => {
    const { pod } = serverPod('with-copied-keys', 'asked');
    const init = await pod.run('init');
    assert.equal(init.code, 0, init.stderr);
    const server = await pod.start('keyferryd');
    let webhook;
    try {
      const address = `localhost:${portOf(server.line, ' address')}`;
      const keyferry = async (words, input) => {
        const { code, stdout, stderr } = await pod.exec('keyferryd', ['keyferry', ...words], { KEYFERRY_ADDRESS: address }, input);
        assert.equal(code, 0, stderr);
        return stdout;
      };
      await keyferry(['mcp-server', 'apply', '-f', '-'], DEFINITION);
      // As docs/webhook.md has it.
      const shown = [...fs.readFileSync(path.join(ROOT, 'docs/webhook.md'), 'utf8').matchAll(/exec keyferry-0 -- keyferry ([^|\n]*)/g)]
        .map(([, words]) => words.trim().split(' '));
      const outputs = [];
      for (const words of shown) outputs.push(await keyferry(words));
      const { token } = JSON.parse(outputs.at(-1));
      const asking = webhookPod('with-ask-server', 'asking', {
        'Secret/keyferry-webhook-token': { token }, 'Secret/keyferry-tls': certificate('keyferry'),
      }, [['keyferry.keyferry.svc:7443', address]]);
      webhook = await asking.start('webhook');
      const answer = await ask(portOf(webhook.line, 'address'), '/mutate', { name: 'keyferry-webhook.keyferry.svc', body: reviewOf({}) });
      assert.match(patchOf(answer), /from-the-definition/);
    } finally {
      await webhook?.stop();
      assert.deepEqual(await server.stop(), { code: 0 });
    }
  });
});

describe('the pods with the component monitoring', () => {
  test('the webhook tells of itself', async () => {
    const webhook = await webhookPod('with-monitoring', 'monitored').start('webhook');
    try {
      const answer = await fetch(`http://127.0.0.1:${portOf(webhook.line, 'metrics')}/metrics`);
      assert.equal(answer.status, 200);
      assert.match(await answer.text(), /^keyferry_webhook_reviews_total\{outcome="patched"\} 0$/m);
    } finally {
      await webhook.stop();
    }
  });
});

describe('the pod of the webhook', () => {
  let webhook, port;

  before(async () => {
    if (missing) return;
    const pod = webhookPod('supplied-tls', 'webhook');
    const probes = [pod.container('webhook').livenessProbe, pod.container('webhook').readinessProbe];
    webhook = await pod.start('webhook');
    port = portOf(webhook.line, 'address');
    for (const { httpGet } of probes) assert.equal((await ask(port, httpGet.path, { name: 'keyferry-webhook.keyferry.svc' })).status, 200);
  });
  after(() => webhook?.stop());

  test('is reached as the API server does, and puts its own image in', async () => {
    const { objects } = rendered['supplied-tls'];
    const { service, caBundle } = ofKind(objects, 'MutatingWebhookConfiguration')[0].webhooks[0].clientConfig;
    assert.equal(Buffer.from(caBundle, 'base64').toString(), made('ca.crt'));
    const answer = await ask(port, service.path, { name: `${service.name}.${service.namespace}.svc`, body: reviewOf({ command: ['node'] }) });
    const patch = patchOf(answer);
    assert.ok(patch.includes(`"image":"registry.example/keyferry/injector:${version}"`), patch);
    assert.ok(patch.includes('keyferry.keyferry.svc:7443'));
    // The organization of the webhook is the one that the server makes first.
    const { org } = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name.startsWith('keyferry-first-')).data;
    assert.ok(patch.includes(`orgs/${org}/mcpServers/github`) || patch.includes(`"${org}"`), patch);
  });
});
