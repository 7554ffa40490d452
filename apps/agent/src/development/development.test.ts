import { expect, test } from 'vitest';
import { aPlacement, aRunSpec, healthCheck, makeLayer, type TestCell, testCell, until } from '../fixtures.ts';
import { launcherWord } from './words.ts';

interface Given {
  files: Record<string, string>;
  removed?: string[];
  restart?: boolean;
}

/** A change as the API keeps it: a tar, by its digest. */
async function aChange(cell: TestCell, { files, removed = [], restart = true }: Given): Promise<string> {
  const made = await makeLayer(
    {
      ...Object.fromEntries(Object.entries(files).map(([path, text]) => [`files/${path}`, text])),
      ...(removed.length === 0 ? {} : { removed: removed.map(path => `${path}\n`).join('') }),
      ...(restart ? { restart: '' } : {}),
    },
    { mountPath: '/' },
  );
  return cell.add(made).digest;
}

function linesOf(cell: TestCell, source: string, lines: readonly string[]): Promise<boolean> {
  return until(`lines of ${source}: ${lines}`, () => {
    const said = cell.api.lines(source);
    return lines.every(line => said.includes(line));
  });
}

/** Says what its file says, and what lies beside it. */
async function aDevelopmentApp(cell: TestCell, command = 'cat said; ls; exec sleep 600') {
  const layer = cell.add(await makeLayer({ 'app/said': 'as pushed\n', 'app/old': '' }));
  const runSpec = aRunSpec([layer], {
    command,
    development: true,
    healthCheck: healthCheck({ type: 'process' }),
  });
  const placement = aPlacement(runSpec);
  const digests: string[] = [];
  const item = () => ({ ...placement, changes: digests.map((digest, at) => ({ sequence: at + 1, digest })) });
  return {
    placement,
    item,
    copy: () => cell.api.copy(placement.guid),
    change: async (given: Given) => {
      digests.push(await aChange(cell, given));
      cell.api.place(item());
    },
    applied: (sequence: number) =>
      until(`change ${sequence}`, () => cell.api.copy(placement.guid)?.appliedChange === sequence),
    says: (...lines: string[]) => linesOf(cell, 'APP/PROC/WEB', lines),
  };
}

test('a change is put in place where the app runs, and its command begins anew, in the same sandbox', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const app = await aDevelopmentApp(cell);
  await cell.run(app.item());
  await app.says('as pushed', 'old');
  const { attempt } = app.copy() ?? {};
  await app.change({ files: { said: 'as changed\n', 'deep/er/file': '' }, removed: ['old'] });
  await app.applied(1);
  await app.says('as changed', 'deep');
  expect(cell.api.lines('APP/PROC/WEB').filter(line => line === 'old')).toEqual(['old']);
  expect(app.copy()).toMatchObject({ state: 'RUNNING', attempt, crashCount: 0 });
  await linesOf(cell, 'CELL', ['Change 1 is in place; the command begins anew']);
});

test('a change that asks for no restart leaves the command as it runs', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const command = 'echo begun; while :; do cat said; read -t 0.02 <> <(:); done';
  const app = await aDevelopmentApp(cell, command);
  await cell.run(app.item());
  await app.says('as pushed');
  await app.change({ files: { said: 'as changed\n' }, restart: false });
  await app.applied(1);
  await app.says('as changed');
  expect(cell.api.lines('APP/PROC/WEB').filter(line => line === 'begun')).toEqual(['begun']);
});

test('a command that ends is no crash: the next change starts it', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const app = await aDevelopmentApp(cell, 'cat said; exit 3');
  await cell.run(app.item());
  await linesOf(cell, 'CELL', ['The command has ended with status 3. The next change starts it again']);
  await app.change({ files: { said: 'once more\n' }, restart: false });
  await app.says('once more');
  expect(app.copy()).toMatchObject({ state: 'RUNNING', crashCount: 0 });
});

test('an instance that starts anew has all changes before its command begins', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const app = await aDevelopmentApp(cell);
  await app.change({ files: { said: 'one\n', kept: '' } });
  await app.change({ files: { said: 'two\n' } });
  await cell.run(app.item());
  await app.applied(2);
  await app.says('two', 'kept');
  expect(cell.api.lines('APP/PROC/WEB')).not.toContain('one');
});

test('a new agent goes on with what runs, and brings what came meanwhile', async () => {
  await using cell = await testCell();
  const first = await cell.startAgent();
  const app = await aDevelopmentApp(cell);
  await cell.run(app.item());
  await app.change({ files: { said: 'one\n' } });
  await app.applied(1);
  await first[Symbol.asyncDispose]();
  await app.change({ files: { said: 'two\n' } });
  await cell.startAgent();
  await app.applied(2);
  await app.says('two');
  expect(app.copy()).toMatchObject({ state: 'RUNNING', crashCount: 0 });
});

test('a development app that is stopped ends as asked, with all that it has started', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const app = await aDevelopmentApp(cell, 'trap "echo asked; exit" TERM; sleep 600 & cat said; wait');
  await cell.run(app.item());
  await app.says('as pushed');
  cell.api.withdraw(app.placement.guid);
  await until('GONE', () => app.copy()?.state === 'GONE');
  await app.says('asked');
});

test('launcherWord() tells the words of the launcher from lines of the app', () => {
  expect(launcherWord('half a line\u001edevelopment\u001erestarted 7')).toEqual({
    before: 'half a line',
    line: 'Change 7 is in place; the command begins anew',
    isError: false,
    applied: 7,
  });
  expect(launcherWord('\r 42 %\u001edevelopment\u001eapplied 7')).toMatchObject({ before: '\r 42 %', applied: 7 });
  expect(launcherWord('\u001edevelopment\u001eended 1')).toMatchObject({ isError: true, applied: null });
  expect(launcherWord('applied 7')).toBeNull();
});
