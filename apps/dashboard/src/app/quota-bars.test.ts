import { expect, test } from 'vitest';
import { type QuotaLevel, quotaBars } from './quota-bars.ts';

const level: QuotaLevel = {
  kind: 'space',
  quota: { name: 'small', apps: { total_memory_in_mb: 1_024, total_instances: null } },
  used: { memory_in_mb: 512, started_instances: 4 },
};
const now = { instances: 2, memory_in_mb: 128 };

test('quotaBars() says what is used, and what would be; a limit that is none has no bar', () => {
  const [bar, ...others] = quotaBars([level], { now, wanted: { instances: 4, memory_in_mb: 128 }, isStarted: true });
  expect(others).toEqual([]);
  expect(bar).toMatchObject({ text: '512M → 768M of 1G', used: 0.5, wanted: 0.75, isOver: false });
});

test('quotaBars() knows what is too much before the API refuses it', () => {
  const [bar] = quotaBars([level], { now, wanted: { instances: 8, memory_in_mb: 128 }, isStarted: true });
  expect(bar).toMatchObject({ wanted: 1, isOver: true });
});

test('quotaBars() adds nothing for an app that is stopped, nor for a number that is typed by half', () => {
  const wanted = { instances: 8, memory_in_mb: 128 };
  expect(quotaBars([level], { now, wanted, isStarted: false })[0]?.text).toBe('512M of 1G');
  expect(quotaBars([level], { now, wanted: { ...wanted, instances: Number.NaN }, isStarted: true })).toEqual([]);
});
