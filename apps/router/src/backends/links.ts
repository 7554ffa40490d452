/**
 * Whether the machines that copies are reached through still answer. A machine that is cut off or has lost its power says nothing: connections to it would
 * be silent for many minutes, and each new one would wait for its dial. So one connection to each agent in use carries a byte now and then, which comes back;
 * the same to each API.
 *
 * A machine that is silent for `linkSilenceMs` is lost: what is under way there ends, and may be repeated elsewhere. One whose link has ended, by its agent's
 * own will or death, is only passed over while something else is left: its copies may be reached in a moment.
 */
import type { Socket } from 'node:net';
import { CONNECTED } from '@cupola/certificates/members/forwarding';
import type { RouterSettings } from '../settings.ts';
import type { Backend } from '../table/route-table.ts';
import { THE_API } from './dial.ts';

type Via = NonNullable<Backend['via']>;

export interface Links extends Disposable {
  /** Requests go there: the machine is watched for a while. */
  use(via: Via): void;
  /** As long as something lasts there (a WebSocket; null: on this machine); `gone` is called when the machine is lost. Returns how to end that. */
  watch(via: Via | null, gone: () => void): () => void;
  /** Nothing is sent there while there is another copy. */
  isDown(via: Via | null): boolean;
  /** Machines that nothing is sent to now. */
  readonly down: number;
}

interface Deps {
  settings: Pick<RouterSettings, 'linkPingMs' | 'linkSilenceMs' | 'linkIdleMs' | 'apiSilenceMs'>;
  /** Begins a connection to the agent's link; failures come as its `error` and `close`. */
  dialLink(via: Via): Socket;
  /** Something is under way there, however long ago it was begun: a stream, a WebSocket. */
  isBusy(via: Via): boolean;
  /** It is silent: nothing that is under way there will be answered. */
  lost(via: Via): void;
  /** It is heard, for the first time or again. */
  heard(via: Via): void;
  monotonic(): number;
}

interface Link {
  via: Via;
  socket: Socket | null;
  state: 'unknown' | 'up' | 'down';
  heardAtMs: number;
  lookedAtMs: number;
  usedAtMs: number;
  timer: NodeJS.Timeout | null;
}

const newLink = (via: Via, now: number): Link => ({
  via,
  socket: null,
  state: 'unknown',
  heardAtMs: now,
  lookedAtMs: now,
  usedAtMs: now,
  timer: null,
});

export const isSame = (one: Via | null | undefined, other: Via): boolean =>
  one?.cellId === other.cellId && one.host === other.host && one.port === other.port;

const BEAT = Uint8Array.of(CONNECTED);

export function createLinks({ settings, dialLink, isBusy, lost, heard, monotonic }: Deps): Links {
  const links = new Map<string, Link>();
  const watched = new Set<{ via: Via; gone(): void }>();
  const keyOf = ({ cellId, host, port }: Via): string => `${cellId} ${host}:${port}`;

  const silenceMs = ({ cellId }: Via): number => (cellId === THE_API ? settings.apiSilenceMs : settings.linkSilenceMs);

  const open = (link: Link): void => {
    const socket = dialLink(link.via);
    link.socket = socket;
    link.heardAtMs = monotonic();
    socket.on('data', () => {
      link.heardAtMs = monotonic();
      if (link.state === 'up') return;
      link.state = 'up';
      heard(link.via);
    });
    socket.on('error', () => undefined); // `close` says so.
    socket.on('close', () => {
      if (link.socket !== socket) return;
      link.socket = null;
      link.state = 'down';
    });
  };
  const look = (link: Link): void => {
    link.timer = null;
    const now = monotonic();
    // It was us who stood still: what has come meanwhile is not read yet.
    if (now - link.lookedAtMs > 2 * settings.linkPingMs) link.heardAtMs = now;
    link.lookedAtMs = now;
    if (now - link.usedAtMs > settings.linkIdleMs) {
      if (!isBusy(link.via) && ![...watched].some(({ via }) => isSame(via, link.via))) return void end(link);
      link.usedAtMs = now;
    }
    if (link.socket === null) open(link);
    else if (now - link.heardAtMs >= silenceMs(link.via)) {
      const silent = link.socket;
      link.socket = null;
      link.state = 'down';
      silent.destroy();
      // At each look while the silence lasts: what was dialled meanwhile is no better.
      lose(link.via);
      open(link);
    } else if (link.state === 'up') link.socket.write(BEAT);
    arm(link);
  };
  const lose = (via: Via): void => {
    lost(via);
    for (const one of [...watched]) if (isSame(one.via, via)) one.gone();
  };
  const arm = (link: Link): void => {
    link.timer = setTimeout(() => look(link), settings.linkPingMs).unref();
  };
  const end = (link: Link): void => {
    links.delete(keyOf(link.via));
    if (link.timer !== null) clearTimeout(link.timer);
    const { socket } = link;
    link.socket = null;
    socket?.destroy();
  };

  const use = (via: Via): void => {
    const known = links.get(keyOf(via));
    if (known !== undefined) {
      known.usedAtMs = monotonic();
      return;
    }
    const now = monotonic();
    const link = newLink(via, now);
    links.set(keyOf(via), link);
    open(link);
    arm(link);
  };

  return {
    use,
    watch: (via, gone) => {
      if (via === null) return () => undefined;
      use(via);
      const one = { via, gone };
      watched.add(one);
      return () => void watched.delete(one);
    },
    isDown: via => via !== null && links.get(keyOf(via))?.state === 'down',
    get down() {
      return [...links.values()].filter(({ state }) => state === 'down').length;
    },
    [Symbol.dispose]: () => {
      for (const link of [...links.values()]) end(link);
    },
  };
}
