import fc from 'fast-check';
import { test } from 'vitest';
import { answerTo, readQuestion } from './dns-message.ts';
import { aQuery } from './fixtures.ts';

const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 600 }),
  // As far as a question, and then anything.
  fc.uint8Array({ maxLength: 600 }).map(bytes => Buffer.concat([aQuery('a').subarray(0, 12), bytes])),
  // A query with bytes changed.
  fc
    .tuple(fc.array(fc.tuple(fc.nat({ max: 40 }), fc.nat({ max: 255 }))), fc.nat({ max: 60 }))
    .map(([changes, length]) => {
      const message = Buffer.concat([aQuery('back.apps.internal'), Buffer.alloc(30)]).subarray(0, length);
      for (const [at, byte] of changes) if (at < message.length) message[at] = byte;
      return message;
    }),
);

test('readQuestion() and answerTo() never throw, and answers fit a datagram, whatever the bytes', () => {
  const addresses = Array.from({ length: 100 }, (_, index) => `10.0.0.${index}`);
  fc.assert(
    fc.property(anyBytes, bytes => {
      const message = Buffer.from(bytes);
      const question = readQuestion(message);
      if (question === null) return true;
      const answer = answerTo(message, question, { code: 'ok', addresses });
      return answer.length <= 512 && question.name.length <= 255 && question.end <= message.length;
    }),
    { numRuns: 2_000 },
  );
});

test('readQuestion() reads back each name that a resolver can ask for', () => {
  const label = fc.string({ unit: fc.constantFrom(...'abcXYZ019-_'), minLength: 1, maxLength: 63 });
  const name = fc.array(label, { minLength: 1, maxLength: 4 }).map(labels => labels.join('.'));
  fc.assert(fc.property(name, asked => asked.length > 253 || readQuestion(aQuery(asked))?.name === asked));
});
