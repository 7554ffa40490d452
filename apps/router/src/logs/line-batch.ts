/**
 * Access log lines as the bytes of one request to the internal API. A line is written out as soon as its request has ended, so that nothing of the request
 * lives on until the batch goes: what the young heap holds for long it copies again and again (docs/decisions/0022).
 */
import type { LogEnvelope } from '@cupola/contract/internal';

/** Of one batch; a line that is longer gets a batch of its own. */
const BATCH_BYTES = 128 * 1024;
/** UTF-16 to UTF-8: no unit takes more. */
const BYTES_PER_UNIT_MAX = 3;
const HEAD = '{"envelopes":[';
const TAIL = ']}';

/** Lines under way together. */
class LineBatch {
  #bytes: Buffer;
  #end: number;
  lines = 0;

  constructor(sizeBytes = BATCH_BYTES) {
    this.#bytes = Buffer.allocUnsafeSlow(sizeBytes);
    this.#end = this.#bytes.write(HEAD, 0, 'latin1');
  }

  /** A batch that `text` fits into. */
  static for(text: string): LineBatch {
    return new LineBatch(Math.max(BATCH_BYTES, HEAD.length + text.length * BYTES_PER_UNIT_MAX + 1 + TAIL.length));
  }

  /** False when it does not fit, and nothing was written. */
  add(envelopeJson: string): boolean {
    if (this.#end + 1 + envelopeJson.length * BYTES_PER_UNIT_MAX + TAIL.length > this.#bytes.length) return false;
    if (this.lines > 0) this.#end += this.#bytes.write(',', this.#end, 'latin1');
    this.#end += this.#bytes.write(envelopeJson, this.#end);
    this.lines++;
    return true;
  }

  /** The body of the request; the same memory, so nothing may be added until it has been sent. */
  body(): Buffer {
    return this.#bytes.subarray(0, this.#end + this.#bytes.write(TAIL, this.#end, 'latin1'));
  }

  /** Empty again, to be filled anew. */
  clear(): this {
    this.#end = HEAD.length;
    this.lines = 0;
    return this;
  }

  get isUsual(): boolean {
    return this.#bytes.length === BATCH_BYTES;
  }
}

/** One line of an app, as JSON of a `LogEnvelope`. */
export function envelopeJson(appGuid: string, line: string, timestampNs: string): string {
  const envelope: LogEnvelope = { appGuid, sourceType: 'RTR', instanceId: '0', type: 'OUT', timestampNs, line };
  return JSON.stringify(envelope);
}

export interface BatchQueue {
  add(envelopeJson: string): void;
  /** What is to be sent next, the same until it was `taken`; null when nothing waits. No line is added to it from now on. */
  oldest(): LineBatch | null;
  /** The oldest has been sent: its memory is used again. */
  taken(): void;
  /** More waits than fits into one batch. */
  readonly hasFull: boolean;
  readonly lines: number;
}

export function createBatchQueue(linesMax: number): BatchQueue {
  /** While `open`, lines are added to the last. */
  const batches: LineBatch[] = [];
  let open = false;
  let lines = 0;
  /** One at most, so that a busy minute leaves no more than that. */
  let spare: LineBatch | null = null;

  const batchWith = (json: string): LineBatch => {
    const used = spare;
    spare = null;
    if (used?.add(json)) return used;
    const batch = LineBatch.for(json);
    batch.add(json);
    return batch;
  };
  return {
    add: json => {
      lines++;
      const last = open ? batches.at(-1) : undefined;
      if (last !== undefined && last.lines < linesMax && last.add(json)) return;
      batches.push(batchWith(json));
      open = true;
    },
    oldest: () => {
      if (batches.length === 1) open = false;
      return batches[0] ?? null;
    },
    taken: () => {
      const batch = batches.shift();
      if (batch === undefined) return;
      lines -= batch.lines;
      if (batch.isUsual) spare = batch.clear();
    },
    get hasFull() {
      return batches.length > 1;
    },
    get lines() {
      return lines;
    },
  };
}
