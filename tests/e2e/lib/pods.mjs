// Runs a pod as a kubelet would, in what matters to Keyferry: volumes, init containers in order, native sidecars, probes,
// hooks, restarts and the order of the end. pod_spec.mjs says what of a definition is executed; all else is refused.
import { spawn } from 'node:child_process';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkPod, containerOptions, ownersOf } from './pod_spec.mjs';
import { PodInstance } from './pod_instance.mjs';
import { PodVolumes } from './pod_volumes.mjs';
import { machinePrograms } from './containers.mjs';

// Listens in the network namespace that it is started in, and hands the listener over.
const LISTEN = `const server = require('net').createServer().listen(Number(process.argv[1]), '127.0.0.1',
  () => process.send('listening', server, () => process.exit()));`;

export class Kubelet {
  #pods = [];

  // `images` by name, see pod_images.mjs. `port` of this machine's loopback is in each pod's as well, as a Service is.
  constructor({ runtime, cluster, images, port }) {
    Object.assign(this, { runtime, cluster, images, port });
  }

  // Runs a Pod, or that of a Job; answers it when its containers have been started.
  async run(object) {
    const definition = object.kind === 'Job' ? podOfJob(object) : object;
    checkPod(definition);
    const pod = new Pod(this, definition);
    this.#pods.push(pod);
    await pod.start();
    return pod;
  }

  close() {
    return Promise.all(this.#pods.map((pod) => pod.kill()));
  }
}

function podOfJob({ metadata: { name, namespace }, spec: { template } }) {
  return { metadata: { ...template.metadata, name: `${name}-0`, namespace }, spec: template.spec };
}

class Pod {
  #kubelet;
  #volumes;
  #pause;
  #link;
  #sidecars = [];
  #main = [];

  constructor(kubelet, definition) {
    this.#kubelet = kubelet;
    this.definition = definition;
    this.namespace = definition.metadata.namespace ?? 'default';
    this.name = definition.metadata.name;
    this.uid = kubelet.cluster.addPod();
    // That of init containers which have ended, by name.
    this.initLogs = {};
  }

  get #grace() {
    return (this.definition.spec.terminationGracePeriodSeconds ?? 30) * 1000;
  }

  // A service-account token as it is projected here, and variations of it.
  token(changes = {}) {
    return this.#kubelet.cluster.token({
      namespace: this.namespace, serviceAccount: this.definition.spec.serviceAccountName ?? 'default', pod: this.name, uid: this.uid, ...changes,
    });
  }

  #filesOf = (source) => {
    if (source.serviceAccountToken) {
      const { path: file, audience, expirationSeconds } = source.serviceAccountToken;
      return [{ path: file, text: this.token({ audience, expires: expirationSeconds }), isToken: true }];
    }
    const map = this.#kubelet.cluster.configMaps.get(source.configMap.name);
    return source.configMap.items.map(({ key, path: file }) => ({ path: file, text: map[key] }));
  };

  async start() {
    const { spec } = this.definition;
    this.#volumes = new PodVolumes(this.#kubelet.runtime, this.uid, ownersOf(this.definition));
    for (const volume of spec.volumes ?? []) await this.#volumes.make(volume, this.#filesOf);
    this.#pause = await this.#kubelet.runtime.start('pause', {
      args: ['/bin/sleep', 'infinity'], uid: 65535, mounts: machinePrograms(), hostname: this.name,
    });
    this.#link = await this.#connect();
    for (const container of spec.initContainers ?? []) await this.#init(container);
    for (const container of spec.containers) {
      const restart = spec.restartPolicy ?? 'Always';
      this.#main.push(await this.#instance(container, restart).start());
    }
    await Promise.all(this.#main.map((instance) => instance.started()));
  }

  async #init(container) {
    if (container.restartPolicy === 'Always') {
      const sidecar = this.#instance(container, 'Always');
      this.#sidecars.push(sidecar);
      await sidecar.start();
      return sidecar.started();
    }
    const instance = await this.#instance(container, 'Never').start();
    const code = await instance.exited;
    this.initLogs[container.name] = instance.logs;
    if (code !== 0) throw new Error(`init container ${container.name} ended with ${code}: ${instance.logs}`);
  }

  #instance(container, restart) {
    const image = this.#kubelet.images[container.image];
    if (image === undefined) throw new Error(`there is no image ${container.image}`);
    const pid = this.definition.spec.shareProcessNamespace ? { pid: this.#pause.namespace('pid') } : {};
    const namespaces = { network: this.networkNamespace, ipc: this.#pause.namespace('ipc'), uts: this.#pause.namespace('uts'), ...pid };
    const options = containerOptions(this.definition, this.uid, container, { image, namespaces, mountOf: (name) => this.#volumes.source(name) });
    return new PodInstance(this, this.#kubelet.runtime, container, options, restart);
  }

  get networkNamespace() {
    return this.#pause.namespace('net');
  }

  // The listener belongs to the pod's network, and what it accepts is served from here.
  async #connect() {
    const { port } = this.#kubelet;
    const child = spawn('nsenter', [`--net=${this.networkNamespace}`, '--', process.execPath, '-e', LISTEN, String(port)],
      { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const server = await new Promise((resolve, reject) => {
      child.once('message', (message, handle) => resolve(handle));
      child.once('exit', (code) => reject(new Error(`nobody listens in the pod's network (${code})`)));
    });
    server.on('connection', (inside) => {
      const outside = net.connect(port, '127.0.0.1');
      for (const [from, to] of [[inside, outside], [outside, inside]]) {
        from.on('error', () => {});
        from.on('close', () => to.destroy());
        from.pipe(to);
      }
    });
    return server;
  }

  // A container that is not an init container, or a native sidecar, by name.
  container(name) {
    const found = [...this.#main, ...this.#sidecars].find((instance) => instance.name === name);
    if (found === undefined) throw new Error(`pod ${this.name} has no container ${name}`);
    return found;
  }

  // Where this process sees a volume.
  volume(name) {
    return this.#volumes.seen(name);
  }

  // As kubelets do before a projected token ends.
  refresh(name) {
    return this.#volumes.refresh(name);
  }

  // Ends the pod as its deletion does: hooks and SIGTERM to the containers, then to the sidecars, the last one first.
  async stop() {
    const end = Date.now() + this.#grace;
    await Promise.all(this.#main.map((instance) => instance.stop(end)));
    await this.#stopSidecars(end);
  }

  // Waits until all containers have ended by themselves, and ends the sidecars. Answers the pod's phase.
  async finished() {
    const codes = await Promise.all(this.#main.map((instance) => instance.finished));
    await this.#stopSidecars(Date.now() + this.#grace);
    return codes.every((code) => code === 0) ? 'Succeeded' : 'Failed';
  }

  async #stopSidecars(end) {
    for (const sidecar of [...this.#sidecars].reverse()) await sidecar.stop(end);
    this.#kubelet.cluster.pods.delete(this.uid);
    this.#link.close();
  }

  // Ends everything at once.
  async kill() {
    await Promise.all([...this.#main, ...this.#sidecars].map((instance) => instance.stop(0)));
    this.#link?.close();
    await this.#pause?.signal('KILL');
  }

  // Polls until a readiness probe succeeds.
  async ready(name) {
    const instance = this.container(name);
    for (const end = Date.now() + 60_000; !(await instance.probe('readinessProbe')); await sleep(50)) {
      if (Date.now() > end) throw new Error(`container ${name} does not get ready: ${instance.logs}`);
    }
  }
}
