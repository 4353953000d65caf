// Launches the real MCP server @modelcontextprotocol/server-everything under the official SDK's client.
import { createRequire } from 'node:module';
import path from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { programs } from './platform.mjs';

const manifest = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/package.json');

// Program and arguments of the MCP server.
export const everything = [process.execPath, path.join(path.dirname(manifest), 'dist/index.js'), 'stdio'];

// Starts the MCP server through `keyferry-injector exec ARGS -- ...` and initializes the session. The transport passes
// a handful of variables on by itself; Keyferry's have to be given.
export async function launchEverything(variables, injectorArgs) {
  const transport = new StdioClientTransport({
    command: programs.injector,
    args: ['exec', ...injectorArgs, '--', ...everything],
    env: variables,
    stderr: 'pipe',
  });
  let stderr = '';
  transport.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const errors = [];
  transport.onerror = (error) => errors.push(error);
  const client = new Client({ name: 'keyferry-e2e', version: '1.0.0' });
  try {
    await client.connect(transport);
  } catch (error) {
    error.message += `\n${stderr}`;
    throw error;
  }
  return new Launched(client, transport, errors, () => stderr);
}

class Launched {
  #stderr;

  constructor(client, transport, errors, stderr) {
    this.client = client;
    this.pid = transport.pid;
    // What the client could not parse: anything but JSON-RPC on standard output ends up here.
    this.errors = errors;
    this.#stderr = stderr;
  }

  get stderr() {
    return this.#stderr();
  }

  async tool(name, args = {}) {
    const result = await this.client.callTool({ name, arguments: args });
    return result.content.map((part) => part.text).join('');
  }

  // The environment as the MCP server itself sees it.
  async env() {
    return JSON.parse(await this.tool('get-env'));
  }

  close() {
    return this.client.close();
  }
}
