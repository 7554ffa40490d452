/** The log of an app. Only the rows in view are drawn, so 10,000 lines cost what 30 do. It follows the newest line until somebody scrolls up. */
import { type ReactNode, useEffect, useMemo, useRef, useState } from 'react';
import { AsCommand } from '../ui/action.tsx';
import { clock } from '../ui/time.ts';
import { spansOf } from './ansi.ts';
import { type LogFilter, type LogLine, matcherOf, NO_FILTER } from './lines.ts';
import { useLog } from './use-log.ts';

/** As in apps.css. */
const ROW_PX = 20;
/** Drawn beyond the view, above and below. */
const SPARE_ROWS = 15;

export function LogPanel({ appGuid, appName }: { appGuid: string; appName: string }) {
  const { lines, staleSince, isFirstRead } = useLog(appGuid);
  const [filter, setFilter] = useState<LogFilter>(NO_FILTER);
  const matcher = useMemo(() => matcherOf(filter), [filter]);
  const shown = useMemo(() => (matcher === null ? [] : lines.filter(matcher)), [lines, matcher]);
  const view = useRef<HTMLDivElement>(null);
  const [isFollowing, setFollowing] = useState(true);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(420);

  useEffect(() => {
    const element = view.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setHeight(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new line is what moves the view.
  useEffect(() => {
    if (isFollowing && view.current !== null) view.current.scrollTop = view.current.scrollHeight;
  }, [shown, isFollowing]);

  const first = Math.max(0, Math.floor(top / ROW_PX) - SPARE_ROWS);
  const drawn = shown.slice(first, Math.ceil((top + height) / ROW_PX) + SPARE_ROWS);
  const toCrash = (): void => {
    const at = shown.findLastIndex(line => line.isCrash);
    if (at < 0 || view.current === null) return;
    setFollowing(false);
    view.current.scrollTop = Math.max(0, at * ROW_PX - height / 2);
  };
  return (
    <section className="sheet" aria-labelledby="log-title">
      <header>
        <h2 id="log-title">Log</h2>
        <span className="quiet small">
          {staleSince === null ? 'live' : `stale since ${clock(staleSince).slice(0, 8)}: the API does not answer`}
        </span>
        <span className="end">
          <AsCommand
            commands={{
              cf: `logs ${appName}`,
              cupola: `logs ${appName}`,
              api: { method: 'GET', path: `/api/v1/read/${appGuid}?envelope_types=LOG` },
            }}
          />
        </span>
      </header>
      <LogTools lines={lines} filter={filter} isBad={matcher === null} change={setFilter}>
        <button type="button" className="button" disabled={!shown.some(line => line.isCrash)} onClick={toCrash}>
          To the last crash
        </button>
        <button type="button" className="button" disabled={shown.length === 0} onClick={() => download(appName, shown)}>
          Download
        </button>
      </LogTools>
      <div
        className="log"
        ref={view}
        role="log"
        aria-label={`Log of ${appName}`}
        // A crowd of lines would drown a screen reader's user: they are read by walking through them.
        aria-live="off"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard.
        tabIndex={0}
        onScroll={event => {
          const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
          setTop(scrollTop);
          setFollowing(scrollHeight - scrollTop - clientHeight < ROW_PX * 2);
        }}
      >
        <svg width="1" height={shown.length * ROW_PX} aria-hidden="true" />
        <div className="lines" style={{ top: first * ROW_PX }}>
          {drawn.map(line => (
            <Row key={line.id} line={line} />
          ))}
        </div>
      </div>
      <footer className="log-foot small quiet">
        <span>
          {shown.length === lines.length ? '' : `${shown.length} of `}
          {lines.length} {lines.length === 1 ? 'line' : 'lines'}
        </span>
        {lines.length === 0 && (
          <span>{isFirstRead ? 'Reading…' : 'Nothing was logged yet. What the app prints appears here.'}</span>
        )}
        {!isFollowing && (
          <button type="button" className="copy" onClick={() => setFollowing(true)}>
            paused: follow again
          </button>
        )}
      </footer>
    </section>
  );
}

function Row({ line }: { line: LogLine }) {
  const kind = line.isError ? 'err' : line.source.startsWith('APP') || line.source === 'RTR' ? '' : 'platform';
  return (
    <div className={`line ${kind} ${line.isCrash ? 'crash' : ''}`}>
      <span className="at">{clock(Number(line.timestampNs / 1_000_000n))}</span>
      <span className="from" title={`${line.source}/${line.instance}`}>
        {line.source.replace('APP/PROC/', '').replace('APP/', '')}/{line.instance}
      </span>
      <span className="text">
        {spansOf(line.text).map((span, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: spans of one line never change their order.
          <span key={index} className={span.className === '' ? undefined : span.className}>
            {span.text}
          </span>
        ))}
      </span>
    </div>
  );
}

interface ToolsProps {
  lines: readonly LogLine[];
  filter: LogFilter;
  /** The pattern is none. */
  isBad: boolean;
  change(filter: LogFilter): void;
  children: ReactNode;
}

interface FacetProps {
  label: string;
  /** What is said where nothing is chosen. */
  all: string;
  /** Empty: all. */
  value: string;
  values: readonly string[];
  choose(value: string): void;
}

function Facet({ label, all, value, values, choose }: FacetProps) {
  return (
    <select className="field" aria-label={label} value={value} onChange={event => choose(event.target.value)}>
      <option value="">{all}</option>
      {values.map(one => (
        <option key={one}>{one}</option>
      ))}
    </select>
  );
}

function LogTools({ lines, filter, isBad, change, children }: ToolsProps) {
  const sources = useMemo(() => [...new Set(lines.map(({ source }) => source))].sort(), [lines]);
  const instances = useMemo(() => [...new Set(lines.map(({ instance }) => instance))].sort(), [lines]);
  return (
    <div className="log-tools">
      <input
        className="field grow mono"
        type="search"
        aria-label="Filter the log"
        placeholder={filter.isRegex ? 'pattern' : 'text'}
        aria-invalid={isBad}
        value={filter.text}
        onChange={event => change({ ...filter, text: event.target.value })}
      />
      <label className="row small">
        <input
          type="checkbox"
          checked={filter.isRegex}
          onChange={event => change({ ...filter, isRegex: event.target.checked })}
        />
        regex
      </label>
      <Facet
        label="Source"
        all="all sources"
        value={filter.source}
        values={sources}
        choose={source => change({ ...filter, source })}
      />
      <Facet
        label="Instance"
        all="all instances"
        value={filter.instance}
        values={instances}
        choose={instance => change({ ...filter, instance })}
      />
      {children}
    </div>
  );
}

function download(appName: string, lines: readonly LogLine[]): void {
  const text = lines.map(
    line =>
      `${new Date(Number(line.timestampNs / 1_000_000n)).toISOString()} [${line.source}/${line.instance}] ${line.isError ? 'ERR' : 'OUT'} ${line.plain}\n`,
  );
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob(text, { type: 'text/plain' }));
  link.download = `${appName.replace(/[^\w.-]+/g, '_')}.log`;
  link.click();
  URL.revokeObjectURL(link.href);
}
