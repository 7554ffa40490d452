/** Reads what a shim writes: `state`, `exit`, and its log segments. The agent's side of the folder protocol (README.md). */
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  watch,
  writeSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { OutputLine } from './sandbox.ts';

export interface ShimState {
  shimPid: number;
  childPid: number;
  boot: string;
  startedMs: number;
}
export interface ShimExit {
  /** False: no app code ran; `why` says what failed. */
  started: boolean;
  why: string;
  code: number;
  signal: number;
  oomKills: number;
  atMs: number;
}

const fields = (text: string): Map<string, string> =>
  new Map(
    text.split('\n').map(line => {
      const space = line.indexOf(' ');
      return [line.slice(0, space), line.slice(space + 1)] as const;
    }),
  );
const readOrNull = (file: string): string | null => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null; // Not written yet, or never.
  }
};

export function readState(folder: string): ShimState | null {
  const text = readOrNull(join(folder, 'state'));
  if (text === null) return null;
  const found = fields(text);
  const pid = (key: string): number => Number(found.get(key)?.split(' ')[0] ?? 0);
  return {
    shimPid: pid('shim'),
    childPid: pid('child'),
    boot: found.get('boot') ?? '',
    startedMs: Number(found.get('started')),
  };
}

export function readExit(folder: string): ShimExit | null {
  const text = readOrNull(join(folder, 'exit'));
  if (text === null) return null;
  const found = fields(text);
  const number = (key: string): number => Number(found.get(key) ?? 0);
  return {
    started: found.get('started') === '1',
    why: found.get('why') ?? '',
    code: number('code'),
    signal: number('signal'),
    oomKills: number('oom'),
    atMs: number('at'),
  };
}

/**
 * Resolves when the shim has ended: at once if it has, else when its end of `alive` closes. `kill -0` is not to be trusted where pid 1 does not reap.
 */
export function shimEnded(folder: string): Promise<void> {
  let fd: number;
  try {
    fd = openSync(join(folder, 'alive'), constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return Promise.resolve(); // No FIFO: it never began.
  }
  try {
    if (readSync(fd, Buffer.alloc(1)) === 0) {
      closeSync(fd);
      return Promise.resolve();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
  }
  return new Promise(resolve => {
    const socket = new Socket({ fd, readable: true, writable: false });
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.destroy());
    socket.on('close', () => resolve());
    socket.resume();
    // A shim does not keep the agent alive.
    socket.unref();
  });
}

/** Orders to the shim: `T` terminate, `K` kill. False when it has ended. */
export function order(folder: string, letter: 'T' | 'K'): boolean {
  try {
    const fd = openSync(join(folder, 'ctl'), constants.O_WRONLY | constants.O_NONBLOCK);
    writeSync(fd, letter);
    closeSync(fd);
    return true;
  } catch {
    return false; // ENXIO: nobody reads any more.
  }
}

interface Chunk {
  timestampMs: number;
  stream: 'o' | 'e' | 'd';
  bytes: Buffer;
}

/** Whole records of one segment from `offset` on; a torn last one is left for the next read. */
export function parseRecords(buffer: Buffer): { chunks: Chunk[]; read: number } {
  const chunks: Chunk[] = [];
  let at = 0;
  for (;;) {
    const newline = buffer.indexOf(10, at);
    if (newline < 0) break;
    const [time = '', stream = '', length = ''] = buffer.toString('latin1', at, newline).split(' ');
    const end = newline + 1 + Number(length);
    if (end > buffer.length) break;
    chunks.push({
      timestampMs: Number(time),
      stream: stream as Chunk['stream'],
      bytes: buffer.subarray(newline + 1, end),
    });
    at = end;
  }
  return { chunks, read: at };
}

/** A line is cut here: longer ones come in pieces (as Diego does at 60 KiB). */
const LINE_MAX = 64 * 1024;

/** Joins chunks to lines, for each stream apart. */
export function lineSplitter(): { push(chunk: Chunk): OutputLine[]; flush(): OutputLine[] } {
  const rest: Record<'o' | 'e', { bytes: Buffer; timestampMs: number }> = {
    o: { bytes: Buffer.alloc(0), timestampMs: 0 },
    e: { bytes: Buffer.alloc(0), timestampMs: 0 },
  };
  let droppedBytes = 0;
  const emit = (stream: 'o' | 'e', bytes: Buffer, timestampMs: number): OutputLine => {
    const line = {
      stream: stream === 'o' ? ('out' as const) : ('err' as const),
      timestampMs,
      line: bytes.toString('utf8').replace(/\r$/, ''),
      droppedBytes,
    };
    droppedBytes = 0;
    return line;
  };
  return {
    push: ({ stream, bytes, timestampMs }) => {
      if (stream === 'd') {
        droppedBytes += Number(bytes.toString('latin1'));
        // Said at once: an app that prints nothing but surplus would never be told.
        const line: OutputLine = { stream: 'err', timestampMs, line: '', droppedBytes };
        droppedBytes = 0;
        return [line];
      }
      const lines: OutputLine[] = [];
      const held = rest[stream];
      let data = held.bytes.length === 0 ? bytes : Buffer.concat([held.bytes, bytes]);
      for (;;) {
        const newline = data.indexOf(10);
        if (newline < 0 && data.length < LINE_MAX) break;
        const cut = newline < 0 || newline > LINE_MAX ? LINE_MAX : newline;
        lines.push(emit(stream, data.subarray(0, cut), timestampMs));
        data = data.subarray(cut === newline ? cut + 1 : cut);
      }
      rest[stream] = { bytes: Buffer.from(data), timestampMs };
      return lines;
    },
    flush: () =>
      (['o', 'e'] as const).flatMap(stream =>
        rest[stream].bytes.length === 0 ? [] : [emit(stream, rest[stream].bytes, rest[stream].timestampMs)],
      ),
  };
}

/** `SEGMENT:OFFSET`: up to where a reader has taken everything. */
interface Position {
  segment: number;
  offset: number;
}
const parsePosition = (text: string | undefined): Position => {
  const [segment = 0, offset = 0] = (text ?? '0:0').split(':').map(Number);
  return { segment, offset };
};

/**
 * Lines of a sandbox as they come, then to the end once `ended` resolves. Woken by the file system (1 ms), with a slow look as a net. A position is that
 * of the chunk a line ended in: after a restart the unfinished line of that moment is read again, none is lost.
 */
export async function* followOutput(
  folder: string,
  from: string | undefined,
  ended: Promise<unknown>,
): AsyncIterable<OutputLine & { position: string }> {
  let position = parsePosition(from);
  const splitter = lineSplitter();
  let over = false;
  let wake = Promise.withResolvers<void>();
  const poke = (): void => wake.resolve();
  void ended.then(() => {
    over = true;
    poke();
  });
  const watcher = existsSync(folder) ? watch(folder, { persistent: false }, poke) : null;
  watcher?.on('error', poke);
  const net = setInterval(poke, 5_000);
  net.unref();
  try {
    for (;;) {
      const last = over;
      wake = Promise.withResolvers();
      for (const { chunks, next } of readOn(folder, position)) {
        position = next;
        const text = `${position.segment}:${position.offset}`;
        for (const chunk of chunks) for (const line of splitter.push(chunk)) yield { ...line, position: text };
      }
      if (last) break;
      await wake.promise;
    }
    for (const line of splitter.flush()) yield { ...line, position: `${position.segment}:${position.offset}` };
  } finally {
    clearInterval(net);
    watcher?.close();
  }
}

/** Everything after a position, segment by segment. A segment that the shim has removed is skipped. */
function* readOn(folder: string, from: Position): Iterable<{ chunks: Chunk[]; next: Position }> {
  let names: string[] = [];
  try {
    names = readdirSync(folder);
  } catch {
    return; // Removed meanwhile.
  }
  const segments = names
    .flatMap(name => /^log\.(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .filter(number => number >= from.segment)
    .sort((a, b) => a - b);
  for (const segment of segments) {
    const file = join(folder, `log.${segment}`);
    const offset = segment === from.segment ? from.offset : 0;
    let buffer: Buffer;
    try {
      const size = statSync(file).size;
      if (size <= offset) continue;
      buffer = Buffer.alloc(size - offset);
      const fd = openSync(file, 'r');
      const got = readSync(fd, buffer, 0, buffer.length, offset);
      closeSync(fd);
      buffer = buffer.subarray(0, got);
    } catch {
      continue; // The shim keeps four segments: this one went.
    }
    const { chunks, read } = parseRecords(buffer);
    if (read > 0) yield { chunks, next: { segment, offset: offset + read } };
  }
}
