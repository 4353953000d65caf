// What of a cluster Keyferry deals with: an issuer of service-account tokens, and an API server that reviews them.
import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';

const ISSUER = 'https://kubernetes.default.svc.cluster.local';
const REVIEWER_TOKEN = 'reviewer';

const base64 = (value) => Buffer.from(value).toString('base64url');
const now = () => Math.floor(Date.now() / 1000);

export class Cluster {
  #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  #directory;
  #server;
  // UIDs of the pods that are there.
  pods = new Set();
  configMaps = new Map();
  reviews = 0;

  // Keeps its files in `directory`.
  constructor(directory) {
    this.#directory = directory;
  }

  #file(name, text) {
    const file = path.join(this.#directory, name);
    fs.writeFileSync(file, text, { mode: 0o600 });
    return file;
  }

  // Serves TokenReview with the certificate of a development keyferryd. Answers keyferryd's `identity` configuration.
  async start(devDir) {
    const jwk = { ...this.#keys.publicKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kid: 'cluster-1' };
    const tls = { cert: fs.readFileSync(path.join(devDir, 'server.pem')), key: fs.readFileSync(path.join(devDir, 'server.key')) };
    this.#server = https.createServer(tls, (request, response) => this.#review(request, response));
    await new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return {
      issuers: [{
        name: 'cluster', kind: 'kubernetes', issuer: ISSUER, jwks_file: this.#file('jwks.json', JSON.stringify({ keys: [jwk] })),
        token_review: {
          url: `https://localhost:${this.#server.address().port}`, ca_file: path.join(devDir, 'ca.pem'),
          token_file: this.#file('reviewer.token', REVIEWER_TOKEN), cache_seconds: 1,
        },
      }],
    };
  }

  // As the API server does: the token of a pod that is gone stands no more.
  async #review(request, response) {
    let body = '';
    for await (const chunk of request) body += chunk;
    this.reviews += 1;
    const { spec } = JSON.parse(body);
    const claims = JSON.parse(Buffer.from(spec.token.split('.')[1], 'base64url'));
    const authenticated = request.headers.authorization === `Bearer ${REVIEWER_TOKEN}` && this.pods.has(claims['kubernetes.io'].pod.uid);
    const status = authenticated ? { authenticated, user: { username: claims.sub }, audiences: spec.audiences } : { authenticated };
    response.setHeader('Content-Type', 'application/json');
    response.statusCode = 201;
    response.end(JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', status }));
  }

  addPod() {
    const uid = randomUUID();
    this.pods.add(uid);
    return uid;
  }

  // A token as the kubelet projects it. `expires` is in seconds from now.
  token({ namespace, serviceAccount, pod, uid, audience = 'keyferry', expires = 3600 }) {
    const digest = createHash('sha256').update(serviceAccount).digest('hex').slice(0, 12);
    const claims = {
      iss: ISSUER, sub: `system:serviceaccount:${namespace}:${serviceAccount}`, aud: [audience],
      iat: now() - Math.max(0, -expires) - 60, nbf: now() - Math.max(0, -expires) - 60, exp: now() + expires, jti: randomUUID(),
      'kubernetes.io': { namespace, pod: { name: pod, uid }, serviceaccount: { name: serviceAccount, uid: `00000000-0000-4000-8000-${digest}` } },
    };
    const text = `${base64(JSON.stringify({ alg: 'ES256', kid: 'cluster-1' }))}.${base64(JSON.stringify(claims))}`;
    return `${text}.${base64(sign('sha256', Buffer.from(text), { key: this.#keys.privateKey, dsaEncoding: 'ieee-p1363' }))}`;
  }

  async close() {
    if (this.#server === undefined) return;
    await new Promise((resolve) => { this.#server.close(resolve); this.#server.closeAllConnections(); });
  }
}
