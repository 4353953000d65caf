// Launches the real MCP server @modelcontextprotocol/server-everything under the official SDK's client.
import { createRequire } from 'node:module';
import path from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { programs } from './platform.mjs';

// Folder of an installed MCP server, which exports no file of its own.
function folderOf(name) {
  return path.dirname(createRequire(import.meta.url).resolve(`@modelcontextprotocol/${name}/package.json`));
}

// Program and arguments of each MCP server.
export const everything = [process.execPath, path.join(folderOf('server-everything'), 'dist/index.js'), 'stdio'];
export const filesystem = (directory) => [process.execPath, path.join(folderOf('server-filesystem'), 'dist/index.js'), directory];
export const memory = [process.execPath, path.join(folderOf('server-memory'), 'dist/index.js')];
export const gitlab = [process.execPath, path.join(folderOf('server-gitlab'), 'dist/index.js')];

// Starts the MCP server through `keyferry-injector exec ARGS -- ...` and initializes the session.
export function launchEverything(variables, injectorArgs) {
  return launchThrough(injectorArgs, everything, variables);
}

export function launchThrough(injectorArgs, server, variables, options = {}) {
  return launch([programs.injector, 'exec', ...injectorArgs, '--', ...server], variables, options);
}

// Starts a command under the official SDK's client. The transport passes a handful of variables on by itself; others
// have to be given. `prepare` gets the client before it connects.
export function launch([command, ...args], variables, options = {}) {
  const transport = new StdioClientTransport({ command, args, env: variables, stderr: 'pipe' });
  let stderr = '';
  transport.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  return connect(transport, () => stderr, options);
}

// Speaks to a container that runs already, as an attached client does.
export function attach(container) {
  return connect(new StdioServerTransport(container.stdout, container.stdin), () => container.stderrText);
}

async function connect(transport, stderr, { capabilities = {}, prepare = () => {} } = {}) {
  const errors = [];
  const client = new Client({ name: 'keyferry-e2e', version: '1.0.0' }, { capabilities });
  // What the client could not parse or did not ask for: anything but JSON-RPC on standard output, a second answer.
  client.onerror = (error) => errors.push(error);
  prepare(client);
  try {
    await client.connect(transport);
  } catch (error) {
    error.message += `\n${stderr()}`;
    throw error;
  }
  return new Launched(client, transport, errors, stderr);
}

class Launched {
  #stderr;

  constructor(client, transport, errors, stderr) {
    this.client = client;
    this.pid = transport.pid;
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
