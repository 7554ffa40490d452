/**
 * The authority of a cluster: signs who is a member. Its key is the API's alone; what it signs are keys that a member has made itself and shows by a request
 * (PKCS #10), so that no private key travels.
 */
import type { webcrypto } from 'node:crypto';
import type { Pair } from '../certificates.ts';
import { CURVE, loadX509, newKeys, SIGNATURE, signLeaf } from '../signing.ts';
import { MEMBER_DAYS, type Member, memberUri } from './names.ts';

export { makeCa as makeAuthority } from '../signing.ts';

/** What is asked to be signed is no request, or not by the key that it names. */
export class BadRequestError extends Error {
  override readonly name = 'BadRequestError';
}

/** A new key, and the request for its certificate, both PEM. */
export async function makeRequest(): Promise<{ key: string; request: string }> {
  const x509 = await loadX509();
  const { keys, pem } = await newKeys();
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'O=Cupola',
    keys,
    signingAlgorithm: SIGNATURE,
  });
  return { key: pem, request: `${request.toString('pem').trimEnd()}\n` };
}

interface Signing {
  authority: Pair;
  members: readonly Member[];
  /** Epoch ms. */
  nowMs: number;
}

/** The certificate for the key of `request` as these members, PEM, the authority's behind it. @throws BadRequestError */
export async function signRequest(request: string, signing: Signing): Promise<string> {
  const x509 = await loadX509();
  let publicKey: webcrypto.CryptoKey;
  try {
    const asked = new x509.Pkcs10CertificateRequest(request);
    if (!(await asked.verify())) throw new Error('its signature is not by its key');
    publicKey = await asked.publicKey.export(CURVE, ['verify']);
  } catch (error) {
    throw new BadRequestError(`this is no request for a certificate: ${(error as Error).message}`);
  }
  return sign(publicKey, signing);
}

/** A key and its certificate made here, for a part that has the authority at hand. */
export async function issueMember(signing: Signing): Promise<Pair> {
  const { keys, pem } = await newKeys();
  return { key: pem, cert: await sign(keys.publicKey, signing) };
}

async function sign(publicKey: webcrypto.CryptoKey, { authority, members, nowMs }: Signing): Promise<string> {
  const cert = await signLeaf(authority, {
    publicKey,
    names: members.map(member => ({ type: 'url', value: memberUri(member) })),
    // Members are both: an agent takes connections of routers, and opens its own to the API.
    isClient: true,
    days: MEMBER_DAYS,
    nowMs,
  });
  return `${cert}${authority.cert}`;
}
