/**
 * One connection to a copy, with one request under way at most. What its socket reads is parsed at once and in place: all connections read into the same
 * memory, so that a request costs none for its answer but what is passed on.
 */
import type { Socket } from 'node:net';
import { CONNECTED } from '@cupola/certificates/members/forwarding';
import type { Failure } from '../requests/journey.ts';
import type { RouterSettings } from '../settings.ts';
import type { Backend } from '../table/route-table.ts';
import { AnswerParser, type AnswerSink } from './answer-parser.ts';
import type { Dialler } from './dial.ts';
import { isLastOnConnection, type OutgoingRequest, requestHead, sendBody } from './request-writer.ts';

export interface Flow {
  pause(): void;
  resume(): void;
}

/** Called in this order: `informed` any number of times, `head`, `data` any number of times, `end`. `failed` may come instead of any of them, and is then the last. */
export interface ResponseReceiver {
  /** 102 or 103. */
  informed(status: number, rawHeaders: string[]): void;
  head(status: number, reason: string, rawHeaders: string[], flow: Flow): void;
  data(chunk: Buffer): void;
  /** What came together with the head has been told, and the answer goes on: the head need not wait for more. */
  flush(): void;
  end(rawTrailers: string[]): void;
  failed(failure: Failure): void;
}

/** What happens to a connection, for whoever keeps it. */
export interface Keeper {
  /** A receiver threw: a bug of ours. */
  crashed(error: unknown): void;
  /** Its request is over; it may carry another. */
  free(connection: Connection): void;
  /** It is of no use any more. */
  gone(connection: Connection): void;
}

/** What is said of a copy on a machine that answers no more. */
export const LOST = 'its machine does not answer';

const READ_BYTES = 64 * 1024;
/** The other side may close a little before the time that it names: on its way, and on a busy machine (ours). */
const KEEP_ALIVE_MARGIN_MS = 2_000;

/** Of all connections: a read is parsed before the next begins, and what is passed on is copied. */
export function createReadMemory(): Buffer {
  return Buffer.allocUnsafeSlow(READ_BYTES);
}

interface Given {
  readonly backend: Backend;
  readonly settings: RouterSettings;
  readonly memory: Buffer;
  readonly keeper: Keeper;
  readonly dialler: Dialler;
}

type State = 'dialling' | 'idle' | 'sent' | 'answering' | 'closed';

export class Connection implements AnswerSink, Flow {
  readonly key: string;
  /** The agent that it goes through; null: it goes to the copy itself. */
  readonly via: Backend['via'] | null;
  /** Monotonic ms since when it rests; kept by whoever keeps it. */
  idleSinceMs = 0;
  readonly #socket: Socket;
  readonly #parser: AnswerParser;
  readonly #keeper: Keeper;
  readonly #settings: RouterSettings;
  readonly #dialTimer: NodeJS.Timeout;
  #state: State = 'dialling';
  /** The socket has been connected. */
  #wasOpened = false;
  #wasUsed = false;
  #request: OutgoingRequest | null = null;
  #receiver: ResponseReceiver | null = null;
  #stopBody: (() => void) | null = null;
  /** All of the request has been written, and the next may follow it on this connection. */
  #isSent = false;

  constructor({ backend, settings, memory, keeper, dialler }: Given) {
    this.key = backend.key;
    this.via = dialler.viaOf(backend);
    this.#keeper = keeper;
    this.#settings = settings;
    this.#parser = new AnswerParser(this, { headBytesMax: settings.headerBytesMax });
    const { socket, ready } = dialler.dial(backend, {
      buffer: memory,
      callback: count => {
        this.#read(memory.subarray(0, count));
        return true;
      },
    });
    this.#socket = socket;
    this.#dialTimer = setTimeout(() => this.#broken('dial timed out'), settings.dialTimeoutMs);
    if (ready !== 'byte') socket.on(ready, () => this.#connected());
    this.#socket.on('end', () => this.#ended());
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#broken(causeOf(error), isReset(error)));
    this.#socket.on('close', () => this.#broken('connection failed'));
  }

  /** How long it may rest, ms. */
  get keepAliveMs(): number {
    const seconds = this.#parser.keepAliveSeconds;
    const own = this.#settings.backendKeepAliveMs;
    return seconds === null ? own : Math.min(own, seconds * 1_000 - KEEP_ALIVE_MARGIN_MS);
  }

  /** False from the moment at which its end is known, which is told a little later. */
  get isOpen(): boolean {
    return this.#socket.writable;
  }

  /** A request is under way on it. */
  get isBusy(): boolean {
    return this.#receiver !== null;
  }

  /** Only on a new connection, and on one that is free. */
  send(request: OutgoingRequest, receiver: ResponseReceiver): void {
    this.#request = request;
    this.#receiver = receiver;
    if (this.#state !== 'dialling') this.#write(request);
  }

  /** Nothing more is reported to `receiver`, and it closes unless all of that answer had come. */
  giveUp(receiver: ResponseReceiver): void {
    if (this.#receiver === receiver) this.close();
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#receiver = null;
    this.#request = null;
    this.#stopBody?.();
    this.#stopBody = null;
    clearTimeout(this.#dialTimer);
    this.#socket.destroy();
    this.#keeper.gone(this);
  }

  /** Its machine does not answer any more. What has not begun to be answered may be asked of another. */
  lost(): void {
    const cause = LOST;
    if (this.#state === 'dialling') this.#fail({ kind: 'dial', cause });
    else this.#fail({ kind: this.#state === 'sent' ? 'ended' : 'broken', cause });
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  #connected(): void {
    clearTimeout(this.#dialTimer);
    this.#wasOpened = true;
    if (this.#state === 'dialling' && this.#request !== null) this.#write(this.#request);
  }

  #write(request: OutgoingRequest): void {
    const { method, body, contentLength } = request;
    const head = requestHead(request);
    if (head === null) {
      this.#fail({ kind: 'refused', cause: 'cannot be written' });
      return;
    }
    this.#state = 'sent';
    this.#isSent = body === null;
    this.#parser.begin(method);
    this.#socket.write(head, 'latin1');
    if (body === null) return;
    this.#stopBody = sendBody(
      this.#socket,
      { body, contentLength },
      {
        ended: () => {
          this.#stopBody = null;
          this.#isSent = !isLastOnConnection(request);
        },
        failed: error => this.#broken(causeOf(error)),
      },
    );
  }

  #read(read: Buffer): void {
    let bytes = read;
    // Only an agent speaks before it is asked.
    if (this.#state === 'dialling') {
      if (bytes[0] !== CONNECTED) return void this.#broken('connection failed');
      this.#connected();
      bytes = bytes.subarray(1);
      if (bytes.length === 0) return;
    }
    if (this.#receiver === null) {
      this.close(); // Nobody asked.
      return;
    }
    const hadHead = this.#state === 'answering';
    try {
      const fault = this.#parser.read(bytes);
      if (fault !== null) this.#broken(fault);
      else if (!hadHead && this.#state === 'answering') this.#receiver?.flush();
    } catch (error) {
      this.#keeper.crashed(error);
      this.#broken('unknown failure');
    }
  }

  informed(status: number, rawHeaders: string[]): void {
    this.#receiver?.informed(status, rawHeaders);
  }

  head(status: number, reason: string, rawHeaders: string[]): void {
    if (this.#state === 'sent') this.#state = 'answering';
    this.#receiver?.head(status, reason, rawHeaders, this);
  }

  data(piece: Buffer): void {
    this.#receiver?.data(Buffer.from(piece));
  }

  end(rawTrailers: string[]): void {
    const receiver = this.#receiver;
    if (receiver === null) return;
    this.#receiver = null;
    this.#request = null;
    this.#stopBody?.();
    this.#stopBody = null;
    if (this.#isSent && this.#parser.mayReuse && this.keepAliveMs > 0 && this.isOpen) {
      this.#state = 'idle';
      this.#wasUsed = true;
      if (this.#socket.isPaused()) this.#socket.resume();
      this.#keeper.free(this);
    } else this.close();
    receiver.end(rawTrailers);
  }

  #ended(): void {
    if (this.#state === 'answering' && this.#parser.finish()) return;
    this.#fail(
      this.#state === 'answering'
        ? { kind: 'broken', cause: 'connection closed within the answer' }
        : { kind: this.#wasOpened ? 'ended' : 'dial', cause: 'EOF' },
    );
  }

  /**
   * `isReset`: on a connection that had rested, the other side had closed it before our request came; through an agent it may be the agent that was killed,
   * while the copy knows nothing of it.
   */
  #broken(cause: string, isReset = false): void {
    const mayEnd = this.#state === 'sent' && (this.#wasUsed || this.via !== null);
    if (!this.#wasOpened) this.#fail({ kind: 'dial', cause });
    else this.#fail({ kind: mayEnd && isReset ? 'ended' : 'broken', cause });
  }

  #fail(failure: Failure): void {
    const receiver = this.#receiver;
    this.close();
    receiver?.failed(this.via === null ? failure : { ...failure, behindAgent: true });
  }
}

const isReset = ({ code }: NodeJS.ErrnoException): boolean => code === 'ECONNRESET' || code === 'EPIPE';

/** Known words only: the text goes into a header. */
function causeOf({ code = '' }: NodeJS.ErrnoException): string {
  if (code === 'ECONNREFUSED') return 'connection refused';
  if (code === 'ETIMEDOUT') return 'dial timed out';
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'connection reset';
  return /^[A-Z_]+$/.test(code) ? code.toLowerCase().replaceAll('_', ' ') : 'connection failed';
}
