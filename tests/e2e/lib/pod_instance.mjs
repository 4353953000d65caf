// One container of a pod over its restarts.
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from './process.mjs';

const MOST_RESTARTS = 3;
const PROBE_PAUSE_MS = 50;
const GET = 'fetch(process.argv[1]).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))';

export class PodInstance {
  #pod;
  #runtime;
  #options;
  #restart;
  #stopping = false;
  #finish;
  restarts = 0;
  earlierLogs = '';

  // `restart`: Always, OnFailure or Never.
  constructor(pod, runtime, definition, options, restart) {
    this.#pod = pod;
    this.#runtime = runtime;
    this.#options = options;
    this.#restart = restart;
    this.definition = definition;
    this.name = definition.name;
    // Exit status once it is not started again.
    this.finished = new Promise((resolve) => { this.#finish = resolve; });
  }

  async start() {
    this.current = await this.#runtime.start(this.name, this.#options);
    this.current.exited.then((code) => this.#ended(code));
    return this;
  }

  async #ended(code) {
    const again = !this.#stopping && (this.#restart === 'Always' || (this.#restart === 'OnFailure' && code !== 0));
    if (!again || this.restarts === MOST_RESTARTS) return this.#finish(code);
    this.restarts += 1;
    this.earlierLogs += this.current.logs;
    await this.start();
  }

  get exited() {
    return this.current.exited;
  }

  get logs() {
    return this.earlierLogs + this.current.logs;
  }

  exec(args, options) {
    return this.current.exec(args, options);
  }

  // Returns when the postStart hook has ended and the startup probe has succeeded.
  async started() {
    const { lifecycle, startupProbe } = this.definition;
    if (lifecycle?.postStart) await this.#hook('postStart');
    if (!startupProbe) return;
    const { periodSeconds = 10, failureThreshold = 3 } = startupProbe;
    for (const end = Date.now() + periodSeconds * failureThreshold * 1000; !(await this.probe('startupProbe')); await sleep(PROBE_PAUSE_MS)) {
      if (Date.now() > end || this.#isCrashing) throw new Error(`container ${this.name} does not start: ${this.logs}`);
    }
  }

  get #isCrashing() {
    return this.restarts === MOST_RESTARTS && this.current.exitCode !== undefined;
  }

  // Whether a probe succeeds now.
  async probe(kind) {
    const { exec, httpGet, timeoutSeconds = 1 } = this.definition[kind];
    if (exec) return (await this.exec(exec.command, { timeoutMs: Math.max(timeoutSeconds, 10) * 1000 })).code === 0;
    const url = `http://127.0.0.1:${httpGet.port}${httpGet.path ?? '/'}`;
    const { code } = await run('nsenter', [`--net=${this.#pod.networkNamespace}`, '--', process.execPath, '-e', GET, url], { env: process.env });
    return code === 0;
  }

  async #hook(name) {
    const result = await this.exec(this.definition.lifecycle[name].exec.command);
    this.hooks = { ...this.hooks, [name]: result };
    return result;
  }

  // preStop, SIGTERM, and SIGKILL at `end`. Answers the exit status.
  async stop(end) {
    this.#stopping = true;
    if (this.current === undefined || this.current.exitCode !== undefined) return this.current?.exitCode;
    if (this.definition.lifecycle?.preStop && end > 0) await this.#hook('preStop');
    if (end > 0) await this.current.signal('TERM');
    const timer = setTimeout(() => this.current.signal('KILL'), Math.max(0, end - Date.now()));
    const code = await this.current.exited;
    clearTimeout(timer);
    return code;
  }
}
