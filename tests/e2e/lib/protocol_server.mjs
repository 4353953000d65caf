// An MCP server that offers what the server scenarios of @modelcontextprotocol/conformance ask of one, under their names,
// and what no server from npm has for stdio: cursors, audio, a call that waits to be cancelled. Says the same each time.
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import {
  CallToolRequestSchema, CompleteRequestSchema, CreateMessageResultSchema, ElicitResultSchema, ErrorCode, GetPromptRequestSchema,
  ListPromptsRequestSchema, ListResourcesRequestSchema, ListResourceTemplatesRequestSchema, ListRootsResultSchema,
  ListToolsRequestSchema, McpError, ReadResourceRequestSchema, SubscribeRequestSchema, UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';

const PAGE = 4;
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
const WAV = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=';

const text = (value) => ({ type: 'text', text: value });
const image = { type: 'image', data: PNG, mimeType: 'image/png' };
const embedded = (uri) => ({ type: 'resource', resource: { uri, mimeType: 'text/plain', text: 'An embedded resource.' } });

const server = new Server({ name: 'protocol', version: '1.0.0' }, {
  capabilities: {
    tools: {}, prompts: {}, resources: { subscribe: true }, logging: {}, completions: {},
  },
  instructions: 'Answers "every" question\nof the protocol: ünïcode, \u2028, \u0007 and 😀.',
});

const log = (level, data) => server.sendLoggingMessage({ level, logger: 'protocol', data });

async function elicit({ sendRequest }, properties) {
  const requestedSchema = { type: 'object', properties, required: [] };
  const answer = await sendRequest({ method: 'elicitation/create', params: { message: 'Please fill in', requestedSchema } }, ElicitResultSchema);
  return [text(`Elicitation completed: action=${answer.action}, content=${JSON.stringify(answer.content)}`)];
}

const choices = ['one', 'two', 'three'];
const titled = choices.map((value) => ({ const: value, title: value.toUpperCase() }));

const tools = {
  test_simple_text: () => [text('This is a simple text response.')],
  test_image_content: () => [image],
  test_audio_content: () => [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }],
  test_embedded_resource: () => [embedded('test://embedded-resource')],
  test_multiple_content_types: () => [text('Mixed:'), image, embedded('test://mixed'), { type: 'resource_link', uri: 'test://static-text', name: 'linked' }],
  async test_tool_with_logging() {
    for (const level of ['debug', 'info', 'error']) await log(level, { step: level, list: [1, 2.50, null] });
    return [text('logged')];
  },
  test_error_handling() {
    throw new Error('This tool "intentionally"\nfails.');
  },
  async test_tool_with_progress(args, { sendNotification, _meta }) {
    for (const progress of [0, 50, 100]) {
      const params = { progressToken: _meta?.progressToken, progress, total: 100, message: `at ${progress}` };
      await sendNotification({ method: 'notifications/progress', params });
    }
    return [text(String(_meta?.progressToken))];
  },
  async test_sampling({ prompt }, { sendRequest }) {
    const params = { messages: [{ role: 'user', content: text(prompt) }], maxTokens: 100 };
    const onprogress = (progress) => log('error', progress);
    const answer = await sendRequest({ method: 'sampling/createMessage', params }, CreateMessageResultSchema, { onprogress });
    return [text(`LLM response: ${answer.content.text}`)];
  },
  test_elicitation: (args, extra) => elicit(extra, { username: { type: 'string' }, email: { type: 'string', format: 'email' } }),
  test_elicitation_sep1034_defaults: (args, extra) => elicit(extra, {
    name: { type: 'string', default: 'John Doe' }, age: { type: 'integer', default: 30 }, score: { type: 'number', default: 95.5 },
    status: { type: 'string', enum: choices, default: 'two' }, verified: { type: 'boolean', default: true },
  }),
  test_elicitation_sep1330_enums: (args, extra) => elicit(extra, {
    untitledSingle: { type: 'string', enum: choices }, titledSingle: { type: 'string', oneOf: titled },
    legacyEnum: { type: 'string', enum: choices, enumNames: choices }, untitledMulti: { type: 'array', items: { type: 'string', enum: choices } },
    titledMulti: { type: 'array', items: { anyOf: titled } },
  }),
  async test_roots(args, { sendRequest }) {
    return [text(JSON.stringify(await sendRequest({ method: 'roots/list' }, ListRootsResultSchema)))];
  },
  async test_wait(args, { signal }) {
    const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve));
    await log('error', 'waiting');
    await aborted;
    await log('error', `cancelled: ${signal.reason}`);
    return [text('nobody gets this')];
  },
  json_schema_2020_12_tool: () => [text('A tool for its schema.')],
};

const schemas = {
  json_schema_2020_12_tool: {
    $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'object', additionalProperties: false,
    $defs: { address: { type: 'object', properties: { street: { type: 'string' } } } },
    properties: { name: { type: 'string' }, address: { $ref: '#/$defs/address' } },
  },
};

const resources = {
  'test://static-text': { mimeType: 'text/plain', text: 'The text of a static resource.\n' },
  'test://static-binary': { mimeType: 'image/png', blob: PNG },
  'test://watched-resource': { mimeType: 'text/plain', text: 'Watched.' },
};

const prompts = {
  test_simple_prompt: () => [text('This is a simple prompt for testing.')],
  test_prompt_with_arguments: ({ arg1, arg2 }) => [text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)],
  test_prompt_with_embedded_resource: ({ resourceUri }) => [embedded(resourceUri), text('Please process the resource.')],
  test_prompt_with_image: () => [image, text('Please analyze the image.')],
};
const promptArguments = { test_prompt_with_arguments: ['arg1', 'arg2'], test_prompt_with_embedded_resource: ['resourceUri'] };

// One page of a list, and where the next begins.
function page(key, list, params) {
  const start = params?.cursor === undefined ? 0 : Number(/^after (\d+)$/.exec(params.cursor)?.[1]);
  if (!(start < list.length)) throw new McpError(ErrorCode.InvalidParams, `no such cursor: ${params.cursor}`);
  const end = start + PAGE;
  return { [key]: list.slice(start, end), ...(end < list.length && { nextCursor: `after ${end}` }) };
}

const serve = (schema, handler) => server.setRequestHandler(schema, (request, extra) => handler(request.params, extra));

serve(ListToolsRequestSchema, (params) => page('tools', Object.keys(tools).map((name) => (
  { name, description: `Does ${name}`, inputSchema: schemas[name] ?? { type: 'object' } })), params));
serve(CallToolRequestSchema, async ({ name, arguments: args }, extra) => {
  if (!tools[name]) throw new McpError(ErrorCode.InvalidParams, `Unknown tool: ${name}`);
  try {
    return { content: await tools[name](args ?? {}, extra) };
  } catch (error) {
    return { content: [text(error.message)], isError: true };
  }
});
serve(ListPromptsRequestSchema, (params) => page('prompts', Object.keys(prompts).map((name) => (
  { name, description: `Asks ${name}`, arguments: (promptArguments[name] ?? []).map((argument) => ({ name: argument, required: true })) })), params));
serve(GetPromptRequestSchema, ({ name, arguments: args }) => {
  if (!prompts[name]) throw new McpError(ErrorCode.InvalidParams, `Unknown prompt: ${name}`);
  return { messages: prompts[name](args ?? {}).map((content) => ({ role: 'user', content })) };
});
serve(ListResourcesRequestSchema, (params) => page('resources', [
  ...Object.entries(resources).map(([uri, { mimeType }]) => ({ uri, name: uri, mimeType })),
  ...Array.from({ length: 6 }, (_, id) => ({ uri: `test://template/${id}/data`, name: `number ${id}` })),
], params));
serve(ListResourceTemplatesRequestSchema, (params) => page('resourceTemplates', [
  { uriTemplate: 'test://template/{id}/data', name: 'numbered', mimeType: 'application/json' }], params));
serve(ReadResourceRequestSchema, ({ uri }) => {
  const id = /^test:\/\/template\/(\w+)\/data$/.exec(uri)?.[1];
  const found = id ? { mimeType: 'application/json', text: JSON.stringify({ id, data: `Data for ID: ${id}` }) } : resources[uri];
  if (!found) throw new McpError(-32002, 'Resource not found', { uri });
  return { contents: [{ uri, ...found }] };
});
serve(SubscribeRequestSchema, async ({ uri }) => {
  await server.sendResourceUpdated({ uri });
  return {};
});
serve(UnsubscribeRequestSchema, () => ({}));
serve(CompleteRequestSchema, ({ ref, argument, context }) => {
  const values = ['paris', 'park', 'party', context?.arguments?.arg1 ?? ref.type].filter((value) => value.startsWith(argument.value));
  return { completion: { values, total: 150, hasMore: true } };
});

await server.connect(new StdioServerTransport());
