import { clock } from '../ui/time.ts';
import { spansOf } from './ansi.ts';
import { foldJson } from './json.ts';
import type { LogLine } from './lines.ts';
import { rangeText, reaching } from './log-range.ts';
import type { LogRow } from './log-rows.ts';

interface RowProps {
  row: LogRow;
  isChosen: boolean;
  /** Reached by Tab; from there arrows go to the others. */
  isStop: boolean;
  isUnfolded: boolean;
  /** `isMore`: up to this line too. */
  choose(line: LogLine, isMore: boolean): void;
  unfold(line: LogLine): void;
}

export function Row({ row: { line, detail }, isChosen, isStop, isUnfolded, choose, unfold }: RowProps) {
  if (detail !== null)
    return (
      <div className="line detail">
        <span className="text">{detail}</span>
      </div>
    );
  const kind = line.isError ? 'err' : line.source.startsWith('APP') || line.source === 'RTR' ? '' : 'platform';
  const time = clock(Number(line.timestampNs / 1_000_000n));
  return (
    <div className={`line ${kind} ${line.isCrash ? 'crash' : ''} ${isChosen ? 'chosen' : ''}`}>
      <a
        className="at"
        tabIndex={isStop ? 0 : -1}
        href={`?log=${rangeText(reaching(null, line.timestampNs))}`}
        title="Link to this line; with Shift to all from the one before"
        onClick={event => {
          if (event.ctrlKey || event.metaKey) return;
          event.preventDefault();
          choose(line, event.shiftKey);
        }}
      >
        {time}
      </a>
      <span className="from" title={`${line.source}/${line.instance}`}>
        {line.source.replace('APP/PROC/', '').replace('APP/', '')}/{line.instance}
      </span>
      <Text line={line} isUnfolded={isUnfolded} unfold={unfold} />
    </div>
  );
}

function Text({ line, isUnfolded, unfold }: Pick<RowProps, 'isUnfolded' | 'unfold'> & { line: LogLine }) {
  const json = foldJson(line.plain);
  if (json !== null)
    return (
      <>
        <button
          type="button"
          className="fold"
          aria-expanded={isUnfolded}
          aria-label={`${isUnfolded ? 'Fold' : 'Unfold'} ${json.message === '' ? 'this line' : json.message}`}
          onClick={() => unfold(line)}
        >
          {isUnfolded ? '▾' : '▸'}
        </button>
        <span className={`text ${json.level}`}>
          {json.message} <span className="rest">{json.rest}</span>
        </span>
      </>
    );
  return (
    <span className="text">
      {spansOf(line.text).map((span, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: spans of one line never change their order.
        <span key={index} className={span.className === '' ? undefined : span.className}>
          {span.text}
        </span>
      ))}
    </span>
  );
}
