import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tempFolder } from './fixtures.ts';
import { formatEnvironment, formatShimSpec } from './spec-file.ts';

const nothing = { hostname: 'h', disk: '/d', logRate: -1, files: [], mounts: [] };
/** As shim.pl reads it. */
const decode = (field: string): string =>
  field.replace(/%([0-9a-f]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));

describe('formatShimSpec()', () => {
  test('formatShimSpec() keeps any argument in a line of its own', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), argv => {
        const lines = formatShimSpec({ ...nothing, argv })
          .split('\n')
          .filter(line => line.startsWith('arg\t'));
        expect(lines.map(line => decode(line.slice(4)))).toEqual(argv);
      }),
    );
  });
});

describe('formatEnvironment()', () => {
  test('formatEnvironment() is read by a shell as it was meant, whatever the values', () => {
    using folder = tempFolder();
    const file = join(folder.path, 'environment');
    const value = fc.string({ unit: fc.constantFrom("'", '"', '$', '`', '\\', '\n', ' ', 'a', 'ä', '!', ';', '#') });
    fc.assert(
      fc.property(value, text => {
        writeFileSync(file, formatEnvironment({ NAME: text }).shell);
        expect(execFileSync('/bin/sh', ['-c', `. ${file}; printf %s "$NAME"`], { encoding: 'utf8' })).toBe(text);
      }),
      { numRuns: 50 },
    );
  });

  test('formatEnvironment() sets aside names that no shell can assign, and leaves out what is no name', () => {
    expect(formatEnvironment({ A: '1', '1c': '3', 'a.b': '2', '': '4', 'd=e': '5' })).toEqual({
      shell: "export A='1'\n",
      more: '1c=3\0a.b=2\0',
    });
  });
});
