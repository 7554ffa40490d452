/**
 * `cluster down`: ends what `docker compose up` has begun from this checkout, and leaves nothing of it. `docker compose down` alone would leave what agents
 * that were killed had: containers of apps and their networks, of which compose knows nothing.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, rmdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { PlainError } from '../platform-config.ts';

const ROOT = resolve(import.meta.dirname, '../../../..');

interface Flags {
  keepData?: boolean;
  json?: boolean;
}

export function clusterDown({ keepData = false, json = false }: Flags): void {
  const compose = findCompose();
  const image = process.env.CUPOLA_IMAGE || 'cupola:local';
  // Agents end their instances while they can.
  run(compose, ['stop']);
  const keep = keepData ? ['-e', 'CUPOLA_KEEP_DATA=1'] : [];
  const folder = hasImage(image) ? run(compose, ['run', '--rm', '-T', ...keep, 'sweep']) : '';
  run(compose, ['down', '--remove-orphans', ...(keepData ? [] : ['--volumes'])]);
  if (!keepData) {
    removeImages(image);
    removeFolder(folder);
  }
  if (json) console.log(JSON.stringify({ down: true, keptData: keepData }));
  else if (keepData)
    console.log('The cluster is down. Its data is kept: docker compose up --detach --wait brings everything back.');
  else console.log('The cluster is down, and nothing of it is left.');
}

/** What it printed, without what it said to people. @throws PlainError */
function run(compose: readonly string[], args: readonly string[]): string {
  const [program = '', ...first] = compose;
  const { status, stdout } = spawnSync(program, [...first, ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  if (status === 0) return stdout.trim();
  throw new PlainError(
    `${[...compose, ...args].join(' ')} failed (see above). Mend what it says, and run ./cupola cluster down again.`,
  );
}

const hasImage = (image: string): boolean =>
  spawnSync('docker', ['image', 'inspect', image], { stdio: 'ignore' }).status === 0;

/** @throws PlainError where there is none. */
function findCompose(): string[] {
  for (const [program = '', ...args] of [['docker', 'compose'], ['docker-compose']])
    if (spawnSync(program, [...args, 'version'], { stdio: 'ignore' }).status === 0) return [program, ...args];
  throw new PlainError(
    'Docker Compose is not here, by which the cluster was started. Install it (on Debian: apt-get install docker-compose) and run this again.',
  );
}

/** Those that were made here; where another checkout uses one it stays. What was pulled (postgres, redis ...) is anybody's. */
function removeImages(image: string): void {
  spawnSync('docker', ['image', 'rm', image], { stdio: 'ignore' });
  spawnSync('docker', ['image', 'prune', '--force', '--filter', 'label=io.cupola.image'], { stdio: 'ignore' });
}

/** Of the agents' and stagers' data: all in it is gone. */
function removeFolder(folder: string): void {
  if (!folder.startsWith('/') || !existsSync(folder)) return;
  try {
    rmdirSync(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    console.error(`The folder ${folder} is empty, but stays (${code}). It goes with: sudo rmdir ${folder}`);
  }
}
