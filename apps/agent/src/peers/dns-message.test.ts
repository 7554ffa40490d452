import { expect, test } from 'vitest';
import { answerTo, readQuestion } from './dns-message.ts';
import { aQuery } from './fixtures.ts';

test('readQuestion() reads name and type', () => {
  expect(readQuestion(aQuery('A.b'))).toEqual({ name: 'A.b', wantsAddress: true, end: 21 });
});

test.each<[string, Buffer]>([
  ['nothing', Buffer.alloc(0)],
  ['a header alone', aQuery('a.b').subarray(0, 12)],
  ['a name that does not end', aQuery('a.b').subarray(0, 17)],
  ['a name longer than 255', aQuery(Array.from({ length: 130 }, () => 'ab').join('.'))],
  ['a pointer instead of a name', Buffer.concat([aQuery('a').subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])])],
  ['an answer', Buffer.from(aQuery('a.b').map((byte, at) => (at === 2 ? 0x81 : byte)))],
  ['two questions', Buffer.from(aQuery('a.b').map((byte, at) => (at === 5 ? 2 : byte)))],
  ['another class', Buffer.from(aQuery('a.b').map((byte, at) => (at === 20 ? 3 : byte)))],
])('readQuestion() is null for %s', (_what, message) => {
  expect(readQuestion(message)).toBeNull();
});

test('answerTo() says that it knows, and what it knows', () => {
  const query = aQuery('a.b');
  const question = readQuestion(query);
  if (question === null) throw new Error('a query should be one');
  const flags = (code: 'ok' | 'unknown' | 'failed'): string =>
    answerTo(query, question, { code }).subarray(2, 4).toString('hex');
  expect([flags('ok'), flags('unknown'), flags('failed')]).toEqual(['8580', '8583', '8582']);
});
