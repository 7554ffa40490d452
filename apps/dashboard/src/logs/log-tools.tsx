import { type ReactNode, useMemo } from 'react';
import type { LogFilter, LogLine } from './lines.ts';

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

export function LogTools({ lines, filter, isBad, change, children }: ToolsProps) {
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

/** As text, a line each, with what the panel leaves out: the day and the stream. */
export function download(appName: string, lines: readonly LogLine[]): void {
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
