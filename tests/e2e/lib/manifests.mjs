// What must hold for a set of Kubernetes objects beyond what each kind's schema says. Every check answers the problems that
// it finds, as texts; none means that it holds.

export const ofKind = (objects, kind) => objects.filter((object) => object.kind === kind);
export const named = (objects, kind, name) => ofKind(objects, kind).find((object) => object.metadata.name === name);
const label = (object) => `${object.kind}/${object.metadata.name}`;

const WORKLOADS = ['StatefulSet', 'Deployment', 'Job'];
export const workloads = (objects) => objects.filter((object) => WORKLOADS.includes(object.kind));
const podOf = (workload) => workload.spec.template;
const containersOf = (pod) => [...(pod.spec.initContainers ?? []), ...pod.spec.containers];

const matches = (selector, labels) => Object.entries(selector ?? {}).every(([name, value]) => labels?.[name] === value);
const selectorOf = (object) => object.spec.selector?.matchLabels ?? object.spec.podSelector?.matchLabels ?? object.spec.selector;
const podsOf = (objects, selector) => workloads(objects).map(podOf).filter((pod) => matches(selector, pod.metadata.labels));
const portsOf = (pods) => pods.flatMap((pod) => pod.spec.containers.flatMap((container) => container.ports ?? []));

const CLUSTER_WIDE = ['Namespace', 'ClusterRole', 'ClusterRoleBinding', 'MutatingWebhookConfiguration', 'PersistentVolume', 'PriorityClass', 'StorageClass'];

export function namespaceProblems(objects) {
  return objects.filter((object) => !CLUSTER_WIDE.includes(object.kind) && object.metadata.namespace !== 'keyferry')
    .map((object) => `${label(object)} is not in the namespace keyferry`);
}

// Images have a version, and the host of no registry: that is for `images` of a kustomization to say.
export function imageProblems(objects, version) {
  return workloads(objects).flatMap((workload) => containersOf(podOf(workload))
    .filter(({ image }) => !new RegExp(`^registry\\.example/keyferry/(server|injector):${version.replaceAll('.', '\\.')}$`).test(image))
    .map(({ image }) => `${label(workload)} has the image ${image}`));
}

export function selectorProblems(objects) {
  const problems = [];
  for (const object of objects.filter(({ kind }) => ['Service', 'PodDisruptionBudget', 'StatefulSet', 'Deployment'].includes(kind))) {
    if (podsOf(objects, selectorOf(object)).length !== 1) problems.push(`${label(object)} does not select the pods of one workload`);
  }
  for (const policy of ofKind(objects, 'NetworkPolicy')) {
    if (podsOf(objects, selectorOf(policy)).length === 0) problems.push(`${label(policy)} selects no pods`);
  }
  for (const set of ofKind(objects, 'StatefulSet')) {
    const service = named(objects, 'Service', set.spec.serviceName);
    if (service?.spec.clusterIP !== 'None') problems.push(`${label(set)} has no headless Service ${set.spec.serviceName}`);
  }
  for (const monitor of ofKind(objects, 'ServiceMonitor')) {
    const services = ofKind(objects, 'Service').filter((service) => matches(selectorOf(monitor), service.metadata.labels));
    for (const { port } of monitor.spec.endpoints) {
      const found = services.filter((service) => service.spec.ports.some(({ name }) => name === port));
      if (found.length !== 1) problems.push(`${label(monitor)} finds ${found.length} Services with a port ${port}`);
    }
  }
  return problems;
}

export function portProblems(objects) {
  const problems = [];
  const has = (ports, port) => ports.some(({ name, containerPort }) => name === port || containerPort === port);
  for (const service of ofKind(objects, 'Service')) {
    const ports = portsOf(podsOf(objects, selectorOf(service)));
    for (const { targetPort } of service.spec.ports) {
      if (!has(ports, targetPort)) problems.push(`${label(service)} leads to port ${targetPort}, which no container has`);
    }
  }
  for (const workload of workloads(objects)) {
    for (const container of podOf(workload).spec.containers) {
      // Of programs that are told by flags.
      const listens = (container.command ?? []).flatMap((word) => /^--(?:[a-z]+-)*listen=.*:(\d+)$/.exec(word)?.[1] ?? []);
      const ports = (container.ports ?? []).map(({ containerPort }) => containerPort);
      if (listens.length > 0 && listens.join() !== ports.join()) problems.push(`${label(workload)} listens on ${listens}, and has the ports ${ports}`);
      for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
        const port = container[probe]?.httpGet?.port;
        if (port !== undefined && !has(container.ports ?? [], port)) problems.push(`${label(workload)}: ${probe} asks port ${port}`);
      }
    }
  }
  return problems;
}

// Everything is denied, and then exactly the ports that containers have are let in.
export function networkPolicyProblems(objects) {
  const problems = [];
  const policies = ofKind(objects, 'NetworkPolicy');
  const denies = policies.some(({ spec }) => Object.keys(spec.podSelector).length === 0 && !spec.ingress && !spec.egress
    && spec.policyTypes.includes('Ingress') && spec.policyTypes.includes('Egress'));
  if (!denies) problems.push('nothing denies what is not allowed');
  for (const workload of workloads(objects)) {
    const pod = podOf(workload);
    const rules = policies.filter((policy) => matches(selectorOf(policy), pod.metadata.labels)).flatMap(({ spec }) => spec.ingress ?? []);
    if (rules.some(({ ports }) => !ports)) problems.push(`a policy lets all ports of ${label(workload)} in`);
    const allowed = [...new Set(rules.flatMap(({ ports }) => ports ?? []).map(({ port }) => port))].sort();
    const open = portsOf([pod]).map(({ containerPort }) => containerPort).sort();
    // The webhook's metrics answer everyone who gets through.
    for (const { from, ports } of rules) {
      if (!from && ports?.some(({ port }) => port === 9090)) problems.push(`a policy lets 9090 of ${label(workload)} in from everywhere`);
    }
    if (allowed.join() !== open.join()) problems.push(`${label(workload)} has ports ${open}, and policies allow ${allowed}`);
  }
  return problems;
}

// Rules of all addresses leave out those where clouds give out credentials. Policies add up, so each has to.
const LINK_LOCAL = { '0.0.0.0/0': '169.254.0.0/16', '::/0': 'fe80::/10' };

// Pods reach nothing but these ports.
export function egressProblems(objects, ports) {
  const policies = ofKind(objects, 'NetworkPolicy').filter(({ spec }) => spec.egress);
  const rules = policies.flatMap(({ spec }) => spec.egress);
  const problems = rules.some((rule) => !rule.ports || !rule.to) ? ['a policy lets out to everything'] : [];
  const allowed = [...new Set(rules.flatMap((rule) => rule.ports ?? []).map(({ port }) => port))].sort((a, b) => a - b);
  if (allowed.join() !== ports.join()) problems.push(`policies let out to the ports ${allowed}`);
  for (const policy of policies) {
    const blocks = policy.spec.egress.flatMap(({ to }) => to ?? []).flatMap(({ ipBlock }) => ipBlock ?? []);
    if (blocks.some(({ cidr, except }) => cidr in LINK_LOCAL && !except?.includes(LINK_LOCAL[cidr]))) {
      problems.push(`${label(policy)} lets out to link-local addresses`);
    }
  }
  return problems;
}

// Whoever is told to connect to a Service of these objects is let out to its pods, and let in there.
export function reachProblems(objects) {
  const problems = [];
  const rulesFor = (pod, way) => ofKind(objects, 'NetworkPolicy').filter((policy) => matches(selectorOf(policy), pod.metadata.labels))
    .flatMap(({ spec }) => spec[way] ?? []);
  const named = (peers, pod) => peers?.some(({ podSelector, namespaceSelector }) => podSelector && !namespaceSelector
    && matches(podSelector.matchLabels, pod.metadata.labels));
  for (const workload of workloads(objects)) {
    const from = podOf(workload);
    for (const { env } of from.spec.containers) {
      const address = env?.find(({ name }) => name === 'KEYFERRY_ADDRESS')?.value ?? '';
      const [, service, port] = /^([^.]+)\.keyferry\.svc:(\d+)$/.exec(address) ?? [];
      if (!service) continue;
      const [to] = podsOf(objects, selectorOf(ofKind(objects, 'Service').find(({ metadata }) => metadata.name === service)));
      const opens = ({ ports }) => ports?.some((each) => each.port === Number(port));
      if (!rulesFor(from, 'egress').some((rule) => opens(rule) && named(rule.to, to))) problems.push(`${label(workload)} is not let out to ${address}`);
      if (!rulesFor(from, 'egress').some(({ ports }) => ports?.some((each) => each.port === 53))) problems.push(`${label(workload)} has no names`);
      if (!rulesFor(to, 'ingress').some((rule) => opens(rule) && named(rule.from, from))) problems.push(`${label(workload)} is not let in at ${address}`);
    }
  }
  return problems;
}

// Classes of the cluster's own may be kept to kube-system.
export function priorityProblems(objects) {
  return workloads(objects).filter(({ kind }) => kind !== 'Job')
    .filter((workload) => !named(objects, 'PriorityClass', podOf(workload).spec.priorityClassName))
    .map((workload) => `${label(workload)} has the priority ${podOf(workload).spec.priorityClassName}, which is not its own`);
}

const MAX_ADMIN_TOKEN_HOURS = 24;

// What `init` makes: an ADMIN's token that is in memory alone and lives for hours, and no store while there are backups.
export function initProblems(objects) {
  const problems = [];
  for (const workload of ofKind(objects, 'StatefulSet')) {
    const { spec } = podOf(workload);
    const init = spec.initContainers.find(({ command }) => command.includes('init'));
    const flag = (name) => init.command.find((word) => word.startsWith(`--${name}=`))?.split('=')[1] ?? '';
    const mounted = (container, file) => container.volumeMounts.find(({ mountPath }) => file.startsWith(`${mountPath}/`));
    const token = flag('token-file');
    const volume = spec.volumes.find(({ name }) => name === mounted(init, token)?.name);
    if (volume?.emptyDir?.medium !== 'Memory') problems.push(`${label(workload)} writes ${token} to a disk`);
    const hours = /^(\d+)h$/.exec(flag('token-lifetime'))?.[1] ?? Infinity;
    if (hours > MAX_ADMIN_TOKEN_HOURS) problems.push(`${label(workload)} has an ADMIN's token for ${hours} hours`);
    if (!init.command.includes('--once')) problems.push(`${label(workload)} runs init at each start`);
    const configuration = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === spec.volumes.find(({ name }) => name === 'config').configMap.name);
    const backups = /^backup:\n {2}directory: (.*)$/m.exec(Object.values(configuration.data)[0])?.[1] ?? '';
    if (!mounted(init, backups)?.readOnly) problems.push(`${label(workload)}: init does not see whether there are backups, or could change them`);
  }
  return problems;
}

// Keys of the issuer that are copied by hand are trusted until somebody copies them again.
export function issuerProblems(objects, { copied = false }) {
  const files = ofKind(objects, 'ConfigMap').flatMap(({ data }) => Object.values(data ?? {})).filter((text) => /^ {6}jwks_file:/m.test(text));
  return files.length > 0 === copied ? [] : [`the keys of the issuer are ${copied ? 'no' : 'a'} copy`];
}

// Only what is listed, word for word; and a token of the cluster only where something may be done with it.
export function accessProblems(objects, rules) {
  const problems = [];
  const given = objects.filter(({ kind }) => ['Role', 'ClusterRole'].includes(kind)).flatMap((role) => role.rules);
  if (JSON.stringify(given) !== JSON.stringify(rules)) problems.push(`roles give ${JSON.stringify(given)}`);
  for (const binding of objects.filter(({ kind }) => ['RoleBinding', 'ClusterRoleBinding'].includes(kind))) {
    if (!named(objects, binding.roleRef.kind, binding.roleRef.name)) problems.push(`${label(binding)} binds a role from elsewhere`);
    for (const subject of binding.subjects) {
      const account = named(objects, subject.kind, subject.name);
      if (account?.metadata.namespace !== subject.namespace) problems.push(`${label(binding)} is for ${subject.kind} ${subject.name}`);
    }
  }
  for (const account of ofKind(objects, 'ServiceAccount')) {
    if (account.automountServiceAccountToken !== false) problems.push(`${label(account)} mounts its token everywhere`);
  }
  for (const workload of workloads(objects)) {
    const { spec } = podOf(workload);
    if (spec.automountServiceAccountToken !== false) problems.push(`${label(workload)} mounts a token by itself`);
    if (!named(objects, 'ServiceAccount', spec.serviceAccountName) && workload.kind !== 'Job') problems.push(`${label(workload)} has no account of its own`);
    const token = (spec.volumes ?? []).some(({ projected }) => projected?.sources.some((source) => source.serviceAccountToken));
    if (token && rules.length === 0) problems.push(`${label(workload)} has a token of the cluster without any use for it`);
  }
  return problems;
}

// A budget under which no pod may go although all are well keeps a node from ever being drained.
export function disruptionProblems(objects) {
  return ofKind(objects, 'PodDisruptionBudget').flatMap((budget) => {
    const [workload] = workloads(objects).filter((each) => matches(selectorOf(budget), podOf(each).metadata.labels));
    const { minAvailable, maxUnavailable, unhealthyPodEvictionPolicy } = budget.spec;
    const allowed = maxUnavailable ?? workload.spec.replicas - minAvailable;
    if (allowed < 1) return [`${label(budget)} lets no pod go`];
    return unhealthyPodEvictionPolicy === 'AlwaysAllow' ? [] : [`${label(budget)} holds pods that do not work`];
  });
}

// What each webhook is called for. Expressions of match conditions are evaluated where they are tested.
const LABELLED = {
  matchExpressions: [{ key: 'keyferry.dev/inject', operator: 'Exists' }, { key: 'keyferry.dev/inject', operator: 'NotIn', values: ['false'] }],
};
const CALLS = {
  'pods.keyferry.dev': { calls: ['CREATE pods', 'UPDATE pods/ephemeralcontainers'], conditions: [] },
  'updates.pods.keyferry.dev': { calls: ['UPDATE pods'], conditions: ['changes-label-annotations-or-added-images'] },
  'status.pods.keyferry.dev': { calls: ['UPDATE pods/status'], conditions: ['changes-label-or-allow-debug'] },
};

function callProblems({ webhooks }) {
  const names = webhooks.map(({ name }) => name);
  const problems = names.join() === Object.keys(CALLS).join() ? [] : [`there are the webhooks ${names}`];
  for (const { name, rules, objectSelector, namespaceSelector, matchPolicy, matchConditions = [] } of webhooks) {
    const calls = rules.map(({ apiGroups, apiVersions, operations, resources, scope }) => (
      apiGroups.join() === '' && apiVersions.join() === 'v1' && scope === 'Namespaced' ? `${operations} ${resources}` : 'others than pods'));
    const conditions = matchConditions.map((each) => each.name);
    const expected = CALLS[name] ?? { calls: [], conditions: [] };
    if (calls.join() !== expected.calls.join()) problems.push(`${name} is called for ${calls}`);
    if (conditions.join() !== expected.conditions.join()) problems.push(`${name} has the conditions ${conditions}`);
    if (JSON.stringify(objectSelector) !== JSON.stringify(LABELLED)) problems.push(`${name} selects other objects than labelled ones`);
    if (namespaceSelector) problems.push(`${name} leaves namespaces out`);
    if (matchPolicy !== 'Equivalent') problems.push(`${name} can be passed by another version`);
  }
  return problems;
}

export function webhookProblems(objects) {
  const problems = [];
  for (const configuration of ofKind(objects, 'MutatingWebhookConfiguration')) {
    problems.push(...callProblems(configuration));
    const injected = configuration.metadata.annotations?.['cert-manager.io/inject-ca-from']?.split('/')[1];
    if (injected !== undefined && !named(objects, 'Certificate', injected)) problems.push(`no Certificate ${injected} has a CA`);
    for (const { name, failurePolicy, clientConfig } of configuration.webhooks) {
      const service = named(objects, 'Service', clientConfig.service.name);
      if (!service?.spec.ports.some(({ port }) => port === clientConfig.service.port)) problems.push(`${name} calls a Service that is not there`);
      if (injected === undefined && !clientConfig.caBundle) problems.push(`${name} trusts no CA`);
      if (failurePolicy !== 'Fail') problems.push(`${name} lets pods through while it is down`);
    }
  }
  for (const { image, env } of ofKind(objects, 'Deployment').flatMap((each) => podOf(each).spec.containers)) {
    const agent = env?.find(({ name }) => name === 'AGENT_IMAGE')?.value;
    if (agent !== image) problems.push(`pods get the image ${agent}, and the webhook is ${image}`);
  }
  return problems;
}

// Keys of each Secret and ConfigMap: those of the objects, of certificates that cert-manager makes, and `brought`.
function sourcesOf(objects, brought) {
  const sources = new Map(Object.entries(brought));
  for (const object of objects.filter(({ kind }) => ['Secret', 'ConfigMap'].includes(kind))) {
    sources.set(label(object), Object.keys(object.data ?? {}));
  }
  for (const certificate of ofKind(objects, 'Certificate')) {
    sources.set(`Secret/${certificate.spec.secretName}`, ['tls.crt', 'tls.key', 'ca.crt']);
  }
  return sources;
}

// Where the files of a volume come from: [{file, source, key}], with `all` in place of a file for all keys; undefined if it
// is no volume of files.
export function filesOf(volume) {
  const named = ({ items }, source) => (items ? items.map(({ key, path }) => ({ file: path, source, key })) : [{ all: true, source }]);
  const { secret, configMap, projected } = volume;
  if (secret) return named(secret, `Secret/${secret.secretName}`);
  if (configMap) return named(configMap, `ConfigMap/${configMap.name}`);
  return projected?.sources.flatMap((source) => (source.configMap
    ? named(source.configMap, `ConfigMap/${source.configMap.name}`)
    : [{ file: source.serviceAccountToken.path, source: 'token' }]));
}

// Names of the files of each volume of a workload, undefined where programs make them themselves.
function mountedFiles(workload, keysOf) {
  const claims = (workload.spec.volumeClaimTemplates ?? []).map(({ metadata }) => [metadata.name, undefined]);
  const volumes = podOf(workload).spec.volumes.map((volume) => [volume.name, filesOf(volume)?.flatMap(({ all, file, source, key }) => {
    if (source === 'token') return [file];
    const keys = keysOf(source);
    return all ? keys : keys.includes(key) ? [file] : [];
  })]);
  return new Map([...claims, ...volumes]);
}

// Every Secret and ConfigMap that pods name is there with its keys, and every file that programs are told of is mounted.
export function fileProblems(objects, brought) {
  const sources = sourcesOf(objects, brought);
  const problems = [];
  const keysOf = (source) => {
    if (!sources.has(source)) problems.push(`nothing makes ${source}, and nobody is told to`);
    return sources.get(source) ?? [];
  };
  for (const workload of workloads(objects)) {
    const { spec } = podOf(workload);
    const files = mountedFiles(workload, keysOf);
    for (const container of containersOf(podOf(workload))) {
      for (const { name, valueFrom } of container.env ?? []) {
        const from = valueFrom?.configMapKeyRef;
        if (from && !keysOf(`ConfigMap/${from.name}`).includes(from.key)) problems.push(`${label(workload)}: ${name} has no source`);
      }
      for (const path of pathsOf(container, objects, spec)) {
        const mount = container.volumeMounts.find(({ mountPath }) => path.startsWith(`${mountPath}/`));
        const there = mount && files.has(mount.name) && (files.get(mount.name)?.includes(path.slice(mount.mountPath.length + 1)) ?? true);
        if (!there) problems.push(`${label(workload)}: ${container.name} is told of ${path}, which is not there`);
      }
    }
  }
  return problems;
}

// Files that flags, variables, and the configuration that a container mounts speak of.
function pathsOf(container, objects, spec) {
  const configurations = container.volumeMounts.flatMap(({ name }) => {
    const map = spec.volumes?.find((volume) => volume.name === name)?.configMap;
    return map ? Object.values(named(objects, 'ConfigMap', map.name)?.data ?? {}) : [];
  });
  // Of the configuration `init` needs the store and the KEK alone.
  const needed = container.command?.includes('init') ? [] : configurations;
  const texts = [...(container.command ?? []).slice(1), ...(container.args ?? []), ...(container.env ?? []).map(({ value }) => value ?? ''), ...needed];
  return texts.flatMap((text) => text.split('\n')).filter((line) => !line.trim().startsWith('#'))
    .flatMap((line) => [...line.matchAll(/(?:^|[=\s])(\/(?:etc|var|run)\/[^\s,]+)/g)].map(([, path]) => path));
}

// Each $(NAME) of a command stands for a variable of its container.
export function expansionProblems(objects) {
  return workloads(objects).flatMap((workload) => containersOf(podOf(workload)).flatMap((container) => {
    const variables = (container.env ?? []).map(({ name }) => name);
    return [...(container.command ?? []), ...(container.args ?? [])]
      .flatMap((word) => [...word.matchAll(/\$\(([^)]+)\)/g)].map(([, name]) => name))
      .filter((name) => !variables.includes(name)).map((name) => `${label(workload)}: nothing says what $(${name}) is`);
  }));
}

export function checkAll(objects, { version, rules, brought, egress = [], copied }) {
  return [
    ...namespaceProblems(objects), ...imageProblems(objects, version), ...selectorProblems(objects), ...portProblems(objects),
    ...networkPolicyProblems(objects), ...egressProblems(objects, egress), ...accessProblems(objects, rules), ...disruptionProblems(objects), ...webhookProblems(objects),
    ...fileProblems(objects, brought), ...expansionProblems(objects), ...reachProblems(objects), ...priorityProblems(objects),
    ...initProblems(objects), ...issuerProblems(objects, { copied }),
  ];
}
