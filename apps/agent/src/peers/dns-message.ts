/**
 * As much of a DNS message as names of apps need (RFC 1035): the one question of a query, and an answer with addresses. Other names are handed on
 * to others as they came. Bytes come from apps: whatever is not a
 * plain query is null, never an exception, and gets no answer.
 */

const HEADER_BYTES = 12;
const LABEL_MAX = 63;
const NAME_MAX = 255;
const TYPE_A = 1;
const TYPE_ANY = 255;
const CLASS_IN = 1;
/** What every client takes over UDP. */
const ANSWER_MAX_BYTES = 512;
/** A pointer to the question's name, type A, class IN, TTL 0, four bytes: instances come and go (CF: bosh-dns, the same). */
const RECORD_HEAD = [0xc0, HEADER_BYTES, 0, TYPE_A, 0, CLASS_IN, 0, 0, 0, 0, 0, 4];

export interface Question {
  /** As asked, without a dot at its end. */
  name: string;
  wantsAddress: boolean;
  /** Where the question ends in the message. */
  end: number;
}

/** Null for what is no query with one question of the internet's class. */
export function readQuestion(message: Buffer): Question | null {
  if (message.length < HEADER_BYTES + 5) return null;
  const isPlainQuery = (message.readUInt8(2) & 0xf8) === 0;
  if (!isPlainQuery || message.readUInt16BE(4) !== 1) return null;
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (;;) {
    const length = message[at];
    // A label longer than 63 is a pointer or worse: no query begins with one.
    if (length === undefined || length > LABEL_MAX || at - HEADER_BYTES > NAME_MAX) return null;
    at += 1;
    if (length === 0) break;
    labels.push(message.toString('latin1', at, at + length));
    at += length;
  }
  if (at + 4 > message.length || message.readUInt16BE(at + 2) !== CLASS_IN) return null;
  const type = message.readUInt16BE(at);
  return { name: labels.join('.'), wantsAddress: type === TYPE_A || type === TYPE_ANY, end: at + 4 };
}

const CODES = { ok: 0, failed: 2, unknown: 3 } as const;

/** To that query. As many addresses as fit, in the order given. */
export function answerTo(
  query: Buffer,
  question: Question,
  { code, addresses = [] }: { code: keyof typeof CODES; addresses?: readonly string[] },
): Buffer {
  const asked = query.subarray(HEADER_BYTES, question.end);
  const room = Math.floor((ANSWER_MAX_BYTES - HEADER_BYTES - asked.length) / (RECORD_HEAD.length + 4));
  const records = (question.wantsAddress ? addresses : []).slice(0, room);
  const header = Buffer.alloc(HEADER_BYTES);
  query.copy(header, 0, 0, 2);
  // An answer, with authority. That recursion was asked for is said back, and that it is to be had.
  header[2] = 0x84 | ((query[2] ?? 0) & 0x01);
  header[3] = 0x80 | CODES[code];
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  const bytes = records.flatMap(address => [...RECORD_HEAD, ...address.split('.').map(Number)]);
  return Buffer.concat([header, asked, Buffer.from(bytes)]);
}
