// A real keyferryd --dev in a directory of its own, and the command line and injector as one person uses them.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from './process.mjs';

// Folder that holds server/keyferryd, client/keyferry, injector/keyferry-injector and injector/keyferry-launch.
const BIN = process.env.KEYFERRY_BIN ?? path.resolve(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '../../../bazel-bin');

export const programs = {
  keyferryd: path.join(BIN, 'server/keyferryd'),
  keyferry: path.join(BIN, 'client/keyferry'),
  injector: path.join(BIN, 'injector/keyferry-injector'),
  launch: path.join(BIN, 'injector/keyferry-launch'),
};

const READY_TIMEOUT_MS = 30_000;

export class Server {
  // Set between two starts: a configuration in place of --dev, which begins with `keptConfig` to find the same store.
  configFile;

  // `flags` go to keyferryd besides those that a development server needs.
  constructor(dataDir, flags = []) {
    this.dataDir = dataDir;
    this.flags = flags;
    this.logFile = `${dataDir}.log`;
  }

  get devDir() {
    return path.join(this.dataDir, 'dev');
  }

  get keptConfig() {
    return {
      data_dir: path.join(this.dataDir, 'store'),
      key_provider: { file: path.join(this.devDir, 'kek') },
      tls: { cert_file: path.join(this.devDir, 'server.pem'), key_file: path.join(this.devDir, 'server.key') },
    };
  }

  get pid() {
    return this.process.pid;
  }

  // Starts keyferryd and returns once its ready line is out. A restart takes the address that it had before.
  async start() {
    const known = fs.existsSync(path.join(this.devDir, 'address'))
      ? fs.readFileSync(path.join(this.devDir, 'address'), 'utf8').trim()
      : '127.0.0.1:0';
    const log = fs.openSync(this.logFile, 'a', 0o600);
    const store = this.configFile ? ['--config', this.configFile] : ['--dev', '--data-dir', this.dataDir];
    this.process = spawn(programs.keyferryd, [...store, '--listen', known, ...this.flags], {
      env: { PATH: process.env.PATH, HOME: process.env.HOME },
      stdio: ['ignore', 'pipe', log],
    });
    fs.closeSync(log);
    this.exited = new Promise((resolve) => this.process.once('exit', (code, signal) => resolve({ code, signal })));
    await this.#readyLine();
  }

  async #readyLine() {
    let text = '';
    const ready = new Promise((resolve) => {
      this.process.stdout.on('data', (chunk) => {
        text += chunk;
        if (text.includes('\n')) resolve(true);
      });
    });
    const first = await Promise.race([ready, this.exited, sleep(READY_TIMEOUT_MS, undefined, { ref: false })]);
    if (first !== true) throw new Error(`keyferryd is not ready: ${fs.readFileSync(this.logFile, 'utf8')}`);
    this.readyLine = text.split('\n')[0];
  }

  get address() {
    return fs.readFileSync(path.join(this.devDir, 'address'), 'utf8').trim();
  }

  // Where browsers reach it, e.g. https://127.0.0.1:8443.
  get publicUrl() {
    return `https://${fs.readFileSync(path.join(this.devDir, 'http_address'), 'utf8').trim()}`;
  }

  async stop(signal = 'SIGTERM') {
    this.process.kill(signal);
    return this.exited;
  }

  // The admin of the organization `dev`.
  admin() {
    return new Identity(this, path.join(this.devDir, 'admin.token'));
  }

  // Creates a user and answers its identity.
  async user(id, role = 'member') {
    await this.admin().cli(['user', 'create', id, '--role', role]);
    const { stdout } = await this.admin().cli(['token', 'create', '--user', id, '-o', 'json']);
    const file = path.join(path.dirname(this.dataDir), `${id}.token`);
    fs.writeFileSync(file, JSON.parse(stdout).token, { mode: 0o600 });
    return new Identity(this, file);
  }
}

// One caller of one server.
export class Identity {
  constructor(server, tokenFile) {
    this.server = server;
    this.tokenFile = tokenFile;
  }

  get token() {
    return fs.readFileSync(this.tokenFile, 'utf8').trim();
  }

  // What the caller's own environment holds to reach keyferryd.
  get variables() {
    return {
      KEYFERRY_ADDRESS: this.server.address,
      KEYFERRY_CA_FILE: path.join(this.server.devDir, 'ca.pem'),
      KEYFERRY_TOKEN_FILE: this.tokenFile,
      KEYFERRY_ORG: 'dev',
    };
  }

  get env() {
    return { PATH: process.env.PATH, HOME: process.env.HOME, ...this.variables };
  }

  // Runs `keyferry` and fails on any exit code but 0.
  async cli(args, input = '') {
    const result = await run(programs.keyferry, args, { env: this.env, input });
    if (result.code !== 0) throw new Error(`keyferry ${args.join(' ')} exited ${result.code}: ${result.stderr}`);
    return result;
  }

  // Registers an MCP server from YAML text.
  async apply(yaml) {
    const file = path.join(path.dirname(this.server.dataDir), 'mcp-server.yaml');
    fs.writeFileSync(file, yaml);
    return this.cli(['mcp-server', 'apply', '-f', file]);
  }

  // Runs a command through the injector to its end.
  inject(args, { env = {}, ...options } = {}) {
    return run(programs.injector, ['exec', ...args], { env: { ...this.env, ...env }, ...options });
  }
}
