import type { AppFigures } from '@cupola/contract/v3/figures';
import { type Chart, MARK_SIGNS, summaryOf } from './charts.ts';

/** Marks said in words; all of them are in the events below. */
const MARKS_MAX = 20;

/** The graphs in words and numbers: for who does not see them, or wants to copy them. */
export function FiguresTable({
  charts,
  marks,
  label,
}: {
  charts: readonly Chart[];
  marks: AppFigures['marks'];
  label: string;
}) {
  return (
    <details className="figures-table">
      <summary>As a table</summary>
      <div className="scrolls">
        <table>
          <caption className="hidden-label">Figures of the last {label}</caption>
          <thead>
            <tr>
              {['what', '', 'now', 'on average', 'at most'].map(name => (
                <th key={name} className="label" scope="col">
                  {name === '' ? <span className="hidden-label">line</span> : name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {summaryOf(charts).map(({ chart, line, now, mean, most }) => (
              <tr key={`${chart} ${line}`}>
                <th scope="row">{chart}</th>
                <td>{line}</td>
                <td className="number">{now}</td>
                <td className="number">{mean}</td>
                <td className="number">{most}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {marks.length > 0 && (
        <ul className="small" aria-label="What happened">
          {marks
            .slice(-MARKS_MAX)
            .toReversed()
            .map(({ event_guid, at, kind, actor }) => (
              <li key={event_guid}>
                <time className="number quiet" dateTime={at}>
                  {new Date(at).toLocaleString()}
                </time>{' '}
                {MARK_SIGNS[kind][1]} <span className="quiet">{actor}</span>
              </li>
            ))}
        </ul>
      )}
    </details>
  );
}
