/** Graphs of an app on one axis of time. Loaded when an app's page is shown, with uPlot: the first view does without. */
import type { AppFigures } from '@cupola/contract/v3/figures';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { nowThere } from '../data/http.ts';
import type { ShownProcess } from '../data/queries.ts';
import type { App } from '../data/read.ts';
import { AsCommand } from '../ui/action.tsx';
import { useNow } from '../ui/since.tsx';
import { chartsOf, countedMarks, MARK_SIGNS, marksAt } from './charts.ts';
import { figuresQuery } from './figures-query.ts';
import { FiguresTable } from './figures-table.tsx';
import { Plots } from './plots.tsx';
import { askedOf, FIRST_RANGE, RANGES, type Range, rangeOf } from './ranges.ts';

export function FiguresPanel({ app, processes }: { app: App; processes: readonly ShownProcess[] }) {
  const [range, setRange] = useState<Range>(FIRST_RANGE);
  const { data: figures, isPlaceholderData } = useQuery(figuresQuery(app.guid, range));
  const limitMb = processes.reduce((sum, { process }) => sum + process.instances * process.memory_in_mb, 0);
  const { start, step } = askedOf(range, nowThere());
  return (
    <section className="sheet figures" aria-labelledby="figures-title">
      <header>
        <h2 id="figures-title">Figures</h2>
        <fieldset className="ranges">
          <legend className="hidden-label">How far back</legend>
          {RANGES.map(one => (
            <button
              key={one.key}
              type="button"
              className="copy"
              aria-pressed={one.key === range.key}
              onClick={() => setRange(one)}
            >
              {one.label}
            </button>
          ))}
        </fieldset>
        <span className="end">
          <AsCommand
            commands={{
              cf: null,
              cupola: `top`,
              api: { method: 'GET', path: `/v3/apps/${app.guid}/metrics?start=${start}&step=${step}` },
            }}
          />
        </span>
      </header>
      {figures === undefined ? (
        <p className="body quiet figures-wait">Reading…</p>
      ) : (
        <Shown
          figures={figures}
          range={isPlaceholderData ? rangeOf(figures.times.length, figures.step_seconds) : range}
          limitMb={limitMb}
        />
      )}
    </section>
  );
}

function Shown({ figures, range, limitMb }: { figures: AppFigures; range: Range; limitMb: number | null }) {
  const [at, setAt] = useState<number | null>(null);
  // The axis moves on, also while nothing is told of an app that rests.
  useNow();
  const stepMs = figures.step_seconds * 1_000;
  const told = Date.parse(figures.times.at(-1) ?? '') + stepMs;
  const endMs = Math.max(told, Math.floor(nowThere() / stepMs) * stepMs);
  const charts = chartsOf(figures, limitMb);
  const isEmpty = charts.every(({ lines }) => lines.every(line => line.isLimit || line.values.every(v => v === null)));
  return (
    <>
      <Plots
        charts={charts}
        times={figures.times}
        marks={figures.marks}
        range={range}
        endMs={endMs}
        at={at}
        setAt={setAt}
      />
      <p className="figures-foot small quiet" aria-hidden="true">
        {at === null ? <Marks marks={figures.marks} isEmpty={isEmpty} /> : <Under figures={figures} at={at} />}
      </p>
      <FiguresTable charts={charts} marks={figures.marks} label={range.label} />
    </>
  );
}

/** What the signs in the graphs are. */
function Marks({ marks, isEmpty }: { marks: AppFigures['marks']; isEmpty: boolean }) {
  return (
    <>
      {isEmpty && <span>Nothing was measured in this time. A running app is, each ten seconds.</span>}
      {countedMarks(marks).map(({ kind, count }) => (
        <span key={kind}>
          <b className={`mark-${kind}`}>{MARK_SIGNS[kind][0]}</b> {count} {MARK_SIGNS[kind][count === 1 ? 1 : 2]}
        </span>
      ))}
    </>
  );
}

/** What was at the place that is pointed at. */
function Under({ figures, at }: { figures: AppFigures; at: number }) {
  const from = Date.parse(figures.times[at] ?? '');
  const marks = marksAt(figures.marks, from, figures.step_seconds * 1_000);
  return (
    <>
      <span className="number">{new Date(from).toLocaleString()}</span>
      {marks.map(({ event_guid, kind, actor }) => (
        <span key={event_guid}>
          <b className={`mark-${kind}`}>{MARK_SIGNS[kind][0]}</b> {MARK_SIGNS[kind][1]}
          {actor === '' ? '' : ` by ${actor}`}
        </span>
      ))}
    </>
  );
}
