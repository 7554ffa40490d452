/** A repository in a folder of a test's own, filled by the machine's git. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Git, openGit } from './git-process.ts';

export interface Scratch extends Disposable {
  readonly folder: string;
  readonly git: Git;
  readonly repository: string;
  /** A commit of these entries. */
  commit(entries: readonly Entry[]): string;
}

export interface Entry {
  readonly path: string;
  readonly content: string | Buffer;
  /** A file's, unless given. */
  readonly mode?: string;
}

export function scratch(): Scratch {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-git-'));
  const repository = join(folder, 'test.git');
  const run = (args: readonly string[], input: string | Buffer = ''): string => {
    const ran = spawnSync('git', args, {
      input,
      env: {
        PATH: process.env.PATH ?? '',
        HOME: folder,
        GIT_DIR: repository,
        GIT_INDEX_FILE: join(folder, 'index'),
        GIT_AUTHOR_NAME: 'a',
        GIT_AUTHOR_EMAIL: 'a@example.com',
        GIT_COMMITTER_NAME: 'a',
        GIT_COMMITTER_EMAIL: 'a@example.com',
      },
      encoding: 'utf8',
    });
    if (ran.status !== 0) throw new Error(`git ${args[0]}: ${ran.stderr}`);
    return ran.stdout.trim();
  };
  run(['init', '--quiet', '--bare', repository]);
  mkdirSync(join(folder, 'part'));
  return {
    folder,
    git: openGit({ folder: join(folder, 'part'), hooks: join(import.meta.dirname, 'hooks') }),
    repository,
    commit: entries => {
      run(['read-tree', '--empty']);
      for (const { path, content, mode = '100644' } of entries) {
        const sha = mode === '160000' ? String(content) : run(['hash-object', '-w', '--stdin'], content);
        run(['update-index', '--add', '--cacheinfo', `${mode},${sha},${path}`]);
      }
      return run(['commit-tree', run(['write-tree']), '-m', 'test']);
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
