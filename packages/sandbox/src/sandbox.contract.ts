/** What every rung promises. Called with a way to open sandboxes on a folder, and with what the rung's canary saw enforced. */
import { execFileSync, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { defaultEgress } from './egress-chains.ts';
import {
  aSpec,
  finish,
  imageRoot,
  layer,
  pidsWith,
  type Ran,
  readUntil,
  runToEnd,
  script,
  tempFolder,
  until,
} from './fixtures.ts';
import { networksMissing } from './network-tools.ts';
import { type LeasedNetwork, openNetworks } from './networks.ts';
import { type Enforced, SandboxError, type Sandboxes } from './sandbox.ts';

/** What a rung does not promise is no test that was skipped: it is said in its report, and tested there. */
const notPromised = (_title: string, _run: () => unknown): void => undefined;

export interface Opened extends AsyncDisposable {
  sandboxes: Sandboxes;
  /** Holds one folder for each sandbox. */
  folder: string;
  installation: string;
  /** As a new agent would, on the same folder. */
  again(): Promise<Sandboxes>;
  /** What keeps a sandbox besides itself is lost: its shim is killed, its container removed. */
  loseKeeper(guid: string): Promise<void>;
  /** What has ended looks as if it had run before the last boot, and nobody knew its end. */
  reboot(guid: string): void;
}
type Open = () => Promise<Opened>;

const loopDevicesOn = (folder: string): string[] =>
  readdirSync('/sys/block')
    .filter(name => existsSync(`/sys/block/${name}/loop/backing_file`))
    .filter(name => {
      try {
        return readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8').startsWith(folder);
      } catch {
        return false; // Just freed.
      }
    });
/** Control groups of a sandbox, in every hierarchy. */
const cgroupsOf = ({ installation }: Opened, guid: string): string[] =>
  ['', ...readdirSync('/sys/fs/cgroup')]
    .map(hierarchy => join('/sys/fs/cgroup', hierarchy, 'cupola', installation, guid))
    .filter(path => existsSync(path));
function endings(open: Open): void {
  test('start() hands out the lines of both streams, the last one without its newline too', async () => {
    await using opened = await open();
    const ran = await runToEnd(opened.sandboxes, script('echo one; echo two >&2; echo; printf three'));
    expect(ran.out).toEqual(['one', '', 'three']);
    expect(ran.err).toEqual(['two']);
    expect(ran.exit).toMatchObject({ code: 0, signal: null, outOfMemory: false, lost: false });
  });

  test('start() looks argv[0] up on the PATH of the sandbox, runs it in cwd', async () => {
    await using opened = await open();
    const ran = await runToEnd(opened.sandboxes, aSpec({ argv: ['pwd', '-P'], cwd: '/usr/share' }));
    expect(ran.out).toEqual(['/usr/share']);
  });

  test('start() of a command that is not there ends with 127 and says so', async () => {
    await using opened = await open();
    const ran = await runToEnd(opened.sandboxes, aSpec({ argv: ['no-such-command'] }));
    expect(ran.exit.code).toBe(127);
    expect(ran.err.join()).toContain('no-such-command');
  });

  test('ended tells the exit code', async () => {
    await using opened = await open();
    const { exit } = await runToEnd(opened.sandboxes, script('exit 3'));
    expect(exit).toMatchObject({ code: 3, signal: null });
  });

  test('ended tells the signal', async () => {
    await using opened = await open();
    const { exit } = await runToEnd(opened.sandboxes, script('kill -SEGV $$'));
    expect(exit).toMatchObject({ code: null, signal: 11 });
  });

  test('ended does not call a SIGKILL within the memory limit out of memory', async () => {
    await using opened = await open();
    const { exit } = await runToEnd(opened.sandboxes, script('kill -KILL $$'));
    expect(exit).toMatchObject({ code: null, signal: 9, outOfMemory: false });
  });

  test('terminate() lets the app end in its own way', async () => {
    await using opened = await open();
    const sandbox = await opened.sandboxes.start(
      script('trap "echo ending; exit 5" TERM; echo ready; while :; do sleep 0.05; done'),
    );
    const { position } = await readUntil(sandbox, line => line === 'ready');
    await sandbox.terminate();
    const ran = await finish(sandbox, position);
    expect(ran.out).toEqual(['ending']);
    expect(ran.exit).toMatchObject({ code: 5, signal: null });
  });

  test('terminate() reaches the children of the command', async () => {
    await using opened = await open();
    const sandbox = await opened.sandboxes.start(
      script('trap : TERM; sh -c "trap \\"echo child; exit\\" TERM; echo ready; while :; do sleep 0.05; done"; exit 6'),
    );
    await readUntil(sandbox, line => line === 'ready');
    await sandbox.terminate();
    const ran = await finish(sandbox);
    expect(ran.out).toEqual(['ready', 'child']);
    expect(ran.exit.code).toBe(6);
  });

  test('terminate() ends an app that does nothing about it, by the signal', async () => {
    await using opened = await open();
    const sandbox = await opened.sandboxes.start(script('echo ready; exec sleep 1000'));
    await readUntil(sandbox, line => line === 'ready');
    await sandbox.terminate();
    expect((await finish(sandbox)).exit).toMatchObject({ code: null, signal: 15 });
  });

  test('terminate() right after start() is not lost', async () => {
    await using opened = await open();
    const sandbox = await opened.sandboxes.start(aSpec({ argv: ['sleep', '1000'] }));
    await sandbox.terminate();
    expect((await finish(sandbox)).exit).toMatchObject({ code: null, signal: 15 });
  });

  test('kill() ends an app that is deaf to SIGTERM, with its children', async () => {
    await using opened = await open();
    const marker = randomUUID();
    const sandbox = await opened.sandboxes.start(
      script(`trap "" TERM; sh -c "trap '' TERM; echo ready; sleep 1000; : ${marker}"`),
    );
    await readUntil(sandbox, line => line === 'ready');
    await sandbox.kill();
    expect((await finish(sandbox)).exit).toMatchObject({ code: null, signal: 9 });
    await until('its children are gone', () => pidsWith(marker).length === 0);
  });

  test('terminate() and kill() of what has ended do nothing', async () => {
    await using opened = await open();
    const sandbox = await opened.sandboxes.start(aSpec());
    await sandbox.ended;
    await sandbox.terminate();
    await sandbox.kill();
    await sandbox.remove();
    await sandbox.remove();
    expect(sandbox.pid).toBeNull();
  });

  test('what the command left in the background goes with it', async () => {
    await using opened = await open();
    const marker = randomUUID();
    const ran = await runToEnd(
      opened.sandboxes,
      script(`sh -c 'sleep 1000; : ${marker}' >/dev/null 2>&1 </dev/null & exit 0`),
    );
    expect(ran.exit.code).toBe(0);
    expect(pidsWith(marker)).toEqual([]);
  });

  test('pid is a process of the app on the host', async () => {
    await using opened = await open();
    const sandbox = await opened.sandboxes.start(script('echo ready; sleep 1000'));
    await readUntil(sandbox, line => line === 'ready');
    expect(readFileSync(`/proc/${sandbox.pid}/cmdline`, 'latin1')).toContain('sleep 1000');
    await sandbox.kill();
    await finish(sandbox);
  });
}

/** A root filesystem with a shell, cat and ls of this machine and nothing else of it. */
function aStack(): Disposable & { path: string } {
  const stack = tempFolder();
  const place = (path: string): string => join(stack.path, path);
  for (const name of ['bin', 'lib', 'lib64']) {
    mkdirSync(place(`usr/${name}`), { recursive: true });
    symlinkSync(`usr/${name}`, place(name));
  }
  for (const name of ['sh', 'cat', 'ls']) {
    const libraries = spawnSync('ldd', [`/bin/${name}`], { encoding: 'utf8' }).stdout.match(/\/\S+/g) ?? [];
    for (const path of [`/bin/${name}`, ...libraries]) {
      mkdirSync(dirname(place(path)), { recursive: true });
      copyFileSync(path, place(path));
    }
  }
  const files = {
    'etc/made-for': 'tests',
    'etc/passwd': 'secret',
    'opt/tool': 'here',
    'var/lib/known': 'yes',
    'home/x/y': 'no',
  };
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(place(path)), { recursive: true });
    writeFileSync(place(path), content);
  }
  return stack;
}

function insides(open: Open, enforced: Enforced, idInside: string | null): void {
  (enforced.fs ? test : notPromised)(
    'on a stack of its own it sees that, read-only, and nothing of this machine',
    async () => {
      await using opened = await open();
      using stack = aStack();
      const seen = script(
        'ls /usr/bin /opt; cat /etc/made-for /var/lib/known; echo; cat /etc/passwd; ls /home; echo x > /opt/new || echo refused; echo y > /tmp/z && cat /tmp/z',
        { stackRoot: stack.path },
      );
      const ran = await runToEnd(opened.sandboxes, seen);
      expect(ran.out.filter(line => !line.includes(':x:'))).toEqual([
        '/opt:',
        'tool',
        '',
        '/usr/bin:',
        'cat',
        'ls',
        'sh',
        'testsyes',
        'vcap',
        'refused',
        'y',
      ]);
      expect(ran.out.join()).not.toContain('secret');
      expect(ran.exit.code).toBe(0);
      // What was kept ahead for the host's stack is still there for the next.
      expect((await runToEnd(opened.sandboxes, script('ls /usr/bin/env'))).out).toEqual(['/usr/bin/env']);
    },
  );

  (enforced.fs ? notPromised : test)('on a stack of its own a plain process is refused', async () => {
    await using opened = await open();
    await expect(opened.sandboxes.start(script('true', { stackRoot: '/' }))).rejects.toThrow(/only the stack "host"/);
    expect(readdirSync(opened.folder)).toEqual([]);
  });

  test('the environment inside is exactly the given one', async () => {
    await using opened = await open();
    const environment = {
      PATH: '/usr/bin:/bin',
      PLAIN: 'a b',
      EMPTY: '',
      QUOTES: `it's "so" $HOME \`id\` \\`,
      LINES: 'one\ntwo\n',
      code: '1',
      'spring.profiles.active': 'prod',
      ÄÖ: 'größer',
    };
    const ran = await runToEnd(opened.sandboxes, aSpec({ argv: ['env', '-0'], environment }));
    const seen = ran.out.join('\n').split('\0').filter(Boolean);
    expect(seen.sort()).toEqual(
      Object.entries(environment)
        .map(([name, value]) => `${name}=${value}`)
        .sort(),
    );
  });

  test('no process has a value of the environment on its command line', async () => {
    await using opened = await open();
    const SECRET = randomUUID();
    const sandbox = await opened.sandboxes.start(
      script('echo ready; sleep 1000', { environment: { PATH: '/usr/bin:/bin', SECRET } }),
    );
    await readUntil(sandbox, line => line === 'ready');
    expect(pidsWith(SECRET)).toEqual([]);
    await sandbox.kill();
    await finish(sandbox);
  });

  test('the app may open its own output by name, and reads nothing from its input', async () => {
    await using opened = await open();
    const ran = await runToEnd(
      opened.sandboxes,
      script('echo named >/dev/stdout; echo wrong >/dev/stderr; cat; echo $?'),
    );
    expect(ran.out).toEqual(['named', '0']);
    expect(ran.err).toEqual(['wrong']);
  });

  test('home is writable, and nothing of it is there at the next start', async () => {
    await using opened = await open();
    const spec = script('cd /home/vcap && ls -A && echo mine > file && cat file');
    expect((await runToEnd(opened.sandboxes, spec)).out).toEqual(['mine']);
    expect((await runToEnd(opened.sandboxes, spec)).out).toEqual(['mine']);
  });

  test('an overlay is writable, and its source stays as it was', async () => {
    await using opened = await open();
    using source = layer({ 'app/kept': 'kept', 'app/changed': 'old', 'app/deleted': '' });
    const spec = script(
      'cd /home/vcap/app && rm deleted && echo new > changed && echo more > added && ls && cat changed',
      {
        mounts: [{ source: source.path, target: '/home/vcap', mode: 'overlay' }],
      },
    );
    expect((await runToEnd(opened.sandboxes, spec)).out).toEqual(['added', 'changed', 'kept', 'new']);
    expect(readdirSync(join(source.path, 'app')).sort()).toEqual(['changed', 'deleted', 'kept']);
    expect(readFileSync(join(source.path, 'app/changed'), 'utf8')).toBe('old');
  });

  test('a writable mount is the folder itself', async () => {
    await using opened = await open();
    using cache = layer({ before: 'before' });
    const ran = await runToEnd(
      opened.sandboxes,
      script('cat /home/vcap/cache/before && echo after > /home/vcap/cache/after', {
        mounts: [{ source: cache.path, target: '/home/vcap/cache', mode: 'writable' }],
      }),
    );
    expect(ran.out).toEqual(['before']);
    expect(readFileSync(join(cache.path, 'after'), 'utf8')).toBe('after\n');
  });

  test('through a FIFO in a read-only mount it is told of what appears there', async () => {
    await using opened = await open();
    using folder = layer({ first: '' });
    const fifo = join(folder.path, 'told');
    execFileSync('mkfifo', ['-m', '666', fifo]);
    const sandbox = await opened.sandboxes.start(
      script('cd /home/vcap/changes; exec 4<>told; echo ready; read -r name <&4; cat "$name"', {
        mounts: [{ source: folder.path, target: '/home/vcap/changes', mode: 'read-only' }],
      }),
    );
    const { position } = await readUntil(sandbox, line => line === 'ready');
    writeFileSync(join(folder.path, 'later'), 'seen\n');
    writeFileSync(fifo, 'later\n');
    expect((await finish(sandbox, position)).out).toEqual(['seen']);
  });

  (enforced.fs ? describe : notPromised)('with a root of its own', () => {
    test("the time zone is the host's, by its name: programs that look for it would else compare hundreds of files", async () => {
      await using opened = await open();
      const { out } = await runToEnd(opened.sandboxes, script('readlink /etc/localtime || stat -c %F /etc/localtime'));
      const here = lstatSync('/etc/localtime', { throwIfNoEntry: false });
      const named = here?.isSymbolicLink() ? readlinkSync('/etc/localtime') : '/usr/share/zoneinfo/UTC';
      expect(out).toEqual([here?.isFile() ? 'regular file' : named]);
    });

    test('which distribution it stands on is told where programs look for it', async () => {
      await using opened = await open();
      const { out } = await runToEnd(
        opened.sandboxes,
        script('cat /etc/os-release; cat /etc/lsb-release 2>/dev/null || true'),
      );
      const text = ['/etc/os-release', '/etc/lsb-release']
        .filter(path => existsSync(path))
        .map(path => readFileSync(path, 'utf8'))
        .join('');
      expect(`${out.join('\n')}\n`).toBe(text);
    });

    test('files are there, readable by the app alone to change by nobody', async () => {
      await using opened = await open();
      const ran = await runToEnd(
        opened.sandboxes,
        script('cat /etc/resolv.conf; echo x >> /etc/resolv.conf', {
          files: { '/etc/resolv.conf': 'nameserver 192.0.2.1\n' },
        }),
      );
      expect(ran.out).toEqual(['nameserver 192.0.2.1']);
      expect(ran.exit.code).not.toBe(0);
    });

    test('a read-only mount within an overlay cannot be written', async () => {
      await using opened = await open();
      using source = layer({ 'app/kept': 'kept' });
      using tools = layer({ 'bin/tool': 'tool' });
      const ran = await runToEnd(
        opened.sandboxes,
        script(
          'cat /home/vcap/deps/tool/bin/tool; echo x > /home/vcap/deps/tool/bin/tool; touch /home/vcap/deps/tool/new',
          {
            mounts: [
              { source: source.path, target: '/home/vcap', mode: 'overlay' },
              { source: tools.path, target: '/home/vcap/deps/tool', mode: 'read-only' },
            ],
          },
        ),
      );
      expect(ran.out).toEqual(['tool']);
      expect(ran.err).toHaveLength(2);
      expect(ran.exit.code).not.toBe(0);
    });

    test('the root is read-only, /tmp is not', async () => {
      await using opened = await open();
      const tries = ['/usr/x', '/etc/x', '/x', '/run/x', '/dev/x', '/sys/x', '/tmp/x', '/var/tmp/x', '/dev/shm/x'];
      const ran = await runToEnd(
        opened.sandboxes,
        script(`for f in ${tries.join(' ')}; do touch $f 2>/dev/null && echo $f; done; true`),
      );
      expect(ran.out).toEqual(['/tmp/x', '/var/tmp/x', '/dev/shm/x']);
    });

    test('nothing of the host shows but /usr and the little of /etc that programs need', async () => {
      await using opened = await open();
      const ran = await runToEnd(
        opened.sandboxes,
        script('ls -A /home /root /opt /run /var/log; ls /etc/shadow /work'),
      );
      expect(ran.out.filter(line => line !== '' && !line.endsWith(':'))).toEqual(['vcap', 'cupola']);
    });

    test('the app is vcap, and owns its home', async () => {
      await using opened = await open();
      const spec = script('id -u; id -un; id -G; stat -c %u /home/vcap /tmp');
      const id = idInside ?? String(spec.uid);
      expect((await runToEnd(opened.sandboxes, spec)).out).toEqual([id, 'vcap', id, id, id]);
    });

    test('only its own processes are to be seen, and its own hostname', async () => {
      await using opened = await open();
      const spec = script('ls /proc | grep -c "^[0-9]"; cat /proc/sys/kernel/hostname');
      const ran = await runToEnd(opened.sandboxes, spec);
      expect(Number(ran.out[0])).toBeLessThan(10);
      expect(ran.out[1]).toBe(spec.guid);
    });

    test('no mount shows on the host, while it runs or after', async () => {
      await using opened = await open();
      const sandbox = await opened.sandboxes.start(script('echo ready; sleep 1000'));
      await readUntil(sandbox, line => line === 'ready');
      expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(opened.folder);
      expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain('/run/cupola');
      await sandbox.kill();
      await finish(sandbox);
      await until('its loop device is free', () => loopDevicesOn(opened.folder).length === 0);
    });

    test('a link of the layer in the way of a mount is refused: it could lead anywhere on the host', async () => {
      await using opened = await open();
      using source = layer({ 'app/kept': 'kept' });
      using outside = layer({});
      symlinkSync(outside.path, join(source.path, 'deps'));
      const start = opened.sandboxes.start(
        aSpec({
          mounts: [
            { source: source.path, target: '/home/vcap', mode: 'overlay' },
            { source: source.path, target: '/home/vcap/deps/tool', mode: 'read-only' },
          ],
        }),
      );
      await expect(start).rejects.toThrow(SandboxError);
      expect(readdirSync(outside.path)).toEqual([]);
    });

    test('privileges cannot be gained, namespaces not made, the root not entered again', async () => {
      await using opened = await open();
      const ran = await runToEnd(
        opened.sandboxes,
        script(
          'grep -E "^(CapEff|CapBnd|NoNewPrivs|Seccomp):" /proc/self/status; unshare --user true || echo no; unshare --mount true || echo no; mount -t tmpfs x /tmp || echo no',
        ),
      );
      expect(ran.out).toEqual([
        'CapEff:\t0000000000000000',
        'CapBnd:\t0000000000000000',
        'NoNewPrivs:\t1',
        'Seccomp:\t2',
        ...['no', 'no', 'no'],
      ]);
    });
  });
}

function limits(open: Open, enforced: Enforced): void {
  (enforced.mem ? test : notPromised)('ended names memory as the reason', async () => {
    await using opened = await open();
    const ran = await runToEnd(opened.sandboxes, aSpec({ argv: ['perl', '-e', 'push @a, "x" x 1e6 while 1'] }));
    expect(ran.exit).toMatchObject({ code: null, signal: 9, outOfMemory: true });
  });

  (enforced.pids ? test : notPromised)('the number of processes is capped', async () => {
    await using opened = await open();
    const ran = await runToEnd(
      opened.sandboxes,
      aSpec({
        argv: [
          'perl',
          '-e',
          'for (1 .. 200) { my $p = fork; die "stopped: $!\\n" unless defined $p; sleep 100 if !$p }',
        ],
        limits: { memoryMb: 128, cpuShare: 0.1, pidsMax: 32, diskMb: 16 },
      }),
    );
    expect(ran.err).toEqual(['stopped: Resource temporarily unavailable']);
  });

  (enforced.disk ? test : notPromised)('the disk is capped, for home, /tmp and overlays together', async () => {
    await using opened = await open();
    using source = layer({ 'app/kept': 'kept' });
    const ran = await runToEnd(
      opened.sandboxes,
      script(
        'head -c 6000000 /dev/zero > /tmp/a && head -c 6000000 /dev/zero > /home/vcap/app/b && echo half; head -c 6000000 /dev/zero > /tmp/c',
        { mounts: [{ source: source.path, target: '/home/vcap', mode: 'overlay' }] },
      ),
    );
    expect(ran.out).toEqual(['half']);
    expect(ran.err.join()).toContain('No space left on device');
  });

  test('usage() tells what the app takes', async () => {
    await using opened = await open();
    const sandbox = await opened.sandboxes.start(
      script(
        'echo ready; head -c 3000000 /dev/zero > /home/vcap/file; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo used; sleep 1000',
      ),
    );
    await readUntil(sandbox, line => line === 'used');
    const usage = await sandbox.usage();
    expect(usage.diskBytes).toBeGreaterThanOrEqual(3_000_000);
    expect(usage.diskBytes).toBeLessThan(6_000_000);
    expect(usage.memoryBytes > 0).toBe(enforced.mem);
    expect(usage.cpuSeconds > 0).toBe(enforced.cpu);
    await sandbox.kill();
    await finish(sandbox);
  });

  test('output beyond the rate is dropped and counted, and the app is not slowed', async () => {
    await using opened = await open();
    const ran = await runToEnd(
      opened.sandboxes,
      script(
        'yes 0123456789012345678901234567890123456789012345678901234567890123456789012345678 | head -n 50000; echo end >&2',
        {
          logRateBytesPerSecond: 100_000,
        },
      ),
    );
    const kept = ran.out.reduce((sum, line) => sum + line.length + 1, 0);
    expect(ran.droppedBytes).toBeGreaterThan(1_000_000);
    expect(kept + ran.droppedBytes + ran.err.join('').length).toBeGreaterThanOrEqual(4_000_000);
    expect(ran.exit.code).toBe(0);
  });

  test('of output beyond the rate whole lines are kept, as many as fit: one of just the limit does', async () => {
    await using opened = await open();
    const line = '1'.repeat(1_024);
    const twice = await runToEnd(
      opened.sandboxes,
      script(`printf '${line}\\n${line}\\n'`, { logRateBytesPerSecond: 1_024 }),
    );
    expect(twice.out).toEqual([line]);
    expect(twice.droppedBytes).toBe(1_025);
    const many = await runToEnd(
      opened.sandboxes,
      script("yes 'a whole line' | head -n 20000 | dd bs=1000 2>/dev/null", { logRateBytesPerSecond: 10_001 }),
    );
    expect(many.out.length).toBeGreaterThan(500);
    expect(new Set(many.out)).toEqual(new Set(['a whole line']));
    const inPieces = await runToEnd(
      opened.sandboxes,
      script("printf 'first\\nbegun'; sleep 0.1; printf ', and far over any limit of a second\\n'", {
        logRateBytesPerSecond: 20,
      }),
    );
    expect(inPieces.out).toEqual(['first']);
  });

  test('a line of more than 64 KiB comes in pieces, and not a byte is lost of much output', async () => {
    await using opened = await open();
    const ran = await runToEnd(
      opened.sandboxes,
      aSpec({ argv: ['perl', '-e', 'print "x" x 200_000, "\\n"; print "line $_\\n" for 1 .. 50_000'] }),
    );
    expect(ran.out.slice(0, 4).map(line => line.length)).toEqual([65_536, 65_536, 65_536, 3_392]);
    expect(ran.out.slice(4)).toEqual(Array.from({ length: 50_000 }, (_, index) => `line ${index + 1}`));
  });
}

function lives(open: Open): void {
  test('adopt() finds what runs; lines go on where the last reader stopped, none lost or twice', async () => {
    await using opened = await open();
    const first = await opened.sandboxes.start(
      script('i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo $i; done; echo half; sleep 1000'),
    );
    const { lines, position } = await readUntil(first, line => line === '1000');
    const [second] = await (await opened.again()).adopt();
    expect(second).toMatchObject({ guid: first.guid, startedMs: first.startedMs, pid: first.pid });
    const rest = await readUntil(second ?? first, line => line === 'half', position);
    expect([...lines, ...rest.lines]).toEqual([...Array.from({ length: 2000 }, (_, index) => `${index + 1}`), 'half']);
    await second?.kill();
    expect(await second?.ended).toMatchObject({ signal: 9, lost: false });
    await second?.remove();
  });

  test('adopt() hands out what has ended meanwhile, until it is removed', async () => {
    await using opened = await open();
    const first = await opened.sandboxes.start(script('echo last words; exit 3'));
    await first.ended;
    const other = await opened.again();
    const [second] = await other.adopt();
    const ran = await finish(second ?? first);
    expect(ran.out).toEqual(['last words']);
    expect(ran.exit).toMatchObject({ code: 3, lost: false });
    expect(await other.adopt()).toEqual([]);
  });

  test('adopt() cleans away what never began', async () => {
    await using opened = await open();
    mkdirSync(join(opened.folder, 'half-way'), { recursive: true });
    writeFileSync(join(opened.folder, 'half-way', 'spec'), '');
    expect(await opened.sandboxes.adopt()).toEqual([]);
    expect(readdirSync(opened.folder)).toEqual([]);
  });

  test('adopt() calls what ran before a reboot lost', async () => {
    await using opened = await open();
    const first = await opened.sandboxes.start(aSpec());
    await first.ended;
    opened.reboot(first.guid);
    const [second] = await opened.sandboxes.adopt();
    expect(await second?.ended).toMatchObject({ lost: true, code: null });
    await second?.remove();
  });

  test('a keeper that is lost takes its app with it, and is told as lost', async () => {
    await using opened = await open();
    const marker = randomUUID();
    const sandbox = await opened.sandboxes.start(script(`sh -c 'echo ready; sleep 1000; : ${marker}'; exit 0`));
    await readUntil(sandbox, line => line === 'ready');
    await opened.loseKeeper(sandbox.guid);
    expect(await sandbox.ended).toMatchObject({ lost: true, code: null, signal: null, outOfMemory: false });
    expect(pidsWith(marker)).toEqual([]);
    await sandbox.remove();
  });

  test('start() that cannot be set up throws SandboxError and leaves nothing', async () => {
    await using opened = await open();
    const spec = aSpec({ mounts: [{ source: '/no/such/folder', target: '/home/vcap/app', mode: 'overlay' }] });
    await expect(opened.sandboxes.start(spec)).rejects.toThrow(/\/no\/such\/folder/);
    expect(readdirSync(opened.folder)).toEqual([]);
    expect(cgroupsOf(opened, spec.guid)).toEqual([]);
    // It has said why it gives up, and is on its way out.
    await until('its shim has ended', () => pidsWith(spec.guid).length === 0);
  });

  test('remove() leaves no folder, control group, process or loop device', async () => {
    await using opened = await open();
    const spec = script('mkdir -m 0 /tmp/closed; echo done');
    await runToEnd(opened.sandboxes, spec);
    expect(readdirSync(opened.folder)).toEqual([]);
    expect(cgroupsOf(opened, spec.guid)).toEqual([]);
    expect(pidsWith(spec.guid)).toEqual([]);
    await until('its loop device is free', () => loopDevicesOn(opened.folder).length === 0);
  });

  test('twelve at once start and end, each with its own output', async () => {
    await using opened = await open();
    const names = Array.from({ length: 12 }, (_, index) => `sandbox ${index}`);
    const all = await Promise.all(names.map(name => runToEnd(opened.sandboxes, script(`echo ${name}; sleep 0.1`))));
    expect(all.map(({ out }) => out)).toEqual(names.map(name => [name]));
  });
}

function images(open: Open, enforced: Enforced, idInside: string | null): void {
  test('an image has its own root and no shell, and may write all over it; the next start finds it as it was', async () => {
    await using opened = await open();
    using root = imageRoot('/usr/bin/touch', '/usr/bin/ls', '/usr/bin/cat');
    const image = { root: root.path, uid: 1_000, gid: 1_001, openFilesMax: 99 };
    const run = (...argv: string[]): Promise<Ran> => runToEnd(opened.sandboxes, aSpec({ argv, image }));
    expect(await run('touch', '/made', '/etc/made')).toMatchObject({ err: [], exit: { code: 0 } });
    const { out } = await run('ls', '/');
    expect(out).toEqual(expect.arrayContaining(['dev', 'etc', 'proc', 'usr']));
    expect(out).not.toContain('made');
    expect((await run('cat', '/etc/hosts')).out[0]).toContain('localhost');
    expect((await run('cat', '/proc/self/limits')).out.join()).toMatch(/Max open files +99 +99/);
    expect(readdirSync(root.path)).not.toContain('made');
    expect((await run('cat', join(root.path, 'usr/bin/ls'))).exit.code).not.toBe(0);
  });

  (enforced.userns ? test : notPromised)(
    'an image runs as the user that it names, and none of its users may do more',
    async () => {
      await using opened = await open();
      using root = imageRoot('/usr/bin/id', '/usr/bin/cat', '/usr/bin/chown');
      const run = async (uid: number, ...argv: string[]): Promise<Ran> =>
        runToEnd(opened.sandboxes, aSpec({ argv, image: { root: root.path, uid, gid: 7, openFilesMax: 99 } }));
      // Where ids are not mapped it is the app's own user, as for every app of it.
      const seen = (uid: number): string => String(idInside === null ? aSpec().uid : uid);
      for (const uid of [1_000, 0]) expect((await run(uid, 'id', '-u')).out).toEqual([seen(uid)]);
      expect((await run(0, 'cat', '/proc/self/status')).out.filter(line => /^Cap(Eff|Bnd)/.test(line))).toEqual([
        'CapEff:\t0000000000000000',
        'CapBnd:\t0000000000000000',
      ]);
      expect((await run(0, 'chown', '5', '/usr/bin/id')).exit.code).not.toBe(0);
    },
  );
}

function networks(open: Open): void {
  test('in a network namespace the app has its address alone, where the host reaches it', async () => {
    await using opened = await open();
    await using own = await aNetwork();
    const { name, address } = own.leased;
    const sandbox = await opened.sandboxes.start(
      aSpec({ argv: ['perl', '-e', SERVE], network: { kind: 'namespace', name, address } }),
    );
    await readUntil(sandbox, line => line === 'ready');
    expect(await text(connect({ host: address, port: 8080 }))).toBe('eth0 lo');
    await sandbox.kill();
    await finish(sandbox);
  });
}
async function aNetwork(): Promise<AsyncDisposable & { leased: LeasedNetwork }> {
  const folder = tempFolder();
  const log = { info: () => undefined, warn: () => undefined };
  const pool = await openNetworks({ folder: folder.path, installation: `test-${randomUUID()}`, ahead: 0, log });
  if (pool === null) throw new Error('no networks here');
  return {
    leased: await pool.lease(defaultEgress),
    [Symbol.asyncDispose]: async () => {
      await pool.close({ remove: true });
      folder[Symbol.dispose]();
    },
  };
}
/** Tells each who connects the names of the network devices that it sees. */
const SERVE = `
use IO::Socket::INET; $| = 1;
my $l = IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => 8080, Listen => 5) or die; print "ready\n";
while (my $c = $l->accept) { open(my $d, '<', '/proc/net/dev'); print $c join ' ', sort map { /^ *([a-z0-9]+):/ ? $1 : () } <$d>; close $c }`;

/** @param idInside as which every app sees itself; null: each by the user id that this machine knows it by. */
export function sandboxContract(open: Open, enforced: Enforced, idInside: string | null = '2000'): void {
  describe('how it ends', () => endings(open));
  describe('what is inside', () => insides(open, enforced, idInside));
  describe('limits and logs', () => limits(open, enforced));
  describe('how it outlives us', () => lives(open));
  if (enforced.fs) describe('an image', () => images(open, enforced, idInside));
  describe.runIf(networksMissing() === null)('with a network of its own', () => networks(open));
}
