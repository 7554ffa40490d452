import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CAUSE_CODES } from '@cupola/model/causes';
import { expect, test } from 'vitest';
import { causeOfRefusal, describeExit, explainCause, pageOf } from './causes.ts';

const ROOT = join(import.meta.dirname, '../../..');

test('every code has its page in docs/errors, and no page is without a code', () => {
  expect(
    readdirSync(join(ROOT, 'docs/errors'))
      .filter(name => name !== 'README.md')
      .sort(),
  ).toEqual(CAUSE_CODES.map(code => `${code}.md`).sort());
});

test.each(CAUSE_CODES)(
  "%s: its page begins with the code, says what the table says, and names the table's command",
  code => {
    const page = readFileSync(join(ROOT, pageOf(code)), 'utf8');
    const { says, mend, next } = explainCause({ code, evidence: null }, { app: 'APP', memoryMb: 256, diskMb: 1024 });
    expect(page.startsWith(`# ${code}\n`)).toBe(true);
    expect(page.replace(/\s+/g, ' ').toLowerCase()).toContain(says.toLowerCase());
    expect(page).toContain(next);
    expect(mend).toMatch(/^[A-Z].*\.$/);
    expect(next).toMatch(/^cupola [a-z]/);
  },
);

test('explainCause() doubles what was too little', () => {
  const more = (memoryMb: number | null) =>
    explainCause({ code: 'out-of-memory', evidence: null }, { app: 'web', memoryMb }).next;
  expect([more(512), more(64), more(null)]).toEqual([
    'cupola scale web -m 1024M',
    'cupola scale web -m 256M',
    'cupola scale web -m 256M',
  ]);
});

test('explainCause() names more memory than a build had', () => {
  const more = (memoryMb: number | null) =>
    explainCause({ code: 'build-out-of-memory', evidence: null }, { app: 'web', memoryMb }).next;
  expect([more(2_048), more(64), more(null)]).toEqual([
    'cupola push web -m 4096M',
    'cupola push web -m 2048M',
    'cupola push web -m 2048M',
  ]);
});

test('describeExit() adds what shows the cause, and its code, within what an event holds', () => {
  const reason = 'APP/PROC/WEB: Exited with status 1';
  expect(describeExit({ reason })).toBe(reason);
  expect(describeExit({ reason, cause: { code: 'crash', evidence: 'Error: boom' } })).toBe(
    `${reason}: Error: boom [crash]`,
  );
  expect(describeExit({ reason: 'x (y)', cause: { code: 'wrong-port', evidence: 'y' } })).toBe('x (y) [wrong-port]');
  expect(describeExit({ reason: 'z'.repeat(5_000), cause: { code: 'crash', evidence: null } })).toHaveLength(1_024);
});

test.each([
  ['CF-InsufficientStorage', 'x', 'platform-disk-full'],
  ['CF-UnprocessableEntity', 'memory quota_exceeded', 'quota-exceeded'],
  ['CF-UnprocessableEntity', 'memory 4G is over the org quota "small"', 'quota-exceeded'],
  ['CF-UnprocessableEntity', '"x" must be an existing admin buildpack or a valid git URI', 'unknown-buildpack'],
  ['CF-UnprocessableEntity', 'Name must be unique', null],
])('causeOfRefusal() of %s, %s is %s', (title, detail, code) => {
  expect(causeOfRefusal(title, detail)).toBe(code);
});
