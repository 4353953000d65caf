// Containers by crun, without a daemon and without images: who starts one brings a root directory, or what to mount in an
// empty one.
//
// All containers of one `Runtime` live in a mount namespace of its own, held by one process that ends with this one: no
// mount reaches the machine, and whatever happens to the test, containers and mounts are gone afterwards.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from './process.mjs';

const START_TIMEOUT_MS = 60_000;
const TOOLS = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };

function whyNoContainers() {
  if (process.getuid() !== 0) return 'only root runs containers';
  const probe = spawnSync('unshare', ['--mount', '--pid', '--net', '--ipc', '--uts', '--fork', '--propagation', 'private', 'sh', '-c',
    'mount -t cgroup2 none /sys/fs/cgroup && mount -t tmpfs tmpfs /mnt'], { env: TOOLS, encoding: 'utf8' });
  return probe.status !== 0 && `containers need root that may make namespaces: ${(probe.error?.message ?? probe.stderr).trim()}`;
}

// Why containers cannot be run here, for `skip`; false where they can.
export const noContainers = whyNoContainers();

// What container runtimes hide of /proc and /sys unless they are told otherwise.
const MASKED = ['/proc/acpi', '/proc/asound', '/proc/kcore', '/proc/keys', '/proc/latency_stats', '/proc/timer_list',
  '/proc/timer_stats', '/proc/sched_debug', '/proc/scsi', '/sys/firmware'];
const READ_ONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

const SYSTEM_MOUNTS = [
  { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
  { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
  { destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'] },
  { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'] },
  { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
];

function machineFolders(folders) {
  return folders.filter((folder) => fs.existsSync(folder))
    .map((folder) => ({ destination: folder, source: fs.realpathSync(folder), readOnly: true }));
}

// Mounts for a root directory without any: this machine's libraries alone, or programs (node, sh, python3, ...) as well.
export const machineLibraries = () => machineFolders(['/lib', '/lib32', '/lib64', '/usr/lib']);
export const machinePrograms = () => machineFolders(['/bin', '/lib', '/lib32', '/lib64', '/sbin', '/usr']);

function ociMount({ destination, source, tmpfs = false, readOnly = false, mode = '1777' }) {
  const access = readOnly ? 'ro' : 'rw';
  if (tmpfs) return { destination, type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', `mode=${mode}`, access] };
  return { destination, type: 'bind', source, options: ['rbind', 'rprivate', access] };
}

// 'own' makes a namespace, 'host' leaves the machine's, a path joins one: see `Container.namespace`.
function ociNamespaces(chosen) {
  const all = { pid: 'own', network: 'own', ipc: 'own', uts: 'own', ...chosen };
  return [{ type: 'mount' }, ...Object.entries(all)
    .filter(([, value]) => value !== 'host')
    .map(([type, value]) => (value === 'own' ? { type } : { type, path: value }))];
}

const environmentOf = (env) => Object.entries(env).map(([name, value]) => `${name}=${value}`);

// The runtime specification's config.json. See `Runtime.start` for the options.
function ociConfig({
  rootfs, args, env = {}, cwd = '/', uid = 65532, gid = uid, groups = [], mounts = [], readOnlyRootfs = true,
  capabilities = [], noNewPrivileges = true, namespaces = {}, hostname = 'container', rlimits = [],
}) {
  const uts = namespaces.uts === undefined || namespaces.uts === 'own';
  return {
    ociVersion: '1.0.0',
    root: { path: rootfs, readonly: readOnlyRootfs },
    ...(uts ? { hostname } : {}),
    process: {
      terminal: false, args, cwd, noNewPrivileges, rlimits,
      user: { uid, gid, additionalGids: groups },
      env: environmentOf(env),
      capabilities: Object.fromEntries(['bounding', 'effective', 'permitted'].map((set) => [set, capabilities])),
    },
    mounts: [...SYSTEM_MOUNTS, ...mounts.map(ociMount)],
    linux: { namespaces: ociNamespaces(namespaces), maskedPaths: MASKED, readonlyPaths: READ_ONLY },
  };
}

// The process that holds the mount namespace. crun wants a cgroup2 tree at /sys/fs/cgroup even if it is told to use none.
// At the end of its standard input, which is the end of this process at the latest, it removes what is left.
const HOLDER = `
mount -t cgroup2 none /sys/fs/cgroup && mount -t tmpfs -o mode=711 tmpfs "$1" && echo ready || exit 1
cat > /dev/null
for id in $(crun --root "$2" list -q); do crun --root "$2" --cgroup-manager=disabled delete --force "$id"; done
umount -R "$1" && rm -r "$(dirname "$1")"
`;

export class Runtime {
  #directory = fs.mkdtempSync(path.join(os.tmpdir(), 'kfcrun-'));
  #containers = [];
  #count = 0;
  #holder;

  static async open() {
    const runtime = new Runtime();
    await runtime.#open();
    return runtime;
  }

  async #open() {
    for (const folder of ['memory', 'state', 'bundles']) fs.mkdirSync(path.join(this.#directory, folder), { mode: 0o700 });
    this.#holder = spawn('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', HOLDER, 'holder', path.join(this.#directory, 'memory'), this.#state],
      { env: TOOLS, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    let said = '';
    this.#holder.stderr.on('data', (chunk) => { said += chunk; });
    this.closed = new Promise((resolve) => this.#holder.once('close', resolve));
    const ready = new Promise((resolve) => this.#holder.stdout.once('data', () => resolve(true)));
    if (await Promise.race([ready, this.closed]) !== true) throw new Error(`no namespace for containers: ${said}`);
  }

  get #state() {
    return path.join(this.#directory, 'state');
  }

  // A folder in memory that only this runtime's containers can be given.
  get memory() {
    return path.join(this.#directory, 'memory');
  }

  // Where this process sees a path of the runtime's mount namespace.
  seen(file) {
    return `/proc/${this.#holder.pid}/root${file}`;
  }

  // Command line of a program in the runtime's mount namespace.
  inside(command) {
    return ['nsenter', `--mount=/proc/${this.#holder.pid}/ns/mnt`, '--', ...command];
  }

  crunCommand(args) {
    return this.inside(['crun', '--root', this.#state, '--cgroup-manager=disabled', ...args]);
  }

  crun(args, options = {}) {
    const [command, ...rest] = this.crunCommand(args);
    return run(command, rest, { env: TOOLS, ...options });
  }

  // Starts a container and answers it once it runs or has ended. `options`:
  //   args; rootfs (an empty one of its own); env, cwd, uid, gid, groups; readOnlyRootfs (true), capabilities (none), noNewPrivileges (true)
  //   mounts      [{destination, source, readOnly} or {destination, tmpfs: true, mode}]; sources in `memory` are fine
  //   namespaces  {pid, network, ipc, uts}: each 'own' (the default), 'host', or a path as `Container.namespace` gives it
  //   rlimits     [{type: 'RLIMIT_CORE', soft, hard}]
  //   stdin       true: `Container.stdin` is its standard input, which is empty otherwise
  async start(name, { stdin = false, ...options }) {
    this.#count += 1;
    const id = `kf-${process.pid}-${path.basename(this.#directory).slice(-6)}-${this.#count}-${name}`;
    const bundle = path.join(this.#directory, 'bundles', id);
    const empty = path.join(bundle, 'rootfs');
    fs.mkdirSync(empty, { recursive: true });
    const config = ociConfig({ rootfs: empty, ...options });
    fs.writeFileSync(path.join(bundle, 'config.json'), JSON.stringify(config));
    const container = new Container(this, { id, name, bundle, stdin, process: config.process });
    this.#containers.push(container);
    await container.running();
    return container;
  }

  // Ends and removes every container, and the namespace with all that is mounted in it.
  async close() {
    await Promise.all(this.#containers.map((container) => container.remove()));
    this.#holder.stdin.end();
    await this.closed;
    fs.rmSync(this.#directory, { recursive: true, force: true });
  }
}

class Container {
  #runtime;
  #bundle;
  #process;
  #described;
  #execs = 0;

  // `process` is that of its config.json.
  constructor(runtime, { id, name, bundle, stdin, process }) {
    this.#runtime = runtime;
    this.#bundle = bundle;
    this.#described = process;
    this.id = id;
    this.name = name;
    this.stdoutText = '';
    this.stderrText = '';
    const [command, ...args] = runtime.crunCommand(['run', '--bundle', bundle, '--pid-file', this.#pidFile, id]);
    this.#process = spawn(command, args, { env: TOOLS, stdio: [stdin ? 'pipe' : 'ignore', 'pipe', 'pipe'], detached: true });
    this.#process.stdin?.on('error', () => {});
    this.#process.stdout.on('data', (chunk) => { this.stdoutText += chunk; });
    this.#process.stderr.on('data', (chunk) => { this.stderrText += chunk; });
    // Who read its output may have stopped in the middle, which must not keep its end from being seen.
    this.#process.once('exit', () => this.#process.stdout.resume());
    // Exit status, 128 + n if signal n ended it.
    this.exited = new Promise((resolve) => {
      this.#process.once('close', (code, signal) => {
        this.exitCode = code ?? 128 + os.constants.signals[signal];
        resolve(this.exitCode);
      });
    });
  }

  get #pidFile() {
    return path.join(this.#bundle, 'pid');
  }

  get stdin() {
    return this.#process.stdin;
  }

  get stdout() {
    return this.#process.stdout;
  }

  get logs() {
    return this.stdoutText + this.stderrText;
  }

  // Of its first process, as this machine counts.
  get pid() {
    return Number(fs.readFileSync(this.#pidFile, 'utf8'));
  }

  // For `namespaces` of another container. Types as /proc names them: pid, net, ipc, uts, mnt.
  namespace(type) {
    return `/proc/${this.pid}/ns/${type}`;
  }

  async running() {
    for (const end = Date.now() + START_TIMEOUT_MS; this.exitCode === undefined; await sleep(10)) {
      if (!fs.existsSync(this.#pidFile)) continue;
      const state = await this.#runtime.crun(['state', this.id]);
      if (state.code === 0 && JSON.parse(state.stdout).status !== 'created') return;
      if (Date.now() > end) throw new Error(`container ${this.name} does not start: ${this.stderrText}`);
    }
    if (!fs.existsSync(this.#pidFile)) throw new Error(`crun does not start container ${this.name}: ${this.stderrText}`);
  }

  // Runs a command in it with the container's user, environment and restrictions, and answers {code, signal, stdout,
  // stderr}. `env` is added; `uid` and `gid` take the place of the user's.
  exec(args, { uid, gid, env = {}, ...options } = {}) {
    this.#execs += 1;
    const file = path.join(this.#bundle, `exec-${this.#execs}.json`);
    const described = this.#described;
    fs.writeFileSync(file, JSON.stringify({
      ...described,
      args,
      user: { ...described.user, uid: uid ?? described.user.uid, gid: gid ?? described.user.gid },
      env: [...described.env, ...environmentOf(env)],
    }));
    return this.#runtime.crun(['exec', '--process', file, this.id], options);
  }

  // Sends its first process a signal by name, e.g. TERM. Nothing happens if it has ended.
  async signal(name) {
    const { code, stderr } = await this.#runtime.crun(['kill', this.id, name]);
    if (code === 0 || this.exitCode !== undefined || /not found|No such|not running/.test(stderr)) return;
    throw new Error(`signal ${name} to ${this.name}: ${stderr}`);
  }

  wait() {
    return this.exited;
  }

  async remove() {
    await this.#runtime.crun(['delete', '--force', this.id]);
    return this.exited;
  }
}
