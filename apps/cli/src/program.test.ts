import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { completionOf } from './completion.ts';
import { pathOf } from './declare.ts';
import { EXAMPLES } from './examples.ts';
import { createProgram } from './program.ts';

/** Commands that do something, hidden ones left out. */
function leaves(command: Command): Command[] {
  const below = command
    .createHelp()
    .visibleCommands(command)
    .filter(one => one.name() !== 'help');
  return below.length === 0 ? [command] : below.flatMap(leaves);
}

/** As a shell splits it: single and double quotes, and nothing behind a comment or a pipe. */
function wordsOf(line: string): string[] {
  const plain = line
    .replace(/ +#.*$/, '')
    .replace(/^source <\((.*)\)$/, '$1')
    .replace(/ \| .*$/, '');
  return [...plain.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, word]) => single ?? double ?? word ?? '',
  );
}

describe('examples', () => {
  const program = createProgram();
  test('every command has one, and every one is of a command', () => {
    expect(Object.keys(EXAMPLES).toSorted()).toEqual(leaves(program).map(pathOf).toSorted());
  });

  test.each(Object.entries(EXAMPLES).flatMap(([path, lines]) => lines.map(line => [path, line])))(
    '%s: %s',
    async (path, line) => {
      const fresh = createProgram();
      const ran: { path: string; options: unknown }[] = [];
      for (const one of leaves(fresh)) one.action(() => void ran.push({ path: pathOf(one), options: one.opts() }));
      const [cupola, ...words] = wordsOf(line);
      await fresh.parseAsync(words, { from: 'user' });
      expect([cupola, ran.map(one => one.path)]).toEqual(['cupola', [path]]);
    },
  );
});

test('what each command prints with --json stands on one page', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/how-to/cli-json.md'), 'utf8');
  const missing = leaves(createProgram())
    .filter(one => one.options.some(({ long }) => long === '--json'))
    .map(pathOf)
    .filter(path => !page.includes(`\`${path}\``));
  expect(missing).toEqual([]);
});

describe('completionOf()', () => {
  const of = (...words: string[]) => {
    const { words: found, kind, prefix } = completionOf(createProgram(), words, ['up']);
    return { found: found.filter(word => word.startsWith(prefix)), kind };
  };

  test('commands, those of the launcher too, and none that is hidden', () => {
    expect(of('un').found).toEqual([
      'unbind-security-group',
      'unbind-service',
      'unmap-route',
      'unset-env',
      'unset-role',
    ]);
    expect(of('up').found).toEqual(['up', 'update-security-group']);
    expect(of('comp').found).toEqual(['completion']);
    expect(of('git:').found).toEqual(['git:config', 'git:hook', 'git:previews', 'git:remote', 'git:webhook']);
    expect(of('ssh-keys', '').found).toEqual(['add', 'help', 'list', 'remove']);
  });

  test('options of the command, and no name where a value is wanted that nobody knows', () => {
    expect(of('scale', 'shop', '--i').found).toEqual(['--instances']);
    expect(of('push', '--strategy', '').found).toEqual(['rolling', 'canary']);
    expect(of('push', '-p', '')).toEqual({ found: [], kind: null });
  });

  test('names, by what an argument or an option is', () => {
    expect(of('logs', '').kind).toBe('app');
    expect(of('logs', '--recent', 'sh').kind).toBe('app');
    expect(of('bind-service', 'shop', '').kind).toBe('service');
    expect(of('target', '-o', '').kind).toBe('organization');
    expect(of('target', '-o', 'team', '-s', '').kind).toBe('space');
    expect(of('map-route', 'shop', '').kind).toBe('domain');
    expect(of('logs', 'shop', '').kind).toBeNull();
    expect(of('completion', '').found).toEqual(['bash', 'zsh', 'fish']);
  });
});
