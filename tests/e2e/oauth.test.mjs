// OAuth from outside: a real OpenID provider, a real browser, and MCP servers that hold what was granted.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { contentsOf, secret, serverFile, startServer, temporaryDirectory } from './lib/fixture.mjs';
import { launchThrough } from './lib/mcp.mjs';
import { cancelConsent, signInAndConsent, startBrowser, startIssuer } from './lib/oidc.mjs';
import { programs } from './lib/platform.mjs';
import { run } from './lib/process.mjs';

const SCOPES = ['openid', 'offline_access', 'read'];
const whoami = [process.execPath, path.join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, 'lib/whoami_server.mjs')];

let directory, server, admin, ada, issuer, browser, redirectUri;
const clientSecret = secret('client');
// Every token that a process was given: none may stand in a log or in the clear on disk.
const seenTokens = new Set();

before(async () => {
  directory = temporaryDirectory();
  const devDir = path.join(directory, 'data', 'dev');
  server = await startServer(directory, [
    '--outbound-ca-file', path.join(devDir, 'ca.pem'), '--outbound-allowed-addresses', '127.0.0.0/8,[::1]',
  ]);
  admin = server.admin();
  ada = await server.user('ada');
  // What an ADMIN registers at the provider before there is one.
  redirectUri = await redirectUriOf('corp');
  issuer = await startIssuer(devDir, { redirectUri, secret: clientSecret });
  browser = await startBrowser();
  await createProvider('corp', providerFile({ clientId: 'keyferry' }), clientSecret);
  await admin.apply(serverFile('whoami', [
    'name: ACCESS_TOKEN, oauth: corp', `name: USERINFO_URL, static: "${issuer.issuer}/me", required: true`,
  ]));
});

after(async () => {
  await browser?.close();
  await issuer?.close();
  await server?.stop();
  fs.rmSync(directory, { recursive: true });
});

function providerFile({ clientId, extra = '' }) {
  const id = clientId === undefined ? '' : `client: {clientId: ${clientId}}\n`;
  return `displayName: Corporate\nendpoints: {issuer: "${issuer.issuer}"}\n${id}` +
    `authorization:\n  scopes: [${SCOPES.join(', ')}]\n  parameters: {prompt: consent}\n  requireIssuer: true\n${extra}`;
}

async function createProvider(id, yaml, input = '', flags = []) {
  const file = path.join(directory, `${id}.yaml`);
  fs.writeFileSync(file, yaml);
  return admin.cli(['oauth-provider', 'create', id, '-f', file, ...flags], input);
}

// Known before the provider is made.
async function redirectUriOf(id) {
  const file = path.join(directory, `${id}-tried.yaml`);
  fs.writeFileSync(file, 'endpoints: {authorizationUrl: "https://localhost/auth", tokenUrl: "https://localhost/token"}\n');
  const { stdout } = await admin.cli(['oauth-provider', 'create', id, '-f', file, '--client-id', 'none-yet', '--dry-run', '-o', 'json']);
  return JSON.parse(stdout).callbackUrl;
}

// `keyferry connect` as a person runs it: {url, code, done}, where `done` is its end.
async function startConnect(identity, args) {
  const child = spawn(programs.keyferry, ['connect', ...args, '--no-browser', '-o', 'json'], { env: identity.env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => { stdout += chunk; });
  child.stderr.on('data', (chunk) => { stderr += chunk; });
  const done = new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })));
  const shown = await until('the page to open', () => /(https:\/\/\S+\/oauth\/start\S+)[\s\S]*code:\s+(\S+)/.exec(stderr));
  return { url: shown[1], code: shown[2], done };
}

// The person's own browser, with its own cookies.
async function newPage() {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  return context.newPage();
}

// Keyferry's page: compares the code and goes on to the provider.
async function confirm(page, started) {
  await page.goto(started.url);
  assert.match(await page.innerText('body'), new RegExp(started.code));
  await page.click('button[type=submit]');
}

// From the provider's first page to the end of the command.
async function finish(page, started, login) {
  await signInAndConsent(page, login);
  await page.waitForURL((url) => url.href.startsWith(`${server.publicUrl}/oauth/callback/`));
  const shown = await page.innerText('body');
  await page.context().close();
  return { ...(await started.done), shown };
}

async function connect(identity, args, login) {
  const started = await startConnect(identity, args);
  const page = await newPage();
  await confirm(page, started);
  return finish(page, started, login);
}

async function until(what, condition, timeoutMs = 30_000) {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) assert.fail(`not within ${timeoutMs} ms: ${what}`);
    await sleep(50);
  }
}

// What a process is given now.
async function resolvedToken(identity, id = 'whoami') {
  const { code, stdout, stderr } = await identity.inject(['--mcp-server', id, '--', 'sh', '-c', 'printf %s "$ACCESS_TOKEN"']);
  assert.equal(code, 0, stderr);
  seenTokens.add(stdout);
  return stdout;
}

const digest = (token) => createHash('sha256').update(token).digest('hex').slice(0, 16);
const describeConnection = async (identity, args) => JSON.parse((await identity.cli(['connection', 'describe', ...args, '-o', 'json'])).stdout);

describe('a provider', () => {
  test('is found by its issuer, and its check finds nothing wrong', async () => {
    const { stdout } = await admin.cli(['oauth-provider', 'describe', 'corp', '-o', 'json']);
    const provider = JSON.parse(stdout);
    assert.equal(provider.endpoints.tokenUrl, `${issuer.issuer}/token`);
    assert.equal(provider.endpoints.revocationUrl, `${issuer.issuer}/token/revocation`);
    assert.equal(provider.callbackUrl, redirectUri);
    assert.match(redirectUri.slice(`${server.publicUrl}/oauth/callback/`.length), /^[0-9a-f]{32}$/);
    assert.ok(!stdout.includes(clientSecret));
    await admin.cli(['oauth-provider', 'check', 'corp']);
  });

  test('a wrong client secret is found out by the check', async () => {
    await createProvider('wrong', providerFile({ clientId: 'keyferry' }), 'not the secret');
    const { code, stdout } = await run(programs.keyferry, ['oauth-provider', 'check', 'wrong'], { env: admin.env });
    assert.notEqual(code, 0);
    assert.match(stdout, /secret/);
    await admin.cli(['oauth-provider', 'delete', 'wrong', '--yes']);
  });
});

describe('before anybody has connected', () => {
  test('a launch says where to connect', async () => {
    const { code, stderr } = await ada.inject(['--mcp-server', 'whoami', '--', 'true']);
    assert.equal(code, 78);
    assert.match(stderr, /ACCESS_TOKEN/);
    assert.ok(stderr.includes(`${server.publicUrl}/oauth/connect?`), stderr);
    assert.match(stderr, /keyferry connect corp/);
  });

  test('my credentials say that a connection is needed', async () => {
    const { stdout } = await ada.cli(['credential', 'list', '--mine', '-o', 'json']);
    assert.equal(JSON.parse(stdout).find((one) => one.credentialId === 'ACCESS_TOKEN').status, 'MY_CREDENTIAL_STATUS_CONNECT_NEEDED');
  });

  test('a person who refuses at the provider is told so, and can start anew', async () => {
    const started = await startConnect(ada, ['corp']);
    const page = await newPage();
    await confirm(page, started);
    await cancelConsent(page);
    await page.waitForURL((url) => url.href.startsWith(`${server.publicUrl}/oauth/callback/`));
    const { code, stderr } = await started.done;
    assert.notEqual(code, 0);
    assert.match(stderr, /not connected: corp/);
    await page.context().close();
  });
});

describe('a connection', () => {
  test('is made by a consent, in the browser that confirmed it and in no other', async () => {
    const started = await startConnect(ada, ['corp']);
    const page = await newPage();
    let state;
    page.on('request', (request) => { state ??= new URL(request.url()).searchParams.get('state'); });
    await confirm(page, started);
    await until('the state in the redirect', () => state);
    const other = await newPage();
    const answer = `?code=stolen&state=${state}&iss=${encodeURIComponent(issuer.issuer)}`;
    assert.equal((await other.goto(redirectUri + answer)).status(), 403);
    await other.context().close();
    // Nor where another provider's answers arrive.
    const mixedUp = await page.context().newPage();
    assert.equal((await mixedUp.goto(await redirectUriOf('another') + answer)).status(), 403);
    assert.match(await mixedUp.innerText('body'), /another provider/);
    await mixedUp.close();

    const { code, stdout, stderr, shown } = await finish(page, started, 'ada');
    assert.equal(code, 0, stderr);
    assert.match(shown, /close this window/i);
    const connection = JSON.parse(stdout);
    assert.equal(connection.state, 'CONNECTION_STATE_CONNECTED');
    assert.equal(connection.version, '1');
    assert.ok(connection.account.startsWith('ada'), connection.account);
  });

  test('cannot be made twice with one link', async () => {
    const started = await startConnect(ada, ['corp', '--wait', '1s']);
    const page = await newPage();
    await confirm(page, started);
    const again = await newPage();
    const answer = await again.goto(started.url);
    assert.ok(answer.status() >= 400, String(answer.status()));
    await page.context().close();
    await again.context().close();
    assert.notEqual((await started.done).code, 0);
  });

  test('gives launches an access token that the provider takes', async () => {
    const token = await resolvedToken(ada);
    const known = await issuer.provider.AccessToken.find(token);
    assert.equal(known.accountId, 'ada');
  });

  test('answers for nobody else', async () => {
    const { code } = await admin.inject(['--mcp-server', 'whoami', '--', 'true']);
    assert.equal(code, 78);
  });

  test('is refreshed with a new refresh token each time, and never with a used one', async () => {
    const before = await resolvedToken(ada);
    // Until then, what the consent brought counts as a refresh.
    await sleep(10_500);
    const consumed = issuer.events['refresh_token.consumed'];
    await ada.cli(['connection', 'refresh', 'corp', '--me']);
    // Within 10 seconds of a refresh another one is not made.
    await Promise.all([1, 2, 3, 4].map(() => ada.cli(['connection', 'refresh', 'corp', '--me'])));
    assert.equal(issuer.events['refresh_token.consumed'], consumed + 1);
    const token = await resolvedToken(ada);
    assert.notEqual(token, before);
    assert.equal((await issuer.provider.AccessToken.find(token)).accountId, 'ada');
    assert.equal(issuer.events['grant.revoked'], 0);
  });

  test('moves a supervised process to fresh tokens before the old ones expire, without a failed call', async () => {
    issuer.accessTokenSeconds = 12;
    await sleep(10_000);
    await ada.cli(['connection', 'refresh', 'corp', '--me']);
    const session = await launchThrough(['--mcp-server', 'whoami', '--supervise'], whoami, {
      ...ada.variables, NODE_EXTRA_CA_CERTS: path.join(server.devDir, 'ca.pem'),
    });
    const tokens = new Set();
    const processes = new Set();
    const end = Date.now() + 60_000;
    while (tokens.size < 3) {
      assert.ok(Date.now() < end, 'three tokens within a minute');
      const answer = JSON.parse(await session.tool('whoami'));
      assert.deepEqual([answer.status, answer.sub], [200, 'ada'], session.stderr);
      tokens.add(answer.token);
      processes.add(answer.pid);
      await sleep(50);
    }
    assert.equal(processes.size, tokens.size);
    assert.deepEqual(session.errors, []);
    await session.close();
    issuer.accessTokenSeconds = 3600;
    assert.equal(issuer.events['grant.revoked'], 0);
  });

  test('stays over a restart of the server, and a token that expired meanwhile is renewed on demand', async () => {
    issuer.accessTokenSeconds = 3600;
    await server.stop('SIGKILL');
    await sleep(12_500);
    await server.start();
    const token = await resolvedToken(ada);
    assert.equal((await issuer.provider.AccessToken.find(token)).accountId, 'ada');
  });

  test('that the provider has ended needs a new consent, says so, and is mended by one', async () => {
    const token = await resolvedToken(ada);
    const { grantId } = await issuer.provider.AccessToken.find(token);
    await issuer.revokeGrant(grantId);
    await until('the refresh that is refused', async () => {
      await run(programs.keyferry, ['connection', 'refresh', 'corp', '--me'], { env: ada.env });
      return (await describeConnection(ada, ['corp', '--me'])).state === 'CONNECTION_STATE_CONNECT_NEEDED';
    });
    const { code, stderr } = await ada.inject(['--mcp-server', 'whoami', '--', 'true']);
    assert.equal(code, 78);
    assert.ok(stderr.includes('/oauth/connect?'), stderr);
    assert.equal((await connect(ada, ['corp'], 'ada')).code, 0);
    assert.equal((await issuer.provider.AccessToken.find(await resolvedToken(ada))).accountId, 'ada');
  });

  test('is revoked at the provider when it is ended', async () => {
    const token = await resolvedToken(ada);
    await ada.cli(['connection', 'disconnect', 'corp', '--me', '--yes']);
    const { code } = await ada.inject(['--mcp-server', 'whoami', '--', 'true']);
    assert.equal(code, 78);
    await until('the revocation', async () => (await issuer.provider.AccessToken.find(token)) === undefined);
  });
});

describe('without a person', () => {
  test('the organization gets tokens with client credentials', async () => {
    await createProvider('service', `grantType: CLIENT_CREDENTIALS\nendpoints: {issuer: "${issuer.issuer}"}\n` +
      'client: {clientId: keyferry-service}\nauthorization: {scopes: [read]}\n', clientSecret);
    const { stdout } = await admin.cli(['connect', 'service', '--org-wide', '-o', 'json']);
    assert.equal(JSON.parse(stdout).state, 'CONNECTION_STATE_CONNECTED');
    await admin.apply(serverFile('robot', ['name: ACCESS_TOKEN, oauth: service']));
    const token = await resolvedToken(ada, 'robot');
    assert.equal((await issuer.provider.ClientCredentials.find(token)).clientId, 'keyferry-service');
  });
});

describe('a client that Keyferry registers by itself', () => {
  test('connects like any other', async () => {
    await createProvider('dynamic', providerFile({}), '', ['--register']);
    assert.equal(issuer.events['registration_create.success'], 1);
    const { code, stderr } = await connect(ada, ['dynamic'], 'ada');
    assert.equal(code, 0, stderr);
    await admin.apply(serverFile('dynamic', ['name: ACCESS_TOKEN, oauth: dynamic']));
    assert.equal((await issuer.provider.AccessToken.find(await resolvedToken(ada, 'dynamic'))).accountId, 'ada');
  });

  test('deleting its provider says who is affected', async () => {
    const { stderr, stdout } = await admin.cli(['oauth-provider', 'delete', 'dynamic', '--yes']);
    assert.match(stderr + stdout, /dynamic/);
    const { code } = await ada.inject(['--mcp-server', 'dynamic', '--', 'true']);
    assert.equal(code, 78);
  });
});

test('no token and no secret stands in the log or in a file of the store', async () => {
  assert.ok(seenTokens.size >= 4);
  const log = fs.readFileSync(server.logFile);
  const files = contentsOf(path.join(directory, 'data'));
  for (const value of [clientSecret, ...seenTokens]) {
    assert.ok(!log.includes(value), 'in the log');
    for (const { file, bytes } of files) assert.ok(!bytes.includes(value), file);
  }
});
