// A program that uses Keyferry over gRPC, as an internal service in Node.js would: it creates a credential, lists,
// rotates, resolves and deletes it again, and shows what each kind of failure looks like.
//
//   node manage_credentials.cjs NAME [TIMEOUT_SECONDS] < VALUE
//
// Settings come from KEYFERRY_ADDRESS, KEYFERRY_CA_FILE, KEYFERRY_TOKEN_FILE and KEYFERRY_ORG, and KEYFERRY_PROTO is
// the folder of the API's proto files (proto/ here). No value is printed. Needs the packages @grpc/grpc-js and
// @grpc/proto-loader.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const definition = protoLoader.loadSync(
  ['credentials', 'errors', 'mcp_servers', 'resolution'].map((name) => `keyferry/v1/${name}.proto`)
    .concat(path.join(__dirname, 'rpc_status.proto')),
  { includeDirs: [process.env.KEYFERRY_PROTO], keepCase: true, longs: Number, enums: String, defaults: true },
);
const { v1 } = grpc.loadPackageDefinition(definition).keyferry;

// TLS with the given CA; the token travels as call credentials, which gRPC sends over TLS alone.
function channelCredentials() {
  const token = fs.readFileSync(process.env.KEYFERRY_TOKEN_FILE, 'utf8').trim();
  const call = grpc.credentials.createFromMetadataGenerator((_options, done) => {
    const metadata = new grpc.Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    done(null, metadata);
  });
  const tls = grpc.credentials.createSsl(fs.readFileSync(process.env.KEYFERRY_CA_FILE));
  return grpc.credentials.combineChannelCredentials(tls, call);
}

// call() below decides what is sent again. gRPC's own reconnects come sooner than by default.
const channelOptions = {
  'grpc.enable_retries': 0,
  'grpc.enable_http_proxy': 0,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 3000,
  'grpc.max_receive_message_length': 32 << 20,
};

// The keyferry.v1.ErrorDetail of a failed call; an empty one if it did not come from keyferryd.
function errorDetail(error) {
  const [trailer] = error.metadata?.get('grpc-status-details-bin') ?? [];
  if (trailer) {
    const status = definition['keyferry.examples.RpcStatus'].deserialize(trailer);
    const packed = status.details.find((detail) => detail.type_url.endsWith('/keyferry.v1.ErrorDetail'));
    if (packed) return definition['keyferry.v1.ErrorDetail'].deserialize(packed.value);
  }
  return { reason: '', next_step: '', retry_delay_ms: 0 };
}

// One unary call within `timeout` milliseconds, all tries together. Sent again: UNAVAILABLE of a call that only reads
// (whether a change was carried out is not known then), and RESOURCE_EXHAUSTED with a delay, since the server refused
// that one unseen.
async function call(client, method, request, timeout, { idempotent = false } = {}) {
  const deadline = Date.now() + timeout;
  for (let backoff = 100; ; backoff = Math.min(2 * backoff, 3000)) {
    try {
      return await new Promise((resolve, reject) => {
        client[method](request, { deadline }, (error, response) => (error ? reject(error) : resolve(response)));
      });
    } catch (error) {
      const delay = errorDetail(error).retry_delay_ms;
      const again = (error.code === grpc.status.UNAVAILABLE && idempotent)
        || (error.code === grpc.status.RESOURCE_EXHAUSTED && delay > 0);
      const wait = Math.max(delay, backoff * (0.5 + Math.random() / 2));
      if (!again || Date.now() + wait >= deadline) throw error;
      console.error(`${grpc.status[error.code]}, trying again`);
      await sleep(wait);
    }
  }
}

// Every page of the list.
async function* listCredentials(credentials, parent, timeout) {
  for (let token = ''; ;) {
    const request = { parent, page_size: 2, page_token: token };
    const page = await call(credentials, 'ListCredentials', request, timeout, { idempotent: true });
    yield* page.credentials;
    token = page.next_page_token;
    if (token === '') return;
  }
}

async function count(items) {
  let counted = 0;
  for await (const _ of items) counted += 1;
  return counted;
}

async function run(name, value, timeout) {
  const stub = (Service) => new Service(process.env.KEYFERRY_ADDRESS, channelCredentials(), channelOptions);
  const credentials = stub(v1.CredentialService);
  const servers = stub(v1.McpServerService);
  const resolution = stub(v1.ResolutionService);
  const parent = `orgs/${process.env.KEYFERRY_ORG}`;

  const before = await count(listCredentials(credentials, parent, timeout));
  const created = await call(credentials, 'CreateCredential', {
    parent, credential_id: name, value, credential: { description: 'made by the Node.js example' },
  }, timeout);
  console.log(`created ${created.name} version ${created.version}`);
  console.log(`listed ${await count(listCredentials(credentials, parent, timeout)) - before} more`);

  const rotate = (etag) => call(credentials, 'RotateCredential', { name: created.name, value, etag }, timeout);
  console.log(`rotated to version ${(await rotate(created.etag)).version}`);
  try {
    // The etag is of the first version: somebody else could have rotated meanwhile, and is not overwritten.
    await rotate(created.etag);
    return 1;
  } catch (error) {
    const detail = errorDetail(error);
    console.log(`refused as it should be: ${grpc.status[error.code]} ${detail.reason}: ${detail.next_step}`);
  }

  const server = {
    name: `${parent}/mcpServers/example-node`,
    transport: 'MCP_TRANSPORT_STDIO',
    command: 'true',
    env: [{ variable: name, org_secret: name }],
  };
  await call(servers, 'ApplyMcpServer', { mcp_server: server }, timeout);
  const resolved = await call(resolution, 'Resolve', { mcp_server: server.name }, timeout, { idempotent: true });
  for (const variable of resolved.variables) {
    console.log(`resolved ${variable.variable} from version ${variable.version}`);
    variable.value.fill(0);
  }
  await call(servers, 'DeleteMcpServer', { name: server.name }, timeout);
  await call(credentials, 'DeleteCredential', { name: created.name }, timeout);
  console.log('deleted');
  for (const client of [credentials, servers, resolution]) client.close();
  return 0;
}

const [name, seconds = '30'] = process.argv.slice(2);
if (name === undefined) {
  console.error('usage: node manage_credentials.cjs NAME [TIMEOUT_SECONDS] < VALUE');
  process.exit(64);
}
run(name, fs.readFileSync(0), Number(seconds) * 1000).then((code) => process.exit(code), (error) => {
  const detail = errorDetail(error);
  console.error(`failed: ${grpc.status[error.code] ?? error.name} ${detail.reason}: ${error.details ?? error.message}; ${detail.next_step}`);
  process.exit(1);
});
