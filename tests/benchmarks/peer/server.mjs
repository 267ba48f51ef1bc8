// npm oidc-provider on Redis, as a peer to measure beside the bridge: `node server.mjs PORT REDIS_PORT`.
// One process, code + PKCE S256, client_credentials, rotated refresh tokens, opaque tokens: what the bridge does in the
// same benchmark.
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import Redis from "ioredis";
import { Provider } from "oidc-provider";

const [port, redisPort] = process.argv.slice(2).map(Number);
const redis = new Redis(redisPort, "127.0.0.1", { keyPrefix: "peer:" });
const issuer = `http://127.0.0.1:${port}`;

// The adapter's verbs are those that the provider's documentation lists; each is as few commands as it can be.
class RedisAdapter {
  constructor(model) {
    this.key = (id) => `${model}:${id}`;
    this.model = model;
  }

  async upsert(id, payload, expiresIn) {
    const batch = redis.pipeline().set(this.key(id), JSON.stringify(payload), "EX", expiresIn || 86400);
    if (payload.grantId && this.model !== "Grant") {
      batch.rpush(`grant:${payload.grantId}`, this.key(id)).expire(`grant:${payload.grantId}`, expiresIn || 86400);
    }
    if (this.model === "Session") batch.set(`uid:${payload.uid}`, id, "EX", expiresIn || 86400);
    await batch.exec();
  }

  async find(id) {
    const text = await redis.get(this.key(id));
    return text ? JSON.parse(text) : undefined;
  }

  async findByUid(uid) {
    const id = await redis.get(`uid:${uid}`);
    return id ? this.find(id) : undefined;
  }

  async findByUserCode() {
    return undefined;
  }

  async consume(id) {
    const payload = await this.find(id);
    if (payload) {
      payload.consumed = Math.floor(Date.now() / 1000);
      await redis.set(this.key(id), JSON.stringify(payload), "KEEPTTL");
    }
  }

  async destroy(id) {
    await redis.del(this.key(id));
  }

  async revokeByGrantId(grantId) {
    const members = await redis.lrange(`grant:${grantId}`, 0, -1);
    await redis.del(`grant:${grantId}`, ...members);
  }
}

function jwk(type, options, extra) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: "jwk" }), use: "sig", ...extra };
}

const client = (id, alg, other) => ({
  client_id: id,
  client_secret: "a-secret-for-the-benchmark-only-0123456789",
  redirect_uris: ["https://app.example.test/callback"],
  grant_types: ["authorization_code", other],
  response_types: ["code"],
  id_token_signed_response_alg: alg,
});

const provider = new Provider(issuer, {
  adapter: RedisAdapter,
  clients: [
    client("bench-es256", "ES256", "client_credentials"),
    client("bench-rs256", "RS256", "client_credentials"),
    client("bench-refresh", "ES256", "refresh_token"),
  ],
  // As the bridge does: whoever may refresh is given a refresh token that ends with the session, and is good once.
  issueRefreshToken: (_ctx, asking) => asking.grantTypeAllowed("refresh_token"),
  rotateRefreshToken: true,
  jwks: {
    keys: [
      jwk("rsa", { modulusLength: 2048 }, { alg: "RS256", kid: "rs" }),
      jwk("ec", { namedCurve: "P-256" }, { alg: "ES256", kid: "es" }),
    ],
  },
  scopes: ["openid", "profile", "email"],
  claims: { openid: ["sub"], profile: ["name"], email: ["email", "email_verified"] },
  enabledJWA: { idTokenSigningAlgValues: ["RS256", "ES256"] },
  features: { clientCredentials: { enabled: true }, introspection: { enabled: true }, devInteractions: { enabled: true } },
  pkce: { required: () => true },
  cookies: { keys: ["a-cookie-key-for-the-benchmark"] },
  findAccount: (_ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, name: "Demo Person", email: "demo@example.test", email_verified: true }),
  }),
  ttl: { AccessToken: 3600, AuthorizationCode: 60, ClientCredentials: 3600, Grant: 86400, IdToken: 3600, Interaction: 3600, RefreshToken: 86400, Session: 86400 },
});

createServer(provider.callback()).listen(port, "127.0.0.1", () => console.log(`listening on ${issuer}`));
