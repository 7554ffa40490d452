/** What a frame of the live stream says, as lines for people: state changes only, each once. */
import { type StreamFrame, streamInstances } from '@cupola/contract/v3/stream';
import { harmless } from '@cupola/push/text';

type Changed = Extract<StreamFrame, { type: 'changed' }>;
/** Whose, what, and what has become of it. */
export type WatchLine = readonly [app: string, what: string, state: string];

export interface WatchText {
  /** An app that was there before. */
  know(guid: string, name: string): void;
  linesOf(frame: StreamFrame): WatchLine[];
}

export function createWatchText(): WatchText {
  const names = new Map<string, string>();
  const said = new Map<string, string>();
  const nameOf = (guid: string | null): string => (guid === null ? '' : (names.get(guid) ?? guid.slice(0, 8)));
  /** What was said of it last is not said again. */
  const news = (key: string, line: WatchLine): WatchLine[] => {
    const text = line.join('\n');
    if (said.get(key) === text) return [];
    said.set(key, text);
    return [line];
  };

  function changed(frame: Changed): WatchLine[] {
    const object = frame.object as Readable;
    if (frame.kind === 'app') names.set(frame.guid, object.name ?? '');
    const app = nameOf(frame.app_guid);
    if (frame.kind === 'instances') return instances(frame, app);
    const line = LINES[frame.kind]?.(object, { app, nameOf });
    return line === undefined ? [] : news(`${frame.kind} ${frame.guid}`, line);
  }

  function instances(frame: Changed, app: string): WatchLine[] {
    const known = streamInstances.safeParse(frame.object).data;
    return (known?.instances ?? []).flatMap(({ index, state, details, routable }) => {
      const ready = state === 'RUNNING' && routable === false ? ', not ready' : '';
      const why = details === null ? '' : `: ${harmless(details)}`;
      return news(`${frame.guid} ${index}`, [app, `${known?.type}/${index}`, `${state}${ready}${why}`]);
    });
  }

  return {
    know: (guid, name) => void names.set(guid, name),
    linesOf: frame => {
      if (frame.type === 'changed') return changed(frame);
      if (frame.type !== 'gone' || frame.kind === 'process') return [];
      said.delete(`${frame.kind} ${frame.guid}`);
      return [[frame.kind === 'app' ? nameOf(frame.guid) : '', frame.kind, 'deleted']];
    },
  };
}

/** Of the objects of all kinds, what is said here. */
interface Readable {
  name?: string;
  state?: string;
  error?: string | null;
  type?: string;
  instances?: number;
  memory_in_mb?: number;
  status?: { value?: string; reason?: string };
  url?: string;
  destinations?: Array<{ app?: { guid?: string } }>;
  actor?: { name?: string };
}
type Line = (object: Readable, at: { app: string; nameOf(guid: string | null): string }) => WatchLine | undefined;

const LINES: Partial<Record<Changed['kind'], Line>> = {
  app: ({ state = '' }, { app }) => [app, 'app', state],
  process: ({ type = '', instances = 0, memory_in_mb = 0 }, { app }) => [
    app,
    type,
    `${instances} ${instances === 1 ? 'instance' : 'instances'} of ${memory_in_mb}M`,
  ],
  build: ({ state = '', error }, { app }) => [app, 'build', error ? `${state}: ${harmless(error)}` : state],
  deployment: ({ status }, { app }) => [app, 'deployment', `${status?.value ?? ''} ${status?.reason ?? ''}`.trim()],
  task: ({ name = '', state = '' }, { app }) => [app, `task ${name}`, state],
  route: ({ url = '', destinations = [] }, { nameOf }) => [
    [...new Set(destinations.map(({ app }) => nameOf(app?.guid ?? null)))].join(', '),
    'route',
    url,
  ],
  audit_event: ({ type = '', actor }, { app }) => [app, 'event', `${type} by ${actor?.name ?? ''}`],
};
