import { expect, test } from 'vitest';
import { compilerLimits } from './compilers.ts';

test('compilerLimits() tells a compiler a part of the memory, and runs no more at once than it has room for', () => {
  const ofOneGigabyte = { GOMEMLIMIT: '409MiB' };
  expect(compilerLimits('1024m', 2)).toEqual({ flags: ['-p=2'], variables: ofOneGigabyte });
  expect(compilerLimits('1024m', 32)).toEqual({ flags: ['-p=4'], variables: ofOneGigabyte });
  expect(compilerLimits('200m', 32)).toEqual({ flags: ['-p=1'], variables: { GOMEMLIMIT: '80MiB' } });
});

test('compilerLimits() leaves Go to itself where the memory is not known', () => {
  expect(compilerLimits(undefined, 2)).toEqual({ flags: [], variables: {} });
  expect(compilerLimits('unlimited', 2)).toEqual({ flags: [], variables: {} });
});
