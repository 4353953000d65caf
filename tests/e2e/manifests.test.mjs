// deploy/kubernetes: what `kubectl apply -k` would send is what Kubernetes takes and what its parts need of each other.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test as plainTest } from 'node:test';
import { checkAll, expansionProblems, fileProblems, imageProblems, named, ofKind } from './lib/manifests.mjs';
import {
  BROUGHT, BROWSERS, CERTIFICATES, ISSUER, ROOT, WEBHOOK_TOKEN, evaluate, expectedOf, objectsOf, overlays, render, rendered, setUp, tearDown, test,
  version, writeOverlay,
} from './lib/rendered.mjs';

const UNTYPED = ['Certificate', 'Issuer', 'ServiceMonitor', 'PrometheusRule'];

before(setUp);
after(tearDown);

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

  // The address is put before it as docs/kubernetes.md has it.
  test('the runbook of each alert is a place in the project, or an address once one is given', async () => {
    const alertsOf = (objects) => named(objects, 'PrometheusRule', 'keyferry').spec.groups.flatMap(({ rules }) => rules);
    const places = (objects) => alertsOf(objects).map(({ annotations }) => annotations.runbook);
    const expected = alertsOf(objectsOf('with-monitoring')).map(({ alert }) => `docs/runbook.md#${alert.toLowerCase()}`);
    assert.deepEqual(places(objectsOf('with-monitoring')), expected);
    const page = fs.readFileSync(path.join(ROOT, 'docs/kubernetes.md'), 'utf8');
    const [, shown] = /\n### Alerts\n.*?\n```yaml\n(.*?)```/s.exec(page);
    writeOverlay('with-addresses', `resources: [../cert-manager]\ncomponents: [../../monitoring]\n${shown}`);
    const { objects } = (await render('overlays/with-addresses'))['with-addresses'];
    assert.deepEqual(places(objects), expected.map((place) => `https://wiki.example.com/keyferry/${place}`));
    assert.equal(objects.some(({ metadata }) => metadata.name.startsWith('runbook-address')), false);
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

// Kubernetes evaluates these itself, so that the controllers' and kubelets' updates need no webhook.
describe('which updates of pods reach the webhook', () => {
  const pod = () => ({
    metadata: {
      labels: { 'keyferry.dev/inject': 'true', app: 'tool' }, finalizers: ['batch.kubernetes.io/job-tracking'],
      annotations: { 'keyferry.dev/mcp-server': 'github', 'keyferry.dev/injected': 'v1', other: 'x' },
    },
    spec: {
      initContainers: [{ name: 'keyferry-install', image: 'agent:1' }, { name: 'keyferry-agent', image: 'agent:1' }, { name: 'own', image: 'own:1' }],
      containers: [{ name: 'server', image: 'server:1' }],
    },
    status: {},
  });
  const annotations = ({ metadata }) => metadata.annotations;
  // What is changed, and whether it reaches the webhook as an update of the pod and of its status.
  const changes = [
    ['nothing', () => {}, false, false],
    ['a finalizer taken away', (p) => { delete p.metadata.finalizers; }, false, false],
    ['an owner', (p) => { p.metadata.ownerReferences = [{ uid: '1' }]; }, false, false],
    ['another label', (p) => { p.metadata.labels.app = 'x'; }, false, false],
    ['another annotation', (p) => { annotations(p).other = 'y'; annotations(p)['xkeyferry.dev/a'] = ''; }, false, false],
    ['the phase', (p) => { p.status.phase = 'Succeeded'; }, false, false],
    ['an image that was not added', (p) => { p.spec.containers[0].image = 'server:2'; p.spec.initContainers[2].image = 'own:2'; }, false, false],
    ['the label', (p) => { p.metadata.labels['keyferry.dev/inject'] = 'false'; }, true, true],
    ['the label taken away', (p) => { delete p.metadata.labels['keyferry.dev/inject']; }, true, true],
    ['all labels taken away', (p) => { delete p.metadata.labels; }, true, true],
    ['allow-debug', (p) => { annotations(p)['keyferry.dev/allow-debug'] = 'true'; }, true, true],
    ['an empty annotation', (p) => { annotations(p)['keyferry.dev/x'] = ''; }, true, false],
    ['an annotation', (p) => { annotations(p)['keyferry.dev/mcp-server'] = 'x'; }, true, false],
    ['an annotation taken away', (p) => { delete annotations(p)['keyferry.dev/injected']; }, true, false],
    ['all annotations taken away', (p) => { delete p.metadata.annotations; }, true, false],
    ['the image of the installer', (p) => { p.spec.initContainers[0].image = 'x'; }, true, false],
    ['the image of the agent', (p) => { p.spec.initContainers[1].image = 'x'; }, true, false],
    ['no image of the agent', (p) => { delete p.spec.initContainers[1].image; }, true, false],
    ['the agent taken away', (p) => { p.spec.initContainers.splice(1, 1); }, true, false],
    ['all init containers taken away', (p) => { delete p.spec.initContainers; }, true, false],
    ['an agent among the containers', (p) => { p.spec.containers.push({ name: 'keyferry-agent', image: 'x' }); }, true, false],
  ];

  for (const [index, name] of [[1, 'updates.pods.keyferry.dev'], [2, 'status.pods.keyferry.dev']]) {
    test(name, async () => {
      const hook = ofKind(objectsOf('supplied-tls'), 'MutatingWebhookConfiguration')[0].webhooks[index];
      assert.equal(hook.name, name);
      const pairs = changes.map(([, change]) => {
        const after = pod();
        change(after);
        return [pod(), after];
      });
      const called = (results) => changes.filter((_, number) => results[number]).map(([what]) => what);
      const expected = changes.filter((each) => each[index + 1]).map(([what]) => what);
      const [{ expression }] = hook.matchConditions;
      assert.deepEqual(called(await evaluate(expression, pairs.map(([oldObject, object]) => ({ oldObject, object })))), expected);
      // As much as what is taken away counts what is added.
      assert.deepEqual(called(await evaluate(expression, pairs.map(([object, oldObject]) => ({ oldObject, object })))), expected);
    });
  }
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
    ['an image of the default registry', (o) => { webhook(o).containers[0].image = 'keyferry/injector:0.1.0'; }, /has the image/],
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
    ['metrics of the webhook that nobody may scrape', (o) => { named(o, 'NetworkPolicy', 'keyferry-webhook-metrics').spec.ingress = []; }, /keyferry-webhook has ports 8443,9090, and policies allow 8443/, 'with-monitoring'],
    ['metrics of the webhook that everyone may scrape', (o) => { delete named(o, 'NetworkPolicy', 'keyferry-webhook-metrics').spec.ingress[0].from; }, /lets 9090 of .*keyferry-webhook in from everywhere/, 'with-monitoring'],
    ['metrics of the webhook without a Service', (o) => { named(o, 'Service', 'keyferry-webhook-metrics').metadata.labels = {}; }, /ServiceMonitor\/keyferry-webhook finds 0 Services/, 'with-monitoring'],
    ['metrics of the webhook elsewhere', (o) => { const { command } = webhook(o).containers[0]; command[command.findIndex((word) => word.startsWith('--metrics-listen='))] = '--metrics-listen=0.0.0.0:9091'; }, /listens on 8443,9091, and has the ports 8443,9090/, 'with-monitoring'],
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
    ['a webhook for everything', (o) => { delete hook(o).objectSelector; }, /selects other objects/],
    ...['pods', 'updates.pods', 'status.pods'].flatMap((name, index) => {
      const each = (o) => ofKind(o, 'MutatingWebhookConfiguration')[0].webhooks[index];
      const of = (problem) => new RegExp(`^${name}.keyferry.dev ${problem}`, 'm');
      return [
        [`${name}: not called`, (o) => each(o).rules.pop(), of('is called for')],
        [`${name}: another operation`, (o) => { each(o).rules[0].operations = ['DELETE']; }, of('is called for DELETE pods')],
        [`${name}: one operation more`, (o) => each(o).rules[0].operations.push('DELETE'), of('is called for')],
        [`${name}: another resource`, (o) => { each(o).rules.at(-1).resources = ['pods/log']; }, of('is called for .*UPDATE pods/log')],
        [`${name}: one resource more`, (o) => each(o).rules.at(-1).resources.push('pods/log'), of('is called for')],
        [`${name}: another group`, (o) => { each(o).rules[0].apiGroups = ['apps']; }, of('is called for others than pods')],
        [`${name}: other values of the label`, (o) => { each(o).objectSelector = { matchLabels: { 'keyferry.dev/inject': 'true' } }; }, of('selects other objects')],
        [`${name}: some namespaces`, (o) => { each(o).namespaceSelector = { matchLabels: { x: 'y' } }; }, of('leaves namespaces out')],
        [`${name}: exact versions`, (o) => { each(o).matchPolicy = 'Exact'; }, of('can be passed')],
        [`${name}: a condition more`, (o) => { each(o).matchConditions = [...(each(o).matchConditions ?? []), { name: 'x', expression: 'false' }]; }, of('has the conditions')],
        [`${name}: not there`, (o) => ofKind(o, 'MutatingWebhookConfiguration')[0].webhooks.splice(index, 1), /there are the webhooks/],
      ];
    }),
    ['updates of pods without a condition', (o) => { delete ofKind(o, 'MutatingWebhookConfiguration')[0].webhooks[1].matchConditions; }, /updates.pods.keyferry.dev has the conditions $/m],
    ['updates of the status without a condition', (o) => { delete ofKind(o, 'MutatingWebhookConfiguration')[0].webhooks[2].matchConditions; }, /status.pods.keyferry.dev has the conditions $/m],
    ['a webhook that nobody trusts', (o) => { delete hook(o).clientConfig.caBundle; }, /trusts no CA/],
    ['another image for pods', (o) => { webhook(o).containers[0].env[0].value = 'registry.example/keyferry/injector:0.0.9'; }, /pods get the image/],
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
