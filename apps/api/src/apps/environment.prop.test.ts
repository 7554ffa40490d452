import { testSealer } from '@cupola/store/fixtures';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mergeVariables, openVariables, sealVariables, variableErrors } from './environment.ts';

const name = fc.oneof(fc.string(), fc.constantFrom('A', 'PORT', 'port', 'VCAP_SERVICES', 'vmc_x', '', '__proto__'));
const variables = fc.dictionary(name, fc.string());
const changes = fc.dictionary(name, fc.oneof(fc.string(), fc.constant(null)));

test('mergeVariables(): what is not named stays, null removes, the rest is as asked', () => {
  fc.assert(
    fc.property(variables, changes, (present, asked) => {
      const merged = mergeVariables(present, asked);
      const expected = new Map<string, unknown>([...Object.entries(present), ...Object.entries(asked)]);
      expect(Object.entries(merged).sort()).toEqual([...expected].filter(([, value]) => value !== null).sort());
    }),
  );
});

test('mergeVariables() twice is as once', () => {
  fc.assert(
    fc.property(variables, changes, (present, asked) => {
      const merged = mergeVariables(present, asked);
      expect(mergeVariables(merged, asked)).toEqual(merged);
    }),
  );
});

test('variableErrors() lets no name of the platform through, whatever its case', () => {
  fc.assert(
    fc.property(fc.constantFrom('VCAP_', 'VMC', 'PORT'), fc.string(), fc.boolean(), (head, tail, isLower) => {
      const full = head === 'PORT' ? head : `${head}${tail}`;
      expect(variableErrors({ [isLower ? full.toLowerCase() : full]: 'x' }, 'Var')).toHaveLength(1);
    }),
  );
});

test('variableErrors() has nothing to say of what an environment can hold', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[A-OQ-U][A-Z0-9_]{0,20}$/), fc.stringMatching(/^[^\0]*$/), (key, value) => {
      expect(variableErrors({ [key]: value }, 'Var')).toEqual([]);
    }),
  );
});

test('openVariables() opens what sealVariables() sealed, and the seal hides it', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.stringMatching(/^[a-z]{8,20}$/)), given => {
      const sealed = sealVariables(testSealer, given);
      expect(openVariables(testSealer, sealed)).toEqual({ ...given });
      expect(Object.values(given).filter(value => sealed.includes(value))).toEqual([]);
    }),
  );
});
