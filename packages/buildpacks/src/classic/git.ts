/** A buildpack by its git address: fetched inside the build's sandbox, by the stack's git, which can run nothing of what it fetches (threats.md row 7). */
import { StagingFailedError } from '@cupola/model/errors';
import type { GitAddress } from '@cupola/model/system-buildpacks';
import { CommandFailedError } from '../buildpack.ts';
import { findProgram } from '../found-programs.ts';

type Run = (argv: readonly string[], environment: Readonly<Record<string, string>>) => Promise<void>;

/** The last commit alone, of a branch or tag; no submodules, no hooks, no helper but the one of the address's protocol. */
export function cloneCommand(git: string, { url, ref }: GitAddress, folder: string): string[] {
  const settings = [
    'protocol.allow=never',
    `protocol.${new URL(url).protocol.replace(':', '')}.allow=always`,
    'core.hooksPath=/dev/null',
    'core.symlinks=true',
    'credential.helper=',
  ];
  const branch = ref === null ? [] : ['--branch', ref];
  return [
    git,
    ...settings.flatMap(setting => ['-c', setting]),
    'clone',
    '--quiet',
    '--depth',
    '1',
    '--single-branch',
    ...branch,
    '--end-of-options',
    url,
    folder,
  ];
}

/** @throws StagingFailedError when there is no git, or nothing at that address. */
export async function cloneBuildpack(address: GitAddress, folder: string, run: Run): Promise<void> {
  const git = findProgram('git');
  if (git === null)
    throw new StagingFailedError(
      'BuildpackCompileFailed',
      'A buildpack by its address needs git, which is not on this machine. As root: apt-get install git; then push again.',
    );
  const environment = {
    GIT_TERMINAL_PROMPT: '0',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ASKPASS: '',
  };
  try {
    await run(cloneCommand(git, address, folder), environment);
  } catch (error) {
    if (!(error instanceof CommandFailedError)) throw error;
    const what = address.ref === null ? address.url : `${address.ref} of ${address.url}`;
    throw new StagingFailedError(
      'BuildpackCompileFailed',
      `The buildpack could not be fetched: ${what} cannot be reached from the build, is not public, or does not exist. Its own words are in the log above; a zip of it can be added by cf create-buildpack.`,
    );
  }
}
