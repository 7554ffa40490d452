/**
 * Access tokens: JWTs signed with a key of our own (RS256: what every reader of UAA's tokens takes), which lies sealed in the store, so that tokens outlive
 * a restart. The newest key signs; all that are kept verify.
 */
import { randomUUID } from 'node:crypto';
import { UnauthenticatedError } from '@cupola/model/errors';
import { TOKEN_LIMITS } from '@cupola/model/limits';
import type { SigningKeysTable } from '@cupola/store/schema';
import type { Sealer } from '@cupola/store/seal';
import type { Store } from '@cupola/store/store';
// By parts, and the making of keys only when one is made: half of the package's files stay unread at each start.
import type { JSONWebKeySet, JWK } from 'jose';
import { createLocalJWKSet } from 'jose/jwks/local';
import { SignJWT } from 'jose/jwt/sign';
import { jwtVerify } from 'jose/jwt/verify';
import { importJWK } from 'jose/key/import';
import { z } from 'zod';

const ALGORITHM = 'RS256';
const AUDIENCE = 'cloud_controller';
/** Of some 2 kB each (ours). */
const PROVEN_MAX = 500;

/** Who a token speaks for. Roles and rights are looked up at each request: they may change while the token lives. */
const claimsSchema = z.object({
  jti: z.string(),
  client_id: z.string(),
  user_id: z.string().exactOptional(),
  /** Seconds since the epoch. */
  exp: z.number(),
});
export type TokenClaims = z.infer<typeof claimsSchema>;

export interface Issued {
  token: string;
  jti: string;
  expiresInSeconds: number;
}

export interface Tokens {
  /** `claims` beside those that every token has: exp, iat, jti, aud, iss, zid. */
  issue(claims: Record<string, unknown>, lifeSeconds: number): Promise<Issued>;
  /** @throws UnauthenticatedError for what is forged, damaged, or older than its end plus `leewayMs` and the clocks' own leeway. */
  verify(token: string, options: { leewayMs: number }): Promise<TokenClaims>;
  /** `iss` of every token. */
  readonly issuer: string;
  /** For those who verify themselves: JWKs, and each as PEM too, as UAA publishes them. */
  publicKeys(): Array<JWK & { value: string }>;
}

interface Deps {
  store: Store;
  sealer: Sealer;
  /** URL of the token endpoint's issuer. */
  issuer: string;
  now(): number;
}

/** Opens the keys in the store; makes the first one at first start. */
export async function openTokens({ store, sealer, issuer, now }: Deps): Promise<Tokens> {
  const rows = await keyRows(store);
  if (rows.length === 0) {
    const row = await newSigningKey(sealer, now());
    // Two APIs may begin at the same time: both take the one that was first, or one would refuse what the other signs.
    await store.note(async ({ db }) => {
      const first = await db.selectFrom('signing_keys').select('kid').executeTakeFirst();
      if (first === undefined) await db.insertInto('signing_keys').values(row).execute();
    });
    rows.push(...(await keyRows(store)));
  }
  const newest = rows[0];
  if (newest === undefined) throw new Error('there is no signing key in the store');
  const privateKey = await importJWK(JSON.parse(sealer.open(newest.private_sealed)) as JWK, ALGORITHM);
  const publicJwks = rows.map(row => JSON.parse(row.public_jwk_json) as JWK & { value: string });
  const keySet: JSONWebKeySet = { keys: publicJwks };
  const keys = createLocalJWKSet(keySet);
  const proven = createProven();
  return {
    issuer,
    issue: async (claims, lifeSeconds) => {
      const jti = randomUUID().replaceAll('-', '');
      const issuedAt = Math.floor(now() / 1_000);
      const token = await new SignJWT({ ...claims, jti, zid: 'uaa' })
        .setProtectedHeader({ alg: ALGORITHM, kid: newest.kid, typ: 'JWT' })
        .setIssuer(issuer)
        .setAudience([AUDIENCE, 'uaa', 'openid', 'password', 'scim', String(claims.client_id)])
        .setIssuedAt(issuedAt)
        .setExpirationTime(issuedAt + lifeSeconds)
        .sign(privateKey);
      return { token, jti, expiresInSeconds: lifeSeconds };
    },
    verify: async (token, { leewayMs }) => {
      try {
        const seconds = Math.floor(now() / 1_000);
        const leewaySeconds = TOKEN_LIMITS.clockLeewaySeconds + leewayMs / 1_000;
        const known = proven.get(token);
        if (known !== undefined && seconds < known.exp + leewaySeconds) return known;
        // Not the issuer: a platform whose port has changed is the same platform, and its keys say so.
        const { payload } = await jwtVerify(token, keys, {
          algorithms: [ALGORITHM],
          audience: AUDIENCE,
          clockTolerance: leewaySeconds,
          currentDate: new Date(now()),
        });
        const claims = claimsSchema.parse(payload);
        proven.keep(token, claims);
        return claims;
      } catch {
        // Why does not matter to who sent it, and would help who forged it.
        throw new UnauthenticatedError('InvalidAuthToken');
      }
    },
    publicKeys: () => publicJwks,
  };
}

/**
 * Tokens whose signature and audience were found right before, the newest of them: a client sends the same one with each request, and a signature costs
 * half a millisecond in the thread pool. When it ends is looked at each time; whether it was revoked, and what its user may do, is read anew elsewhere.
 */
function createProven(): {
  get(token: string): TokenClaims | undefined;
  keep(token: string, claims: TokenClaims): void;
} {
  const known = new Map<string, TokenClaims>();
  return {
    get: token => known.get(token),
    keep: (token, claims) => {
      known.set(token, claims);
      const oldest = known.keys().next().value;
      if (known.size > PROVEN_MAX && oldest !== undefined) known.delete(oldest);
    },
  };
}

function keyRows(store: Store) {
  return store.read.selectFrom('signing_keys').selectAll().orderBy('created_at', 'desc').orderBy('kid').execute();
}

/** A new key pair as a row: the private part sealed. @param createdAt epoch ms; the newest key signs. */
export async function newSigningKey(sealer: Sealer, createdAt: number): Promise<SigningKeysTable> {
  const { generateKeyPair } = await import('jose/key/generate/keypair');
  const { exportJWK, exportSPKI } = await import('jose/key/export');
  const { publicKey, privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
  const kid = `key-${randomUUID().slice(0, 8)}`;
  const publicJwk = {
    ...(await exportJWK(publicKey)),
    kid,
    alg: ALGORITHM,
    use: 'sig',
    value: await exportSPKI(publicKey),
  };
  return {
    kid,
    public_jwk_json: JSON.stringify(publicJwk),
    private_sealed: sealer.seal(JSON.stringify(await exportJWK(privateKey))),
    created_at: createdAt,
    retired_at: null,
  };
}
