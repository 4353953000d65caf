// Rotates credentials under a running session and counts what passes between its client and the server meanwhile.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export async function until(what, condition, timeoutMs = 30_000) {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) assert.fail(`not within ${timeoutMs} ms: ${what}`);
    await sleep(50);
  }
}

// New values for several credentials in one commit.
export async function rotate(admin, values) {
  const file = path.join(path.dirname(admin.server.dataDir), 'values.json');
  fs.writeFileSync(file, JSON.stringify(values), { mode: 0o600 });
  await admin.cli(['credential', 'rotate-many', '-f', file]);
}

// What a connected client sends and gets from now on.
export class Traffic {
  // By the id of the client's request: how many answers came.
  answers = new Map();
  // How often the session moved to a new process: the injector says `list_changed` each time.
  moves = 0;

  constructor(client) {
    const transport = client.transport;
    const deliver = transport.onmessage;
    transport.onmessage = (message, ...rest) => {
      if (message.method === 'notifications/tools/list_changed') this.moves += 1;
      if (message.method === undefined) this.answers.set(message.id, (this.answers.get(message.id) ?? 0) + 1);
      deliver(message, ...rest);
    };
    const send = transport.send.bind(transport);
    transport.send = (message, ...rest) => {
      if (message.method !== undefined && message.id !== undefined) this.answers.set(message.id, 0);
      return send(message, ...rest);
    };
  }

  // Of all requests so far, those that were not answered exactly once.
  get lostOrDuplicated() {
    return [...this.answers].filter(([, count]) => count !== 1);
  }
}
