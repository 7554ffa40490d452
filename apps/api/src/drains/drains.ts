/**
 * Copies every log line of an app to the syslog servers that its bound services name. It stands before the log store, since all lines come by there: those
 * of the app, the router, the stager, the API and the cell. Bindings are read anew every few seconds while there are lines, so a bound or unbound drain
 * counts without a restart, as in CF. Nothing here delays or fails an append.
 */
import { networks } from '@cupola/images/registry/addresses';
import type { LogLine, LogStore } from '@cupola/logs/log-store';
import type { Sealer } from '@cupola/store/seal';
import type { Store } from '@cupola/store/store';
import type { Logger } from 'pino';
import { boundServices } from '../services/vcap-services.ts';
import { type Drain, openDrain } from './drain.ts';
import { type AppNames, syslogMessage } from './syslog.ts';
import { parseTarget } from './target.ts';

interface Deps {
  logs: LogStore;
  store: Store;
  sealer: Sealer;
  log: Logger;
  /** Addresses and networks that drains may reach though they are not public. */
  targets: readonly string[];
  /** PEM of a CA to trust beside the well-known ones. */
  ca?: string;
  now(): number;
  /** ms of a clock that never jumps. */
  monotonic(): number;
}

/** How old what is known of bindings may be (CF's binding cache is asked every 15 s; ours is in the same process). */
const FRESH_MS = 5_000;
/** Lines that wait while the bindings are looked at, some ms. */
const EARLY_MAX = 1_000;

interface AppDrains {
  names: AppNames;
  drains: Map<string, Drain>;
}

/** The same store, whose appended lines go to drains too. Disposing it ends the drains, not the store. */
export function withDrains(deps: Deps): LogStore & AsyncDisposable {
  const { logs, monotonic, log } = deps;
  const allowed = networks(deps.targets);
  let apps = new Map<string, AppDrains>();
  let lookedMs = Number.NEGATIVE_INFINITY;
  let early: LogLine[] = [];
  let looking: Promise<void> | null = null;
  let ended = false;

  const open = (appGuid: string, url: string): Drain | null => {
    const say = (text: string): void => {
      const line = { appGuid, sourceType: 'LGR', instanceId: '0', type: 'ERR' as const, line: text };
      // Into the store, not to the drains: a drain that fails would otherwise feed itself.
      logs.append([{ ...line, timestampNs: BigInt(deps.now()) * 1_000_000n }]).catch((error: unknown) => {
        log.warn({ err: error, appGuid }, 'a word on a drain could not be logged');
      });
    };
    const target = parseTarget(url);
    if (target === null) {
      say(
        'a syslog drain has a URL that leads nowhere: it begins with syslog://, syslog-tls://, syslog-udp://, https:// or https-batch:// and names a host',
      );
      return null;
    }
    return openDrain({ target, allowed, say, ...(deps.ca === undefined ? {} : { ca: deps.ca }) });
  };
  const look = async (): Promise<void> => {
    const wanted = await readDrains(deps);
    const next = new Map<string, AppDrains>();
    for (const { names, urls } of wanted) {
      const before = apps.get(names.appGuid)?.drains;
      const drains = new Map<string, Drain>();
      for (const url of urls) {
        const drain = before?.get(url) ?? open(names.appGuid, url);
        before?.delete(url);
        drains.set(url, drain ?? NOWHERE);
      }
      next.set(names.appGuid, { names, drains });
    }
    // What was taken over has left the former maps: the rest is bound no more.
    const gone = [...apps.values()].flatMap(({ drains }) => [...drains.values()]);
    apps = next;
    await Promise.all(gone.map(drain => drain[Symbol.asyncDispose]()));
  };
  const refresh = (): void => {
    lookedMs = monotonic();
    looking ??= look()
      .catch((error: unknown) => log.warn({ err: error }, 'syslog drains could not be read'))
      .finally(() => {
        looking = null;
        const waiting = early;
        early = [];
        send(waiting);
      });
  };
  const send = (lines: readonly LogLine[]): void => {
    for (const line of lines) {
      const app = apps.get(line.appGuid);
      if (app === undefined) continue;
      for (const drain of app.drains.values()) drain.send(syslogMessage(app.names, line));
    }
  };
  return {
    ...logs,
    append: async lines => {
      if (!ended && monotonic() - lookedMs > FRESH_MS) refresh();
      if (looking === null) send(lines);
      else if (early.length < EARLY_MAX) early.push(...lines.slice(0, EARLY_MAX - early.length));
      await logs.append(lines);
    },
    [Symbol.asyncDispose]: async () => {
      ended = true;
      await looking;
      await Promise.all(
        [...apps.values()].flatMap(app => [...app.drains.values()].map(drain => drain[Symbol.asyncDispose]())),
      );
    },
  };
}

/** In the place of a drain that cannot be: so that it is said once. */
const NOWHERE: Drain = { send: () => undefined, lost: 0, [Symbol.asyncDispose]: async () => undefined };

async function readDrains({ store, sealer }: Deps): Promise<Array<{ names: AppNames; urls: string[] }>> {
  const rows = await store.read
    .selectFrom('apps')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .innerJoin('organizations', 'organizations.guid', 'spaces.organization_guid')
    .where('apps.guid', 'in', store.read.selectFrom('service_bindings').select('app_guid'))
    .select(['apps.guid as appGuid', 'apps.name as appName', 'spaces.guid as spaceGuid', 'spaces.name as spaceName'])
    .select(['organizations.guid as organizationGuid', 'organizations.name as organizationName'])
    .execute();
  const found = await Promise.all(
    rows.map(async names => ({ names, urls: (await boundServices(store.read, sealer, names.appGuid)).syslogDrains })),
  );
  return found.filter(({ urls }) => urls.length > 0);
}
