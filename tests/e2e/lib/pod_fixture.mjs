// A keyferryd that believes a cluster's tokens, and that cluster's pods.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from './cluster.mjs';
import { Runtime } from './containers.mjs';
import { secret, serverFile, temporaryDirectory } from './fixture.mjs';
import { Server, programs } from './platform.mjs';
import { keyferryImage, scratchImage, toolsImage } from './pod_images.mjs';
import { Kubelet } from './pods.mjs';
import { run } from './process.mjs';

const PODS = new URL('../pods/', import.meta.url).pathname;

const PROBE = `#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void) {
  const char* token = getenv("TOKEN");
  printf("TOKEN has %zu characters, OTHER is %s\\n", token ? strlen(token) : 0, getenv("OTHER") ? "there" : "not there");
  return 3;
}
`;

// What the webhook puts in where no image is named: that of its own version.
async function ownImage() {
  const { stdout } = await run(programs.injector, ['--version'], { env: process.env });
  return `keyferry/injector:${stdout.trim().split(' ')[1]}`;
}

// Polls for a condition and answers what it answers.
export async function until(what, condition, timeoutMs = 60_000) {
  for (const end = Date.now() + timeoutMs; ; await sleep(50)) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) assert.fail(`not within ${timeoutMs} ms: ${what}`);
  }
}

export class PodWorld {
  // The workload `runner`, which pods of the service account `mcp` in `tools` call as, may launch the MCP servers
  // `everything` (TOKEN) and `memory` (OTHER); `forbidden` is nobody's. STEP is too short to be redacted.
  static async open() {
    const world = new PodWorld();
    try {
      await world.#open();
    } catch (error) {
      await world.close();
      throw error;
    }
    return world;
  }

  values = { TOKEN: [secret('token')], OTHER: [secret('other')] };

  async #open() {
    this.directory = temporaryDirectory();
    this.server = new Server(path.join(this.directory, 'data'));
    await this.server.start();
    this.cluster = new Cluster(this.directory);
    const identity = await this.cluster.start(this.server.devDir);
    await this.server.stop();
    this.server.configFile = path.join(this.directory, 'keyferryd.yaml');
    fs.writeFileSync(this.server.configFile, JSON.stringify({ ...this.server.keptConfig, identity }));
    await this.server.start();
    this.admin = this.server.admin();
    await this.#define();
    this.runtime = await Runtime.open();
    this.cluster.configMaps.set('keyferry-ca', { 'ca.pem': fs.readFileSync(path.join(this.server.devDir, 'ca.pem'), 'utf8') });
    this.kubelet = new Kubelet({
      runtime: this.runtime, cluster: this.cluster, port: Number(this.server.address.split(':')[1]),
      images: { [await ownImage()]: keyferryImage(), tools: toolsImage(), scratch: scratchImage(await this.#compile()) },
    });
    this.webhookConfig = path.join(this.directory, 'webhook.yaml');
    fs.writeFileSync(this.webhookConfig, `address: ${this.server.address}\norg: dev\n`);
  }

  async #define() {
    const { admin } = this;
    await admin.cli(['credential', 'create', 'TOKEN'], this.values.TOKEN[0]);
    await admin.cli(['credential', 'create', 'OTHER'], this.values.OTHER[0]);
    await admin.cli(['credential', 'create', 'STEP'], 's0');
    await admin.apply(serverFile('everything', ['name: TOKEN, orgSecret: TOKEN', 'name: STEP, orgSecret: STEP']));
    for (const id of ['memory', 'forbidden']) await admin.apply(serverFile(id, ['name: OTHER, orgSecret: OTHER', 'name: STEP, orgSecret: STEP']));
    await admin.cli(['workload', 'create', 'runner', '--mcp-server', 'everything', '--mcp-server', 'memory']);
    await admin.cli(['workload', 'grant', 'runner', '--issuer', 'cluster', '--namespace', 'tools', '--service-account', 'mcp']);
  }

  async #compile() {
    const program = path.join(this.directory, 'probe');
    const { code, stderr } = await run('cc', ['-static', '-O1', '-x', 'c', '-', '-o', program], { env: process.env, input: PROBE });
    if (code !== 0) throw new Error(`the probe is not compiled: ${stderr}`);
    return program;
  }

  // What `keyferry inject` makes of a file of pods/.
  async inject(file, flags = []) {
    const { stdout } = await this.admin.cli(['inject', '-f', path.join(PODS, file), '--config', this.webhookConfig, '-o', 'json', ...flags]);
    return JSON.parse(stdout);
  }

  // The same of a definition that has been rewritten and changed.
  async injectAgain(object) {
    const file = path.join(this.directory, 'changed.json');
    fs.writeFileSync(file, JSON.stringify(object));
    return this.admin.cli(['inject', '-f', file, '--config', this.webhookConfig]);
  }

  async run(file, flags) {
    return this.kubelet.run(await this.inject(file, flags));
  }

  async rotate(step) {
    for (const [name, all] of Object.entries(this.values)) all.push(secret(name.toLowerCase()));
    const file = path.join(this.directory, 'values.json');
    const newest = Object.entries(this.values).map(([name, all]) => [name, all.at(-1)]);
    fs.writeFileSync(file, JSON.stringify({ ...Object.fromEntries(newest), STEP: step }), { mode: 0o600 });
    await this.admin.cli(['credential', 'rotate-many', '-f', file]);
  }

  // Whether a text has any value that there ever was, or a token of a pod.
  shows(text) {
    return Object.values(this.values).flat().some((value) => text.includes(value)) || /eyJ[\w-]+\.[\w-]+\.[\w-]+/.test(text);
  }

  async close() {
    await this.kubelet?.close();
    await this.runtime?.close();
    await this.cluster?.close();
    await this.server?.stop();
    if (this.directory) fs.rmSync(this.directory, { recursive: true });
  }
}
