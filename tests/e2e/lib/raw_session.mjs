// An MCP client of bare lines: what the server prints is kept as it is.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import readline from 'node:readline';

const ANSWER_TIMEOUT_MS = 60_000;

export class RawSession {
  // Lines of the server, in order.
  lines = [];
  #nextId = 1;
  #taken = 0;
  #held;
  #wake = () => {};

  // `answer` gets each request of the server and answers the members of the client's own message: {result} or {error}. To a
  // request that has a progress token the client first reports progress, and answers when the server has said something
  // to that: servers take an answer before the progress that came with it.
  constructor([command, ...args], env, answer) {
    this.child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'ignore'] });
    this.child.stdin.on('error', () => {});
    this.closed = once(this.child, 'close').then(() => {
      this.ended = true;
      this.#wake();
    });
    readline.createInterface({ input: this.child.stdout, crlfDelay: Infinity }).on('line', (line) => {
      const message = JSON.parse(line);
      this.lines.push(line);
      if (message.method !== undefined && message.id !== undefined) {
        const token = message.params?._meta?.progressToken;
        const send = () => this.#send({ id: message.id, ...answer(message) });
        if (token === undefined) {
          send();
        } else {
          this.notify('notifications/progress', { progressToken: token, progress: 1, message: 'thinking' });
          this.#held = send;
        }
      } else if (this.#held) {
        this.#held();
        this.#held = undefined;
      }
      this.#wake();
    });
  }

  #send(message) {
    this.child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  }

  // Waits for a line that was not waited for yet, and takes those before it as seen.
  async seen(what, condition) {
    const timer = setTimeout(() => { this.late = true; this.#wake(); }, ANSWER_TIMEOUT_MS);
    try {
      for (;;) {
        while (this.#taken < this.lines.length) {
          const message = JSON.parse(this.lines[this.#taken]);
          this.#taken += 1;
          if (condition(message)) return message;
        }
        if (this.ended || this.late) assert.fail(`${this.ended ? 'the server ended' : 'too late'}: ${what}; last line: ${this.lines.at(-1)}`);
        await new Promise((resolve) => { this.#wake = resolve; });
      }
    } finally {
      clearTimeout(timer);
    }
  }

  // Sends a request without waiting for its answer; returns its id.
  request(method, params) {
    const id = this.#nextId;
    this.#nextId += 1;
    this.#send({ id, method, ...(params && { params }) });
    return id;
  }

  notify(method, params) {
    this.#send({ method, ...(params && { params }) });
  }

  async ask(method, params) {
    const id = this.request(method, params);
    return this.seen(`the answer to ${method}`, (message) => message.id === id && message.method === undefined);
  }

  async close() {
    this.child.stdin.end();
    this.child.kill('SIGTERM');
    await this.closed;
  }
}
