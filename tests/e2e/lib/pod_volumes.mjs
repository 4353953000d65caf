// The volumes of a pod, in memory that only its runtime's containers can be given.
import fs from 'node:fs';
import path from 'node:path';
import { run } from './process.mjs';

export class PodVolumes {
  #runtime;
  #folder;
  #user;
  #group;
  #projections = new Map();
  #writes = 0;

  // `user` is whom all containers run as, `group` the pod's fsGroup, if there are such.
  constructor(runtime, uid, { user, group }) {
    this.#runtime = runtime;
    this.#user = user;
    this.#group = group;
    this.#folder = path.join(runtime.memory, uid);
    fs.mkdirSync(runtime.seen(this.#folder), { mode: 0o755 });
  }

  // Where containers are given it from.
  source(name) {
    return path.join(this.#folder, name);
  }

  // Where this process sees it.
  seen(name) {
    return this.#runtime.seen(this.source(name));
  }

  // `contentsOf` answers [{path, text, isToken}] of a source of a projected volume.
  async make(volume, contentsOf) {
    fs.mkdirSync(this.seen(volume.name), { mode: 0o755 });
    if (volume.emptyDir) return this.#mount(volume.name, volume.emptyDir.sizeLimit);
    this.#projections.set(volume.name, { read: () => volume.projected.sources.flatMap(contentsOf), mode: volume.projected.defaultMode ?? 0o644 });
    return this.refresh(volume.name);
  }

  async #mount(name, size = '64Mi') {
    const options = `mode=777,size=${size.replace(/Mi$/, 'm')}`;
    const [command, ...args] = this.#runtime.inside(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', this.source(name)]);
    const { code, stderr } = await run(command, args, { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } });
    if (code !== 0) throw new Error(`the volume ${name} cannot be mounted: ${stderr}`);
    this.#give(this.seen(name), 0o777, 0o2000);
  }

  // Gives a file of root to the fsGroup, which adds `more` to its mode.
  #give(file, mode, more) {
    if (this.#group !== undefined) fs.chownSync(file, 0, this.#group);
    fs.chmodSync(file, this.#group === undefined ? mode : mode | more);
  }

  // All files at once, as kubelets do: names are links through ..data to a directory that is never changed. A token is its
  // reader's alone where the kubelet knows who that is.
  refresh(name) {
    const { read, mode } = this.#projections.get(name);
    this.#writes += 1;
    const folder = `..${this.#writes}`;
    const volume = this.seen(name);
    fs.mkdirSync(path.join(volume, folder), { mode: 0o755 });
    for (const { path: file, text, isToken } of read()) {
      const written = path.join(volume, folder, file);
      const known = this.#user !== undefined || this.#group !== undefined;
      fs.writeFileSync(written, text);
      this.#give(written, isToken && known ? 0o600 : mode, 0o440);
      if (isToken && this.#user !== undefined) fs.chownSync(written, this.#user, this.#group ?? 0);
      if (!fs.existsSync(path.join(volume, file))) fs.symlinkSync(path.join('..data', file), path.join(volume, file));
    }
    fs.symlinkSync(folder, path.join(volume, '..data_tmp'));
    fs.renameSync(path.join(volume, '..data_tmp'), path.join(volume, '..data'));
  }
}
