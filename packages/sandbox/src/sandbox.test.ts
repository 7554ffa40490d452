/** The contract on every rung that this machine has, as who we are. */
import { randomUUID } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { CANARY_UID, pageSays, tempFolder } from './fixtures.ts';
import { type OpenOptions, openSandboxes, tryRungs } from './open-sandboxes.ts';
import type { RungName } from './rungs.ts';
import { type Opened, sandboxContract } from './sandbox.contract.ts';
import { SandboxError, type Sandboxes } from './sandbox.ts';
import { readState } from './shim-folder.ts';

const options = (folder: string): OpenOptions => ({
  folder: join(folder, 'sandboxes'),
  installation: `test-${randomUUID().slice(0, 8)}`,
  allowUnsandboxed: true,
  canaryUid: CANARY_UID,
  separateNetwork: false,
});

/** One for all tests of a rung, opened at the first; after each what it left is taken away, at the end all. */
function shared(only: RungName, more: Partial<OpenOptions> = {}): { open(): Promise<Opened>; close(): Promise<void> } {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(tempFolder());
  const how = { ...options(path), ...more, only };
  let opened: Promise<Sandboxes> | undefined;
  const clean = async (): Promise<void> => {
    for (const sandbox of (await (await opened)?.adopt()) ?? []) {
      await sandbox.kill();
      await sandbox.ended;
      await sandbox.remove();
    }
  };
  return {
    open: async () => {
      opened ??= openSandboxes(how);
      return {
        sandboxes: await opened,
        folder: how.folder,
        installation: how.installation,
        again: () => openSandboxes({ ...options(path), installation: how.installation, only }),
        loseKeeper: async guid => void process.kill(readState(join(how.folder, guid))?.shimPid ?? 0, 'SIGKILL'),
        reboot: guid => {
          const file = join(how.folder, guid, 'state');
          writeFileSync(file, readFileSync(file, 'utf8').replace(/^boot .*$/m, 'boot another'));
          rmSync(join(how.folder, guid, 'exit'));
        },
        [Symbol.asyncDispose]: clean,
      };
    },
    close: async () => {
      await (await opened)?.close();
      await stack.disposeAsync();
    },
  };
}

using folder = tempFolder();
const trials = await tryRungs(options(folder.path));

const usable = trials.flatMap(({ name, report }) => (report === null ? [] : [{ name, report }]));
describe.each(usable)('Sandboxes on $name', ({ name, report }) => {
  const { open, close } = shared(name);
  afterAll(close);
  sandboxContract(open, report.enforced);
});

describe.each(usable.slice(0, 2))('Sandboxes on $name with a shim kept ahead', ({ name, report }) => {
  const { open, close } = shared(name, { spareAfterMs: 0 });
  afterAll(close);
  sandboxContract(open, report.enforced);
});

/** What needs more than a tool: control groups and loop devices, which a container may lack. The net is not the rung's. */
const BY_MACHINE = ['mem', 'cpu', 'pids', 'disk'];
const BY_NETWORKS = ['net', 'egress'];
/** The page's column of plain processes is root's. */
const onPage = usable.filter(({ name }) => name !== 'process' || process.getuid?.() === 0);
test.each(onPage)('docs/sandboxes.md says of $name what its canary saw', ({ name, report }) => {
  for (const [key, says] of Object.entries(pageSays(name))) {
    const seen = report.enforced[key as keyof typeof report.enforced];
    if (BY_NETWORKS.includes(key) || (says && !seen && BY_MACHINE.includes(key))) continue;
    expect([key, seen]).toEqual([key, says]);
  }
});

describe('openSandboxes()', () => {
  test('openSandboxes() takes the first rung of the ladder whose canary holds', async () => {
    using place = tempFolder();
    const sandboxes = await openSandboxes(options(place.path));
    expect(sandboxes.report.rung).toBe(usable[0]?.name);
    await sandboxes.close();
  });

  test('openSandboxes() throws, saying what to do, where none may be used', async () => {
    using place = tempFolder();
    const open = openSandboxes({ ...options(place.path), only: 'process', allowUnsandboxed: false });
    await expect(open).rejects.toThrow(SandboxError);
    await expect(open).rejects.toThrow(/--allow-unsandboxed/);
  });
});
