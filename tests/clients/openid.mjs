// A relying party on the npm package openid-client, driven line by line: one JSON command in, one JSON answer out.
// It keeps what a real one keeps: its configuration, the PKCE verifier, state and nonce.
import { createInterface } from "node:readline";
import * as jose from "jose";
import * as client from "openid-client";

let config, checks, redirect, signing;

async function pair(alg, use) {
  const { privateKey, publicKey } = await jose.generateKeyPair(alg, { extractable: true });
  const kid = `${use}-1`;
  return { key: privateKey, kid, alg, jwk: { ...(await jose.exportJWK(publicKey)), kid, use, alg } };
}

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
  // Registers itself, with keys of its own where it signs (`alg`) or is to be told in secret (`encrypted`).
  async register({ issuer, metadata, token, alg, encrypted }) {
    const keys = [];
    if (alg) keys.push((signing = await pair(alg, "sig")));
    if (encrypted) keys.push(await pair(encrypted, "enc"));
    const method = metadata.token_endpoint_auth_method;
    const ways = {
      client_secret_basic: client.ClientSecretBasic,
      client_secret_jwt: client.ClientSecretJwt,
      private_key_jwt: () => client.PrivateKeyJwt({ key: signing.key, kid: signing.kid }),
    };
    const document = keys.length ? { ...metadata, jwks: { keys: keys.map((each) => each.jwk) } } : metadata;
    redirect = metadata.redirect_uris[0];
    config = await client.dynamicClientRegistration(new URL(issuer), document, ways[method](), {
      initialAccessToken: token,
      execute: [client.allowInsecureRequests],
    });
    client.enableNonRepudiationChecks(config);
    if (encrypted) client.enableDecryptingResponses(config, ["A128CBC-HS256", "A256GCM"], keys.at(-1));
    const [type] = metadata.response_types ?? ["code"];
    if (type === "code id_token") client.useCodeIdTokenResponseType(config);
    if (type === "id_token") client.useIdTokenResponseType(config);
    return config.clientMetadata();
  },
  async begin({ parameters, signed }) {
    const verifier = client.randomPKCECodeVerifier();
    checks = { pkceCodeVerifier: verifier, expectedState: client.randomState(), expectedNonce: client.randomNonce() };
    const wish = {
      redirect_uri: redirect,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      state: checks.expectedState,
      nonce: checks.expectedNonce,
      ...parameters,
    };
    const url = signed
      ? await client.buildAuthorizationUrlWithJAR(config, wish, { key: signing.key, kid: signing.kid })
      : client.buildAuthorizationUrl(config, wish);
    if (parameters.max_age) checks.maxAge = Number(parameters.max_age);
    return { url: url.href };
  },
  async finish({ url }) {
    const tokens = await client.authorizationCodeGrant(config, new URL(url), { ...checks, idTokenExpected: true });
    return { ...tokens, claims: tokens.claims(), left: tokens.expiresIn() };
  },
  async implicit({ url }) {
    const claims = await client.implicitAuthentication(config, new URL(url), checks.expectedNonce, {
      expectedState: checks.expectedState,
    });
    return { claims };
  },
  async introspect({ token }) {
    return client.tokenIntrospection(config, token);
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
