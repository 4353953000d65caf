// deploy/kubernetes: what `kubectl apply -k` would send is what Kubernetes takes and what its parts need of each other, and
// the real programs run as the pods say: their users, files, flags, configuration and probes.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { after, before, describe, test as plainTest } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomBytes } from 'node:crypto';
import { temporaryDirectory } from './lib/fixture.mjs';
import { Pod } from './lib/kubelet.mjs';
import { checkAll, expansionProblems, fileProblems, imageProblems, named, ofKind } from './lib/manifests.mjs';
import { programs } from './lib/platform.mjs';
import { run } from './lib/process.mjs';
import { buildRenderer } from './lib/renderer.mjs';

const ROOT = path.resolve(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '../..');
const PATIENCE_MS = 60_000;

// What whoever installs it brings, as docs/kubernetes.md says.
const BROUGHT = {
  'Secret/keyferry-kek': ['kek'],
  'Secret/keyferry-metrics': ['token'],
  'ConfigMap/kube-root-ca.crt': ['ca.crt'],
};
const CERTIFICATES = {
  'Secret/keyferry-tls': ['tls.crt', 'tls.key', 'ca.crt'],
  'Secret/keyferry-webhook-tls': ['tls.crt', 'tls.key'],
};
const ISSUER = { 'ConfigMap/keyferry-issuer': ['jwks.json'] };
const WEBHOOK_TOKEN = { 'Secret/keyferry-webhook-token': ['token'] };
const BROWSERS = { 'Secret/keyferry-browsers-tls': ['tls.crt', 'tls.key'] };
const REVIEW_RULES = [{ apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] }];
const COMPONENTS = ['oauth', 'ask-server', 'monitoring'];
const API_SERVER = { rules: REVIEW_RULES, egress: [53, 443, 6443] };

// Kustomizations by name: those of the tree, and such as people make of them.
const overlays = {
  'supplied-tls': { ...API_SERVER, brought: { ...BROUGHT, ...CERTIFICATES } },
  'single-node': { ...API_SERVER, brought: { ...BROUGHT, ...CERTIFICATES } },
  'cert-manager': { ...API_SERVER, brought: BROUGHT },
  'with-copied-keys': { without: 'token-review', on: 'supplied-tls', rules: [], copied: true, brought: { ...BROUGHT, ...CERTIFICATES, ...ISSUER } },
  'with-oauth': { ...API_SERVER, on: 'cert-manager', components: ['oauth'], brought: { ...BROUGHT, ...BROWSERS } },
  'with-ask-server': { ...API_SERVER, on: 'cert-manager', components: ['ask-server'], egress: [53, 443, 6443, 7443], brought: { ...BROUGHT, ...WEBHOOK_TOKEN } },
  'with-monitoring': { ...API_SERVER, on: 'cert-manager', components: ['monitoring'], brought: BROUGHT },
  'with-all': { ...API_SERVER, on: 'supplied-tls', components: COMPONENTS, egress: [53, 443, 6443, 7443], brought: { ...BROUGHT, ...CERTIFICATES, ...BROWSERS, ...WEBHOOK_TOKEN } },
};
const UNTYPED = ['Certificate', 'Issuer', 'ServiceMonitor', 'PrometheusRule'];

let tree, rendered, version;
const directory = temporaryDirectory();
const renderer = path.join(directory, 'render');
const { missing } = await buildRenderer(renderer);
// Tests that need what is rendered. Without Go or its modules they are skipped.
const test = (name, body) => plainTest(name, { skip: missing }, body);

async function render(...kustomizations) {
  const { code, stdout, stderr } = await run(renderer, kustomizations.map((each) => path.join(tree, each)), { env: process.env });
  assert.equal(code, 0, stderr);
  return Object.fromEntries(Object.entries(JSON.parse(stdout)).map(([each, result]) => [path.basename(each), result]));
}

function writeOverlay(name, text) {
  fs.mkdirSync(path.join(tree, 'overlays', name), { recursive: true });
  fs.writeFileSync(path.join(tree, 'overlays', name, 'kustomization.yaml'), text);
}

// A copy of the overlay, in which a component is left out as docs/kubernetes.md says.
function writeOverlayWithout(name, overlay, component) {
  fs.cpSync(path.join(tree, 'overlays', overlay), path.join(tree, 'overlays', name), { recursive: true });
  const text = fs.readFileSync(path.join(tree, 'overlays', name, 'kustomization.yaml'), 'utf8');
  const line = `components: [../../components/${component}]\n`;
  assert.ok(text.includes(line));
  writeOverlay(name, text.replace(line, ''));
}

const expectedOf = (name) => ({ version, ...overlays[name] });
const objectsOf = (name) => structuredClone(rendered[name].objects);

before(async () => {
  if (missing) return;
  version = (await run(programs.keyferryd, ['--version'])).stdout.split(' ')[1].trim();
  tree = path.join(directory, 'kubernetes');
  fs.cpSync(path.join(ROOT, 'deploy/kubernetes'), tree, { recursive: true });
  await makeCertificates();
  fs.copyFileSync(path.join(directory, 'ca.crt'), path.join(tree, 'overlays/supplied-tls/ca.crt'));
  for (const [name, { on, components, without }] of Object.entries(overlays)) {
    const folders = components?.map((each) => (each === 'monitoring' ? '../../monitoring' : `../../components/${each}`));
    if (without) writeOverlayWithout(name, on, without);
    else if (on) writeOverlay(name, `resources: [../${on}]\ncomponents: [${folders.join(', ')}]\n`);
  }
  rendered = await render(...Object.keys(overlays).map((name) => `overlays/${name}`), 'maintenance');
});

after(() => fs.rmSync(directory, { recursive: true, force: true }));

// A CA, and certificates as docs/kubernetes.md has them made.
async function makeCertificates() {
  const openssl = async (...args) => {
    const { code, stderr } = await run('openssl', args, { cwd: directory, env: process.env });
    assert.equal(code, 0, stderr);
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30'];
  await openssl('req', '-x509', ...key, '-subj', '/CN=CA', '-keyout', 'ca.key', '-out', 'ca.crt');
  const names = {
    keyferry: ['keyferry.keyferry.svc', 'keyferry', 'localhost'],
    'keyferry-webhook': ['keyferry-webhook.keyferry.svc'],
    api: ['localhost'],
  };
  for (const [name, hosts] of Object.entries(names)) {
    await openssl('req', '-x509', ...key, '-subj', `/CN=${hosts[0]}`, '-CA', 'ca.crt', '-CAkey', 'ca.key',
      '-addext', `subjectAltName=${hosts.map((host) => `DNS:${host}`).join(',')}`,
      '-addext', 'basicConstraints=critical,CA:FALSE', '-keyout', `${name}.key`, '-out', `${name}.crt`);
  }
}

const made = (name) => fs.readFileSync(path.join(directory, name), 'utf8');
const certificate = (name) => ({ 'tls.crt': made(`${name}.crt`), 'tls.key': made(`${name}.key`), 'ca.crt': made('ca.crt') });

describe('what is rendered', () => {
  for (const name of Object.keys(overlays)) {
    test(`${name}: Kubernetes knows every field, and lets every pod into a restricted namespace`, () => {
      const { objects, problems, untyped } = rendered[name];
      assert.deepEqual(problems, []);
      assert.ok(objects.length > 15, `${objects.length} objects`);
      assert.deepEqual((untyped ?? []).filter((each) => !UNTYPED.includes(each.split('/')[0])), []);
      assert.equal(named(objects, 'Namespace', 'keyferry').metadata.labels['pod-security.kubernetes.io/enforce'], 'restricted');
    });

    test(`${name}: the objects fit each other`, () => {
      assert.deepEqual(checkAll(objectsOf(name), expectedOf(name)), []);
    });
  }

  test('the job for maintenance fits the server', () => {
    const { objects, problems } = rendered.maintenance;
    assert.deepEqual(problems, []);
    const server = objectsOf('supplied-tls');
    assert.deepEqual([...imageProblems(objects, version), ...fileProblems(objects, BROUGHT), ...expansionProblems(objects)], []);
    const [claims, { name }] = [ofKind(server, 'StatefulSet')[0].spec.volumeClaimTemplates, ofKind(server, 'StatefulSet')[0].metadata];
    assert.deepEqual(objects[0].spec.template.spec.volumes.flatMap(({ persistentVolumeClaim: claim }) => claim?.claimName ?? []),
      claims.map(({ metadata }) => `${metadata.name}-${name}-0`));
  });

  test('both configurations of the server differ in where identities come from alone', () => {
    const [plain, reviewed] = ['with-copied-keys', 'supplied-tls'].map((name) => Object.values(
      objectsOf(name).find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name.startsWith('keyferry-server-')).data)[0]);
    const before = (text) => text.slice(0, text.indexOf('      issuer:'));
    assert.ok(before(plain).includes('identity:'));
    assert.equal(before(plain), before(reviewed));
  });

  test('volumes of a single node are those that the server claims', () => {
    const objects = objectsOf('single-node');
    const claimed = ofKind(objects, 'PersistentVolume').map(({ spec }) => [spec.claimRef.name, spec.storageClassName, spec.capacity.storage]);
    const asked = ofKind(objects, 'StatefulSet')[0].spec.volumeClaimTemplates
      .map(({ metadata, spec }) => [`${metadata.name}-keyferry-0`, spec.storageClassName, spec.resources.requests.storage]);
    assert.deepEqual(claimed, asked);
  });

  plainTest('every alert has its section in the runbook', () => {
    const runbook = fs.readFileSync(path.join(ROOT, 'docs/runbook.md'), 'utf8').split('\n');
    const rules = fs.readFileSync(path.join(ROOT, 'deploy/kubernetes/monitoring/prometheusrule.yaml'), 'utf8');
    const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, alert]) => alert);
    assert.ok(alerts.length > 10);
    for (const alert of alerts) assert.ok(runbook.includes(`## ${alert}`), alert);
  });

  plainTest('the runbook says what to do where the keys of the issuer are a copy', () => {
    const [, section] = /\n## KeyferryUnauthenticatedCalls\n(.*?)\n## /s.exec(fs.readFileSync(path.join(ROOT, 'docs/runbook.md'), 'utf8'));
    for (const word of ['jwks_file', 'kubernetes.md#without-the-api-server']) assert.ok(section.includes(word), word);
    const page = fs.readFileSync(path.join(ROOT, 'docs/kubernetes.md'), 'utf8');
    const [, copied] = /\n### Without the API server\n(.*?)\n### /s.exec(page);
    for (const word of ['jwks_file', 'keyferry-issuer', '/openid/v1/jwks']) assert.ok(copied.includes(word), word);
  });

  plainTest('docs/kubernetes.md says how to make what is brought', () => {
    const page = fs.readFileSync(path.join(ROOT, 'docs/kubernetes.md'), 'utf8');
    for (const [source, keys] of Object.entries({ ...BROUGHT, ...CERTIFICATES, ...BROWSERS, ...ISSUER, ...WEBHOOK_TOKEN })) {
      if (source === 'ConfigMap/kube-root-ca.crt') continue;
      for (const word of [source.split('/')[1], ...keys]) assert.ok(page.includes(word), `${source}: ${word}`);
    }
  });
});

// Each check finds what it is for.
describe('what would be found', () => {
  const server = (objects) => named(objects, 'StatefulSet', 'keyferry').spec.template.spec;
  const webhook = (objects) => named(objects, 'Deployment', 'keyferry-webhook').spec.template.spec;
  const budget = (objects) => named(objects, 'PodDisruptionBudget', 'keyferry').spec;
  const hook = (objects) => ofKind(objects, 'MutatingWebhookConfiguration')[0].webhooks[0];
  const volume = (objects, name) => server(objects).volumes.find((each) => each.name === name);
  const initFlag = (objects, name, value) => {
    const [init] = server(objects).initContainers;
    init.command = init.command.filter((word) => !word.startsWith(`--${name}=`)).concat(value ? [`--${name}=${value}`] : []);
  };
  const changes = [
    ['an image without a version', (o) => { server(o).containers[0].image = 'keyferry/server'; }, /has the image/],
    ['the image latest', (o) => { server(o).containers[0].image = 'keyferry/server:latest'; }, /has the image/],
    ['the host of a registry', (o) => { webhook(o).containers[0].image = 'ghcr.io/keyferry/injector:0.1.0'; }, /has the image/],
    ['another namespace', (o) => { named(o, 'Service', 'keyferry').metadata.namespace = 'default'; }, /not in the namespace/],
    ['a Service for other labels', (o) => { named(o, 'Service', 'keyferry').spec.selector = { app: 'keyferry' }; }, /does not select/],
    ['a StatefulSet without its Service', (o) => { named(o, 'StatefulSet', 'keyferry').spec.serviceName = 'keyferry'; }, /headless/],
    ['a port that nothing listens on', (o) => { named(o, 'Service', 'keyferry').spec.ports[0].targetPort = 'http'; }, /no container has/],
    ['a probe of another port', (o) => { server(o).containers[0].livenessProbe.httpGet.port = 8080; }, /livenessProbe asks/],
    ['nothing denied', (o) => o.splice(o.indexOf(named(o, 'NetworkPolicy', 'default-deny')), 1), /nothing denies/],
    ['a port more let in', (o) => { named(o, 'NetworkPolicy', 'keyferry').spec.ingress[0].ports.push({ port: 22 }); }, /policies allow/],
    ['all ports let in', (o) => { delete named(o, 'NetworkPolicy', 'keyferry').spec.ingress[0].ports; }, /lets all ports/],
    ['a port not let in', (o) => { named(o, 'NetworkPolicy', 'keyferry-webhook').spec.ingress = []; }, /policies allow/],
    ['a port let out', (o) => { named(o, 'NetworkPolicy', 'keyferry').spec.egress = [{ to: [{ podSelector: {} }], ports: [{ port: 22 }] }]; }, /let out to the ports 22/],
    ['everything let out', (o) => { named(o, 'NetworkPolicy', 'keyferry').spec.egress = [{}]; }, /lets out to everything/],
    ['the metadata of a cloud let out', (o) => { for (const { to } of named(o, 'NetworkPolicy', 'keyferry-oauth').spec.egress) for (const { ipBlock } of to) delete ipBlock?.except; }, /keyferry-oauth lets out to link-local/, 'with-oauth'],
    ['the metadata of a cloud let out beside the API server', (o) => { named(o, 'NetworkPolicy', 'keyferry-to-api-server').spec.egress[1].to[1] = { ipBlock: { cidr: '::/0' } }; }, /keyferry-to-api-server lets out to link-local/],
    ['a webhook without a way to the server', (o) => { named(o, 'NetworkPolicy', 'keyferry-webhook-to-server').spec.egress.pop(); }, /not let out to keyferry/, 'with-ask-server'],
    ['a webhook without names', (o) => { named(o, 'NetworkPolicy', 'keyferry-webhook-to-server').spec.egress.shift(); }, /has no names/, 'with-ask-server'],
    ['a webhook that the server does not let in', (o) => { named(o, 'NetworkPolicy', 'keyferry-from-webhook').spec.ingress = []; }, /not let in at keyferry/, 'with-ask-server'],
    ['a priority of the cluster', (o) => { webhook(o).priorityClassName = 'system-cluster-critical'; }, /webhook has the priority system-cluster-critical/],
    ["an ADMIN's token on the volume", (o) => { initFlag(o, 'token-file', '/var/lib/keyferry/admin.token'); }, /to a disk/],
    ["an ADMIN's token on a disk", (o) => { volume(o, 'admin').emptyDir = {}; }, /to a disk/],
    ["an ADMIN's token for a year", (o) => { initFlag(o, 'token-lifetime', '8760h'); }, /for 8760 hours/],
    ["an ADMIN's token for as long as by default", (o) => { initFlag(o, 'token-lifetime'); }, /for Infinity hours/],
    ['an init that does not see backups', (o) => { const [init] = server(o).initContainers; init.volumeMounts = init.volumeMounts.filter(({ name }) => name !== 'backup'); }, /does not see whether there are backups/],
    ['an init that could change backups', (o) => { delete server(o).initContainers[0].volumeMounts.find(({ name }) => name === 'backup').readOnly; }, /or could change them/],
    ['keys of the issuer that are a copy', (o) => { const map = o.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name.startsWith('keyferry-server-')); map.data['keyferryd.yaml'] = map.data['keyferryd.yaml'].replace(/jwks_url: .*/, 'jwks_file: /etc/keyferry/kek/kek'); }, /keys of the issuer are a copy/],
    ['a right more', (o) => o.push({ kind: 'ClusterRole', metadata: { name: 'x' }, rules: [{ verbs: ['*'] }] }), /roles give/],
    ['a token of the cluster', (o) => { server(o).automountServiceAccountToken = true; }, /mounts a token/],
    ['a projected token', (o) => server(o).volumes.push({ name: 'x', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } }), /without any use/, 'with-copied-keys'],
    ['the account of the namespace', (o) => { server(o).serviceAccountName = 'default'; }, /no account of its own/],
    ['a budget that lets nobody go', (o) => { delete budget(o).maxUnavailable; budget(o).minAvailable = 1; }, /lets no pod go/],
    ['a budget that holds broken pods', (o) => { delete budget(o).unhealthyPodEvictionPolicy; }, /do not work/],
    ['a webhook that fails open', (o) => { hook(o).failurePolicy = 'Ignore'; }, /lets pods through/],
    ['a webhook for everything', (o) => { delete hook(o).objectSelector; }, /every object/],
    ['a webhook that nobody trusts', (o) => { delete hook(o).clientConfig.caBundle; }, /trusts no CA/],
    ['another image for pods', (o) => { webhook(o).containers[0].env[0].value = 'keyferry/injector:0.0.9'; }, /pods get the image/],
    ['a Secret that nobody makes', (o) => { volume(o, 'tls').secret.secretName = 'tls'; }, /nothing makes Secret\/tls/],
    ['a file that is not mounted', (o) => { server(o).containers[0].volumeMounts = server(o).containers[0].volumeMounts.filter(({ name }) => name !== 'metrics'); }, /metrics\/token, which is not there/],
    ['a key that is not there', (o) => { volume(o, 'metrics').secret.items[0].key = 'password'; }, /metrics\/token, which is not there/],
    ['a variable that is not there', (o) => { server(o).initContainers[0].env = []; }, /nothing says what/],
    ['a key of a ConfigMap that is not there', (o) => { server(o).initContainers[0].env[0].valueFrom.configMapKeyRef.key = 'x'; }, /has no source/],
  ];
  for (const [what, change, problem, overlay = 'supplied-tls'] of changes) {
    test(what, () => {
      const objects = objectsOf(overlay);
      change(objects);
      assert.match(checkAll(objects, expectedOf(overlay)).join('\n'), problem);
    });
  }

  const patches = [
    ['a field that is misspelt', 'spec: {template: {spec: {enableServiceLink: false}}}', /enableServiceLink/],
    ['a value of the wrong type', 'spec: {replicas: one}', /replicas/],
    ['a pod of root', 'spec: {template: {spec: {securityContext: {runAsUser: 0}}}}', /restricted: /],
    ['a container with a capability', 'spec: {template: {spec: {containers: [{name: keyferryd, securityContext: {capabilities: {add: [SYS_PTRACE]}}}]}}}', /restricted: /],
    ['a directory of the node', 'spec: {template: {spec: {volumes: [{name: data, hostPath: {path: /}}]}}}', /restricted: /],
  ];
  for (const [index, [what, patch, problem]] of patches.entries()) {
    test(what, async () => {
      writeOverlay(`changed-${index}`, `resources: [../supplied-tls]\npatches:\n  - target: {kind: StatefulSet}\n    patch: '{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: keyferry}, ${patch}}'\n`);
      const { problems } = (await render(`overlays/changed-${index}`))[`changed-${index}`];
      assert.match(problems.join('\n'), problem);
    });
  }
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

const ANY_PORT = [['0.0.0.0:7443', '127.0.0.1:0'], ['0.0.0.0:9443', '127.0.0.1:0'], ['0.0.0.0:8443', '127.0.0.1:0']];
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
  const pod = new Pod(home, named(objects, 'StatefulSet', 'keyferry').spec.template,
    { sources, programs: copyPrograms(), substitutes: [...substitutes, ...ANY_PORT] });
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
  return new Pod(home, named(objects, 'Deployment', 'keyferry-webhook').spec.template, {
    sources: contents(objects, { 'Secret/keyferry-webhook-tls': certificate('keyferry-webhook'), ...more }),
    programs: copyPrograms(), substitutes: [...substitutes, ...ANY_PORT],
  });
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
    assert.ok(patch.includes(`"image":"keyferry/injector:${version}"`), patch);
    assert.ok(patch.includes('keyferry.keyferry.svc:7443'));
    // The organization of the webhook is the one that the server makes first.
    const { org } = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name.startsWith('keyferry-first-')).data;
    assert.ok(patch.includes(`orgs/${org}/mcpServers/github`) || patch.includes(`"${org}"`), patch);
  });
});
