/** The parser beside that of Node.js: what ours takes, Node.js reads in the same way, however it is cut; what Node.js refuses, ours refuses. */
import http, { type IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AnswerParser } from './answer-parser.ts';

interface Reading {
  informed: (number | string)[][];
  status: number;
  reason: string;
  raw: string[];
  body: string;
  trailers: string[];
}

/** Null: refused, or not whole when the connection ended. */
function readByUs(
  bytes: Buffer,
  cuts: readonly number[],
  method: string,
): { reading: Reading | null; reuse: boolean; isOpenEnded: boolean } {
  const reading: Reading = { informed: [], status: 0, reason: '', raw: [], body: '', trailers: [] };
  let isWhole = false;
  const parser = new AnswerParser(
    {
      informed: (status, raw) => reading.informed.push([status, ...raw]),
      head: (status, reason, raw) => Object.assign(reading, { status, reason, raw }),
      data: piece => {
        reading.body += piece.toString('latin1');
      },
      end: trailers => {
        reading.trailers = trailers;
        isWhole = true;
      },
    },
    { headBytesMax: 1_000 },
  );
  parser.begin(method);
  const at = [0, ...cuts.filter(cut => cut < bytes.length).sort((a, b) => a - b), bytes.length];
  for (let n = 1; n < at.length; n++) if (parser.read(bytes.subarray(at[n - 1], at[n])) !== null) break;
  const wasWhole = isWhole;
  parser.finish();
  return { reading: isWhole ? reading : null, reuse: isWhole && parser.mayReuse, isOpenEnded: isWhole && !wasWhole };
}

/** Where the answer ends: what comes behind it is no part of it, and makes Node.js forget the answer itself. */
function lengthOf(bytes: Buffer, method: string): number {
  for (let end = 1; end < bytes.length; end++) {
    const { reading, isOpenEnded } = readByUs(bytes.subarray(0, end), [], method);
    if (reading !== null && !isOpenEnded) return end;
  }
  return bytes.length;
}

function readByNode(bytes: Buffer, method: string): Promise<Reading | null> {
  const socket = new Duplex({
    read: () => undefined,
    write: (_chunk, _encoding, done) => {
      done();
      if (socket.readableEnded || sent) return;
      sent = true;
      socket.push(bytes);
      socket.push(null);
    },
  });
  let sent = false;
  const informed: (number | string)[][] = [];
  return new Promise(resolve => {
    const request = http.request({ method, createConnection: () => socket });
    request.on('information', ({ statusCode, rawHeaders }) => {
      if (statusCode !== 100) informed.push([statusCode, ...rawHeaders]);
    });
    request.on('upgrade', () => resolve(null));
    request.on('error', () => resolve(null));
    request.on('response', (answer: IncomingMessage) => {
      let body = '';
      answer.setEncoding('latin1');
      answer.on('data', piece => {
        body += piece;
      });
      answer.on('error', () => resolve(null));
      answer.on('close', () => {
        const { complete, statusCode: status = 0, statusMessage: reason = '', rawHeaders: raw, rawTrailers } = answer;
        resolve(complete ? { informed, status, reason, raw, body, trailers: rawTrailers } : null);
      });
    });
    request.end();
  });
}

const name = fc
  .stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,12}$/)
  .filter(text => !/^(?:content-length|transfer-encoding|connection|upgrade|trailer|keep-alive)$/i.test(text));
const value = fc.stringMatching(/^(?:[!-~\xa0-\xff](?:[ \t!-~]{0,8}[!-~])?)?$/);
const lines = fc.array(fc.tuple(name, fc.constantFrom('', ' ', '\t '), value), { maxLength: 4 });
const text = (list: readonly (readonly string[])[]): string =>
  list.map(([one, blank, what]) => `${one}:${blank}${what}\r\n`).join('');
const body = fc.string({ unit: fc.constantFrom('a', '\r', '\n', '0', ':', ' ', '\xff'), maxLength: 40 });
const chunks = fc.tuple(fc.array(fc.tuple(body, fc.constantFrom('', ';a', ';a="b c"')), { maxLength: 4 }), lines).map(
  ([pieces, trailers]) =>
    `${pieces
      .filter(([piece]) => piece !== '')
      .map(([piece, extension]) => `${piece.length.toString(16)}${extension}\r\n${piece}\r\n`)
      .join('')}0\r\n${text(trailers)}\r\n`,
);
const informed = fc.array(fc.tuple(fc.constantFrom('100 Continue', '102 Processing', '103 Early Hints'), lines), {
  maxLength: 2,
});
const framed = fc.oneof(
  body.map(what => `Content-Length: ${what.length}\r\n\r\n${what}`),
  chunks.map(what => `Transfer-Encoding: chunked\r\n\r\n${what}`),
  body.map(what => `\r\n${what}`),
);
const answer = fc
  .tuple(
    informed,
    fc.constantFrom('1.1', '1.0'),
    fc.constantFrom('200 OK', '404 ', '201', '204 No', '304 Not', '599 \xe4 b'),
    lines,
    framed,
  )
  .filter(([, version, , , what]) => version === '1.1' || !what.startsWith('Transfer'))
  .map(
    ([before, version, status, headers, what]) =>
      `${before.map(([one, list]) => `HTTP/1.1 ${one}\r\n${text(list)}\r\n`).join('')}HTTP/${version} ${status}\r\n${text(headers)}${what}`,
  );
const method = fc.constantFrom('GET', 'HEAD');
const cuts = fc.array(fc.nat(400), { maxLength: 12 });
const edits = fc.array(
  fc.tuple(
    fc.nat(400),
    fc.constantFrom(
      '',
      '\r',
      '\n',
      '\r\n',
      ' ',
      '\t',
      ':',
      '0',
      '1',
      'a',
      '\0',
      '\x7f',
      '\xff',
      ',',
      ';',
      'Content-Length: 1\r\n',
      'Transfer-Encoding: chunked\r\n',
      'Transfer-Encoding: gzip, chunked\r\n',
    ),
    fc.nat(2),
  ),
  { minLength: 1, maxLength: 3 },
);

function mutated(whole: string, changes: readonly [number, string, number][]): string {
  return changes.reduce((now, [at, put, out]) => {
    const where = at % (now.length + 1);
    return now.slice(0, where) + put + now.slice(where + out);
  }, whole);
}

describe('AnswerParser', () => {
  test('reads every proper answer as Node.js does, wherever it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(answer, method, cuts, async (whole, how, where) => {
        const bytes = Buffer.from(whole, 'latin1');
        const { reading } = readByUs(bytes, where, how);
        expect(reading).not.toBeNull();
        expect(reading).toEqual(await readByNode(bytes.subarray(0, lengthOf(bytes, how)), how));
      }),
      { numRuns: 500 },
    );
  });

  test('reads nothing else than Node.js does out of damaged answers, and the same in one piece as byte by byte', async () => {
    await fc.assert(
      fc.asyncProperty(answer, edits, method, cuts, async (whole, changes, how, where) => {
        const bytes = Buffer.from(mutated(whole, changes), 'latin1');
        const ours = readByUs(bytes, where, how);
        expect(readByUs(bytes, Array.from(bytes.keys()), how)).toEqual(ours);
        if (ours.reading !== null)
          expect(ours.reading).toEqual(await readByNode(bytes.subarray(0, lengthOf(bytes, how)), how));
      }),
      { numRuns: 2_000 },
    );
  });

  test('lets no connection be used again after bytes that nobody asked for', () => {
    fc.assert(
      fc.property(answer, method, cuts, fc.string({ minLength: 1 }), (whole, how, where, more) => {
        const bytes = Buffer.from(whole, 'latin1');
        const plain = readByUs(bytes, where, how);
        fc.pre(plain.reuse);
        const ours = readByUs(Buffer.concat([bytes, Buffer.from(more)]), where, how);
        expect(ours).toEqual({ ...plain, reuse: false });
      }),
    );
  });
});
