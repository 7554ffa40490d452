import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isChangePath } from './development.ts';
import { developmentFacts, judgeChanges } from './development-rule.ts';
import { SYSTEM_BUILDPACKS } from './system-buildpacks.ts';

const name = fc.oneof(
  fc.stringMatching(/^[a-z.]{1,8}$/).filter(part => !/^\.{1,2}$/.test(part)),
  fc.constantFrom(
    'package.json',
    'Procfile',
    'app.py',
    'server.js',
    'public',
    'a.php',
    'x.css',
    'requirements.txt',
    'main.go',
  ),
);
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map(parts => parts.join('/'));
const paths = fc.array(path, { maxLength: 5 });
const files = fc.dictionary(
  path,
  fc.oneof(fc.string(), fc.constantFrom('{"scripts":{"build":"x"}}', 'root: public', '[build-system]')),
);
const buildpacks = fc.array(fc.oneof(fc.constantFrom(...SYSTEM_BUILDPACKS), fc.string()), { maxLength: 3 });

function judge(given: {
  files: Record<string, string>;
  buildpacks: string[];
  changes: { added: string[]; changed: string[]; removed: string[] };
  runsSources: boolean;
}) {
  const folder = { paths: new Set(Object.keys(given.files)), textOf: (at: string) => given.files[at] ?? null };
  const facts = developmentFacts(given.buildpacks, folder);
  return judgeChanges({ ...given, facts, hasCommand: false }, folder, given.changes);
}

const given = fc.record({
  files,
  buildpacks,
  changes: fc.record({ added: paths, changed: paths, removed: paths }),
  runsSources: fc.boolean(),
});

test('judgeChanges() never syncs what every buildpack reads, nor anything of compiled languages and of foreign buildpacks', () => {
  fc.assert(
    fc.property(given, one => {
      const all = Object.values(one.changes).flat();
      const judged = judge(one);
      const isBuilt = one.buildpacks.some(
        pack => !['nodejs', 'python', 'ruby', 'php', 'staticfile', 'binary'].includes(pack.replace('_buildpack', '')),
      );
      if (isBuilt || all.some(at => /(?:^|\/)(?:package\.json|Procfile|requirements\.txt)$/.test(at)))
        expect(judged.do).toBe('build');
    }),
  );
});

test('judgeChanges() names one of what has changed or of what is there, and places files at paths that a change may name, no two at one', () => {
  fc.assert(
    fc.property(given, one => {
      const judged = judge(one);
      if (judged.do === 'build') return;
      const all = [...new Set(Object.values(one.changes).flat())];
      const places = all.map(judged.place);
      expect(new Set(places).size).toBe(all.length);
      expect(places.filter(place => !isChangePath(place))).toEqual([]);
      expect(judged.stale.filter(place => !isChangePath(place))).toEqual([]);
    }),
  );
});

test('judgeChanges() of more changes never is less: what asks for a build or a start does so beside others', () => {
  fc.assert(
    fc.property(given, path, (one, more) => {
      const judged = judge(one);
      const wider = judge({ ...one, changes: { ...one.changes, changed: [...one.changes.changed, more] } });
      if (judged.do === 'build') expect(wider.do).toBe('build');
      else if (wider.do === 'sync') expect(wider.restart || !judged.restart).toBe(true);
    }),
  );
});
