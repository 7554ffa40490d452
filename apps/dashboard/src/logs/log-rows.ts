/** Lines as rows of one height: of what is unfolded each line of the JSON is a row below it. Pure. */
import { unfoldJson } from './json.ts';
import type { LogLine } from './lines.ts';

export interface LogRow {
  line: LogLine;
  /** A line of the unfolded JSON; null: the log's own line. */
  detail: string | null;
  key: string;
}

/** @param unfolded ids of lines. */
export function rowsOf(lines: readonly LogLine[], unfolded: ReadonlySet<number>): LogRow[] {
  return lines.flatMap(line => {
    const row = { line, detail: null, key: String(line.id) };
    if (!unfolded.has(line.id)) return row;
    return [row, ...unfoldJson(line.plain).map((detail, at) => ({ line, detail, key: `${line.id}.${at}` }))];
  });
}
