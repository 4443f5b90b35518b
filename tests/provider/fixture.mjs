// What a test may ask of the provider behind everybody's back, each by GET below
// `/fixture/`. What may not come in: the protocol.

const actions = {
  // How often a path was asked, or a grant was given (`refresh_token CLIENT`).
  asked: ({ asked }, query) => asked.get(query.get('what')) ?? 0,

  // Every code and token that a client was given: what nobody else is to see.
  issued: ({ issued }, query) => issued.get(query.get('client')) ?? [],

  rotate: ({ rotate }, query) => rotate(query.get('kid')),

  // Somebody's groups are others from now on; or they are no account there any more.
  user: ({ users }, query) => {
    const user = users[query.get('name')];
    if (query.has('groups')) user.groups = query.get('groups').split(',').filter(Boolean);
    user.gone = query.has('gone');
  },

  // An access token of its own, for an API: a JWT with an audience, or an opaque one.
  token: async ({ provider }, query) => {
    const client = await provider.Client.find(query.get('client'));
    const token = new provider.AccessToken({
      client, accountId: query.get('user'), scope: 'openid', gty: 'authorization_code', expiresIn: Number(query.get('lifetime')),
    });
    if (query.has('audience')) {
      const audience = query.get('audience');
      token.resourceServer = { audience, identifier: () => audience, scopes: new Set(), accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } };
    }
    return token.save();
  },

  // The opaque one is good no more.
  revoke: async ({ provider }, query) => {
    const token = await provider.AccessToken.find(query.get('token'));
    await token?.destroy();
  },
};

export async function fixture(world, name, query) {
  return (await actions[name](world, query)) ?? null;
}
