/** The shim by itself, over its folder alone (README.md, "The instance folder"): a plain process, so that it runs anywhere. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { tempFolder, until } from './fixtures.ts';
import { parseRecords } from './output.ts';
import { order, readExit, readState, shimEnded } from './shim-folder.ts';
import { formatShimSpec } from './spec-file.ts';

const SHIM = join(import.meta.dirname, 'shim.pl');
const INIT = readFileSync(join(import.meta.dirname, 'init.sh'), 'utf8');

interface Started {
  folder: string;
  shim: ChildProcess;
  ended: Promise<unknown>;
}

function start(folder: string): Started {
  mkdirSync(join(folder, 'disk'), { recursive: true });
  const args = [SHIM, folder, process.arch, 'process', ''];
  const shim = spawn('perl', args, { cwd: folder, detached: true, stdio: ['pipe', 'ignore', 'inherit'] });
  return { folder, shim, ended: once(shim, 'exit') };
}

/** Lets it run a script. */
function go({ folder, shim }: Started, script: string, logRate = -1): void {
  const environment = join(folder, 'environment');
  writeFileSync(environment, `export PATH='${process.env.PATH}'\n`);
  const argv = ['/bin/sh', '-c', INIT, 'init', '0', environment, folder, '/bin/sh', '-c', script];
  const spec = { hostname: 'h', disk: join(folder, 'disk'), logRate, files: [], mounts: [], argv };
  writeFileSync(join(folder, 'spec'), formatShimSpec(spec));
  shim.stdin?.end('\n');
}

const segments = (folder: string): string[] =>
  readdirSync(folder)
    .filter(name => name.startsWith('log.'))
    .sort((a, b) => Number(a.slice(4)) - Number(b.slice(4)));

describe('shim', () => {
  test('the shim writes state when the init runs, exit at the end, and records with their stream', async () => {
    using folder = tempFolder();
    const started = start(folder.path);
    go(started, 'echo out; echo err >&2; exit 7');
    await started.ended;
    expect(readState(folder.path)).toMatchObject({ shimPid: started.shim.pid });
    expect(readExit(folder.path)).toMatchObject({ started: true, why: '', code: 7, signal: 0, oomKills: 0 });
    const log = readFileSync(join(folder.path, 'log.1'), 'utf8');
    expect(log).toMatch(/^\d{13} o 4\nout\n/m);
    expect(log).toMatch(/^\d{13} e 4\nerr\n/m);
  });

  test('alive tells of the end of the shim, however it comes', async () => {
    using folder = tempFolder();
    const started = start(folder.path);
    go(started, 'sleep 1000');
    await until('it runs', () => readState(folder.path));
    const told = shimEnded(folder.path);
    started.shim.kill('SIGKILL');
    await told;
    await shimEnded(folder.path);
    expect(readExit(folder.path)).toBeNull();
    await until('nobody takes orders', () => !order(folder.path, 'T'));
  });

  test('orders: T lets the app end, K ends it', async () => {
    using folder = tempFolder();
    const started = start(folder.path);
    go(started, 'trap "" TERM; echo deaf; while :; do sleep 0.02; done');
    await until('it runs', () => readState(folder.path));
    // The log comes after the state.
    const log = join(folder.path, 'log.1');
    await until('it is deaf', () => existsSync(log) && readFileSync(log, 'utf8').includes('deaf'));
    expect(order(folder.path, 'T')).toBe(true);
    expect(order(folder.path, 'K')).toBe(true);
    await started.ended;
    expect(readExit(folder.path)).toMatchObject({ started: true, signal: 9 });
  });

  test('a shim whose agent goes away before it has said what to do runs nothing', async () => {
    using folder = tempFolder();
    const started = start(folder.path);
    started.shim.stdin?.end();
    await started.ended;
    expect(readState(folder.path)).toBeNull();
    expect(readExit(folder.path)).toMatchObject({ started: false, why: 'the agent went away' });
  });

  test('a command that cannot be run is told as not started, with its reason', async () => {
    using folder = tempFolder();
    const started = start(folder.path);
    const spec = {
      hostname: 'h',
      disk: folder.path,
      logRate: -1,
      folders: [],
      links: [],
      files: [],
      mounts: [],
      argv: ['/no/tool'],
    };
    writeFileSync(join(folder.path, 'spec'), formatShimSpec(spec));
    started.shim.stdin?.end('\n');
    await started.ended;
    expect(readState(folder.path)).toBeNull();
    expect(readExit(folder.path)).toMatchObject({ started: false, why: expect.stringContaining('/no/tool') });
  });

  test('the log has at most four segments of about 1 MiB, the newest', async () => {
    using folder = tempFolder();
    const started = start(folder.path);
    go(started, 'yes 0123456789 | head -c 9000000; echo last');
    await started.ended;
    const names = segments(folder.path);
    expect(names).toHaveLength(4);
    expect(Math.max(...names.map(name => statSync(join(folder.path, name)).size))).toBeLessThan(1_200_000);
    expect(readFileSync(join(folder.path, names.at(-1) ?? ''), 'latin1')).toContain('last');
  });

  test('output beyond the rate is counted in a record, at most one a second', async () => {
    using folder = tempFolder();
    const started = start(folder.path);
    go(started, 'yes 0123456789 | head -c 3000000', 50_000);
    await started.ended;
    const records = parseRecords(readFileSync(join(folder.path, 'log.1')), { segment: 1, offset: 0 });
    const told = records.filter(({ stream }) => stream === 'd').map(({ bytes }) => Number(bytes.toString('latin1')));
    const dropped = told.reduce((sum, bytes) => sum + bytes, 0);
    expect(dropped).toBeGreaterThan(2_000_000);
    expect(dropped).toBeLessThanOrEqual(3_000_000);
  });

  test.runIf(process.getuid?.() === 0)(
    'a full disk ends neither shim nor app; what was not kept is counted',
    async () => {
      using folder = tempFolder();
      // A disk of its own, seen by the shim alone; the test looks through its root.
      const wrap = [
        'unshare',
        '--mount',
        'sh',
        '-c',
        `mount -t tmpfs -o size=300k full ${folder.path}/small && exec "$@"`,
        'sh',
      ];
      mkdirSync(join(folder.path, 'small'));
      const inside = join(folder.path, 'small');
      const [command = '', ...args] = [...wrap, 'sh', '-c', SCRIPT_ON_SMALL_DISK, 'sh', inside, SHIM, process.arch];
      const shim = spawnSync(command, args, { encoding: 'utf8' });
      expect(shim.stdout).toContain('app ended with 0');
      expect(shim.stdout).toMatch(/dropped [1-9]\d+/);
    },
  );
});

/** Within the mount namespace: writes the spec, runs the shim to its end, frees the disk meanwhile, tells what it left. */
const SCRIPT_ON_SMALL_DISK = `
cd "$1" || exit 1
mkdir disk
printf 'hostname\\th\\ndisk\\t%s\\nrate\\t-1\\narg\\t/bin/sh\\narg\\t-c\\narg\\t%s\\n' "$1/disk" 'echo ok >&3; exec 3>&-; yes 0123456789 | head -c 2000000; touch done' >spec
head -c 100000 /dev/zero >ballast
echo | perl "$2" "$1" "$3" process '' &
shim=$!
while ! grep -aq '^[0-9]* d' log.* 2>/dev/null && [ ! -e done ] && kill -0 $shim 2>/dev/null; do sleep 0.05; done
rm ballast
wait $shim
sed -n 's/^code /app ended with /p' exit
echo dropped $(grep -ah -A1 '^[0-9]* d [0-9]*$' log.* | grep -a '^[0-9]*$' | tail -1)
`;
