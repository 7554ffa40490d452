/** Lines of an instance's sidecars in its one output: marked by its launcher, told apart here. Who forges a mark names a source of his own app. */
import type { LogSource } from './log-sender.ts';

/** Around a sidecar's number, at the beginning of its lines: ASCII's record separator, which no text has. */
export const SIDECAR_MARK = '\u001e';
const MARKED = new RegExp(`^${SIDECAR_MARK}(\\d{1,3})${SIDECAR_MARK}`);

/** `APP/PROC/WEB/SIDECAR/NAME` and the line without its mark; any other line as it is. */
export function sourceOfLine(
  line: string,
  source: LogSource,
  sidecars: ReadonlyArray<{ name: string }>,
): { source: LogSource; line: string } {
  if (sidecars.length === 0) return { source, line };
  const [mark = '', number] = MARKED.exec(line) ?? [];
  const sidecar = number === undefined ? undefined : sidecars[Number(number)];
  if (sidecar === undefined) return { source, line };
  const sourceType = `${source.sourceType}/SIDECAR/${sidecar.name.toUpperCase()}`;
  return { source: { ...source, sourceType }, line: line.slice(mark.length) };
}
