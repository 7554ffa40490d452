/**
 * Lines as log-cache's envelopes, in JSON: made once for all who follow an app. A line's text is remembered for as long as the line is (`withRecent` gives
 * all readers the same one), and for as long as the app's names are what they were.
 */
import type { LogLine } from '@cupola/logs/log-store';
import type { ScopedApp } from '../apps/find-app.ts';
import type { AnsweredLine } from './read-lines.ts';

export interface Envelopes {
  /** `{"envelopes":{"batch":[...]}}` of these lines of `app`. Strict protobuf JSON: a key too many fails the whole read (cf-api-contract.md 7). */
  batchOf(lines: readonly AnsweredLine[], app: ScopedApp): Buffer;
}

/** Apps whose tags are remembered, and of each the sources of lines: each task is one (ours). */
const APPS_MAX = 1_000;
const SOURCES_MAX = 1_000;
const [BEGIN, COMMA, END] = ['{"envelopes":{"batch":[', ',', ']}}'].map(text => Buffer.from(text)) as [
  Buffer,
  Buffer,
  Buffer,
];

/** What all lines of an app from one source have in common. */
interface Source {
  sourceType: string;
  instanceId: string;
  /** After the time, up to the line. */
  middle: string;
}
/** An app by the names that its envelopes show. */
interface Named {
  names: string;
  sources: Map<string, Source>;
}

export function createEnvelopes(): Envelopes {
  const texts = new WeakMap<LogLine, { source: Source; text: Buffer }>();
  const apps = new Map<string, Named>();

  const namedOf = (app: ScopedApp): Named => {
    const names = JSON.stringify([
      app.name,
      app.space_guid,
      app.space_name,
      app.organization_guid,
      app.organization_name,
    ]);
    const known = apps.get(app.guid);
    if (known?.names === names) return known;
    const named = { names, sources: new Map() };
    apps.delete(app.guid);
    apps.set(app.guid, named);
    const oldest = apps.keys().next().value;
    if (apps.size > APPS_MAX && oldest !== undefined) apps.delete(oldest);
    return named;
  };
  const sourceOf = ({ sources }: Named, app: ScopedApp, { sourceType, instanceId }: LogLine): Source => {
    const key = `${sourceType} ${instanceId}`;
    const known = sources.get(key);
    if (known !== undefined) return known;
    const source = { sourceType, instanceId, middle: middleOf(app, { sourceType, instanceId }) };
    if (sources.size >= SOURCES_MAX) sources.clear();
    sources.set(key, source);
    return source;
  };

  return {
    batchOf: (lines, app) => {
      const named = namedOf(app);
      let source: Source | undefined;
      const parts: Buffer[] = [BEGIN];
      for (const { line, answeredNs } of lines) {
        if (source?.sourceType !== line.sourceType || source.instanceId !== line.instanceId)
          source = sourceOf(named, app, line);
        const known = texts.get(line);
        const isTrue = answeredNs === line.timestampNs;
        const text = isTrue && known?.source === source ? known.text : textOf({ line, answeredNs }, source);
        if (isTrue) texts.set(line, { source, text });
        if (parts.length > 1) parts.push(COMMA);
        parts.push(text);
      }
      parts.push(END);
      return Buffer.concat(parts);
    },
  };
}

function textOf({ line, answeredNs }: AnsweredLine, { middle }: Source): Buffer {
  const payload = Buffer.from(line.line).toString('base64');
  return Buffer.from(`{"timestamp":"${answeredNs}"${middle}"${payload}","type":"${line.type}"}}`);
}

function middleOf(app: ScopedApp, { sourceType, instanceId }: Pick<LogLine, 'sourceType' | 'instanceId'>): string {
  const tags = {
    origin: originOf(sourceType),
    source_type: sourceType,
    app_id: app.guid,
    app_name: app.name,
    space_id: app.space_guid,
    space_name: app.space_name,
    organization_id: app.organization_guid,
    organization_name: app.organization_name,
    instance_id: instanceId,
  };
  const rest = { source_id: app.guid, instance_id: instanceId, deprecated_tags: {}, tags };
  return `,${JSON.stringify(rest).slice(1, -1)},"log":{"payload":`;
}

/** Which part of a CF a line would come from: readers of envelopes tell an app's own lines (rep) from others by it. */
function originOf(sourceType: string): string {
  if (sourceType === 'API') return 'cloud_controller';
  return sourceType === 'RTR' ? 'gorouter' : 'rep';
}
