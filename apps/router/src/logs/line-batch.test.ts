import { logBatch } from '@cupola/contract/internal';
import { describe, expect, test } from 'vitest';
import { createBatchQueue, envelopeJson } from './line-batch.ts';

const json = (line: string): string => envelopeJson('app-1', line, '1700000000000000000');
const sent = (queue: ReturnType<typeof createBatchQueue>): string[] =>
  logBatch.parse(JSON.parse(queue.oldest()?.body().toString() ?? '{"envelopes":[]}')).envelopes.map(({ line }) => line);

describe('createBatchQueue()', () => {
  test('gives the lines as one body of the internal API, whatever stands in them', () => {
    const queue = createBatchQueue(10);
    queue.add(json('a "quoted" \\x22 one'));
    queue.add(json('né\u00ff 😀'));
    expect(sent(queue)).toEqual(['a "quoted" \\x22 one', 'né\u00ff 😀']);
  });

  test('gives the same batch again until it was taken: lines that come meanwhile are in the next', () => {
    const queue = createBatchQueue(10);
    queue.add(json('first'));
    expect(sent(queue)).toEqual(['first']);
    queue.add(json('second'));
    expect(sent(queue)).toEqual(['first']);
    expect(queue.lines).toBe(2);
    queue.taken();
    expect(sent(queue)).toEqual(['second']);
    expect(queue.lines).toBe(1);
  });

  test('keeps nothing of a batch that was taken in the memory that it gives to the next', () => {
    const queue = createBatchQueue(10);
    queue.add(json('a line that is long'));
    queue.oldest()?.body();
    queue.taken();
    queue.add(json('short'));
    expect(sent(queue)).toEqual(['short']);
  });

  test('begins another batch after so many lines, and when the next line does not fit', () => {
    const queue = createBatchQueue(2);
    for (const line of ['1', '2', '3']) queue.add(json(line));
    expect(queue.hasFull).toBe(true);
    expect(sent(queue)).toEqual(['1', '2']);
    const long = 'x'.repeat(300_000);
    queue.add(json(long));
    queue.taken();
    expect(sent(queue)).toEqual(['3']);
    queue.taken();
    expect(sent(queue)).toEqual([long]);
    queue.taken();
    expect(queue.oldest()).toBeNull();
  });
});
