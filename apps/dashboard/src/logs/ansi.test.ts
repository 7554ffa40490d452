import fc from 'fast-check';
import { expect, test } from 'vitest';
import { plainText, spansOf } from './ansi.ts';

test('spansOf() makes colours classes of our own', () => {
  expect(spansOf('a \u001b[1;31mred\u001b[0m b')).toEqual([
    { text: 'a ', className: '' },
    { text: 'red', className: 'ansi-red ansi-bold' },
    { text: ' b', className: '' },
  ]);
});

test('spansOf() shows a link of a terminal (OSC 8) as the text that it is', () => {
  const line = '\u001b]8;;javascript:alert(1)\u0007click\u001b]8;;\u0007';
  expect(spansOf(line).map(({ text }) => text)).toEqual(['^[]8;;javascript:alert(1)^Gclick^[]8;;^G']);
});

test('spansOf() moves no cursor, clears nothing, turns no text around', () => {
  expect(plainText('\u001b[2J\u001b[H\rx\u202ey')).toBe('^[[2J^[[H^Mx<U+202E>y');
});

test('spansOf() never loses a visible character, and every class is of the allow-list', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.array(fc.nat(120)), (text, codes) => {
      const line = `${text}\u001b[${codes.slice(0, 8).join(';')}m${text}`;
      const spans = spansOf(line);
      expect(spans.map(span => span.text).join('')).toBe(plainText(line));
      for (const { className } of spans)
        expect(className).toMatch(/^(ansi-(red|green|yellow|blue|magenta|cyan|bold|faint|underline)( |$))*$/);
    }),
  );
});
