import { expect, test } from 'vitest';
import { ArchiveRefusedError } from './errors.ts';
import { sentence } from './sentence.ts';

test.each([
  ['Multi-disk zip files are not supported', 'Multi-disk zip files are not supported.'],
  ['End of central directory record signature not found.\n', 'End of central directory record signature not found.'],
  ['really?', 'really?'],
  ['leaves the archive by ".."', 'leaves the archive by "..".'],
])('sentence() of %j is %j', (text, expected) => {
  expect(sentence(text)).toBe(expected);
});

test('an archive is refused with one full stop, whoever words the rule', () => {
  expect(new ArchiveRefusedError('a', 'is encrypted').message).toBe('The archive was refused: entry "a" is encrypted.');
  expect(new ArchiveRefusedError('(archive)', 'cannot be read as a zip: it is cut short.').message).toBe(
    'The archive was refused: entry "(archive)" cannot be read as a zip: it is cut short.',
  );
});
