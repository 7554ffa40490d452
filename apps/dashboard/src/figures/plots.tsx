/**
 * One uPlot for each graph, all on the same axis of time, below each other. Drawn on canvas and placed by script: no style is written into the page, which our
 * policy would refuse. Colours are those of the style sheet, read from the legend, so that they change with the theme.
 */
import type { AppFigures } from '@cupola/contract/v3/figures';
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import { type Chart, loneOf, MARK_SIGNS, newestOf, placesOf, stackedOf } from './charts.ts';
import { type Range, timeText } from './ranges.ts';

interface Props {
  charts: readonly Chart[];
  times: readonly string[];
  marks: AppFigures['marks'];
  range: Range;
  /** Where the axis ends. */
  endMs: number;
  /** Index of the window that is pointed at; null: none. */
  at: number | null;
  setAt(at: number | null): void;
}

export function Plots(props: Props) {
  const { charts, at } = props;
  return (
    <div className="plots">
      {/* Colours of what is no line. */}
      <span className="probes" aria-hidden="true">
        {['ink', 'quiet', 'grid', ...Object.keys(MARK_SIGNS).map(kind => `mark-${kind}`)].map(name => (
          <i key={name} data-colour={name} className={name} />
        ))}
      </span>
      {charts.map((chart, index) => (
        <div key={chart.key} className={`plot plot-${chart.key}`}>
          <dl className="plot-legend">
            <dt className="label">{chart.title}</dt>
            {chart.lines.map(({ key, label, values, isLimit }) => {
              const value = at === null ? newestOf(values) : (values[at] ?? null);
              return (
                <dd key={key}>
                  <i data-colour={key} className={`line-${key} ${isLimit ? 'is-limit' : ''}`} aria-hidden="true" />
                  {label} <span className="number">{value === null ? '–' : chart.text(value)}</span>
                </dd>
              );
            })}
          </dl>
          <Plot {...props} chart={chart} isLast={index === charts.length - 1} />
        </div>
      ))}
    </div>
  );
}

const AXIS_PX = 56;
const TIMES_PX = 28;
/** Of each graph, without its axis of time. */
const HEIGHTS_PX: Record<string, number> = { requests: 112, latency: 92 };
const HEIGHT_PX = 72;
const FONT = '11px "IBM Plex Mono", ui-monospace, monospace';

function Plot({ chart, isLast, ...shown }: Props & { chart: Chart; isLast: boolean }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  // What is drawn is looked up when it is drawn: a plot is made anew only for other lines.
  const newest = useRef({ ...shown, chart });
  newest.current = { ...shown, chart };
  const height = (HEIGHTS_PX[chart.key] ?? HEIGHT_PX) + (isLast ? TIMES_PX : 0);
  const lines = chart.lines.map(({ key }) => key).join(' ');
  // biome-ignore lint/correctness/useExhaustiveDependencies: other lines are another plot.
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const made = new uPlot(optionsOf(newest, { isLast, height, width: element.clientWidth }), [[]], element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    const draw = (): void => made.redraw(false, true);
    const theme = new MutationObserver(draw);
    theme.observe(document.documentElement, { attributeFilter: ['data-theme'] });
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', draw);
    return () => {
      dark.removeEventListener('change', draw);
      theme.disconnect();
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [lines, height, isLast]);
  const { times, endMs, range, marks } = shown;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the lines are the plot's, and marks are drawn with it.
  useEffect(() => {
    const made = plot.current;
    if (made === null) return;
    const values = chart.lines.map(line => line.values);
    made.batch(() => {
      made.setData([times.map(time => Date.parse(time) / 1_000), ...dataOf(chart.isStacked, values)], false);
      made.setScale('x', { min: (endMs - range.lengthMs) / 1_000, max: endMs / 1_000 });
    });
    made.redraw(true, true);
  }, [lines, times, chart.lines.map(({ values }) => values.at(-1)).join(), endMs, range, marks, height]);
  return <div ref={place} className="plot-place" aria-hidden="true" />;
}

type Newest = { current: Props & { chart: Chart } };
type Series = Array<Array<number | null>>;

const dataOf = (isStacked: boolean, values: ReadonlyArray<ReadonlyArray<number | null>>): Series =>
  (isStacked ? stackedOf(values) : values).map(one => [...one]);

function optionsOf(
  newest: Newest,
  { isLast, height, width }: { isLast: boolean; height: number; width: number },
): uPlot.Options {
  const { chart } = newest.current;
  const axis = {
    font: FONT,
    stroke: (u: uPlot) => colourOf(u, 'quiet'),
    grid: { stroke: (u: uPlot) => colourOf(u, 'grid'), width: 1 },
    ticks: { show: false },
    gap: 6,
  };
  return {
    width,
    height,
    padding: [11, 8, isLast ? 0 : 9, 0],
    legend: { show: false },
    cursor: { sync: { key: 'figures' }, y: false, points: { size: 5 }, drag: { x: false, y: false } },
    scales: {
      x: { time: true },
      y: { range: (_, __, max) => [0, Math.max(newest.current.chart.least, max) * 1.08] },
    },
    axes: [
      {
        ...axis,
        show: true,
        size: isLast ? TIMES_PX : 0,
        space: 70,
        values: (_, splits) => splits.map(at => (isLast ? timeText(at * 1_000, newest.current.range) : '')),
      },
      {
        ...axis,
        size: AXIS_PX,
        space: 26,
        values: (_, splits) => splits.map(value => newest.current.chart.text(value)),
      },
    ],
    series: [{}, ...chart.lines.map((line, index) => seriesOf(chart, { ...line, index }))],
    bands: chart.isStacked
      ? chart.lines.slice(1).map(({ key }, index) => ({
          series: [index + 2, index + 1],
          fill: u => fillOf(u, key),
        }))
      : [],
    hooks: {
      draw: [u => drawMarks(u, newest.current.marks)],
      setCursor: [
        // All move together: one of them tells.
        u => {
          if (chart.key === 'requests') newest.current.setAt(u.cursor.idx ?? null);
        },
      ],
    },
  };
}

function seriesOf(
  { isStacked, lines }: Chart,
  { key, isLimit, index }: { key: string; isLimit?: true; index: number },
): uPlot.Series {
  return {
    stroke: u => colourOf(u, key),
    width: isLimit ? 1 : 1.5,
    ...(isLimit ? { dash: [4, 4] } : {}),
    ...((isStacked || lines.length === 1 || key === 'memory') && index === 0 ? { fill: u => fillOf(u, key) } : {}),
    points: {
      size: 4,
      show: true,
      fill: u => colourOf(u, key),
      filter: (u, series) => loneOf((u.data[series] ?? []) as Array<number | null>),
    },
  };
}

/** As the style sheet has it in this theme: that of the legend, or of a probe. */
function colourOf(u: uPlot, name: string): string {
  const probe = u.root.closest('.plots')?.querySelector(`[data-colour="${name}"]`);
  return probe === null || probe === undefined ? '#888' : getComputedStyle(probe).color;
}
const fillOf = (u: uPlot, name: string): string =>
  colourOf(u, name).replace(/^rgb\((.*)\)$/, (_, numbers: string) => `rgba(${numbers}, 0.22)`);

const SIGN_PX = 10;

function drawMarks(u: uPlot, marks: AppFigures['marks']): void {
  const { ctx, bbox } = u;
  const ratio = uPlot.pxRatio;
  ctx.save();
  ctx.font = `${10 * ratio}px sans-serif`;
  ctx.textAlign = 'center';
  ctx.textBaseline = 'top';
  const shown = marks
    .map(({ at, kind }) => ({ kind, x: u.valToPos(Date.parse(at) / 1_000, 'x', true) }))
    .filter(({ x }) => x >= bbox.left && x <= bbox.left + bbox.width);
  const places = placesOf(
    shown.map(({ x }) => x),
    { gap: SIGN_PX * ratio, most: u.ctx.canvas.width - (SIGN_PX / 2) * ratio },
  );
  for (const [index, { kind, x }] of shown.entries()) {
    ctx.strokeStyle = ctx.fillStyle = colourOf(u, `mark-${kind}`);
    ctx.lineWidth = ratio;
    ctx.setLineDash([2 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    // The sign stands once, over the uppermost graph.
    if (u.root.closest('.plot-requests') === null) continue;
    ctx.fillText(MARK_SIGNS[kind][0], places[index] ?? x, 0);
  }
  ctx.restore();
}
