/** Pure text: tables, sizes, durations, log lines. */
import type { ClientLogLine } from '@cupola/client/logs';
import type { Explanation } from '@cupola/contract/causes';
import { usageError } from './failures.ts';

/** Columns as wide as their widest cell; the last one as it is. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => (row[column] ?? '').length)));
  return rows
    .map(row =>
      row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('   '),
    )
    .join('\n');
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

const SPANS = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
] as const;

/** For how long something has been so, in whole units: `33 s`, `12 min`, `3 h`, `2 d`. */
export function span(count: number): string {
  const [unit, name] = SPANS.find(([length]) => count >= 2 * length) ?? [1, 's'];
  return `${Math.floor(count / unit)} ${name}`;
}

const UNITS = ['B', 'K', 'M', 'G', 'T'];

/** `64M`, `1.5G`: bytes in the letters that cf takes. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)}${UNITS[unit]}`;
}

/** What a flag says, `64M`, `1G` or `512MB`, in mebibytes. @throws usage error for anything else. */
export function megabytes(flag: string, text: string): number {
  const [, digits, unit] = /^(\d+)\s*([MGT])B?$/i.exec(text.trim()) ?? [];
  if (digits === undefined || unit === undefined)
    throw usageError(`${flag} ${text} is no size.`, `Write it like ${flag} 256M or ${flag} 1G`);
  return Number(digits) * { M: 1, G: 1024, T: 1024 * 1024 }[unit.toUpperCase() as 'M' | 'G' | 'T'];
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** What a program printed, without what could move the cursor or rename the window; colours stay. */
export function harmless(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get through
  return text.replace(/\u001b\[[\d;]*m|[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g, found =>
    found.length > 1 ? found : '',
  );
}

/** As cf prints it: `2026-11-23T05:09:16.23+0000 [APP/PROC/WEB/0] OUT text`. */
export function logLine({ timestampNs, sourceType, instanceId, stream, text }: ClientLogLine): string {
  const at = new Date(Number(timestampNs / 1_000_000n));
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  const offset = -at.getTimezoneOffset();
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.abs(offset) / 60)}${two(Math.abs(offset) % 60)}`;
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${two(at.getMilliseconds() / 10)}`;
  return `${day}T${time}${zone} [${sourceType}/${instanceId}] ${stream} ${harmless(text)}`;
}

/** What shows the cause, what to change, one command to go on with, and where more stands. */
export function explanationText({ code, evidence, mend, next, page }: Explanation): string {
  return [
    ...(evidence === null ? [] : [`  ${harmless(evidence)}`]),
    mend,
    `Next: ${next}      (${code}: ${page})`,
  ].join('\n');
}
