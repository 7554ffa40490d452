/**
 * Live lines for who follows an app in this process: one connection for all of them. What is published may be missed, while a subscription is being made or
 * after a loss of the connection; so each message says what came before it, and what is missing is read from the stream. Nothing is told twice.
 */
import type { RedisLink } from '@cupola/redis/connect';
import type { LogLine } from '../log-store.ts';
import { tellAll } from '../tell-all.ts';
import type { LogCommands } from './commands.ts';
import { decodeEntry, type Entry, idOf } from './entry.ts';
import { appOfChannel, channelOf, REMOVED } from './scripts.ts';

type Listener = (lines: readonly LogLine[]) => void;

interface Followed {
  listeners: Set<Listener>;
  /** Time of the last line that was told, or that was there before; null: not known yet. */
  toldNs: bigint | null;
  /** One thing after the other. */
  turn: Promise<void>;
}

/** An app's first batch, or its first one after Redis was emptied. */
const BEGINS_ANEW = 1n;

export function createFollowers(ears: RedisLink, commands: LogCommands, onReady: (listener: () => void) => void) {
  const apps = new Map<string, Followed>();

  function inTurn(app: Followed, work: () => Promise<void>): void {
    // Redis is away: when it is back, all are looked at again.
    app.turn = app.turn.then(work).catch(() => undefined);
  }

  function tell(app: Followed, entry: Entry): void {
    app.toldNs = entry.lastNs;
    tellAll(app.listeners, entry.lines);
  }

  async function catchUp(appGuid: string, app: Followed): Promise<void> {
    app.toldNs ??= await commands.newestNs(appGuid);
    for await (const entry of commands.after(appGuid, idOf(app.toldNs + 1n))) tell(app, entry);
  }

  async function hear(appGuid: string, app: Followed, entry: Entry): Promise<void> {
    if (app.toldNs !== null && entry.lastNs <= app.toldNs) return;
    const isNext = app.toldNs !== null && (entry.floorNs === app.toldNs + 1n || entry.floorNs === BEGINS_ANEW);
    if (isNext) tell(app, entry);
    else await catchUp(appGuid, app);
  }

  function subscribe(appGuid: string, app: Followed): void {
    ears.client.subscribe(channelOf(appGuid)).then(
      () => inTurn(app, () => catchUp(appGuid, app)),
      () => undefined, // Lost again: the next connection subscribes.
    );
  }

  ears.client.on('message', (channel: string, message: string) => {
    const appGuid = appOfChannel(channel);
    const app = apps.get(appGuid);
    if (app === undefined) return;
    if (message === REMOVED)
      return inTurn(app, async () => {
        app.toldNs = 0n;
      });
    const end = message.indexOf('\n');
    const [id = '', floor = ''] = message.slice(0, end).split(' ');
    const entry = decodeEntry(appGuid, { id, floor, rows: message.slice(end + 1) });
    inTurn(app, () => hear(appGuid, app, entry));
  });
  ears.onReady(() => {
    for (const [appGuid, app] of apps) subscribe(appGuid, app);
  });
  onReady(() => {
    for (const [appGuid, app] of apps) inTurn(app, () => catchUp(appGuid, app));
  });

  return {
    follow: (appGuid: string, listener: Listener): (() => void) => {
      const known = apps.get(appGuid);
      const app = known ?? { listeners: new Set(), toldNs: null, turn: Promise.resolve() };
      app.listeners.add(listener);
      if (known === undefined) {
        apps.set(appGuid, app);
        // Asked for now: what is appended from here on is told, also while the subscription is on its way.
        const newest = commands.newestNs(appGuid);
        newest.catch(() => undefined);
        inTurn(app, async () => {
          app.toldNs ??= await newest;
        });
        subscribe(appGuid, app);
      }
      return () => {
        app.listeners.delete(listener);
        if (app.listeners.size > 0 || apps.get(appGuid) !== app) return;
        apps.delete(appGuid);
        ears.client.unsubscribe(channelOf(appGuid)).catch(() => undefined); // Lost: so is the subscription.
      };
    },
  };
}
