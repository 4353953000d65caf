// What a pod's definition says, in the runtime's terms. A field that is not executed is refused by name, so that nothing
// which the webhook adds goes unnoticed.

// Named here because they are accepted without an effect: there are no cgroups and no seccomp filters.
const WITHOUT_EFFECT = ['image', 'imagePullPolicy', 'resources'];

// What container runtimes leave to a container that drops nothing. Only root has them in effect.
const DEFAULT_CAPABILITIES = ['CHOWN', 'DAC_OVERRIDE', 'FSETID', 'FOWNER', 'NET_RAW', 'SETGID', 'SETUID', 'SETFCAP',
  'SETPCAP', 'NET_BIND_SERVICE', 'SYS_CHROOT', 'KILL', 'AUDIT_WRITE'];

function only(object, where, names) {
  for (const name of Object.keys(object ?? {})) {
    if (!names.includes(name)) throw new Error(`${where}.${name} is not implemented`);
  }
  return object ?? {};
}

function checkHandler(handler, where, more = []) {
  only(handler, where, ['exec', 'httpGet', ...more]);
  only(handler.exec, `${where}.exec`, ['command']);
  only(handler.httpGet, `${where}.httpGet`, ['port', 'path']);
}

function checkContainer(container, where, init) {
  only(container, where, ['name', 'command', 'args', 'env', 'workingDir', 'stdin', 'volumeMounts', 'securityContext',
    'startupProbe', 'readinessProbe', 'livenessProbe', 'lifecycle', ...(init ? ['restartPolicy'] : []), ...WITHOUT_EFFECT]);
  for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
    if (container[probe]) checkHandler(container[probe], `${where}.${probe}`, ['periodSeconds', 'timeoutSeconds', 'failureThreshold']);
  }
  for (const [hook, handler] of Object.entries(only(container.lifecycle, `${where}.lifecycle`, ['postStart', 'preStop']))) {
    only(handler, `${where}.lifecycle.${hook}`, ['exec']);
  }
  const context = only(container.securityContext, `${where}.securityContext`, ['runAsUser', 'runAsGroup', 'runAsNonRoot',
    'readOnlyRootFilesystem', 'allowPrivilegeEscalation', 'capabilities', 'privileged', 'seccompProfile']);
  only(context.capabilities, `${where}.securityContext.capabilities`, ['add', 'drop']);
  if (context.privileged) throw new Error(`${where}.securityContext.privileged is not implemented`);
  if (init && container.restartPolicy && container.restartPolicy !== 'Always') throw new Error(`${where}.restartPolicy is not one of init containers`);
  for (const mount of container.volumeMounts ?? []) only(mount, `${where}.volumeMounts`, ['name', 'mountPath', 'readOnly']);
  for (const variable of container.env ?? []) {
    only(variable, `${where}.env`, ['name', 'value', 'valueFrom']);
    only(only(variable.valueFrom, `${where}.env.valueFrom`, ['fieldRef']).fieldRef, `${where}.env.valueFrom.fieldRef`, ['fieldPath']);
  }
}

export function checkPod(pod) {
  only(pod, 'pod', ['apiVersion', 'kind', 'metadata', 'spec']);
  only(pod.metadata, 'metadata', ['name', 'namespace', 'labels', 'annotations']);
  const spec = only(pod.spec, 'spec', ['containers', 'initContainers', 'volumes', 'serviceAccountName', 'restartPolicy',
    'terminationGracePeriodSeconds', 'securityContext', 'shareProcessNamespace']);
  only(spec.securityContext, 'spec.securityContext', ['runAsUser', 'runAsGroup', 'runAsNonRoot', 'fsGroup', 'seccompProfile']);
  for (const container of spec.initContainers ?? []) checkContainer(container, `spec.initContainers[${container.name}]`, true);
  for (const container of spec.containers) checkContainer(container, `spec.containers[${container.name}]`, false);
  for (const volume of spec.volumes ?? []) checkVolume(volume, `spec.volumes[${volume.name}]`);
}

function checkVolume(volume, where) {
  only(volume, where, ['name', 'emptyDir', 'projected']);
  only(volume.emptyDir, `${where}.emptyDir`, ['medium', 'sizeLimit']);
  for (const source of only(volume.projected, `${where}.projected`, ['defaultMode', 'sources']).sources ?? []) {
    only(source, `${where}.projected.sources`, ['serviceAccountToken', 'configMap']);
    only(source.serviceAccountToken, `${where}.projected.sources.serviceAccountToken`, ['audience', 'expirationSeconds', 'path']);
    only(source.configMap, `${where}.projected.sources.configMap`, ['name', 'items']);
  }
}

// The downward API.
function fieldOf(pod, uid, field) {
  const value = { 'metadata.name': pod.metadata.name, 'metadata.namespace': pod.metadata.namespace ?? 'default', 'metadata.uid': uid }[field];
  if (value === undefined) throw new Error(`the field ${field} is not implemented`);
  return value;
}

function environmentOf(pod, uid, container, image) {
  const env = { PATH: '/usr/local/bin:/usr/bin:/bin', ...image.env };
  for (const { name, value = '', valueFrom } of container.env ?? []) env[name] = valueFrom ? fieldOf(pod, uid, valueFrom.fieldRef.fieldPath) : value;
  return env;
}

// $(NAME) is the variable if there is one, and $$ is a $ that begins no such reference.
function expand(text, env) {
  return text.replace(/\$\$|\$\(([^)]*)\)/g, (found, name) => (found === '$$' ? '$' : env[name] ?? found));
}

function capabilitiesOf({ add = [], drop = [] }) {
  const kept = drop.includes('ALL') ? [] : DEFAULT_CAPABILITIES.filter((name) => !drop.includes(name));
  return [...kept, ...add].map((name) => `CAP_${name}`);
}

// Whom the files of volumes belong to: the user that all containers run as, by the definition alone, and the fsGroup.
export function ownersOf({ spec }) {
  const ofPod = spec.securityContext ?? {};
  const users = [...(spec.initContainers ?? []), ...spec.containers].map((container) => container.securityContext?.runAsUser ?? ofPod.runAsUser);
  return { user: users.every((user) => user === users[0]) ? users[0] : undefined, group: ofPod.fsGroup };
}

function mountsOf(container, mountOf) {
  return (container.volumeMounts ?? []).map(({ name, mountPath, readOnly = false }) => ({ destination: mountPath, source: mountOf(name), readOnly }));
}

// Options of Runtime.start. `mountOf` says where a volume is.
export function containerOptions(pod, uid, container, { image, mountOf, namespaces }) {
  const ofPod = pod.spec.securityContext ?? {};
  const context = container.securityContext ?? {};
  const user = context.runAsUser ?? ofPod.runAsUser ?? image.uid ?? 0;
  if ((context.runAsNonRoot ?? ofPod.runAsNonRoot) && user === 0) throw new Error(`${container.name} must not run as root`);
  const env = environmentOf(pod, uid, container, image);
  const command = container.command ?? image.entrypoint ?? [];
  return {
    args: [...command, ...(container.args ?? [])].map((text) => expand(text, env)),
    env,
    cwd: container.workingDir ?? '/',
    uid: user,
    gid: context.runAsGroup ?? ofPod.runAsGroup ?? 0,
    readOnlyRootfs: context.readOnlyRootFilesystem ?? false,
    noNewPrivileges: context.allowPrivilegeEscalation === false,
    capabilities: capabilitiesOf(context.capabilities ?? {}),
    mounts: [...image.mounts, ...mountsOf(container, mountOf)],
    groups: ofPod.fsGroup === undefined ? [] : [ofPod.fsGroup],
    namespaces,
    rlimits: [{ type: 'RLIMIT_CORE', soft: 1 << 30, hard: 1 << 30 }],
    stdin: container.stdin ?? false,
  };
}
