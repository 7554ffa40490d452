import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createShownTexts, JsonTexts, jsonOf } from './json-text.ts';

test('jsonOf() writes any body as JSON does, texts for what they are texts of', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.array(fc.jsonValue()),
      ({ list: _list, end: _end, ...body }, list) => {
        const texts = new JsonTexts(list.map(value => Buffer.from(JSON.stringify(value))));
        expect(jsonOf({ ...body, list: texts, end: 1 }).toString()).toBe(JSON.stringify({ ...body, list, end: 1 }));
        expect(jsonOf(body).toString()).toBe(JSON.stringify(body));
        expect(jsonOf(list).toString()).toBe(JSON.stringify(list));
      },
    ),
  );
});

test('jsonOf() leaves out what JSON leaves out', () => {
  expect(jsonOf({ a: undefined, list: new JsonTexts([]), b: null }).toString()).toBe('{"list":[],"b":null}');
});

test('createShownTexts() never answers with what was true before', () => {
  const change = fc.record({
    guid: fc.constantFrom('a', 'b', 'c'),
    name: fc.nat({ max: 2 }),
    state: fc.nat({ max: 2 }),
  });
  fc.assert(
    fc.property(fc.array(change), fc.integer({ min: 1, max: 3 }), (changes, max) => {
      const shown = createShownTexts<{ name: number; state: number }>(['name', 'state'], { max });
      for (const { guid, ...facts } of changes)
        expect(shown.textOf(guid, { of: facts, beside: [] }, () => facts).toString()).toBe(JSON.stringify(facts));
    }),
  );
});

test('createShownTexts() makes a text once for as long as nothing changes, and forgets the oldest', () => {
  const shown = createShownTexts<{ name: string }>(['name'], { max: 1 });
  let made = 0;
  const ask = (guid: string): string =>
    shown.textOf(guid, { of: { name: 'n' }, beside: [] }, () => ({ made: ++made })).toString();
  expect([ask('a'), ask('a'), ask('b'), ask('a')]).toEqual(['{"made":1}', '{"made":1}', '{"made":2}', '{"made":3}']);
});
