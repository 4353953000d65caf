// What `kubectl apply -k` would send, for the overlays of deploy/kubernetes and such as people make of them.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test as plainTest } from 'node:test';
import { temporaryDirectory } from './fixture.mjs';
import { programs } from './platform.mjs';
import { run } from './process.mjs';
import { buildRenderer } from './renderer.mjs';

export const ROOT = path.resolve(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '../../..');

// What whoever installs it brings, as docs/kubernetes.md says.
export const BROUGHT = {
  'Secret/keyferry-kek': ['kek'],
  'Secret/keyferry-metrics': ['token'],
  'ConfigMap/kube-root-ca.crt': ['ca.crt'],
};
export const CERTIFICATES = {
  'Secret/keyferry-tls': ['tls.crt', 'tls.key', 'ca.crt'],
  'Secret/keyferry-webhook-tls': ['tls.crt', 'tls.key'],
};
export const ISSUER = { 'ConfigMap/keyferry-issuer': ['jwks.json'] };
export const WEBHOOK_TOKEN = { 'Secret/keyferry-webhook-token': ['token'] };
export const BROWSERS = { 'Secret/keyferry-browsers-tls': ['tls.crt', 'tls.key'] };
const REVIEW_RULES = [{ apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] }];
const COMPONENTS = ['oauth', 'ask-server', 'monitoring'];
const API_SERVER = { rules: REVIEW_RULES, egress: [53, 443, 6443] };

// Kustomizations by name: those of the tree, and such as people make of them.
export const overlays = {
  'supplied-tls': { ...API_SERVER, brought: { ...BROUGHT, ...CERTIFICATES } },
  'single-node': { ...API_SERVER, brought: { ...BROUGHT, ...CERTIFICATES } },
  'cert-manager': { ...API_SERVER, brought: BROUGHT },
  'with-copied-keys': { without: 'token-review', on: 'supplied-tls', rules: [], copied: true, brought: { ...BROUGHT, ...CERTIFICATES, ...ISSUER } },
  'with-oauth': { ...API_SERVER, on: 'cert-manager', components: ['oauth'], brought: { ...BROUGHT, ...BROWSERS } },
  'with-ask-server': { ...API_SERVER, on: 'cert-manager', components: ['ask-server'], egress: [53, 443, 6443, 7443], brought: { ...BROUGHT, ...WEBHOOK_TOKEN } },
  'with-monitoring': { ...API_SERVER, on: 'cert-manager', components: ['monitoring'], brought: BROUGHT },
  'with-all': { ...API_SERVER, on: 'supplied-tls', components: COMPONENTS, egress: [53, 443, 6443, 7443], brought: { ...BROUGHT, ...CERTIFICATES, ...BROWSERS, ...WEBHOOK_TOKEN } },
};

// Of `setUp`.
export let rendered, version;
let tree;
export const directory = temporaryDirectory();
const renderer = path.join(directory, 'render');
export const { missing } = await buildRenderer(renderer);
// Tests that need what is rendered. Without Go or its modules they are skipped.
export const test = (name, body) => plainTest(name, { skip: missing }, body);

export async function render(...kustomizations) {
  const { code, stdout, stderr } = await run(renderer, kustomizations.map((each) => path.join(tree, each)), { env: process.env });
  assert.equal(code, 0, stderr);
  return Object.fromEntries(Object.entries(JSON.parse(stdout)).map(([each, result]) => [path.basename(each), result]));
}

// Whether a webhook with this match condition is called, for each of [{object, oldObject}].
export async function evaluate(expression, cases) {
  const { code, stdout, stderr } = await run(renderer, ['--conditions'], { env: process.env, input: JSON.stringify({ expression, cases }) });
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

export function writeOverlay(name, text) {
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

export const expectedOf = (name) => ({ version, ...overlays[name] });
export const objectsOf = (name) => structuredClone(rendered[name].objects);

export async function setUp() {
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
}

export const tearDown = () => fs.rmSync(directory, { recursive: true, force: true });

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

export const made = (name) => fs.readFileSync(path.join(directory, name), 'utf8');
export const certificate = (name) => ({ 'tls.crt': made(`${name}.crt`), 'tls.key': made(`${name}.key`), 'ca.crt': made('ca.crt') });
