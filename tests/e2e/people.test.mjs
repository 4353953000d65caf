// People by OpenID Connect: ID tokens of a real OpenID provider, taken by a keyferryd that was told of it while it ran.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { secret, startServer, temporaryDirectory } from './lib/fixture.mjs';
import { startIssuer } from './lib/oidc.mjs';
import { programs } from './lib/platform.mjs';
import { run } from './lib/process.mjs';

const REDIRECT = 'https://localhost:1/back';
const clientSecret = secret('client');
let directory, devDir, address, issuer, server, config;

before(async () => {
  directory = temporaryDirectory();
  // Makes a store, certificates, and two users: dev's ADMIN and ada.
  const made = await startServer(directory);
  await made.user('ada');
  devDir = made.devDir;
  address = made.address;
  await made.stop();
  issuer = await startIssuer(devDir, { redirectUri: REDIRECT, secret: clientSecret });
  config = path.join(directory, 'keyferryd.yaml');
  fs.writeFileSync(config, [
    `listen: ${address}`, `data_dir: ${path.join(directory, 'data', 'store')}`,
    `key_provider: {file: ${path.join(devDir, 'kek')}}`,
    `tls: {cert_file: ${path.join(devDir, 'server.pem')}, key_file: ${path.join(devDir, 'server.key')}}`, '',
  ].join('\n'));
  const log = fs.openSync(path.join(directory, 'serve.log'), 'a', 0o600);
  server = spawn(programs.keyferryd, ['serve', '--config', config], { env: { PATH: process.env.PATH }, stdio: ['ignore', 'pipe', log] });
  const [line] = await Promise.race([once(server.stdout, 'data'), once(server, 'exit')]);
  assert.match(String(line), /^keyferryd ready/, logged());
});

after(async () => {
  if (server?.exitCode === null) {
    server.kill();
    await once(server, 'exit');
  }
  await issuer?.close();
  fs.rmSync(directory, { recursive: true });
});

const logged = () => fs.readFileSync(path.join(directory, 'serve.log'), 'utf8');

// Asks the issuer as a browser does that keeps `cookies`. Answers {status, location, text}.
function ask(cookies, url, { form, headers = {} } = {}) {
  const body = form === undefined ? undefined : new URLSearchParams(form).toString();
  const options = {
    method: body === undefined ? 'GET' : 'POST', ca: fs.readFileSync(path.join(devDir, 'ca.pem')),
    headers: { ...headers, cookie: Object.entries(cookies).map(([name, value]) => `${name}=${value}`).join('; ') },
  };
  if (body !== undefined) options.headers['content-type'] = 'application/x-www-form-urlencoded';
  return new Promise((resolve, reject) => {
    const request = https.request(url, options, (response) => {
      for (const line of response.headers['set-cookie'] ?? []) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
        cookies[name] = value;
      }
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve({
        status: response.statusCode, text: Buffer.concat(chunks).toString(),
        location: response.headers.location === undefined ? undefined : new URL(response.headers.location, url).href,
      }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

// Signs in at the issuer's pages and answers the ID token that its client gets.
async function idTokenOf(login) {
  const cookies = {};
  const verifier = secret('verifier-of-the-code-exchange-0123456789');
  const query = new URLSearchParams({
    client_id: 'keyferry', redirect_uri: REDIRECT, response_type: 'code', scope: 'openid', nonce: secret('nonce'),
    code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256',
  });
  let url = `${issuer.issuer}/auth?${query}`;
  for (let step = 0; step < 12 && !url.startsWith(REDIRECT); ++step) {
    const answer = await ask(cookies, url);
    const prompt = /name="prompt" value="(\w+)"/.exec(answer.text)?.[1];
    if (prompt === undefined) {
      assert.ok(answer.location, answer.text);
      url = answer.location;
    } else {
      url = (await ask(cookies, url, { form: { prompt, login, password: 'any' } })).location;
    }
  }
  const code = new URL(url).searchParams.get('code');
  const authorization = `Basic ${Buffer.from(`keyferry:${clientSecret}`).toString('base64')}`;
  const answer = await ask({}, `${issuer.issuer}/token`, {
    form: { grant_type: 'authorization_code', code, redirect_uri: REDIRECT, code_verifier: verifier }, headers: { authorization },
  });
  return JSON.parse(answer.text);
}

function keyferry(token, args) {
  const file = path.join(directory, 'token');
  fs.writeFileSync(file, token, { mode: 0o600 });
  return run(programs.keyferry, args, { env: {
    PATH: process.env.PATH, HOME: directory, KEYFERRY_ADDRESS: address, KEYFERRY_CA_FILE: path.join(devDir, 'ca.pem'),
    KEYFERRY_TOKEN_FILE: file, KEYFERRY_ORG: 'dev',
  } });
}

// Sends SIGHUP and waits until the log tells what came of it.
async function reload() {
  const before = logged().length;
  server.kill('SIGHUP');
  for (;;) {
    const told = logged().slice(before);
    if (/configuration (not )?reloaded/.test(told)) return told;
    await sleep(50);
  }
}

test('a person calls with the ID token of a provider that was configured while the server ran', { timeout: 120_000 }, async () => {
  const { id_token: token, access_token: accessToken } = await idTokenOf('ada');
  assert.ok(token);
  assert.equal((await keyferry(token, ['whoami'])).code, 77, 'no issuer is trusted yet');

  const identity = (audience, url) => `identity:
  issuers:
    - {name: corp, kind: oidc, issuer: "${url}", discovery: true, ca_file: ${path.join(devDir, 'ca.pem')}, audience: [${audience}], orgs: [dev]}
`;
  const base = fs.readFileSync(config, 'utf8');
  fs.writeFileSync(config, base + identity('keyferry', 'https://localhost:1'));
  assert.match(await reload(), /not reloaded.*`corp` cannot be read/);
  fs.writeFileSync(config, base + identity('keyferry', issuer.issuer));
  assert.doesNotMatch(await reload(), /not reloaded/);

  const who = await keyferry(token, ['whoami', '-o', 'json']);
  assert.equal(who.code, 0, who.stderr);
  assert.equal(JSON.parse(who.stdout).principal, 'orgs/dev/users/ada');
  assert.equal(JSON.parse(who.stdout).identity, 'the issuer corp, as ada');
  assert.equal((await keyferry(token, ['user', 'create', 'eve'])).code, 77, 'ada is a MEMBER');

  const stranger = await keyferry((await idTokenOf('stranger')).id_token, ['whoami']);
  assert.equal(stranger.code, 77);
  assert.match(stranger.stderr, /there is no user `orgs\/dev\/users\/stranger`/);
  assert.equal((await keyferry(accessToken, ['whoami'])).code, 77, 'an access token is none');

  fs.writeFileSync(config, base + identity('another-client', issuer.issuer));
  assert.doesNotMatch(await reload(), /not reloaded/);
  assert.equal((await keyferry(token, ['whoami'])).code, 77, 'its audience is configured no more');
  for (const part of token.split('.')) assert.ok(!logged().includes(part), 'no part of a token is in the log');
});
