/** Files of a public repository at one commit, in a folder of their own: from GitHub, or from a folder of git directories, OWNER/NAME each. */
import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Edit, TriedApp } from './list.ts';

const run = promisify(execFile);
const BUFFER_BYTES = 64 * 1024 * 1024;

/** @param mirror null: from GitHub. @returns the folder to push. */
export async function layOut(
  app: TriedApp,
  { work, mirror }: { work: string; mirror: string | null },
): Promise<string> {
  const target = join(work, app.name);
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true });
  const gitDir = mirror === null ? await fetched(app, work) : join(mirror, app.repository);
  // An index of its own: a mirror is read, never changed.
  const environment = { ...process.env, GIT_INDEX_FILE: join(work, `${app.name}.index`) };
  const options = { env: environment, cwd: target, maxBuffer: BUFFER_BYTES };
  const git = ['-c', 'safe.directory=*', '--git-dir', gitDir, '--work-tree', target];
  const tree = app.folder === '.' ? app.commit : `${app.commit}:${app.folder}`;
  await run('git', [...git, 'read-tree', tree], options);
  await run('git', [...git, 'checkout-index', '--all', '--force', '--quiet'], options);
  return target;
}

async function fetched({ name, repository, commit }: TriedApp, work: string): Promise<string> {
  const folder = join(work, `${name}.git`);
  await rm(folder, { recursive: true, force: true });
  await run('git', ['init', '--quiet', '--bare', folder]);
  const from = `https://github.com/${repository}.git`;
  await run('git', ['-C', folder, 'fetch', '--quiet', '--depth', '1', from, commit], { maxBuffer: BUFFER_BYTES });
  return folder;
}

/** @throws when the text to replace is not there: such a drill would prove nothing. */
export async function applyEdits(folder: string, edits: Edit[]): Promise<void> {
  for (const edit of edits) {
    if ('remove' in edit) await rm(join(folder, edit.remove), { recursive: true });
    else if ('write' in edit) {
      await mkdir(dirname(join(folder, edit.write)), { recursive: true });
      await writeFile(join(folder, edit.write), edit.text);
    } else {
      const text = await readFile(join(folder, edit.replace), 'utf8');
      if (!text.includes(edit.from)) throw new Error(`${edit.replace} has no ${JSON.stringify(edit.from)}`);
      await writeFile(join(folder, edit.replace), text.replaceAll(edit.from, edit.to));
    }
  }
}
