/** Docker's log files as its engine writes and renames them, read by one reader after another. */
import { appendFileSync, existsSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tempFolder } from '../fixtures.ts';
import { followLog } from '../output.ts';
import { jsonLog } from './json-log.ts';

const FILES = 4;
const AT = '2026-01-01T00:00:00.123456789Z';

const bornAt = (path: string): bigint => statSync(path, { bigint: true }).birthtimeNs;

function aLog() {
  const folder = tempFolder();
  const path = join(folder.path, 'x-json.log');
  return {
    path,
    write: (log: string, { stream = 'stdout', time = AT } = {}) =>
      appendFileSync(path, `${JSON.stringify({ log, stream, time })}\n`),
    /** As the engine does once a file is full. */
    rotate: () => {
      for (let number = FILES - 1; number > 0; number--) {
        const from = number === 1 ? path : `${path}.${number - 1}`;
        if (existsSync(from)) renameSync(from, `${path}.${number}`);
      }
      // The kernel's clock for files moves each few ms, in which no engine fills one.
      do {
        rmSync(path, { force: true });
        writeFileSync(path, '');
      } while (bornAt(path) === bornAt(`${path}.1`));
    },
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

/** All that there is, as of one that has ended. */
async function read(path: string, { from, rate = -1 }: { from?: string | undefined; rate?: number } = {}) {
  const lines = [];
  for await (const line of followLog(jsonLog(path, rate), from, Promise.resolve())) lines.push(line);
  return lines;
}

test('jsonLog() joins the pieces of a long line, of each stream apart, and tells when', async () => {
  using log = aLog();
  log.write('be');
  log.write('wrong\n', { stream: 'stderr' });
  log.write('gun\nnext\n');
  log.write('no newline');
  const lines = await read(log.path);
  expect(lines.map(({ stream, line }) => [stream, line])).toEqual([
    ['err', 'wrong'],
    ['out', 'begun'],
    ['out', 'next'],
    ['out', 'no newline'],
  ]);
  expect(lines[0]?.timestampMs).toBe(Date.parse(AT));
});

test('jsonLog() goes on from any position, through files that were renamed since: no line lost, none twice', async () => {
  using log = aLog();
  const all: string[] = [];
  for (let number = 0; number < 40; number++) {
    if (number > 0 && number % 10 === 0) log.rotate();
    // Half of the lines in two entries, all at the same moment.
    log.write(`${number}`);
    log.write(' ends\n');
    all.push(`${number} ends`);
  }
  const lines = await read(log.path);
  expect(lines.map(({ line }) => line)).toEqual(all);
  log.rotate();
  log.write('after\n');
  for (const [index, { position }] of lines.entries()) {
    const rest = await read(log.path, { from: position });
    // The engine has thrown the oldest file away: what was in it and not read is told as lost.
    const lost = rest.filter(({ unreadBytes }) => unreadBytes > 0).length;
    expect(rest.filter(({ unreadBytes }) => unreadBytes === 0).map(({ line }) => line)).toEqual([
      ...all.slice(Math.max(index + 1, 10)),
      'after',
    ]);
    expect(lost).toBe(index < 10 ? 1 : 0);
  }
});

test('jsonLog() reads what a file that is being written holds, and the rest later', async () => {
  using log = aLog();
  log.write('whole\n');
  appendFileSync(log.path, '{"log":"to');
  const first = await read(log.path);
  expect(first.map(({ line }) => line)).toEqual(['whole']);
  appendFileSync(log.path, `rn\\n","stream":"stdout","time":"${AT}"}\n`);
  expect((await read(log.path, { from: first[0]?.position })).map(({ line }) => line)).toEqual(['torn']);
});

test('jsonLog() passes over an entry that a full disk has cut', async () => {
  using log = aLog();
  appendFileSync(log.path, '{"log":"cu\n');
  log.write('next\n');
  expect((await read(log.path)).map(({ line }) => line)).toEqual(['next']);
});

test('jsonLog() drops what is over the rate by the times of the lines, and tells how much', async () => {
  using log = aLog();
  const at = (second: number) => `2026-01-01T00:00:0${second}.000000000Z`;
  for (const second of [0, 0, 1, 1]) log.write('123456789\n', { time: at(second) });
  log.write('1\n', { time: at(3) });
  const lines = await read(log.path, { rate: 10 });
  expect(lines.map(({ line, droppedBytes }) => (droppedBytes > 0 ? droppedBytes : line))).toEqual([
    '123456789',
    10,
    '123456789',
    10,
    '1',
  ]);
});

test('jsonLog() of a container that is gone has nothing', async () => {
  using log = aLog();
  rmSync(join(log.path, '..'), { recursive: true });
  expect(await read(log.path)).toEqual([]);
});
