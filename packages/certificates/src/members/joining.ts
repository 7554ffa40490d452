/**
 * Becoming a member, and staying one. A token carries the digest of the authority's certificate beside its secret: by it a machine knows whom to trust before
 * it says the secret to anybody.
 */
import { createHash, X509Certificate } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import { setTimeout } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { joinAnswer } from '@cupola/contract/internal';
import { makeRequest } from './authority.ts';
import {
  type Address,
  API_NAME,
  type ApiCall,
  apiConnector,
  checkMember,
  contextOf,
  type Peers,
  WrongMemberError,
} from './dial.ts';
import { type Identity, identityFrom, identityOf, isDue, writeIdentity } from './identity.ts';
import type { Role } from './names.ts';

/** What `cupola cluster token` prints. */
export interface JoinToken {
  secret: string;
  /** SHA-256 of the authority's certificate, hex. */
  authority: string;
}

const DIAL_MS = 10_000;

export const writeToken = ({ secret, authority }: JoinToken): string => `cupola1.${authority}.${secret}`;

/** @throws TypeError with words for the user. */
export function readToken(text: string): JoinToken {
  const { authority, secret } =
    /^cupola1\.(?<authority>[0-9a-f]{64})\.(?<secret>[\w-]{20,100})$/.exec(text.trim())?.groups ?? {};
  if (authority === undefined || secret === undefined)
    throw new TypeError('This is no token of a cluster. Make one on a machine of the cluster: ./cupola cluster token');
  return { authority, secret };
}

/** The cluster said no; its words are for the user. */
export class JoinRefusedError extends Error {
  override readonly name = 'JoinRefusedError';
  /** Of its answer. */
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** @throws JoinRefusedError, WrongMemberError, or what went wrong on the way. */
export async function joinCluster(
  address: Address,
  { token, id, hostName }: { token: JoinToken; id: string; hostName: string },
): Promise<Identity> {
  const ca = await trustedAuthority(address, token.authority);
  const { key, request } = await makeRequest();
  const body = JSON.stringify({ token: token.secret, id, hostName, request });
  return identityOf(key, await askToJoin(address, ca, body));
}

/** The authority's certificate as the API shows it, if it is the one of the token. Nothing is said to the other side. */
async function trustedAuthority({ host, port }: Address, fingerprint: string): Promise<string> {
  const socket = connect({ host, port, rejectUnauthorized: false, minVersion: 'TLSv1.3' });
  socket.setTimeout(DIAL_MS, () => socket.destroy(new Error(`${host}:${port} did not answer`)));
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve);
      socket.once('error', reject);
    });
    const { issuerCertificate } = socket.getPeerCertificate(true);
    const found =
      issuerCertificate === undefined ? '' : createHash('sha256').update(issuerCertificate.raw).digest('hex');
    if (found !== fingerprint)
      throw new WrongMemberError(
        `${host}:${port} is not of the cluster that this token is for. Check the address, or make a new token there`,
      );
    return new X509Certificate(issuerCertificate.raw).toString();
  } finally {
    socket.destroy();
  }
}

function askToJoin({ host, port }: Address, ca: string, body: string): Promise<string> {
  const checkServerIdentity = checkMember(members => members.some(({ role }) => role === 'api'));
  return chainFrom(body, options =>
    https.request({ ...options, host, port, ca, servername: API_NAME, checkServerIdentity, agent: false }),
  );
}

async function chainFrom(body: string, open: (options: http.RequestOptions) => http.ClientRequest): Promise<string> {
  return joinAnswer.parse(JSON.parse(await answerTo(body, open))).chain;
}

/** Text of the answer to `body`. @throws JoinRefusedError unless it is a success, or what went wrong on the way. */
function answerTo(body: string, open: (options: http.RequestOptions) => http.ClientRequest): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = open({
      method: 'POST',
      path: '/internal/join',
      timeout: DIAL_MS,
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
    });
    request.on('response', response => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => {
        const { statusCode = 0 } = response;
        if (statusCode === 200) resolve(text);
        else
          reject(new JoinRefusedError(refusalIn(text) ?? `the cluster answered with status ${statusCode}`, statusCode));
      });
    });
    request.on('timeout', () => request.destroy(new Error('the cluster did not answer')));
    request.on('error', reject);
    request.end(body);
  });
}

function refusalIn(text: string): string | null {
  try {
    const { errors } = JSON.parse(text) as { errors?: Array<{ detail?: string }> };
    return errors?.[0]?.detail ?? null;
  } catch {
    return null;
  }
}

export interface LocalMember {
  /** Of the API on this machine. */
  socketPath: string;
  id: string;
  hostName: string;
  roles: readonly Exclude<Role, 'api'>[];
}

async function joinLocally({ socketPath, ...member }: LocalMember): Promise<Identity> {
  const { key, request } = await makeRequest();
  const body = JSON.stringify({ ...member, request });
  return identityOf(key, await chainFrom(body, options => http.request({ ...options, socketPath, agent: false })));
}

/**
 * Keeps an identity in `file` for a part beside the API, which needs no token; resolves once there is one. Made anew at each start: what lies there may be
 * of another authority, where the platform's state was restored or moved.
 */
export async function keepLocalIdentity(
  { file, now, warn, ...member }: LocalMember & Omit<Keeping, 'post'>,
  signal: AbortSignal,
): Promise<void> {
  const source = identityFrom(file);
  let isOurs = false;
  const isGood = (): boolean => {
    try {
      if (!isOurs) return false;
      return !isDue(source.current(), now());
    } catch {
      return false; // There is none yet.
    }
  };
  let failures = 0;
  const make = async (): Promise<boolean> => {
    try {
      if (!isGood()) writeIdentity(file, await joinLocally(member));
      isOurs = true;
      failures = 0;
      return true;
    } catch (error) {
      failures++;
      if (!signal.aborted && failures % WARN_EACH === 0) warn(error);
      return false;
    }
  };
  while (!signal.aborted && !(await make())) await pause(RETRY_MS, { signal, ref: true });
  void (async () => {
    while (!signal.aborted) {
      await pause(LOOK_MS, { signal, ref: false });
      if (!signal.aborted) await make();
    }
  })();
}

/** Calls of the internal API as that member, a connection each: for the few that are not of a part's daily work. */
export function callAs(peers: Peers): ApiCall {
  const connector = apiConnector(peers);
  return async (path, body) => {
    const socket = await new Promise<TLSSocket>((resolve, reject) =>
      connector({}, (error, opened) => (opened === null ? reject(error) : resolve(opened))),
    );
    try {
      return JSON.parse(await answerOn(socket, path, JSON.stringify(body))) as unknown;
    } finally {
      socket.destroy();
    }
  };
}

/** @throws JoinRefusedError unless it is a success. */
function answerOn(socket: TLSSocket, path: string, body: string): Promise<string> {
  return answerTo(body, options => http.request({ ...options, path, createConnection: () => socket }));
}

export interface Keeping {
  file: string;
  /** POST on the internal API, as that member; answers its JSON. */
  post: ApiCall;
  /** Epoch ms. */
  now(): number;
  warn(error: unknown): void;
}

/** Renews the identity in `file` when it is due, and tries again each hour where that fails, until `signal` is aborted. */
export async function keepIdentity({ file, post, now, warn }: Keeping, signal: AbortSignal): Promise<void> {
  const source = identityFrom(file);
  while (!signal.aborted) {
    try {
      if (isDue(source.current(), now())) writeIdentity(file, await renewed(post));
    } catch (error) {
      if (!signal.aborted) warn(error);
    }
    await pause(LOOK_MS, { signal, ref: false });
  }
}

/** A certificate has 20 days left when it is first looked for the next one. */
const LOOK_MS = 3_600_000;
/** At a first start the API comes up beside us. */
const RETRY_MS = 200;
/** Told of this often while it does not. */
const WARN_EACH = 50;

/** A new identity of the caller; with `roles`, for a part that is to be no more than that. @throws JoinRefusedError, or what went wrong on the way. */
export async function renewed(post: ApiCall, roles?: readonly Role[]): Promise<Identity> {
  const { key, request } = await makeRequest();
  const body = { request, ...(roles === undefined ? {} : { roles }) };
  const { chain } = joinAnswer.parse(await post('/internal/renew', body));
  const identity = identityOf(key, chain);
  contextOf(identity); // What cannot be used must not replace what can.
  return identity;
}

/** Until then, or until it is over. Where nobody waits for what comes, the process may end meanwhile. */
async function pause(ms: number, { signal, ref }: { signal: AbortSignal; ref: boolean }): Promise<void> {
  await setTimeout(ms, undefined, { signal, ref }).catch(() => undefined);
}
