/** The contract on a Docker engine, and what an engine does that no shim does: go away, come back, be shared. */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CANARY_UID, finish, pageSays, readUntil, runToEnd, script, tempFolder, until } from '../fixtures.ts';
import type { Opened } from '../sandbox.contract.ts';
import { sandboxContract } from '../sandbox.contract.ts';
import type { Enforced, Sandboxes } from '../sandbox.ts';
import { type DockerEngine, startDockerEngine } from './engine-server.ts';
import { openDocker } from './open-docker.ts';
import { readState, writeState } from './state-file.ts';

/** What this rung promises wherever its canary holds: all of it. */
const ENFORCED: Enforced = {
  ...{ pid: true, net: true, fs: true, mem: true, cpu: true, pids: true },
  ...{ disk: true, seccomp: true, userns: true, egress: true, uid: true },
};

const asRoot = describe.runIf(process.getuid?.() === 0);

let engine: DockerEngine;
beforeAll(async () => {
  engine = await startDockerEngine();
}, 180_000);
afterAll(() => engine[Symbol.asyncDispose](), 180_000);

const openIn = (path: string): Promise<Sandboxes> =>
  openDocker({
    host: engine.host,
    folder: join(path, 'sandboxes'),
    installation: `test-${randomUUID().slice(0, 8)}`,
    canaryUid: CANARY_UID,
    separateNetwork: true,
  });

/** A cell of its own on the engine. */
async function openCell(): Promise<Opened> {
  const place = tempFolder();
  const folder = join(place.path, 'sandboxes');
  const all = [await openIn(place.path)];
  const state = (guid: string) => readState(join(folder, guid));
  return {
    sandboxes: all[0] as Sandboxes,
    folder,
    installation: '',
    again: async () => {
      const other = await openIn(place.path);
      all.push(other);
      return other;
    },
    loseKeeper: async guid => {
      await engine.kill();
      engine.forget(state(guid)?.container ?? '');
      await engine.startAgain();
    },
    reboot: guid => {
      const known = state(guid);
      if (known !== null) writeState(join(folder, guid), { ...known, boot: 'another' });
    },
    [Symbol.asyncDispose]: async () => {
      for (const sandbox of (await all[0]?.adopt()) ?? []) {
        await sandbox.kill();
        await sandbox.ended;
        await sandbox.remove();
      }
      for (const each of all) await each.close();
      place[Symbol.dispose]();
    },
  };
}

asRoot('Sandboxes on docker', () => {
  let cell: Opened;
  beforeAll(async () => {
    cell = await openCell();
  });
  afterAll(() => cell[Symbol.asyncDispose]());

  sandboxContract(async () => ({ ...cell, [Symbol.asyncDispose]: async () => undefined }), ENFORCED, null);

  test('the canary has seen all of it, and docs/sandboxes.md says so', () => {
    expect(cell.sandboxes.report).toMatchObject({ rung: 'docker', enforced: ENFORCED });
    expect(pageSays('docker')).toEqual(ENFORCED);
  });
});

asRoot('an engine that goes away', () => {
  test('is no end of an app: it runs on, is told to end, and its end is known once the engine is back', async () => {
    await using cell = await openCell();
    const start = (text: string) => cell.sandboxes.start(script(text));
    const [runs, ends, told] = [
      await start('echo before; while :; do sleep 0.05; echo again; done'),
      await start('echo before; until [ -e /home/vcap/end ]; do sleep 0.05; done; exit 7'),
      await start('trap "exit 4" TERM; echo before; while :; do sleep 0.05; done'),
    ];
    const { position } = await readUntil(runs, line => line === 'before');
    await readUntil(told, line => line === 'before');
    await engine.kill();
    await told.terminate();
    writeFileSync(`/proc/${ends.pid}/root/home/vcap/end`, '');
    await until('the processes have ended', () => told.pid !== null && !isAlive(told.pid) && !isAlive(ends.pid ?? 0));
    const early = Promise.race([ends.ended, told.ended, runs.ended, new Promise(done => setImmediate(done))]);
    expect(await early).toBeUndefined();
    await engine.startAgain();
    expect(await told.ended).toMatchObject({ code: 4, lost: false });
    expect(await finish(ends)).toMatchObject({ out: ['before'], exit: { code: 7, signal: null, lost: false } });
    const more = await readUntil(runs, line => line === 'again', position);
    expect(more.lines).toEqual(['again']);
    await told.remove();
    await runs.kill();
    expect((await finish(runs)).exit).toMatchObject({ signal: 9, lost: false });
  });

  test('does not keep a new agent from its sandboxes, and what it could not remove goes when it is back', async () => {
    await using cell = await openCell();
    const kept = await cell.sandboxes.start(script('echo kept; sleep 1000'));
    const left = await cell.sandboxes.start(script('exit 0'));
    await left.ended;
    await engine.kill();
    await left.remove();
    const started = cell.sandboxes.start(script('true'));
    await expect(started).rejects.toThrow(/the Docker engine does not answer/);
    const [adopted] = await (await cell.again()).adopt();
    expect(adopted).toMatchObject({ guid: kept.guid, pid: kept.pid });
    await engine.startAgain();
    await until('the container that was left is gone', async () => {
      const names = await engine.docker('ps', '--all', '--format', '{{.Names}}');
      return names.includes(kept.guid) && !names.includes(left.guid);
    });
    expect((await readUntil(adopted ?? kept, line => line === 'kept')).lines).toEqual(['kept']);
  });

  test('openDocker() says what to do where none answers, and where its address is not of this machine', async () => {
    using place = tempFolder();
    const open = (host: string) =>
      openDocker({
        host,
        folder: join(place.path, 's'),
        installation: 't',
        canaryUid: CANARY_UID,
        separateNetwork: true,
      });
    await expect(open('unix:///no/such.sock')).rejects.toThrow(/--docker-host/);
    // What the environment names is not asked.
    process.env.DOCKER_HOST = 'tcp://127.0.0.1:1';
    try {
      await using _ = await openCell();
    } finally {
      delete process.env.DOCKER_HOST;
    }
    await expect(open('tcp://192.0.2.1:2375')).rejects.toThrow(/unix:\/\/\/var\/run\/docker.sock/);
  });
});

asRoot('an engine that is shared', () => {
  test('what an agent could not finish starting is cleared away by the next one, its container too', async () => {
    await using cell = await openCell();
    const running = await cell.sandboxes.start(script('sleep 1000'));
    const { container = '' } = readState(join(cell.folder, running.guid)) ?? {};
    const owner = await engine.docker('inspect', '--format', '{{index .Config.Labels "io.cupola.owner"}}', container);
    const label = ['--label', `io.cupola.owner=${owner.trim()}`, '--label', 'io.cupola.sandbox=half-way'];
    const half = await engine.docker('create', ...label, '--network=none', await anImage(), '/bin/true');
    mkdirSync(join(cell.folder, 'half-way'));
    const adopted = await (await cell.again()).adopt();
    expect(adopted.map(({ guid }) => guid)).toEqual([running.guid]);
    // The engine has answered that it goes.
    await until('it is gone', async () => !(await containers()).includes(half.trim()));
  });

  test('each cell adopts its own, and clears away nothing of another', async () => {
    await using one = await openCell();
    await using other = await openCell();
    const mine = await one.sandboxes.start(script('sleep 1000'));
    const its = await other.sandboxes.start(script('sleep 1000'));
    const strange = (await engine.docker('create', '--network=none', await anImage(), '/bin/true')).trim();
    expect((await (await one.again()).adopt()).map(({ guid }) => guid)).toEqual([mine.guid]);
    expect((await (await other.again()).adopt()).map(({ guid }) => guid)).toEqual([its.guid]);
    expect(await engine.docker('ps', '--all', '--quiet', '--no-trunc')).toContain(strange);
    await engine.docker('rm', strange);
  });

  test('a container that somebody restarts has ended: in the new one nothing of the app would run', async () => {
    await using cell = await openCell();
    const sandbox = await cell.sandboxes.start(script('echo ready; sleep 1000'));
    await readUntil(sandbox, line => line === 'ready');
    await engine.docker('restart', '--time', '0', `cupola-${sandbox.guid}`);
    expect((await finish(sandbox)).exit).toMatchObject({ code: null });
    await until('no container is left', async () => (await containers()).length === 0);
  });

  test('an image that somebody has removed is made again', async () => {
    await using cell = await openCell();
    await runToEnd(cell.sandboxes, script('true'));
    await engine.docker('image', 'rm', '--force', await anImage());
    expect((await runToEnd(cell.sandboxes, script('echo there'))).out).toEqual(['there']);
  });

  test('close() leaves nothing in the engine', async () => {
    const cell = await openCell();
    await runToEnd(cell.sandboxes, script('true'));
    await cell[Symbol.asyncDispose]();
    await until('no container is left', async () => (await containers()).length === 0);
    expect(await engine.docker('images', '--quiet')).toBe('');
  });
});

const containers = async (): Promise<string[]> =>
  (await engine.docker('ps', '--all', '--quiet', '--no-trunc')).split('\n').filter(Boolean);
const anImage = async (): Promise<string> => (await engine.docker('images', '--quiet')).split('\n')[0] ?? '';

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
