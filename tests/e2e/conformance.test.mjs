// `keyferry-injector exec --supervise` changes nothing that a stdio MCP server says: the same interview bare and through
// it, compared byte for byte.
//
// Of @modelcontextprotocol/conformance, the official suite, no part can be pointed at a stdio server or at what stands
// before one: its server scenarios connect to `--url` by Streamable HTTP and have no other transport; its client scenarios
// start a command that is to connect to the suite's own HTTP server, which the injector, no client, does not. What its
// server scenarios check is asked here, under their names, of lib/protocol_server.mjs; left out are dns-rebinding-protection
// and server-sse-*, which are about HTTP alone.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { LATEST_PROTOCOL_VERSION } from '@modelcontextprotocol/sdk/types.js';
import { serverFile, startServer, temporaryDirectory } from './lib/fixture.mjs';
import { everything, filesystem, memory } from './lib/mcp.mjs';
import { programs } from './lib/platform.mjs';
import { RawSession } from './lib/raw_session.mjs';

let directory, folder, server, admin;

before(async () => {
  directory = fs.realpathSync(temporaryDirectory());
  folder = path.join(directory, 'folder');
  server = await startServer(directory);
  admin = server.admin();
  await admin.apply(serverFile('bare', ['name: HARMLESS, static: "a value that nobody prints"']));
});

after(async () => {
  await server.stop();
  fs.rmSync(directory, { recursive: true });
});

// The user's side of the session.
function answer({ method, params }) {
  if (method === 'roots/list') return { result: { roots: [{ uri: pathToFileURL(folder).href, name: 'folder' }] } };
  if (method === 'elicitation/create') return { result: { action: 'accept', content: { name: 'Ada', username: 'ada', titledMulti: ['one', 'two'] } } };
  if (method !== 'sampling/createMessage') return { error: { code: -32601, message: 'Method not found' } };
  if (params.messages[0].content.text.endsWith('refuse')) return { error: { code: -1, message: 'User rejected sampling request' } };
  return { result: { model: 'none', role: 'assistant', stopReason: 'endTurn', content: { type: 'text', text: 'sampled "so"\n' } } };
}

const tool = (name, args) => ['tools/call', { name, ...(args && { arguments: args }) }];
// What is to be answered with an error of the protocol, and with one of the tool.
const refused = (method, params) => [method, params, 'refused'];
const failed = (name, args) => [...tool(name, args), 'failed'];
const note = () => path.join(folder, 'note.txt');

// Cancelled once it is known to run; the ping shows that no answer came before its own.
async function cancelled(session) {
  const requestId = session.request(...tool('test_wait'));
  const says = (data) => ({ method, params }) => method === 'notifications/message' && params.data === data;
  await session.seen('the call runs', says('waiting'));
  session.notify('notifications/cancelled', { requestId, reason: 'enough' });
  await session.seen('the call is cancelled', says('cancelled: enough'));
  await session.ask('ping');
}

// All pages of a list, each cursor taken from the page before.
const paged = (method, pages) => async (session) => {
  let cursor;
  let count = 0;
  do {
    const { result } = await session.ask(method, cursor && { cursor });
    cursor = result.nextCursor;
    count += 1;
  } while (cursor);
  assert.equal(count, pages);
};

const interviews = {
  // Scenario after scenario of the suite, then what it does not ask.
  protocol: {
    command: () => [process.execPath, path.resolve(import.meta.dirname ?? new URL('.', import.meta.url).pathname, 'lib/protocol_server.mjs')],
    steps: () => [
      ['logging/setLevel', { level: 'info' }], ['ping'],
      ['completion/complete', { ref: { type: 'ref/prompt', name: 'test_prompt_with_arguments' }, argument: { name: 'arg1', value: 'par' } }],
      ['completion/complete', { ref: { type: 'ref/resource', uri: 'test://template/{id}/data' }, argument: { name: 'id', value: '' }, context: { arguments: { arg1: 'x' } } }],
      paged('tools/list', 4), refused('tools/list', { cursor: 'no such' }),
      tool('test_simple_text'), tool('test_image_content'), tool('test_audio_content'), tool('test_embedded_resource'),
      tool('test_multiple_content_types'), tool('test_tool_with_logging'), ['logging/setLevel', { level: 'emergency' }],
      tool('test_tool_with_logging'), refused('logging/setLevel', { level: 'loud' }), ['logging/setLevel', { level: 'debug' }],
      failed('test_error_handling'), refused(...tool('no_such_tool')),
      ['tools/call', { name: 'test_tool_with_progress', _meta: { progressToken: 'a "token"' } }],
      ['tools/call', { name: 'test_tool_with_progress', _meta: { progressToken: 7 } }],
      tool('test_sampling', { prompt: 'Test prompt' }), failed('test_sampling', { prompt: 'to refuse' }), tool('test_elicitation'),
      tool('json_schema_2020_12_tool', { name: 'n' }), tool('test_elicitation_sep1034_defaults'), tool('test_elicitation_sep1330_enums'),
      tool('test_roots'),
      paged('resources/list', 3), ['resources/templates/list'], ['resources/read', { uri: 'test://static-text' }],
      ['resources/read', { uri: 'test://static-binary' }], ['resources/read', { uri: 'test://template/123/data' }],
      refused('resources/read', { uri: 'test://nothing' }), ['resources/subscribe', { uri: 'test://watched-resource' }],
      ['resources/unsubscribe', { uri: 'test://watched-resource' }],
      ['prompts/list'], ['prompts/get', { name: 'test_simple_prompt' }],
      ['prompts/get', { name: 'test_prompt_with_arguments', arguments: { arg1: 'hello', arg2: 'world' } }],
      ['prompts/get', { name: 'test_prompt_with_embedded_resource', arguments: { resourceUri: 'test://example-resource' } }],
      ['prompts/get', { name: 'test_prompt_with_image' }], refused('prompts/get', { name: 'no_such_prompt' }),
      refused('no/such/method', { x: 1 }), refused('tools/call', { arguments: {} }), cancelled,
    ],
  },
  // Less what says the time.
  everything: {
    command: () => everything,
    // It asks for the roots by itself, some time after the start.
    settled: ({ params }) => params?.data?.startsWith?.('Roots updated'),
    steps: () => [
      ['ping'], ['tools/list'], ['prompts/list'], ['prompts/get', { name: 'simple-prompt' }],
      ['prompts/get', { name: 'args-prompt', arguments: { city: 'Zürich', state: '"ZH"' } }], refused('prompts/get', { name: 'args-prompt', arguments: {} }),
      ['completion/complete', { ref: { type: 'ref/prompt', name: 'completable-prompt' }, argument: { name: 'department', value: 'S' } }],
      ['completion/complete', { ref: { type: 'ref/prompt', name: 'completable-prompt' }, argument: { name: 'name', value: '' }, context: { arguments: { department: 'Sales' } } }],
      ['resources/list'], ['resources/templates/list'], ['resources/read', { uri: 'demo://resource/static/document/features.md' }],
      refused('resources/read', { uri: 'no-such:resource' }), ['resources/subscribe', { uri: 'demo://resource/static/document/features.md' }],
      ['resources/unsubscribe', { uri: 'demo://resource/static/document/features.md' }], ['logging/setLevel', { level: 'error' }],
      tool('echo', { message: 'a "quoted" \\ line\nand ünïcode' }), tool('get-sum', { a: 2, b: 40 }), failed('get-sum', { a: 'x' }),
      tool('get-tiny-image'), tool('get-annotated-message', { messageType: 'error', includeImage: true }),
      tool('get-structured-content', { location: 'Chicago' }), tool('get-resource-links', { count: 3 }),
      tool('trigger-sampling-request', { prompt: 'p' }), failed('trigger-sampling-request', { prompt: 'to refuse' }),
      tool('trigger-elicitation-request', {}), tool('get-roots-list', {}), failed('no-such-tool', {}),
      ['tools/call', { name: 'trigger-long-running-operation', arguments: { duration: 0.2, steps: 2 }, _meta: { progressToken: 'p' } }],
    ],
  },
  filesystem: {
    command: () => filesystem(folder),
    settled: ({ method }) => method === 'roots/list',
    steps: () => [
      ['ping'], ['tools/list'], tool('list_allowed_directories', {}),
      tool('write_file', { path: note(), content: 'x\n'.repeat(1000) }),
      tool('edit_file', { path: note(), edits: [{ oldText: 'x\nx\n', newText: 'y\n' }] }),
      tool('read_text_file', { path: note() }),
      tool('read_media_file', { path: path.join(folder, 'sound.wav') }),
      tool('read_media_file', { path: path.join(folder, 'data.bin') }),
      tool('list_directory', { path: folder }),
      failed('read_text_file', { path: '/etc/hostname' }), failed('no-such-tool', {}), refused('prompts/list'),
    ],
  },
  memory: {
    command: () => memory,
    steps: () => [
      ['ping'], ['tools/list'], ['resources/list'], ['resources/subscribe', { uri: 'memory://knowledge-graph' }],
      tool('create_entities', { entities: [{ name: 'Ada', entityType: 'person', observations: ['wrote a program'] }] }),
      tool('search_nodes', { query: 'program' }), tool('read_graph', {}), ['resources/read', { uri: 'memory://knowledge-graph' }],
      tool('delete_entities', { entityNames: ['Ada'] }), failed('create_entities', { entities: 'none' }), refused('prompts/list'),
    ],
  },
};

// What the server printed, from the first line to the last. The injector gives requests of the server ids of its own, so
// that they are counted from 1 here.
async function transcript({ steps, settled }, command, env) {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder);
  fs.writeFileSync(path.join(folder, 'sound.wav'), Buffer.from('RIFF, which nobody looks at'));
  fs.writeFileSync(path.join(folder, 'data.bin'), Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)));
  const session = new RawSession(command, { PATH: process.env.PATH, HOME: directory, MEMORY_FILE_PATH: path.join(directory, 'memory.jsonl'), ...env }, answer);
  try {
    const capabilities = { sampling: {}, elicitation: {}, roots: { listChanged: true } };
    const clientInfo = { name: 'keyferry-e2e', version: '1.0.0' };
    await session.ask('initialize', { protocolVersion: LATEST_PROTOCOL_VERSION, capabilities, clientInfo });
    session.notify('notifications/initialized');
    if (settled) await session.seen('the server has settled', settled);
    for (const step of steps()) {
      if (typeof step === 'function') {
        await step(session);
      } else {
        const [method, params, outcome] = step;
        const { result, error } = await session.ask(method, params);
        assert.equal(error ? 'refused' : result.isError ? 'failed' : undefined, outcome, `${method} ${JSON.stringify(params)}`);
      }
    }
  } finally {
    await session.close();
  }
  let count = 0;
  return session.lines.map((line) => {
    if (!/^\{"method":.*"id":\d+\}$/.test(line)) return line;
    count += 1;
    return line.replace(/"id":\d+\}$/, `"id":${count}}`).replace(/"progressToken":\d+/, `"progressToken":${count}`);
  });
}

describe('the same bytes as without the injector', () => {
  for (const [name, interview] of Object.entries(interviews)) {
    test(name, async () => {
      const bare = await transcript(interview, interview.command(), {});
      const through = await transcript(
        interview, [programs.injector, 'exec', '--mcp-server', 'bare', '--supervise', '--', ...interview.command()], admin.variables);
      assert.ok(bare.length > interview.steps().length);
      assert.deepEqual(through, bare);
    });
  }
});
