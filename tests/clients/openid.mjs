// A relying party on the npm package openid-client, driven line by line: one JSON command in, one JSON answer out.
// It keeps what a real one keeps: its configuration, the PKCE verifier, state and nonce.
import { createInterface } from "node:readline";
import * as client from "openid-client";

let config, checks, redirect;

const commands = {
  async discover({ issuer, id, secret, method, redirect: to, metadata }) {
    const ways = {
      client_secret_basic: client.ClientSecretBasic,
      client_secret_post: client.ClientSecretPost,
      none: client.None,
    };
    redirect = to;
    config = await client.discovery(new URL(issuer), id, { client_secret: secret, ...metadata }, ways[method](secret), {
      execute: [client.allowInsecureRequests],
    });
    return config.serverMetadata();
  },
  async begin({ parameters }) {
    const verifier = client.randomPKCECodeVerifier();
    checks = { pkceCodeVerifier: verifier, expectedState: client.randomState(), expectedNonce: client.randomNonce() };
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: redirect,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      state: checks.expectedState,
      nonce: checks.expectedNonce,
      ...parameters,
    });
    if (parameters.max_age) checks.maxAge = Number(parameters.max_age);
    return { url: url.href };
  },
  async finish({ url }) {
    const tokens = await client.authorizationCodeGrant(config, new URL(url), { ...checks, idTokenExpected: true });
    return { ...tokens, claims: tokens.claims(), left: tokens.expiresIn() };
  },
  async userinfo({ token, sub }) {
    return client.fetchUserInfo(config, token, sub);
  },
  async refresh({ token }) {
    const tokens = await client.refreshTokenGrant(config, token);
    return { ...tokens, claims: tokens.claims() };
  },
  async own({ parameters }) {
    return client.clientCredentialsGrant(config, parameters);
  },
  async revoke({ token }) {
    await client.tokenRevocation(config, token);
    return {};
  },
  async leave({ parameters }) {
    return { url: client.buildEndSessionUrl(config, parameters).href };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { name, ...rest } = JSON.parse(line);
  let answer;
  try {
    answer = { ok: await commands[name](rest) };
  } catch (error) {
    answer = { failed: { error: error.error ?? error.code ?? error.name, message: error.message } };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
