/**
 * The name server of a cell's sandboxes: answers names on internal domains by what this cell knows, and hands other names on to the host's servers. While it
 * is away sandboxes ask those themselves, and only internal names are missing. Queries come from apps: what is no plain query gets no answer, and one sandbox
 * that floods it is heard no more than the others.
 */
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import type { Logger } from 'pino';
import { answerTo, readQuestion } from './dns-message.ts';
import { floodGate } from './flood-gate.ts';
import type { Upstream } from './upstream.ts';

export interface NameServerOptions {
  address: string;
  /** 53 but in tests; 0 is a free one. */
  port: number;
  lookUp(name: string): LookedUp;
  upstream: Upstream;
  /** ms of a clock that never jumps. */
  monotonic(): number;
  log: Logger;
}

/** Addresses of healthy instances; `unknown`: nobody has that name of ours; `elsewhere`: not ours to know. */
export type LookedUp = readonly string[] | 'unknown' | 'elsewhere';

export interface NameServer extends AsyncDisposable {
  readonly port: number;
}

/** No resolver sends longer ones: a name has 255 bytes (ours). */
const QUERY_MAX_BYTES = 512;
/** Of one sandbox (rules let in nobody else): more is a flood, and dropped. An app that asks anew for each of 500 requests a second stays below (ours). */
const QUERIES_A_SECOND = 1_000;

/** @throws when it cannot listen there. */
export async function startNameServer(options: NameServerOptions): Promise<NameServer> {
  const { address, monotonic, log } = options;
  // A newer agent of this cell listens before the older one has let go, and hears what comes from then on.
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  const isFlood = floodGate({ perSecond: QUERIES_A_SECOND, monotonic });
  let isOpen = true;
  const reply = (answer: Buffer | null, to: RemoteInfo): void => {
    // Whoever asked may be gone by now; it asks again if it is not.
    if (answer !== null && isOpen) socket.send(answer, to.port, to.address, () => undefined);
  };
  socket.on('message', (query: Buffer, from: RemoteInfo) => {
    if (query.length <= QUERY_MAX_BYTES && !isFlood(from.address))
      void answer(options, query, from.address).then(each => reply(each, from));
  });
  socket.bind(options.port, address);
  await once(socket, 'listening');
  socket.on('error', error => log.warn({ err: error }, 'the name server of the sandboxes had an error'));
  return {
    port: socket.address().port,
    [Symbol.asyncDispose]: () => {
      isOpen = false;
      return new Promise(resolve => socket.close(() => resolve()));
    },
  };
}

/** Null for what gets no answer. */
async function answer({ lookUp, upstream }: NameServerOptions, query: Buffer, source: string): Promise<Buffer | null> {
  const question = readQuestion(query);
  if (question === null) return null;
  const found = lookUp(question.name);
  if (found === 'unknown') return answerTo(query, question, { code: 'unknown' });
  if (found !== 'elsewhere') return answerTo(query, question, { code: 'ok', addresses: shuffled(found) });
  return (await upstream.ask(query, source)) ?? answerTo(query, question, { code: 'failed' });
}

/** Clients take the first one. */
const shuffled = (addresses: readonly string[]): string[] =>
  addresses
    .map(address => ({ address, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ address }) => address);
