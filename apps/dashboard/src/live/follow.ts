/** Keeps what the pages have read up to date by the live stream: what a frame says is put in, what it only hints at is read again, a burst at once. */
import type { AppFigures } from '@cupola/contract/v3/figures';
import { hashKey, type QueryClient, type QueryKey } from '@tanstack/react-query';
import type { Overview } from '../apps/overview.ts';
import { signInAgain } from '../data/http.ts';
import { mayChange, type ShownProcess } from '../data/queries.ts';
import * as reads from '../data/read.ts';
import { isPast, type WindowFrame, withMark, withWindow } from '../figures/with-window.ts';
import { applyToOverview, applyToProcesses, type Change, objectOf } from './apply.ts';
import { type LiveStream, openStream } from './stream.ts';

/** Frames of a moment are drawn together. */
const GATHER_MS = 30;
const EVENTS_SHOWN = 30;
/** What the cluster's sums are made of; they are read again, a burst once. */
const OF_CLUSTER: ReadonlySet<string> = new Set(['cell', 'instances', 'build']);
const CLUSTER_MS = 1_000;
/** Events of what has no frames of its own, and what of a page they make old. */
const TOLD_BY_EVENTS = [
  [/^audit\.(service_binding|user_provided_service_instance)\./, 'services'],
  [/^audit\.(organization|space)_quota\./, 'quota'],
] as const;
const REVISION_MADE = 'audit.app.revision.create';

export function followStream(client: QueryClient, open = openStream): LiveStream {
  let gathered: Change[] = [];
  const readClusterAgain = onceInAWhile(CLUSTER_MS, () => void client.invalidateQueries({ queryKey: ['cluster'] }));
  const apply = (): void => {
    const changes = gathered;
    gathered = [];
    applyToOverviews(client, changes);
    for (const change of changes) applyToApp(client, change);
    readToldByEvents(client, changes);
    if (changes.some(({ kind }) => OF_CLUSTER.has(kind))) readClusterAgain();
  };
  return open({
    changed: change => {
      gathered.push(change);
      if (gathered.length === 1) setTimeout(apply, GATHER_MS);
    },
    metrics: frame => applyFigures(client, frame),
    // Reads that failed meanwhile were told of nothing that would have them tried again.
    resumed: () =>
      void client.invalidateQueries({
        predicate: ({ queryKey, state }) => queryKey[2] === 'figures' || state.status === 'error',
      }),
    // What one may do may have changed with it.
    reset: () => {
      void client.invalidateQueries({ predicate: mayChange });
      void client.invalidateQueries({ queryKey: ['session'] });
    },
    ended: signInAgain,
  });
}

const awaited = new WeakMap<QueryClient, Set<string>>();

/**
 * An answer under way may be older than what has just been put in, and would land over it: it is read once more then. Not instead, since where news never end
 * nothing would ever be read.
 */
function readAfterwards(client: QueryClient, queryKey: QueryKey): void {
  const query = client.getQueryCache().find({ queryKey, exact: true });
  const names = awaited.get(client) ?? new Set();
  awaited.set(client, names);
  const name = hashKey(queryKey);
  if (query?.state.fetchStatus !== 'fetching' || names.has(name)) return;
  names.add(name);
  const again = (): void => {
    names.delete(name);
    void client.invalidateQueries({ queryKey, exact: true });
  };
  query.promise?.then(again, again);
}

/** `act` at the end of a burst's first `ms`. */
function onceInAWhile(ms: number, act: () => void): () => void {
  let isComing = false;
  return () => {
    if (isComing) return;
    isComing = true;
    setTimeout(() => {
      isComing = false;
      act();
    }, ms);
  };
}

function applyToOverviews(client: QueryClient, changes: readonly Change[]): void {
  for (const query of client.getQueryCache().findAll({ queryKey: ['overview'] })) {
    const spaceGuid = (query.queryKey[1] ?? null) as string | null;
    client.setQueryData<Overview>(query.queryKey, known =>
      known === undefined ? undefined : changes.reduce((now, change) => applyToOverview(now, change, spaceGuid), known),
    );
    readAfterwards(client, query.queryKey);
  }
  if (changes.some(({ kind }) => kind === 'space' || kind === 'organization'))
    void client.invalidateQueries({ queryKey: ['spaces'] });
}

function applyToApp(client: QueryClient, change: Change): void {
  const guid = change.kind === 'app' ? change.guid : change.type === 'changed' ? change.app_guid : null;
  if (change.kind === 'route')
    return void client.invalidateQueries({ predicate: ({ queryKey }) => queryKey[2] === 'routes' });
  // What is gone says no more whose it was. Another one is there in its place, most likely.
  if (change.kind === 'process' && change.type === 'gone')
    return void client.invalidateQueries({
      predicate: ({ queryKey, state }) =>
        queryKey[2] === 'processes' &&
        (state.data as ShownProcess[] | undefined)?.some(({ process }) => process.guid === change.guid) === true,
    });
  if (guid === null || client.getQueryData(['app', guid]) === undefined) return;
  const again = (...names: string[]): void => {
    for (const name of names) void client.invalidateQueries({ queryKey: ['app', guid, name] });
  };
  switch (change.kind) {
    case 'app': {
      const app = objectOf(reads.app, change);
      if (app === null) {
        void client.invalidateQueries({ queryKey: ['app', guid] });
        return;
      }
      client.setQueryData<reads.App>(['app', guid], known => (known ? { ...known, ...app } : known));
      readAfterwards(client, ['app', guid]);
      again('droplet', 'revisions');
      return;
    }
    case 'instances':
    case 'process': {
      const known = client.getQueryData<ShownProcess[]>(['app', guid, 'processes']);
      const isKnown = known?.some(({ process }) => process.guid === change.guid) === true;
      if (isKnown) client.setQueryData<ShownProcess[]>(['app', guid, 'processes'], applyToProcesses(known, change));
      // An answer under way may be older than this: it would land over it, and of a stopped app nothing more is told that would mend it.
      const isUnderWay = client.isFetching({ queryKey: ['app', guid, 'processes'], exact: true }) > 0;
      if (!isKnown || isUnderWay) again('processes');
      if (change.kind === 'process') again('quota', 'settings');
      return;
    }
    case 'build':
      client.setQueryData<reads.Build | null>(['app', guid, 'build'], known =>
        newer(known ?? null, objectOf(reads.build, change)),
      );
      readAfterwards(client, ['app', guid, 'build']);
      return;
    case 'deployment': {
      const told = objectOf(reads.deployment, change);
      client.setQueryData<reads.Deployment | null>(['app', guid, 'deployment'], known => newer(known ?? null, told));
      readAfterwards(client, ['app', guid, 'deployment']);
      again('revisions', 'processes', 'droplet');
      return;
    }
    case 'task':
      again('tasks');
      return;
    case 'audit_event': {
      const event = objectOf(reads.event, change);
      if (event === null) return;
      client.setQueryData<reads.AuditEvent[]>(['app', guid, 'events'], known =>
        known === undefined || known.some(one => one.guid === event.guid)
          ? known
          : [event, ...known].slice(0, EVENTS_SHOWN),
      );
      client.setQueriesData<AppFigures>({ queryKey: ['app', guid, 'figures'] }, known =>
        known === undefined ? undefined : withMark(known, event),
      );
      // A restart that makes one changes processes only.
      if (event.type === REVISION_MADE) again('revisions');
      return;
    }
    default:
  }
}

function readToldByEvents(client: QueryClient, changes: readonly Change[]): void {
  const types = changes.flatMap(change =>
    change.kind === 'audit_event' ? (objectOf(reads.event, change)?.type ?? []) : [],
  );
  for (const [pattern, name] of TOLD_BY_EVENTS)
    if (types.some(type => pattern.test(type)))
      void client.invalidateQueries({ predicate: ({ queryKey }) => queryKey[2] === name });
}

function applyFigures(client: QueryClient, frame: WindowFrame): void {
  const queryKey = ['app', frame.app_guid, 'figures'];
  client.setQueriesData<AppFigures>({ queryKey }, known =>
    known === undefined ? undefined : withWindow(known, frame),
  );
  // What each instance used was measured then too.
  void client.invalidateQueries({ queryKey: ['app', frame.app_guid, 'processes'] });
  const past = client.getQueriesData<AppFigures>({ queryKey }).filter(([, known]) => known && isPast(known, frame));
  for (const [key] of past) void client.invalidateQueries({ queryKey: key, exact: true });
}

function newer<T extends { guid: string; created_at: string }>(known: T | null, told: T | null): T | null {
  if (told === null) return known;
  return known === null || known.guid === told.guid || told.created_at >= known.created_at ? told : known;
}
