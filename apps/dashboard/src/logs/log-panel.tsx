/** The log of an app. Only the rows in view are drawn, so 10,000 lines cost what 30 do. It follows the newest line until somebody scrolls up. */
import { useNavigate, useSearch } from '@tanstack/react-router';
import {
  type KeyboardEvent,
  type ReactNode,
  type RefObject,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from 'react';
import { useLive } from '../live/live-context.ts';
import { AsCommand } from '../ui/action.tsx';
import { Copy } from '../ui/copy.tsx';
import { clock } from '../ui/time.ts';
import { type LogFilter, type LogLine, matcherOf, NO_FILTER } from './lines.ts';
import { isIn, type LogRange, rangeText, reaching, readRange } from './log-range.ts';
import { Row } from './log-row.tsx';
import { type LogRow, rowsOf } from './log-rows.ts';
import { download, LogTools } from './log-tools.tsx';
import { useLog } from './use-log.ts';

/** As in apps.css. */
const ROW_PX = 24;
/** Drawn beyond the view, above and below. */
const SPARE_ROWS = 15;

interface Props {
  appGuid: string;
  appName: string;
}

export function LogPanel(props: Props) {
  const { log } = useSearch({ from: '/apps/$guid' });
  // The page was opened by a link to some lines: these are shown, until somebody wants to see what happens now.
  const [asked, setAsked] = useState(() => readRange(log));
  return asked === null ? (
    <Live key="live" {...props} />
  ) : (
    <Live key="asked" {...props} asked={asked} leave={() => setAsked(null)} />
  );
}

function Live({ appGuid, appName, asked = null, leave }: Props & { asked?: LogRange | null; leave?: () => void }) {
  const log = useLog(appGuid, asked);
  // A read of the log is held for a while; the stream is missed sooner.
  const { staleSince } = useLive();
  const { lines } = log;
  const [filter, setFilter] = useState<LogFilter>(NO_FILTER);
  const matcher = useMemo(() => matcherOf(filter), [filter]);
  const shown = useMemo(() => (matcher === null ? [] : lines.filter(matcher)), [lines, matcher]);
  const [unfolded, setUnfolded] = useState<ReadonlySet<number>>(new Set());
  const rows = useMemo(() => rowsOf(shown, unfolded), [shown, unfolded]);
  const view = useRef<HTMLDivElement>(null);
  const [isFollowing, setFollowing] = useState(asked === null);
  const [chosen, choose] = useChosen(asked);
  const toRow = (at: number): void => {
    if (at < 0 || view.current === null) return;
    setFollowing(false);
    view.current.scrollTop = Math.max(0, at * ROW_PX - view.current.clientHeight / 2);
  };
  const isThere = lines.length > 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when what was asked for has been read.
  useEffect(() => {
    if (asked === null || !isThere) return;
    toRow(rows.findIndex(({ line }) => line.timestampNs >= asked.fromNs));
    view.current?.closest('section')?.scrollIntoView({ block: 'center' });
  }, [isThere]);
  const unfold = ({ id }: LogLine): void => {
    setFollowing(false);
    setUnfolded(known => (known.has(id) ? new Set([...known].filter(one => one !== id)) : new Set([...known, id])));
  };
  return (
    <section className="sheet" id="log" aria-labelledby="log-title">
      <header>
        <h2 id="log-title">Log</h2>
        <span className="quiet small">{about(log.staleSince ?? staleSince, asked)}</span>
        <span className="end">
          {leave !== undefined && (
            <button
              type="button"
              className="button"
              onClick={() => {
                choose(null);
                leave();
              }}
            >
              Back to live
            </button>
          )}
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
        <button
          type="button"
          className="button"
          disabled={!shown.some(line => line.isCrash)}
          onClick={() => toRow(rows.findLastIndex(({ line }) => line.isCrash))}
        >
          To the last crash
        </button>
        <button type="button" className="button" disabled={shown.length === 0} onClick={() => download(appName, shown)}>
          Download
        </button>
      </LogTools>
      <Rows view={view} label={`Log of ${appName}`} rows={rows} isFollowing={isFollowing} setFollowing={setFollowing}>
        {(row, isStop) => (
          <Row
            key={row.key}
            row={row}
            isStop={isStop}
            isChosen={isIn(chosen, row.line.timestampNs)}
            isUnfolded={unfolded.has(row.line.id)}
            unfold={unfold}
            choose={(line, isMore) => {
              setFollowing(false);
              choose(reaching(isMore ? chosen : null, line.timestampNs));
            }}
          />
        )}
      </Rows>
      <footer className="log-foot small quiet">
        <span>
          {shown.length === lines.length ? '' : `${shown.length} of `}
          {lines.length} {lines.length === 1 ? 'line' : 'lines'}
        </span>
        {lines.length === 0 && (
          <span>{log.isFirstRead ? 'Reading…' : 'Nothing was logged yet. What the app prints appears here.'}</span>
        )}
        {log.readOlder !== null && (
          <button type="button" className="copy" onClick={log.readOlder}>
            earlier lines
          </button>
        )}
        {chosen !== null && (
          <span className="row">
            {chosen.fromNs === chosen.toNs ? 'A link to this line' : 'A link to these lines'}
            <Copy text={location.href} what="the link" />
            <button type="button" className="copy" onClick={() => choose(null)}>
              clear
            </button>
          </span>
        )}
        {!isFollowing && asked === null && (
          <button type="button" className="copy" onClick={() => setFollowing(true)}>
            paused: follow again
          </button>
        )}
      </footer>
    </section>
  );
}

function about(staleSince: number | null, asked: LogRange | null): string {
  if (staleSince !== null) return `stale since ${clock(staleSince).slice(0, 8)}: the API does not answer`;
  return asked === null ? 'live' : `around ${new Date(Number(asked.fromNs / 1_000_000n)).toLocaleString()}`;
}

/** Lines that the page's address names. */
function useChosen(asked: LogRange | null): [LogRange | null, (range: LogRange | null) => void] {
  const [chosen, setChosen] = useState(asked);
  const navigate = useNavigate({ from: '/apps/$guid' });
  return [
    chosen,
    range => {
      setChosen(range);
      void navigate({
        search: range === null ? {} : { log: rangeText(range) },
        replace: true,
        resetScroll: false,
      });
    },
  ];
}

interface RowsProps {
  view: RefObject<HTMLDivElement | null>;
  label: string;
  rows: readonly LogRow[];
  isFollowing: boolean;
  setFollowing(isFollowing: boolean): void;
  /** `isStop`: of all links to lines the one that Tab reaches. */
  children(row: LogRow, isStop: boolean): ReactNode;
}

function Rows({ view, label, rows, isFollowing, setFollowing, children }: RowsProps) {
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(456);
  useEffect(() => {
    const element = view.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setHeight(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, [view]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new line is what moves the view.
  useEffect(() => {
    if (isFollowing && view.current !== null) view.current.scrollTop = view.current.scrollHeight;
  }, [rows, isFollowing]);
  // What comes in above the first row leaves what is looked at where it is.
  const first = useRef<string>(undefined);
  useLayoutEffect(() => {
    const before = rows.findIndex(({ key }) => key === first.current);
    if (before > 0 && !isFollowing && view.current !== null) view.current.scrollTop += before * ROW_PX;
    first.current = rows[0]?.key;
  }, [rows, isFollowing, view]);
  const from = Math.max(0, Math.floor(top / ROW_PX) - SPARE_ROWS);
  const drawn = rows.slice(from, Math.ceil((top + height) / ROW_PX) + SPARE_ROWS);
  // The newest line that is wholly in view.
  const stop = rows[Math.min(rows.length, Math.floor((top + height) / ROW_PX)) - 1]?.key;
  return (
    <div
      className="log"
      ref={view}
      role="log"
      aria-label={label}
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
      <svg width="1" height={rows.length * ROW_PX} aria-hidden="true" />
      {/* biome-ignore lint/a11y/noStaticElementInteractions: keys come from the links inside. */}
      <div className="lines" style={{ top: from * ROW_PX }} onKeyDown={toNextLine}>
        {drawn.map(row => children(row, row.key === stop))}
      </div>
    </div>
  );
}

/** Arrows go from the link to a line to that of the next one. */
function toNextLine(event: KeyboardEvent<HTMLDivElement>): void {
  if (event.key !== 'ArrowUp' && event.key !== 'ArrowDown') return;
  const links = [...event.currentTarget.querySelectorAll<HTMLElement>('.at')];
  const at = links.findIndex(link => link.matches(':focus'));
  if (at < 0) return;
  event.preventDefault();
  links[at + (event.key === 'ArrowUp' ? -1 : 1)]?.focus();
}
