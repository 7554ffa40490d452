/** From raw request to the route that it is for, the same for plain requests and upgrades: everything that is decided before a copy is chosen. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { BlockList, Socket } from 'node:net';
import type { RouterSettings } from '../settings.ts';
import type { Backend, RouteEntry, RouteTable } from '../table/route-table.ts';
import { type Answer, answers } from './answers.ts';
import type { Balance } from './balance.ts';
import { type Hop, isTrustedHop, type Origin } from './forward-headers.ts';
import { hashValue } from './hash-choice.ts';
import type { Holds } from './holds.ts';
import { type Journey, startJourney } from './journey.ts';
import { plainAddress, type RawRequest, type ScreenedRequest, screen } from './screen.ts';
import { readSelector, readSticky } from './selection.ts';

export interface RoutingDeps {
  readonly table: RouteTable;
  readonly balance: Balance;
  readonly holds: Holds;
  readonly settings: RouterSettings;
  readonly trustedHops: BlockList;
  /** The agent that the copy is reached through does not answer now. */
  isDown(backend: Backend): boolean;
  /** False until the first table has come, from disk or from the API. */
  hasTable(): boolean;
  /** Epoch ms. */
  now(): number;
  /** Monotonic ms. */
  monotonic(): number;
}

/** What is known of a request however it ends: for the answer and the access log. */
export interface Arrival {
  readonly raw: RawRequest;
  readonly origin: Origin;
  readonly remotePort: number;
  readonly startedMonotonicMs: number;
}

export interface Admitted {
  readonly request: ScreenedRequest;
  readonly entry: RouteEntry;
  readonly journey: Journey;
  /** Instance guid of the client's sticky cookie. */
  readonly sticky: string | null;
}

/** Stamps a request as it comes in. */
export function arrive(deps: RoutingDeps, message: IncomingMessage): Arrival {
  const { method = '', url = '', httpVersion, rawHeaders } = message;
  const client = clientOf(message.socket, deps.trustedHops);
  return {
    raw: { method, url, httpVersion, rawHeaders },
    origin: {
      remoteAddress: client.remoteAddress,
      trusted: client.trusted,
      scheme: client.scheme,
      requestId: randomUUID(),
      startedMs: deps.now(),
    },
    remotePort: client.remotePort,
    startedMonotonicMs: deps.monotonic(),
  };
}

interface Client extends Hop {
  readonly remotePort: number;
}

/** Where a connection keeps who is at its other end: the same for all its requests. */
const CLIENT = Symbol('client');

function clientOf(socket: Socket & { [CLIENT]?: Client }, trustedHops: BlockList): Client {
  const known = socket[CLIENT];
  if (known !== undefined) return known;
  const remoteAddress = plainAddress(socket.remoteAddress);
  const client: Client = {
    remoteAddress,
    trusted: isTrustedHop(trustedHops, remoteAddress),
    scheme: 'encrypted' in socket ? 'https' : 'http',
    remotePort: socket.remotePort ?? 0,
  };
  socket[CLIENT] = client;
  return client;
}

/** Finds the route, or the answer that ends it here. `request` is null when it was not even understood. */
export function admit(
  deps: RoutingDeps,
  { raw }: Arrival,
): Admitted | { readonly refusal: Answer; readonly request: ScreenedRequest | null } {
  const { table, settings } = deps;
  const screened = screen(raw, settings);
  if ('refusal' in screened) return { refusal: screened.refusal, request: null };
  const entry = table.find(screened.host, screened.target);
  if (entry === null)
    return { refusal: deps.hasTable() ? answers.unknownRoute(screened.host) : answers.noTableYet(), request: screened };
  const choice = readSelector(screened);
  if ('refusal' in choice) return { refusal: choice.refusal, request: screened };
  const sticky = choice.selector === null ? readSticky(screened.cookie) : null;
  const journey = startJourney(deps, {
    host: screened.host,
    routeGuid: entry.item.guid,
    selector: choice.selector,
    sticky,
    hashed: hashValue(entry.item.options, screened.names, raw.rawHeaders),
    idempotent: screened.idempotent,
  });
  return { request: screened, entry, journey, sticky };
}
