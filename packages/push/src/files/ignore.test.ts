import { expect, test } from 'vitest';
import { readIgnoreRules } from './ignore.ts';

/** Lines of .cfignore, a path (a folder ends with a slash), whether it stays at home. */
const CASES: [string, string, boolean][] = [
  // cf's default list, at any depth.
  ['', '.git/', true],
  ['', '.git/HEAD', true],
  ['', 'sub/.git/config', true],
  ['', '.gitignore', true],
  ['', '.cfignore', true],
  ['', '.DS_Store', true],
  ['', 'a/.DS_Store', true],
  ['', '.hg/store', true],
  ['', '.svn/entries', true],
  ['', '_darcs/x', true],
  ['', 'manifest.yml', true],
  ['', 'manifest.yaml', true],
  ['', 'config/manifest.yml', true],
  ['', 'manifest.json', false],
  ['', 'xmanifest.yml', false],
  ['', 'node_modules/a.js', false],
  ['', '.github/x.yml', false],
  // Names, anchors, folders.
  ['node_modules', 'node_modules/a.js', true],
  ['node_modules', 'sub/node_modules/a.js', true],
  ['node_modules', 'node_modules2/a.js', false],
  ['/node_modules', 'sub/node_modules/a.js', false],
  ['/node_modules', 'node_modules/a.js', true],
  ['logs/', 'logs/a', true],
  ['logs/', 'logs/', true],
  ['logs/', 'logs', false],
  ['logs/', 'x/logs/a', true],
  ['a/b', 'a/b', true],
  ['a/b', 'x/a/b/c', true],
  ['/a/b', 'x/a/b', false],
  ['a.b', 'axb', false],
  // Globs.
  ['*.log', 'x.log', true],
  ['*.log', 'a/b/x.log', true],
  ['*.log', 'x.log2', false],
  ['*.log', 'x.log/y', true],
  ['/*.log', 'a/x.log', false],
  ['a/*.js', 'a/x.js', true],
  ['a/*.js', 'a/b/x.js', false],
  ['a/**/x.js', 'a/x.js', true],
  ['a/**/x.js', 'a/b/c/x.js', true],
  ['**/x.js', 'x.js', true],
  ['**/x.js', 'a/b/x.js', true],
  ['a/**', 'a/b/c', true],
  ['a/**', 'b/c', false],
  ['x?.js', 'x1.js', true],
  ['x?.js', 'x.js', false],
  ['[ab].js', 'a.js', true],
  ['[ab].js', 'c.js', false],
  ['[!ab].js', 'c.js', true],
  ['[!ab].js', 'a.js', false],
  ['a+b(c)', 'a+b(c)', true],
  ['$x^{2}|', '$x^{2}|', true],
  ['foo[', 'foo[', true],
  // Taking back: the last line that matches counts, also below an ignored folder.
  ['*.js\n!keep.js', 'keep.js', false],
  ['*.js\n!keep.js', 'other.js', true],
  ['!keep.js\n*.js', 'keep.js', true],
  ['node_modules\n!node_modules/keep', 'node_modules/keep/x.js', false],
  ['node_modules\n!node_modules/keep', 'node_modules/other/x.js', true],
  ['!.git', '.git/HEAD', false],
  ['!manifest.yml', 'manifest.yml', false],
  // What is no rule.
  ['# comment', '# comment', false],
  ['\\#file', '#file', true],
  ['\\!file', '!file', true],
  ['  padded  ', 'padded', true],
  ['windows\r', 'windows', true],
  ['', 'a', false],
  ['/', 'a', false],
  ['\n\n', 'a', false],
];

test.each(CASES)('%j: %s', (text, path, ignored) => {
  expect(readIgnoreRules(text).ignores(path)).toBe(ignored);
});

test('only rules without `!` are final', () => {
  expect(readIgnoreRules('a\nb').isFinal).toBe(true);
  expect(readIgnoreRules('a\n!b').isFinal).toBe(false);
  expect(readIgnoreRules(null).isFinal).toBe(true);
});
