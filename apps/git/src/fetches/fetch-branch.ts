/** Fetches the last commit of a branch, or of a pull request, from a forge into the app's repository, by the machine's git: one address, no redirect, no other protocol, a login that is on no command line. */
import { randomUUID } from 'node:crypto';
import { WordedError } from '@cupola/push/failures';
import { ended, endGroup, type Git } from '../git-process.ts';
import { FETCHED, fetchedForPreview, type Repositories } from '../repositories.ts';
import type { Place } from './place.ts';
import { openTunnel, type SshKey } from './ssh-tunnel.ts';

export interface Fetching {
  /** Whose repository it goes to. */
  readonly appGuid: string;
  /** Of the forge. */
  readonly ref: string;
  /** Of an app's own branch the next fetch brings what is new; those of its previews leave nothing. */
  readonly isKept: boolean;
  readonly place: Place;
  readonly login: { readonly user: string; readonly token: string } | null;
  /** Over SSH. */
  readonly ssh: {
    readonly key: SshKey;
    /** This part's own. */
    readonly folder: string;
    /** Told what the host is to be known by, if that is new. */
    pin(knownHosts: string): void;
  } | null;
  readonly signal: AbortSignal;
}

/** The first that dials the address that it is told (http.curloptResolve). */
const OLDEST = [2, 37] as const;
/** Of a fetch: unpacking takes no longer than a push's (ours). */
const FETCH_MS = 10 * 60_000;
const SAID_MAX = 2_000;

/** The commit; one fetch after another for each app. @throws WordedError with git's last words. */
export async function fetchBranch(
  { git, repositories }: { git: Git; repositories: Repositories },
  fetching: Fetching,
): Promise<string> {
  const [major, minor] = git.version;
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))
    throw new WordedError(
      `The git of the platform's machine is ${git.version.join('.')}; ${OLDEST.join('.')} is the oldest that can fetch.`,
      {
        next: 'Its operator upgrades git. Until then: git push to the platform, or cupola push.',
      },
    );
  const fetched = fetching.isKept ? FETCHED : fetchedForPreview(randomUUID());
  return repositories.alone(fetching.appGuid, async repository => {
    fetching.signal.throwIfAborted();
    try {
      return await fetchInto(git, fetching, { repository, fetched });
    } finally {
      // Objects that no ref leads to stay for an hour (repositories.ts): a deployment has read them by then.
      if (!fetching.isKept)
        await run(git, [`--git-dir=${repository}`, 'update-ref', '-d', fetched], {
          environment: {},
          signal: AbortSignal.timeout(FETCH_MS),
        });
    }
  });
}

async function fetchInto(
  git: Git,
  fetching: Fetching,
  { repository, fetched }: { repository: string; fetched: string },
): Promise<string> {
  const { ref, place, signal } = fetching;
  const options = ['--quiet', '--no-tags', '--no-write-fetch-head', '--depth=1', '--no-recurse-submodules'];
  const args = ['fetch', ...options, '--end-of-options', place.url.href, `+${ref}:${fetched}`];
  const limit = AbortSignal.any([signal, AbortSignal.timeout(FETCH_MS)]);
  const { ssh } = fetching;
  await using tunnel = ssh === null ? null : await openTunnel({ ...ssh, hooks: git.hooks, place });
  const { code, stderr } = await run(git, [`--git-dir=${repository}`, ...args], {
    environment: { ...settings(fetching), ...tunnel?.environment },
    signal: limit,
  });
  signal.throwIfAborted();
  if (code !== 0) {
    const failure = tunnel?.failure() ?? null;
    if (failure !== null) throw failure;
    throw new WordedError(
      `${ref.replace('refs/heads/', '')} could not be fetched from ${place.url.href}: ${lastLine(stderr)}`,
      {
        next: 'Check address, branch and token: cupola git:webhook APP --repo URL --branch NAME --login USER',
      },
    );
  }
  const seen = tunnel?.seen() ?? null;
  if (seen !== null) ssh?.pin(seen);
  const reading = ['rev-parse', '--verify', fetched];
  const { stdout } = await run(git, [`--git-dir=${repository}`, ...reading], { environment: {}, signal });
  return stdout.trim();
}

/** Settings of this one process, by its environment: who looks at the list of processes sees no token. */
function settings({ place, login }: Fetching): Record<string, string> {
  const { url, port, addresses } = place;
  const bracketed = addresses.map(address => (address.includes(':') ? `[${address}]` : address));
  const pairs: [string, string][] = [
    [`protocol.${url.protocol.replace(':', '')}.allow`, 'always'],
    ['http.followRedirects', 'false'],
    ['http.curloptResolve', `${url.hostname}:${port}:${bracketed.join(',')}`],
    ['http.lowSpeedLimit', '1000'],
    ['http.lowSpeedTime', '30'],
    ['credential.helper', ''],
    ['fetch.recurseSubmodules', 'false'],
  ];
  if (login !== null)
    pairs.push([
      'http.extraHeader',
      `Authorization: Basic ${Buffer.from(`${login.user}:${login.token}`).toString('base64')}`,
    ]);
  return Object.fromEntries([
    ['GIT_CONFIG_COUNT', String(pairs.length)],
    ...pairs.flatMap(([key, value], at) => [
      [`GIT_CONFIG_KEY_${at}`, key],
      [`GIT_CONFIG_VALUE_${at}`, value],
    ]),
  ]);
}

interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

async function run(
  git: Git,
  args: readonly string[],
  { environment, signal }: { environment: Record<string, string>; signal: AbortSignal },
): Promise<Ran> {
  const child = git.start(args, { environment });
  const end = (): void => endGroup(child);
  if (signal.aborted) end();
  signal.addEventListener('abort', end, { once: true });
  child.stdin.end();
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => {
      said[name] = `${said[name]}${text}`.slice(-SAID_MAX);
    });
  try {
    return { code: await ended(child), ...said };
  } finally {
    signal.removeEventListener('abort', end);
  }
}

function lastLine(text: string): string {
  return (
    text
      .trim()
      .split('\n')
      .at(-1)
      ?.replace(/^fatal: /, '') || 'git has said nothing'
  );
}
