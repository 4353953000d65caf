// Volumes as a kubelet lays them for a pod, and a container's command on this machine as that container's user.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { filesOf } from './manifests.mjs';
import { run } from './process.mjs';

const START_TIMEOUT_MS = 60_000;
// Others than root can only be themselves, and then own what they read.
const root = process.getuid() === 0;

export class Pod {
  #running = new Set();

  // `sources` has the content of Secrets, ConfigMaps and tokens: {'Secret/NAME': {KEY: TEXT}, token: {'': TEXT}}.
  // `substitutes` are pairs of texts that stand for another on this machine, in commands and in configuration.
  constructor(directory, template, { sources, programs, substitutes = [] }) {
    Object.assign(this, { directory, spec: template.spec, sources, programs });
    this.uid = root ? this.spec.securityContext.runAsUser : process.getuid();
    this.gid = root ? this.spec.securityContext.fsGroup : process.getgid();
    const mounts = [...this.containers()].flatMap(({ volumeMounts }) => volumeMounts.map(({ mountPath }) => mountPath));
    this.substitutes = [...[...new Set(mounts)].map((mount) => [mount, path.join(directory, mount)]),
      ['/usr/local/bin', programs], ...substitutes];
    fs.chmodSync(directory, 0o755);
    for (const container of this.containers()) for (const mount of container.volumeMounts) this.#mount(mount);
  }

  * containers() {
    yield* this.spec.initContainers ?? [];
    yield* this.spec.containers;
  }

  path(inside) {
    return path.join(this.directory, inside);
  }

  here(text) {
    return this.substitutes.reduce((result, [from, to]) => result.replaceAll(from, to), text);
  }

  #mount({ name, mountPath }) {
    const target = this.path(mountPath);
    if (fs.existsSync(target)) return;
    fs.mkdirSync(target, { recursive: true, mode: 0o755 });
    const volume = this.spec.volumes.find((each) => each.name === name);
    const files = volume && filesOf(volume);
    if (!files) return this.openToGroup(target);
    const secret = volume.secret !== undefined || volume.projected !== undefined;
    for (const { all, file, source, key = '' } of files) {
      const content = this.sources[source];
      if (all) for (const each of Object.keys(content)) this.#lay(target, each, content[each], secret);
      else this.#lay(target, file, content[key], secret);
    }
  }

  // A link to a link, so that the kubelet can replace all files of a volume at once. Secrets are root's and the group's.
  #lay(target, name, content, secret) {
    const data = path.join(target, '..2026');
    fs.mkdirSync(data, { recursive: true, mode: 0o755 });
    const file = path.join(data, name);
    fs.writeFileSync(file, this.here(content));
    if (root) fs.chownSync(file, 0, this.gid);
    fs.chmodSync(file, secret ? (root ? 0o440 : 0o400) : 0o644);
    if (!fs.existsSync(path.join(target, '..data'))) fs.symlinkSync('..2026', path.join(target, '..data'));
    fs.symlinkSync(path.join('..data', name), path.join(target, name));
  }

  // What fsGroup does to a volume when it is mounted: to its own directory, or with `everything` to all that is in it, as
  // without OnRootMismatch.
  openToGroup(target, { everything = false } = {}) {
    const all = [target, ...(everything ? fs.readdirSync(target, { recursive: true }).map((name) => path.join(target, name)) : [])];
    for (const each of all) {
      const info = fs.lstatSync(each);
      if (info.isSymbolicLink()) continue;
      if (root) fs.chownSync(each, info.uid, this.gid);
      fs.chmodSync(each, (info.mode & 0o7777) | (info.isDirectory() ? 0o2770 : 0o660));
    }
    // Another user than root has no group to be let in by.
    if (!root) fs.chmodSync(target, 0o700);
  }

  #environment(container) {
    const values = (container.env ?? []).map(({ name, value, valueFrom }) => [name,
      value ?? this.sources[`ConfigMap/${valueFrom.configMapKeyRef.name}`][valueFrom.configMapKeyRef.key]]);
    return Object.fromEntries(values.map(([name, value]) => [name, this.here(value)]));
  }

  #options(container) {
    return { env: this.#environment(container), uid: this.uid, gid: this.gid, cwd: '/' };
  }

  command(container) {
    const env = this.#environment(container);
    return [...container.command, ...(container.args ?? [])]
      .map((word) => this.here(word.replace(/\$\(([^)]+)\)/g, (_, name) => env[name])));
  }

  container(name) {
    return [...this.containers()].find((container) => container.name === name);
  }

  // Runs the container's command to its end.
  async run(name, more = []) {
    const container = this.container(name);
    const [program, ...args] = this.command(container);
    return run(program, [...args, ...more], this.#options(container));
  }

  // `kubectl exec POD -c NAME -- COMMAND`.
  async exec(name, [program, ...args], env = {}, input = '') {
    const options = this.#options(this.container(name));
    return run(path.join(this.programs, program), args, { ...options, input, env: { ...options.env, ...env } });
  }

  // Starts the container's command; answers its ready line and how to stop it.
  async start(name) {
    const container = this.container(name);
    const [program, ...args] = this.command(container);
    const child = spawn(program, args, { ...this.#options(container), stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stderr.on('data', (chunk) => { err += chunk; });
    this.#running.add(child);
    const exited = new Promise((resolve) => child.once('exit', (code) => {
      this.#running.delete(child);
      resolve({ code });
    }));
    const ready = new Promise((resolve) => child.stdout.on('data', (chunk) => {
      out += chunk;
      if (out.includes('\n')) resolve(out.split('\n')[0]);
    }));
    const timeout = sleep(START_TIMEOUT_MS, { code: 'timeout' }, { ref: false });
    const line = await Promise.race([ready, exited, timeout]);
    if (typeof line !== 'string') {
      child.kill('SIGKILL');
      throw new Error(`${name} is not ready (${line.code}): ${err}`);
    }
    return { line, errors: () => err, stop: () => { child.kill('SIGTERM'); return exited; } };
  }

  // Ends what was started and runs yet, whoever was to stop it.
  kill() {
    for (const child of this.#running) child.kill('SIGKILL');
  }
}
