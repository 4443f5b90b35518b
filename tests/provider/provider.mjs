// A real OpenID provider (panva/node-oidc-provider) for the tests of the front door.
// node provider.mjs FOLDER: FOLDER has op.pem and op.key; says `listening on URL`.
// Clients register themselves; the name they give becomes their id. Below `/fixture/` a
// test says what happens at the provider meanwhile (fixture.mjs).
import crypto from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import { Provider } from 'oidc-provider';
import MemoryAdapter from 'oidc-provider/lib/adapters/memory_adapter.js';
import { fixture } from './fixture.mjs';

const folder = process.argv[2];
const users = {
  alice: { password: 'alice-pass', email: 'alice@example.org', email_verified: true, groups: ['staff', 'gw-admins'], name: 'Alice Example' },
  bob: { password: 'bob-pass', email: 'bob@example.org', email_verified: false, groups: [], name: 'Bob Example' },
  carol: { password: 'carol-pass', email: 'carol@example.org', email_verified: true, groups: ['staff'], name: 'Carol Example' },
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

const page = (response, body) => {
  response.setHeader('content-type', 'text/html; charset=utf-8');
  response.end(`<!doctype html><html lang=en><title>The provider</title>${body}`);
};

// Clients, sessions and grants outlive a provider whose keys are replaced.
class Kept extends MemoryAdapter {}

const settings = () => ({
  adapter: Kept,
  pkce: { required: () => true },
  cookies: { keys: ['fixture'] },
  // Back-channel calls go to a gateway on loopback.
  fetch: (url, { method, headers, body }) => globalThis.fetch(url, { method, headers, body }),
  scopes: ['openid', 'offline_access', 'profile', 'email', 'groups'],
  claims: { openid: ['sub', 'sid'], profile: ['name'], email: ['email', 'email_verified'], groups: ['groups'] },
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'] },
  // Each is good once: whoever shows one twice loses the whole grant.
  rotateRefreshToken: true,
  extraTokenClaims: (_, token) => ({ groups: users[token.accountId]?.groups }),
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
    rpInitiatedLogout: {
      enabled: true,
      // The one that comes with it asks for a font from the world outside.
      logoutSource: (ctx, form) => {
        ctx.body = `<!doctype html><html lang=en><title>The provider</title>${form}`
          + '<button form="op.logoutForm" name=logout value=yes>Yes, sign me out</button>';
      },
    },
  },
  jwks: { keys },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => (!users[id] || users[id].gone ? undefined
    : { accountId: id, claims: () => ({ sub: id, ...users[id], password: undefined }) }),
  renderError: (ctx, out) => { ctx.type = 'text/plain'; ctx.body = JSON.stringify(out); },
});

const server = https.createServer({ key: fs.readFileSync(`${folder}/op.key`), cert: fs.readFileSync(`${folder}/op.pem`) });
server.listen(0, '127.0.0.1', () => {
  const issuer = `https://127.0.0.1:${server.address().port}`;
  const world = { users, asked: new Map(), issued: new Map() };
  const count = (what) => world.asked.set(what, (world.asked.get(what) ?? 0) + 1);
  const start = () => {
    world.provider = new Provider(issuer, settings());
    world.provider.on('grant.success', (ctx) => {
      const { oidc: { params, client: { clientId } }, body } = ctx;
      count(`${params.grant_type} ${clientId}`);
      const all = [params.code, params.code_verifier, body.access_token, body.id_token, body.refresh_token];
      world.issued.set(clientId, [...(world.issued.get(clientId) ?? []), ...all.filter(Boolean)]);
    });
    world.callback = world.provider.callback();
  };
  // A new key for each algorithm signs at once; the old ones verify on.
  world.rotate = (kid) => {
    keys.unshift(key(`rsa-${kid}`, undefined, 'rsa', { modulusLength: 2048 }), key(`p256-${kid}`, 'ES256', 'ec', { namedCurve: 'P-256' }));
    start();
  };
  start();
  server.on('request', async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, issuer);
    count(pathname);
    if (pathname.startsWith('/fixture/')) return response.end(JSON.stringify(await fixture(world, pathname.slice(9), searchParams)));
    if (!pathname.startsWith('/interaction/')) return world.callback(request, response);
    const { provider } = world;
    const { prompt, params, session } = await provider.interactionDetails(request, response);
    if (prompt.name === 'login') {
      if (request.method === 'GET') {
        return page(response, '<form method=post><label>Name <input name=user autocomplete=username></label>'
          + '<label>Secret <input name=password type=password autocomplete=current-password></label><button>Sign in</button></form>');
      }
      const form = await read(request);
      if (form.get('user') === 'nobody') {
        return provider.interactionFinished(request, response, { error: 'access_denied', error_description: '<b>CANARY</b>' });
      }
      const user = users[form.get('user')];
      if (!user || user.password !== form.get('password')) { response.statusCode = 403; return response.end('no'); }
      return provider.interactionFinished(request, response, { login: { accountId: form.get('user'), amr: ['pwd'] } });
    }
    if (request.method === 'GET' && params.client_id.startsWith('browser')) {
      return page(response, `<p>${params.client_id} wants to know who you are.</p><form method=post><button>Allow</button></form>`);
    }
    const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
  });
  console.log(`listening on ${issuer}`);
});
