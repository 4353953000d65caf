// The last step of deploy/quickstart: launches the MCP server `everything` through the injector and says what its process
// holds. Reads {"orgValue", "personalValue"} from standard input and KEYFERRY_* from the environment; exits 0 only if all
// held. Shows no value.
import fs from 'node:fs';
import { text } from 'node:stream/consumers';
import { launchEverything } from './lib/mcp.mjs';
import { commandLineOf, environOf, mask } from './lib/process.mjs';

const { orgValue, personalValue } = JSON.parse(await text(process.stdin));
const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith('KEYFERRY_')));
const token = fs.readFileSync(own.KEYFERRY_TOKEN_FILE, 'utf8').trim();

let failures = 0;
function check(held, sentence) {
  console.log(`  ${held ? 'ok    ' : 'FAILED'}  ${sentence}`);
  if (!held) failures += 1;
}

const server = await launchEverything(own, ['--mcp-server', 'everything']);
try {
  const { version } = server.client.getServerVersion();
  const tools = (await server.client.listTools()).tools.length;
  check(tools > 0, `MCP session with server-everything ${version}: ${tools} tools`);

  const sum = await server.tool('get-sum', { a: 19, b: 23 });
  check(sum.includes('42'), `tool get-sum answers: ${sum}`);

  const env = await server.env();
  console.log(`          tool get-env answers: GITHUB_TOKEN=${mask(env.GITHUB_TOKEN ?? '')}, LOG_LEVEL=${env.LOG_LEVEL}`);
  check(env.GITHUB_TOKEN === personalValue, `GITHUB_TOKEN is your personal value (${mask(personalValue)})`);
  check(env.GITHUB_TOKEN !== orgValue, `and not the organization's (${mask(orgValue)})`);
  check(env.LOG_LEVEL === 'info', 'LOG_LEVEL is the literal of the server file');

  const started = environOf(server.pid);
  const leaked = [...Object.keys(env), ...Object.keys(started)].filter((name) => name.startsWith('KEYFERRY_'));
  check(leaked.length === 0, 'no KEYFERRY_* variable reached the process');
  const everywhere = JSON.stringify([env, started, commandLineOf(server.pid)]);
  check(!everywhere.includes(token), "Keyferry's token is in neither its environment nor its command line");
  const line = commandLineOf(server.pid).join(' ');
  check(!line.includes(personalValue) && !line.includes(orgValue), 'no value is in its command line');
  check(line.includes('server-everything') && !line.includes('injector'), `the injector is gone: process ${server.pid} is the MCP server itself`);
  check(server.errors.length === 0, 'standard output carried nothing but MCP');
} finally {
  await server.close();
}
process.exitCode = failures === 0 ? 0 : 1;
