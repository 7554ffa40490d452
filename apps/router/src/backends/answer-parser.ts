/**
 * Reads HTTP/1.1 answers off a connection to a copy, however the bytes are cut into reads. Strict, as the parser of Node.js is: what two readers could read
 * differently is refused, and nothing is mended (docs/decisions/0022 tells why there is an own one; a property test holds it against that of Node.js).
 *
 * Refuses: bare CR or LF, folded lines, blanks before a colon, control characters, two lengths, a length beside chunks, a coding other than `chunked`
 * (in HTTP/1.0 any, and 1xx answers, which it does not have), a length or coding among trailers, a 101 that nobody asked for. Bytes after the end of an
 * answer are told by `mayReuse`: the answer is whole, its connection is not to be used again.
 */

/** Called in this order: `informed` any number of times, `head`, `data` any number of times, `end`. */
export interface AnswerSink {
  /** Of 1xx answers, but for 100, which says nothing to a client that did not wait for it. */
  informed(status: number, rawHeaders: string[]): void;
  head(status: number, reason: string, rawHeaders: string[]): void;
  /** `piece` is a view of the bytes that were read: true only within the call. */
  data(piece: Buffer): void;
  end(rawTrailers: string[]): void;
}

export type AnswerFault = 'malformed answer' | 'answer headers too large';

type Mode = 'head' | 'length' | 'until close' | 'chunk size' | 'chunk' | 'chunk end' | 'trailers' | 'over' | 'broken';

const TAB = 9;
const LF = 10;
const CR = 13;
/** Of a head, and of trailers. */
const SECTION_END = Buffer.from('\r\n\r\n');
const CR_BYTE = Buffer.from('\r');
const NONE = Buffer.alloc(0);
const STATUS_LINE = /^HTTP\/1\.([01]) (\d{3})(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
const START = 'HTTP/1.';
const TOKEN = /^[!#$%&'*+\-.^_`|~\w]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** No more than a number holds exactly. */
const LENGTH = /^\d{1,15}$/;
/** With extensions (RFC 9112 section 7.1.1), which nobody reads. */
const CHUNK_SIZE =
  /^([\da-f]{1,13})(?:;[!#$%&'*+\-.^_`|~\w]+(?:=(?:[!#$%&'*+\-.^_`|~\w]+|"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e])*"))?)*$/i;
/** Of a chunk's size with what may stand behind it (ours). */
const CHUNK_LINE_MAX_BYTES = 4_096;

/** What the header lines of a head say of the message, and the lines themselves. */
interface Fields {
  readonly raw: string[];
  readonly length: number | null;
  readonly isChunked: boolean;
  /** Words of `Connection`, in lower case. */
  readonly connection: string;
  /** `timeout` of Keep-Alive, seconds. */
  readonly keepAliveSeconds: number | null;
}

export class AnswerParser {
  readonly #sink: AnswerSink;
  readonly #headBytesMax: number;
  #mode: Mode = 'over';
  /** The answer has no body whatever its head says: it answers HEAD. */
  #isHead = false;
  /** What was read of a head, a chunk's line or trailers that are not whole yet. */
  #pending: Buffer = NONE;
  /** Bytes of the body, or of the chunk, that are still to come. */
  #left = 0;
  #trailers: string[] = [];
  #mayReuse = false;
  #keepAliveSeconds: number | null = null;

  constructor(sink: AnswerSink, { headBytesMax }: { headBytesMax: number }) {
    this.#sink = sink;
    this.#headBytesMax = headBytesMax;
  }

  /** The next answer is that to a request with this method. */
  begin(method: string): void {
    this.#mode = 'head';
    this.#isHead = method === 'HEAD';
    this.#pending = NONE;
    this.#mayReuse = false;
    this.#keepAliveSeconds = null;
  }

  /** After the end: the connection may carry another request. */
  get mayReuse(): boolean {
    return this.#mayReuse;
  }

  /** After the end: how long the other side says that it keeps the connection; null when it does not say. */
  get keepAliveSeconds(): number | null {
    return this.#keepAliveSeconds;
  }

  /** Null as long as it is an answer. After a fault nothing is read any more. */
  read(bytes: Buffer): AnswerFault | null {
    let at = 0;
    while (at < bytes.length) {
      const before = this.#mode;
      if (before === 'over') {
        this.#mayReuse = false;
        return null;
      }
      const next = this.#step(bytes, at);
      if (typeof next === 'string') {
        this.#mode = 'broken';
        return next;
      }
      at = next;
      // The end is told after a look at what comes behind it.
      if ((this.#mode as Mode) === 'over') {
        if (at < bytes.length) this.#mayReuse = false;
        this.#pending = NONE;
        this.#sink.end(this.#trailers);
        return null;
      }
    }
    return null;
  }

  /** The other side has closed. True when that, or what came before, was the end of the answer. */
  finish(): boolean {
    if (this.#mode === 'over') return true;
    if (this.#mode !== 'until close') return false;
    this.#mode = 'over';
    this.#sink.end([]);
    return true;
  }

  /** Reads on from `at`: where the next step begins, or what is wrong. */
  #step(bytes: Buffer, at: number): number | AnswerFault {
    switch (this.#mode) {
      case 'head':
        return this.#readHead(bytes, at);
      case 'length':
      case 'chunk':
        return this.#readBody(bytes, at);
      case 'until close':
        this.#sink.data(at === 0 ? bytes : bytes.subarray(at));
        return bytes.length;
      case 'chunk size':
        return this.#readChunkSize(bytes, at);
      case 'chunk end':
        return this.#readChunkEnd(bytes, at);
      case 'trailers':
        return this.#readTrailers(bytes, at);
      default:
        return 'malformed answer';
    }
  }

  #readHead(bytes: Buffer, at: number): number | AnswerFault {
    const held = this.#pending.length;
    const all = this.#withPending(bytes, at);
    const end = all.indexOf(SECTION_END, Math.max(0, held - SECTION_END.length + 1));
    if (end < 0) {
      if (!START.startsWith(all.toString('latin1', 0, START.length))) return 'malformed answer';
      return this.#keep(all, held) ?? bytes.length;
    }
    if (end > this.#headBytesMax) return 'answer headers too large';
    this.#pending = NONE;
    return this.#understand(all.toString('latin1', 0, end)) ?? at + end + SECTION_END.length - held;
  }

  #withPending(bytes: Buffer, at: number): Buffer {
    const rest = at === 0 ? bytes : bytes.subarray(at);
    return this.#pending.length === 0 ? rest : Buffer.concat([this.#pending, rest]);
  }

  /** Keeps a part of lines that are not whole; the first `looked` bytes of it were looked at before. */
  #keep(part: Buffer, looked: number): AnswerFault | null {
    if (part.length > this.#headBytesMax) return 'answer headers too large';
    if (hasBareLf(part, looked)) return 'malformed answer';
    this.#pending = looked === 0 ? Buffer.from(part) : part;
    return null;
  }

  #understand(head: string): AnswerFault | null {
    const lineEnd = head.indexOf('\r\n');
    const line = STATUS_LINE.exec(lineEnd < 0 ? head : head.slice(0, lineEnd));
    if (line === null) return 'malformed answer';
    const status = Number(line[2]);
    const fields = readFields(head, lineEnd < 0 ? head.length : lineEnd + 2);
    if (fields === null || status < 100 || status === 101) return 'malformed answer';
    const { raw, length, isChunked, connection } = fields;
    if ((isChunked || status < 200) && line[1] === '0') return 'malformed answer'; // HTTP/1.0 has neither.
    if (status < 200) {
      if (status !== 100) this.#sink.informed(status, raw);
      return null;
    }
    const isKept = line[1] === '1' ? !names(connection, 'close') : names(connection, 'keep-alive');
    const isEmpty = this.#isHead || status === 204 || status === 304;
    this.#mayReuse = isKept && (isEmpty || isChunked || length !== null);
    this.#keepAliveSeconds = fields.keepAliveSeconds;
    this.#trailers = [];
    this.#left = length ?? 0;
    this.#mode =
      isEmpty || length === 0 ? 'over' : isChunked ? 'chunk size' : length === null ? 'until close' : 'length';
    this.#sink.head(status, line[3] ?? '', raw);
    return null;
  }

  #readBody(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.#left);
    this.#left -= end - at;
    if (this.#left === 0) this.#mode = this.#mode === 'length' ? 'over' : 'chunk end';
    this.#sink.data(bytes.subarray(at, end));
    return end;
  }

  #readChunkSize(bytes: Buffer, at: number): number | AnswerFault {
    const lf = bytes.indexOf(LF, at);
    const end = lf < 0 ? bytes.length : lf + 1;
    const line = this.#pending.toString('latin1') + bytes.toString('latin1', at, end);
    if (line.length > CHUNK_LINE_MAX_BYTES) return 'malformed answer';
    if (lf < 0) {
      this.#pending = Buffer.from(line, 'latin1');
      return end;
    }
    this.#pending = NONE;
    const [, digits] = (line.endsWith('\r\n') ? CHUNK_SIZE.exec(line.slice(0, -2)) : null) ?? [];
    if (digits === undefined) return 'malformed answer';
    this.#left = Number.parseInt(digits, 16);
    this.#mode = this.#left === 0 ? 'trailers' : 'chunk';
    return end;
  }

  /** CR and LF, one of which may come with the next read. */
  #readChunkEnd(bytes: Buffer, at: number): number | AnswerFault {
    if (this.#pending.length === 0) {
      if (bytes[at] !== CR) return 'malformed answer';
      this.#pending = CR_BYTE;
      return at + 1;
    }
    if (bytes[at] !== LF) return 'malformed answer';
    this.#pending = NONE;
    this.#mode = 'chunk size';
    return at + 1;
  }

  /** Up to an empty line, which may be the first. */
  #readTrailers(bytes: Buffer, at: number): number | AnswerFault {
    const held = this.#pending.length;
    const all = this.#withPending(bytes, at);
    if (all.length < 2) return this.#keep(all, held) ?? bytes.length;
    const isEmpty = all[0] === CR && all[1] === LF;
    const end = isEmpty ? 0 : all.indexOf(SECTION_END, Math.max(0, held - SECTION_END.length + 1));
    if (end < 0) return this.#keep(all, held) ?? bytes.length;
    if (end > this.#headBytesMax) return 'answer headers too large';
    const fields = readFields(all.toString('latin1', 0, end), 0);
    if (fields === null || fields.length !== null || fields.isChunked) return 'malformed answer';
    this.#trailers = fields.raw;
    this.#mode = 'over';
    return at + end + (isEmpty ? 2 : SECTION_END.length) - held;
  }
}

/** An LF without a CR before it, from `from` on. */
function hasBareLf(bytes: Buffer, from: number): boolean {
  for (let at = bytes.indexOf(LF, from); at >= 0; at = bytes.indexOf(LF, at + 1))
    if (at === 0 || bytes[at - 1] !== CR) return true;
  return false;
}

/** The lines of `text` from `at` on, the last without its end; null when one of them is none, or they contradict each other. */
function readFields(text: string, from: number): Fields | null {
  const raw: string[] = [];
  let length: number | null = null;
  let isChunked = false;
  let connection = '';
  let keepAliveSeconds: number | null = null;
  for (let at = from; at < text.length; ) {
    const found = text.indexOf('\r\n', at);
    const end = found < 0 ? text.length : found;
    const colon = text.indexOf(':', at);
    if (colon < 0 || colon >= end) return null;
    const name = text.slice(at, colon);
    const value = trimmed(text, colon + 1, end);
    if (!TOKEN.test(name) || !VALUE.test(value)) return null;
    raw.push(name, value);
    at = end + 2;
    switch (framingName(name)) {
      case 'content-length':
        if (length !== null || !LENGTH.test(value)) return null;
        length = Number(value);
        break;
      case 'transfer-encoding':
        // With a tab behind it Node.js takes it for another coding.
        if (isChunked || value.toLowerCase() !== 'chunked' || text.charCodeAt(end - 1) === TAB) return null;
        isChunked = true;
        break;
      case 'connection':
        connection += `,${value.toLowerCase()}`;
        break;
      case 'keep-alive':
        keepAliveSeconds = readKeepAlive(value);
        break;
    }
  }
  return length !== null && isChunked ? null : { raw, length, isChunked, connection, keepAliveSeconds };
}

/** The name in lower case where it may be one that frames the message: most are told from those by their length. */
function framingName(name: string): string {
  const { length } = name;
  return length === 14 || length === 17 || length === 10 ? name.toLowerCase() : '';
}

function trimmed(text: string, from: number, to: number): string {
  let [start, end] = [from, to];
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

const isBlank = (code: number): boolean => code === 32 || code === TAB;

function names(connection: string, word: string): boolean {
  return connection !== '' && connection.split(',').some(one => one.trim() === word);
}

function readKeepAlive(value: string): number | null {
  const [, seconds] = /(?:^|[\s,])timeout=(\d{1,9})/i.exec(value) ?? [];
  return seconds === undefined ? null : Number(seconds);
}
