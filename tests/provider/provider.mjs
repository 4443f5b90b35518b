// A real OpenID provider (panva/node-oidc-provider) for the tests of the front door.
// node provider.mjs FOLDER: FOLDER has op.pem and op.key; says `listening on URL`.
// Clients register themselves; the name they give becomes their id.
import crypto from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import { Provider } from 'oidc-provider';

const folder = process.argv[2];
const users = {
  alice: { password: 'alice-pass', email: 'alice@example.org', email_verified: true, groups: ['staff', 'gw-admins'], name: 'Alice Example' },
  bob: { password: 'bob-pass', email: 'bob@example.org', email_verified: false, groups: [], name: 'Bob Example' },
};

const key = (kid, alg, type, options) => ({
  ...crypto.generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), use: 'sig', kid, ...(alg && { alg }),
});
const keys = [
  key('rsa', undefined, 'rsa', { modulusLength: 2048 }),
  key('p256', 'ES256', 'ec', { namedCurve: 'P-256' }),
  key('ed', undefined, 'ed25519', {}),
];

const read = (request) => new Promise((done) => {
  let body = '';
  request.on('data', (part) => { body += part; });
  request.on('end', () => done(new URLSearchParams(body)));
});

const server = https.createServer({ key: fs.readFileSync(`${folder}/op.key`), cert: fs.readFileSync(`${folder}/op.pem`) });
server.listen(0, '127.0.0.1', () => {
  const issuer = `https://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    pkce: { required: () => true },
    cookies: { keys: ['fixture'] },
    // Back-channel calls go to a gateway on loopback.
    fetch: (url, { method, headers, body }) => globalThis.fetch(url, { method, headers, body }),
    scopes: ['openid', 'offline_access', 'profile', 'email', 'groups'],
    claims: { openid: ['sub', 'sid'], profile: ['name'], email: ['email', 'email_verified'], groups: ['groups'] },
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'] },
    features: {
      devInteractions: { enabled: false },
      registration: {
        enabled: true,
        idFactory: (ctx) => ctx.oidc.body.client_name,
        secretFactory: () => 'gateway-secret-gateway-secret-32',
      },
      pushedAuthorizationRequests: { enabled: true },
      dPoP: { enabled: true },
      backchannelLogout: { enabled: true },
      revocation: { enabled: true },
      introspection: { enabled: true },
      rpInitiatedLogout: { enabled: true },
    },
    jwks: { keys },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_, id) => users[id] && { accountId: id, claims: () => ({ sub: id, ...users[id], password: undefined }) },
    renderError: (ctx, out) => { ctx.type = 'text/plain'; ctx.body = JSON.stringify(out); },
  });
  const oidc = provider.callback();
  server.on('request', async (request, response) => {
    if (!request.url.startsWith('/interaction/')) return oidc(request, response);
    const { prompt, params, session } = await provider.interactionDetails(request, response);
    if (prompt.name === 'login') {
      if (request.method === 'GET') {
        response.setHeader('content-type', 'text/html');
        return response.end('<form method=post><input name=user><input name=password type=password><button>Sign in</button></form>');
      }
      const form = await read(request);
      if (form.get('user') === 'nobody') {
        return provider.interactionFinished(request, response, { error: 'access_denied', error_description: '<b>CANARY</b>' });
      }
      const user = users[form.get('user')];
      if (!user || user.password !== form.get('password')) { response.statusCode = 403; return response.end('no'); }
      return provider.interactionFinished(request, response, { login: { accountId: form.get('user'), amr: ['pwd'] } });
    }
    const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
  });
  console.log(`listening on ${issuer}`);
});
