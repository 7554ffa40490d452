/** What no client of good will sends: bodies that are no multipart, that end early, that come without a token. The process lives, and no file is left. */
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { forgeZip } from '@cupola/archive/zip-fixtures';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { startTestApi, type TestApi } from '../fixtures.ts';
import { anAppWithWeb, newPackage, upload } from './fixtures.ts';

const left = (test: TestApi): string[] => readdirSync(test.deps.config.uploadFolder);
const BOUNDARY = 'frontier';
const TYPE = `multipart/form-data; boundary=${BOUNDARY}`;
const ZIP = forgeZip([{ name: 'a', content: 'x'.repeat(200_000) }]);

/** The first line of the answer; null when the connection ended without one. */
function raw(test: TestApi, path: string, options: { headers: string[]; body: Buffer; cutAt?: number }) {
  const { headers, body, cutAt } = options;
  return new Promise<string | null>((resolve, reject) => {
    const { port, hostname } = new URL(test.url);
    const socket = connect(Number(port), hostname);
    const answer: Buffer[] = [];
    const head = [`POST ${path} HTTP/1.1`, `Host: ${hostname}:${port}`, 'Connection: close', ...headers, '', ''];
    // A reset after the answer is an end like any other: the rest of the body was not read.
    socket.on('error', error => answer.length === 0 && reject(error));
    socket.on('data', chunk => answer.push(chunk));
    socket.on('close', () => resolve(Buffer.concat(answer).toString('latin1').split('\r\n')[0] || null));
    socket.write(head.join('\r\n'));
    if (cutAt === undefined) socket.write(body);
    else socket.write(body.subarray(0, cutAt), () => socket.destroy());
  });
}

const authorized = (test: TestApi, length: number, type = TYPE): string[] => [
  `Authorization: bearer ${test.admin}`,
  `Content-Type: ${type}`,
  `Content-Length: ${length}`,
];

function multipart(...parts: Array<[disposition: string, content: Buffer | string]>): Buffer {
  const pieces = parts.flatMap(([disposition, content]) => [
    Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n`),
    Buffer.from(content as string),
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...pieces, Buffer.from(`--${BOUNDARY}--\r\n`)]);
}

const GOOD = multipart(['name="resources"', '[]'], ['name="bits"; filename="package.zip"', ZIP]);

test('an upload without a token is answered before its body, and no file is begun', async () => {
  await using test = await startTestApi();
  const guid = await newPackage(test, (await anAppWithWeb(test)).guid);
  const headers = [`Content-Type: ${TYPE}`, 'Content-Length: 1000000000'];
  const { port, hostname } = new URL(test.url);
  const answer = await new Promise<string>(resolve => {
    const socket = connect(Number(port), hostname);
    socket.once('data', chunk => {
      resolve(chunk.toString('latin1').split('\r\n')[0] ?? '');
      socket.destroy();
    });
    socket.write(
      [`POST /v3/packages/${guid}/upload HTTP/1.1`, `Host: ${hostname}:${port}`, ...headers, '', '--'].join('\r\n'),
    );
  });
  expect(answer).toBe('HTTP/1.1 401 Unauthorized');
  expect(left(test)).toEqual([]);
});

test('an upload that is cut anywhere leaves no file and no change; sent again it is taken', async () => {
  await using test = await startTestApi();
  const guid = await newPackage(test, (await anAppWithWeb(test)).guid);
  const cuts = [0, 1, 60, 140, 200, 1_000, 100_000, GOOD.length - 50, GOOD.length - 3];
  const answers = await Promise.all(
    cuts.map(cutAt =>
      raw(test, `/v3/packages/${guid}/upload`, { headers: authorized(test, GOOD.length), body: GOOD, cutAt }),
    ),
  );
  expect(new Set(answers)).toEqual(new Set([null]));
  await vi.waitFor(() => expect(left(test)).toEqual([]), 30_000);
  const { body } = await test.api('GET', `/v3/packages/${guid}`, { token: test.admin });
  expect(body.state).toBe('AWAITING_UPLOAD');
  expect(await upload(test, guid, { bits: ZIP })).toMatchObject({ status: 200, body: { state: 'READY' } });
});

test.each<[what: string, body: Buffer]>([
  ['a file under another name', multipart(['name="application"; filename="a.zip"', ZIP])],
  ['two files', multipart(['name="bits"; filename="a"', ZIP], ['name="bits"; filename="b"', ZIP])],
  ['many fields', multipart(...Array.from({ length: 20 }, (_, at): [string, string] => [`name="f${at}"`, 'x']))],
  ['a field with a long name', multipart([`name="${'n'.repeat(100)}"`, 'x'], ['name="bits"; filename="a"', ZIP])],
  ['a part without a name', multipart(['filename="a.zip"', ZIP])],
  ['no end', GOOD.subarray(0, GOOD.length - 20)],
  ['nothing at all', Buffer.alloc(0)],
])('an upload of %s is a 4xx', async (_what, body) => {
  await using test = await startTestApi();
  const guid = await newPackage(test, (await anAppWithWeb(test)).guid);
  const answer = await raw(test, `/v3/packages/${guid}/upload`, { headers: authorized(test, body.length), body });
  expect(answer).toMatch(/^HTTP\/1.1 4(00|22) /);
  await vi.waitFor(() => expect(left(test)).toEqual([]), 30_000);
});

test('1,000 malformed bodies: each is answered with a 4xx, the process lives, no file is left', async () => {
  await using test = await startTestApi();
  const guid = await newPackage(test, (await anAppWithWeb(test)).guid);
  const piece = fc.constantFrom(
    `--${BOUNDARY}\r\n`,
    `--${BOUNDARY}--\r\n`,
    `--${BOUNDARY}`,
    'Content-Disposition: form-data; name="bits"; filename="a.zip"\r\n',
    'Content-Disposition: form-data; name="resources"\r\n',
    'Content-Disposition: form-data; name=""\r\n',
    'Content-Disposition: form-data; name="bits"; filename="../../../tmp/evil"\r\n',
    'Content-Disposition: form-data; name="a[b][c]"; filename=""\r\n',
    'Content-Disposition: form-data; name="__proto__"\r\n',
    'Content-Type: application/octet-stream\r\n',
    'Content-Transfer-Encoding: base64\r\n',
    '\r\n',
    '\n',
    '[]',
    '{"',
    'PK\x03\x04',
    '\x00\xff',
    ': \r\n',
    'x'.repeat(20_000),
  );
  const type = fc.constantFrom(
    TYPE,
    TYPE,
    TYPE,
    'multipart/form-data',
    'multipart/form-data; boundary=',
    'multipart/form-data; boundary="a\\',
    'application/json',
    'multipart/mixed; boundary=frontier',
  );
  const statuses = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), type, async (pieces, contentType) => {
      const body = Buffer.from(pieces.join(''), 'latin1');
      const headers = authorized(test, body.length, contentType);
      const answer = await raw(test, `/v3/packages/${guid}/upload`, { headers, body });
      statuses.add(answer?.slice(0, 10) ?? 'none');
      expect(answer).toMatch(/^HTTP\/1.1 4\d\d /);
      // A package that was refused for its bits is FAILED: the next body is to be read too.
      await test.deps.store.note(({ db }) => db.updateTable('packages').set({ state: 'AWAITING_UPLOAD' }).execute());
    }),
    { numRuns: 1_000 },
  );
  expect([...statuses]).toEqual(['HTTP/1.1 4']);
  await vi.waitFor(() => expect(left(test)).toEqual([]), 30_000);
  expect(await upload(test, guid, { bits: ZIP })).toMatchObject({ status: 200, body: { state: 'READY' } });
}, 240_000);
