/** `cupola --help` stands in apps/control and names the commands of apps/cli without loading them: here it is seen that it names all of them. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { createProgram } from '../apps/cli/src/program.ts';

test('cupola --help names every command of the CLI, and no other', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['apps/control/src/main.ts', '--help']);
  const [, list = ''] = stdout.split(/^Apps .*:$/m);
  const named = [...list.matchAll(/^ {2}.{9} {2}(.*)$/gm)].flatMap(([, words = '']) =>
    words.split(' ').filter(word => word !== 'APP'),
  );
  const shown = createProgram().createHelp().visibleCommands(createProgram());
  const names = shown.map(command => command.name()).filter(name => name !== 'help');
  expect(named.toSorted()).toEqual(names.toSorted());
});
