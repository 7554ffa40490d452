import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { followOutput, lineSplitter, parsePosition, parseRecords } from './output.ts';

const START = { segment: 1, offset: 0 };
const record = (stream: 'o' | 'e', text: string, at = 1_000): string =>
  `${at} ${stream} ${Buffer.byteLength(text)}\n${text}`;
const recordsOf = (text: string) => parseRecords(Buffer.from(text), START);

function linesOf(text: string, from?: string) {
  const splitter = lineSplitter(parsePosition(from));
  return [...recordsOf(text).flatMap(chunk => splitter.push(chunk)), ...splitter.flush()];
}

test('parseRecords() leaves a torn last record for the next read', () => {
  const whole = record('o', 'one\n');
  const torn = record('o', 'two\n').slice(0, -2);
  expect(recordsOf(whole + torn).map(({ bytes }) => bytes.toString())).toEqual(['one\n']);
});

test('lineSplitter() joins a line that came in pieces, each stream apart', () => {
  const text = record('o', 'hel') + record('e', 'warn') + record('o', 'lo\n') + record('e', 'ing\n');
  expect(linesOf(text).map(({ stream, line }) => `${stream} ${line}`)).toEqual(['out hello', 'err warning']);
});

test('lineSplitter() ends with what has no newline', () => {
  expect(linesOf(record('o', 'no newline')).map(({ line }) => line)).toEqual(['no newline']);
});

test('lineSplitter() cuts a line without an end into pieces, and loses none of it', () => {
  const long = 'x'.repeat(200_000);
  const lines = linesOf(record('o', `${long}\n`)).map(({ line }) => line);
  expect(lines.length).toBeGreaterThan(1);
  expect(lines.join('')).toBe(long);
});

test('a reader that goes on from any line position reads the rest, each line once', () => {
  const text = record('o', 'a\nb') + record('e', 'x') + record('o', '1\nc\n') + record('e', 'y\n');
  const all = linesOf(text);
  const rests = all.map(({ position }) => linesOf(text, position).map(({ line }) => line));
  expect(rests).toEqual(all.map((_, index) => all.slice(index + 1).map(({ line }) => line)));
});

/** A shim's folder with these segments, and what a reader of all of it gets. */
async function readAll(segments: Record<number, string>, from?: string) {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-output-'));
  for (const [number, text] of Object.entries(segments)) writeFileSync(join(folder, `log.${number}`), text);
  const lines = await Array.fromAsync(followOutput(folder, from, Promise.resolve()));
  rmSync(folder, { recursive: true });
  return lines;
}
const MIB = 1024 * 1024;
const seen = (lines: Awaited<ReturnType<typeof readAll>>) =>
  lines.map(({ line, unreadBytes }) => (unreadBytes > 0 ? unreadBytes : line.slice(0, 3)));

test('followOutput() tells how much is missing where the shim has removed what was not read', async () => {
  const full = record('o', `big${'-'.repeat(MIB)}\n`);
  const tail = record('o', 'end\n');
  expect(seen(await readAll({ 1: tail }))).toEqual(['end']);
  expect(seen(await readAll({ 3: tail }))).toEqual([2 * MIB, 'end']);
  const [first] = await readAll({ 1: record('o', 'one\ntwo\n') });
  const partly = await readAll({ 2: tail }, first?.position);
  expect(seen(partly)).toEqual([MIB, 'end']);
  // A reader that goes on from the word about it is not told again.
  expect(seen(await readAll({ 2: tail }, partly[0]?.position))).toEqual(['end']);
  // What was read to its end is not missing when it goes.
  const whole = await readAll({ 1: full });
  expect(seen(await readAll({ 2: tail }, whole.at(-1)?.position))).toEqual(['end']);
});
