import fc from 'fast-check';
import { expect, test } from 'vitest';
import { previewManifest, previewNames } from './previews.ts';

const branch = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._/-]{0,79}$/);

test('previewNames() are labels of hosts, whatever app and branch are called', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      fc.oneof(
        branch,
        fc.nat().map(number => `#${number}`),
      ),
      (app, source) => {
        for (const name of previewNames(app, source)) expect(name).toMatch(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/);
      },
    ),
  );
});

test('previewNames() of different branches of an app are different; the first is so also without the hash', () => {
  fc.assert(
    fc.property(branch, branch, (one, other) => {
      if (one === other) return;
      const [first, second] = [previewNames('shop', one), previewNames('shop', other)];
      // Where neither has a hash they differ by the branch; 2^-32 of the others meet, and are refused by the API.
      if (first.length === 2 && second.length === 2) expect(first[0]).not.toBe(second[0]);
    }),
  );
});

test('previewManifest() never has what leads to the app itself, or to its data', () => {
  const key = fc.oneof(
    fc.constantFrom('routes', 'route', 'services', 'instances', 'no-route', 'random_route', 'default-route', 'hosts'),
    fc.string(),
  );
  const entry = fc.dictionary(key, fc.anything());
  fc.assert(
    fc.property(entry, fc.boolean(), (given, isFork) => {
      const made = previewManifest({ ...given, processes: [given] }, { isFork });
      const [process] = made.processes as Record<string, unknown>[];
      for (const one of [made, process ?? {}])
        for (const name of Object.keys(one)) expect(name).not.toMatch(/route|service|instance|host(?!-)/i);
    }),
  );
});
