// A real OpenID provider (oidc-provider) over HTTPS on loopback, and a real browser (Chromium) for its pages.
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { chromium } from 'playwright-core';
import Provider from 'oidc-provider';

const ACCESS_TOKEN_SECONDS = 3600;

// The clients that the tests register by hand. `redirectUri` is Keyferry's, for the provider that has the first.
function clientsFor(redirectUri, secret) {
  return [
    {
      client_id: 'keyferry',
      client_secret: secret,
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
    },
    {
      client_id: 'keyferry-service',
      client_secret: secret,
      redirect_uris: [],
      response_types: [],
      grant_types: ['client_credentials'],
      scope: 'read',
    },
  ];
}

// Serves an issuer with the certificate of a development keyferryd, so that its CA vouches for both. Answers
// {issuer, provider, events, accessTokenSeconds, close}; `events` counts what the provider did by name.
export async function startIssuer(devDir, { redirectUri, secret, accessTokenSeconds = ACCESS_TOKEN_SECONDS }) {
  const tls = { cert: fs.readFileSync(path.join(devDir, 'server.pem')), key: fs.readFileSync(path.join(devDir, 'server.key')) };
  let handler = (request, response) => response.end();
  const server = https.createServer(tls, (request, response) => handler(request, response));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `https://localhost:${server.address().port}`;
  const state = { issuer, accessTokenSeconds, events: {} };
  const provider = new Provider(issuer, {
    clients: clientsFor(redirectUri, secret),
    scopes: ['openid', 'offline_access', 'read'],
    claims: { openid: ['sub'], email: ['email'] },
    async findAccount(ctx, id) {
      return { accountId: id, claims: async () => ({ sub: id, email: `${id}@example.com` }) };
    },
    features: {
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      registration: { enabled: true },
      devInteractions: { enabled: true },
    },
    rotateRefreshToken: true,
    issueRefreshToken: async (ctx, client, code) => client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
    ttl: {
      AccessToken: () => state.accessTokenSeconds,
      ClientCredentials: () => state.accessTokenSeconds,
      RefreshToken: 14 * 86400, Grant: 14 * 86400, Session: 3600, Interaction: 600, IdToken: 3600,
    },
    pkce: { required: () => true },
  });
  for (const name of ['grant.success', 'grant.error', 'grant.revoked', 'refresh_token.consumed', 'access_token.destroyed', 'refresh_token.destroyed', 'registration_create.success']) {
    state.events[name] = 0;
    provider.on(name, () => { ++state.events[name]; });
  }
  handler = provider.callback();
  return Object.assign(state, {
    provider,
    // What a person does who takes an application's access away.
    async revokeGrant(grantId) {
      const grant = await provider.Grant.find(grantId);
      await grant.destroy();
      for (const kind of ['AccessToken', 'RefreshToken', 'AuthorizationCode']) await provider[kind].revokeByGrantId(grantId);
    },
    close: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }),
  });
}

// Chromium without a window, which reaches this machine alone.
export async function startBrowser() {
  const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((file) => fs.existsSync(file));
  if (executablePath === undefined) throw new Error('Chromium is missing: run deploy/setup test');
  return chromium.launch({ executablePath, headless: true, args: ['--no-sandbox', '--disable-dev-shm-usage', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1'] });
}

// Signs in at the issuer's own pages and consents, on a page that is being sent there.
export async function signInAndConsent(page, login) {
  await page.waitForSelector('input[name=login]');
  await page.fill('input[name=login]', login);
  await page.fill('input[name=password]', 'any');
  await page.click('button[type=submit]');
  await page.waitForSelector('form[action$="/confirm"] button, button[type=submit]');
  await page.click('button[type=submit]');
}

// Gives up at the issuer's pages.
export async function cancelConsent(page) {
  await page.waitForSelector('input[name=login]');
  await page.click('a[href$="/abort"]');
}
