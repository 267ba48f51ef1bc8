// A relying party on the npm package oauth4webapi: one JSON command a line in, one JSON answer a line out.
import { createInterface } from "node:readline";
import * as oauth from "oauth4webapi";

let server, me, auth, checks, redirect;
const loose = { [oauth.allowInsecureRequests]: true };

const commands = {
  async discover({ issuer, id, secret, redirect: to }) {
    const url = new URL(issuer);
    server = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, loose));
    [me, auth, redirect] = [{ client_id: id }, oauth.ClientSecretBasic(secret), to];
    return server;
  },
  // The document at the address of RFC 8414.
  async metadata({ issuer }) {
    const url = new URL(issuer);
    return oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { ...loose, algorithm: "oauth2" }));
  },
  async begin({ parameters }) {
    const verifier = oauth.generateRandomCodeVerifier();
    checks = { verifier, state: oauth.generateRandomState(), nonce: oauth.generateRandomNonce() };
    const url = new URL(server.authorization_endpoint);
    url.search = new URLSearchParams({
      client_id: me.client_id,
      redirect_uri: redirect,
      response_type: "code",
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      state: checks.state,
      nonce: checks.nonce,
      ...parameters,
    });
    return { url: url.href };
  },
  async finish({ url }) {
    const answer = oauth.validateAuthResponse(server, me, new URL(url), checks.state);
    const reply = await oauth.authorizationCodeGrantRequest(
      server, me, auth, answer, redirect, checks.verifier, loose,
    );
    const tokens = await oauth.processAuthorizationCodeResponse(server, me, reply, {
      expectedNonce: checks.nonce,
      requireIdToken: true,
    });
    await oauth.validateApplicationLevelSignature(server, reply, loose);
    return { ...tokens, claims: oauth.getValidatedIdTokenClaims(tokens) };
  },
  async userinfo({ token, sub }) {
    return oauth.processUserInfoResponse(server, me, sub, await oauth.userInfoRequest(server, me, token, loose));
  },
  async refresh({ token }) {
    const reply = await oauth.refreshTokenGrantRequest(server, me, auth, token, loose);
    return oauth.processRefreshTokenResponse(server, me, reply);
  },
  async introspect({ token }) {
    const reply = await oauth.introspectionRequest(server, me, auth, token, loose);
    return oauth.processIntrospectionResponse(server, me, reply);
  },
  async revoke({ token }) {
    await oauth.processRevocationResponse(await oauth.revocationRequest(server, me, auth, token, loose));
    return {};
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
