import { expect, test } from 'vitest';
import { lineSplitter, parsePosition, parseRecords } from './output.ts';

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
