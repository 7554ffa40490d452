/**
 * A platform and two machines that have joined it, each in a network of its own: apps are spread over them, moved, cut off and lost, while a client outside
 * asks without pause.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Host, type Network, openNetwork } from './hosts.ts';
import { appFolder, type Platform, shimPids, startPlatform, until } from './platform.ts';
import { askApi } from './sockets.ts';

interface Cell {
  cellId: string;
  state: string;
  placedCopies: number;
  copies: number;
}

const INSTANCES = 4;
/** Ends once each instance has answered under its name, whichever machine it is on; tries again what is not open yet. */
const ASK_EACH = `node -e '
  const ask = index => require("node:http")
    .get({ host: index + ".hello.apps.internal", port: 8080, agent: false }, answer =>
      answer.resume().on("end", () => index + 1 < ${INSTANCES} ? ask(index + 1) : process.exit(0)))
    .on("error", () => setTimeout(ask, 200, index));
  ask(0)'`;
/** Asks each in turn for some seconds, by connections of their own to addresses that it has asked for before; says what has failed. */
const ASK_ON = `node -e '
  const end = Date.now() + 4000;
  const names = Array.from({ length: ${INSTANCES} }, (_, index) => index + ".hello.apps.internal");
  const ask = hosts => require("node:http")
    .get({ host: hosts[0], port: 8080, agent: false }, answer => answer.resume().on("end", () =>
      Date.now() < end ? setTimeout(ask, 5, [...hosts.slice(1), hosts[0]]) : process.exit(0)))
    .on("error", error => { console.log(hosts[0], error.code); process.exit(1); });
  Promise.all(names.map(name => require("node:dns").promises.resolve4(name))).then(all => ask(all.flat()))'`;

describe.skipIf(process.getuid?.() !== 0)('machines that have joined', () => {
  let work: string;
  let network: Network;
  let platform: Platform;
  let hosts: Host[];

  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), 'cupola-cluster-'));
    network = await openNetwork();
    platform = await startPlatform(['--cluster-listen', `${network.address}:0`]);
    await platform.login();
    await platform.cupola(['push', 'hello'], { cwd: appFolder(work, 'hello') });
    hosts = [await network.host(), await network.host()];
    await Promise.all(hosts.map(async host => host.join(await address(), await token())));
    await platform.cupola(['scale', 'hello', '-i', String(INSTANCES)]);
    await spread();
  });
  afterAll(async () => {
    await network?.[Symbol.asyncDispose]();
    await platform?.[Symbol.asyncDispose]();
    rmSync(work, { recursive: true, force: true });
  });

  const onPlatform = async (...args: string[]): Promise<string> =>
    (await platform.cupola([...args, '--data', platform.data])).stdout;
  const address = async (): Promise<string> => {
    const { clusterPort } = (await platform.status()) as unknown as { clusterPort: number };
    return `${network.address}:${clusterPort}`;
  };
  const token = async (): Promise<string> =>
    (JSON.parse(await onPlatform('cluster', 'token', '--role', 'agent', '--json')) as { token: string }).token;
  const cells = async (): Promise<Cell[]> =>
    (await askApi<{ cells: Cell[] }>({ data: platform.data }, '/internal/cells')).cells;
  const cellOf = async (host: Host): Promise<Cell> => {
    const { id } = JSON.parse(await readFile(join(host.data, 'member.json'), 'utf8')) as { id: string };
    const found = (await cells()).find(({ cellId }) => cellId === id);
    if (found === undefined) throw new Error('the platform knows nothing of that machine');
    return found;
  };
  /** Every machine runs something of the app, and every instance answers. */
  const spread = () =>
    until(
      'each machine runs an instance',
      async () => {
        await platform.cupola(['restart', 'hello']);
        const all = await cells();
        return (
          all.every(({ state, placedCopies }) => state === 'ACTIVE' && placedCopies > 0) &&
          (await answering()) === INSTANCES
        );
      },
      200_000,
    );
  /** Pids of what is to run on a machine, once what it has replaced has ended. */
  const settled = (host: Host) =>
    until('nothing but what is wanted runs there', async () => {
      const { copies, placedCopies } = await cellOf(host);
      const pids = shimPids(host.data);
      return copies === placedCopies && pids.length === copies && pids;
    });
  /** A process that has said its last is there for a moment more. */
  const empty = (host: Host) => until('nothing runs there', async () => shimPids(host.data).length === 0);
  /** How many instances answer. */
  const answering = async (): Promise<number> => {
    const answers = await Promise.all(Array.from({ length: 4 * INSTANCES }, () => platform.ask('hello.localhost')));
    return new Set(answers.filter(({ status }) => status === 200).map(({ body }) => body)).size;
  };
  /** Asks the app without pause while `work` goes on: how often, and the answers that were no 200. */
  async function askedMeanwhile(work: () => Promise<unknown>): Promise<{ asked: number; failed: string[] }> {
    let isOver = false;
    let asked = 0;
    const failed: string[] = [];
    const asking = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        const { status, headers } = await platform.ask('hello.localhost');
        asked++;
        if (status !== 200) failed.push(`${status} ${headers['x-cf-routererror']}`);
        await new Promise(resolve => setTimeout(resolve, 25));
      }
    });
    try {
      await work();
    } finally {
      isOver = true;
      await Promise.all(asking);
    }
    return { asked, failed };
  }

  const appGuid = async (): Promise<string> => {
    const { body } = await platform.api('GET', '/v3/apps?names=hello');
    return (body as { resources: [{ guid: string }] }).resources[0].guid;
  };
  const runTask = async (command: string): Promise<string> =>
    ((await platform.api('POST', `/v3/apps/${await appGuid()}/tasks`, { command })).body as { guid: string }).guid;
  const stateOf = async (task: string): Promise<string> =>
    ((await platform.api('GET', `/v3/tasks/${task}`)).body as { state: string }).state;
  /** Throws when it has failed. */
  const ended = async (task: string): Promise<void> => {
    const state = await until('the task has ended', async () => {
      const now = await stateOf(task);
      return now !== 'PENDING' && now !== 'RUNNING' && now;
    });
    const { stdout } = await platform.cupola(['logs', 'hello', '--recent']);
    expect(state, stdout.match(/APP\/TASK.*/g)?.join('\n')).toBe('SUCCEEDED');
  };

  test('run apps, and are reached through their agents', async () => {
    expect(JSON.parse(await onPlatform('cells', '--json'))).toHaveLength(1 + hosts.length);
    expect(await answering()).toBe(INSTANCES);
    await until('the log has lines of each', async () => {
      const { stdout } = await platform.cupola(['logs', 'hello', '--recent']);
      return Array.from({ length: INSTANCES }, (_, index) => `[APP/PROC/WEB/${index}]`).every(one =>
        stdout.includes(one),
      );
    });
  });

  test('have names for each other’s instances, where a policy opens the way', async () => {
    await platform.cupola(['map-route', 'hello', 'apps.internal', '--hostname', 'hello']);
    const id = await appGuid();
    const destination = { id, protocol: 'tcp', ports: { start: 8080, end: 8080 } };
    await platform.api('POST', '/networking/v1/external/policies', { policies: [{ source: { id }, destination }] });
    await ended(await runTask(ASK_EACH));
  });

  test('are emptied without a dropped request, and take apps again', async () => {
    const [host] = hosts as [Host];
    const { cellId } = await cellOf(host);
    const { asked, failed } = await askedMeanwhile(() => onPlatform('cell', 'drain', cellId));
    expect(failed).toEqual([]);
    expect(asked).toBeGreaterThan(0);
    expect(await cellOf(host)).toMatchObject({ state: 'DRAINING', copies: 0, placedCopies: 0 });
    await empty(host);
    await onPlatform('cell', 'activate', cellId);
    await spread();
  });

  test('get new parts without a dropped request, from outside or of instances to each other; instances live on', async () => {
    const [host] = hosts as [Host];
    const before = await settled(host);
    const asking = await runTask(ASK_ON);
    await until('the task runs', async () => (await stateOf(asking)) !== 'PENDING');
    const { failed } = await askedMeanwhile(() => host.cupola(['restart']));
    expect(failed).toEqual([]);
    await ended(asking);
    expect(before.length).toBeGreaterThan(0);
    expect(shimPids(host.data)).toEqual(before);
  });

  test('whose agent is killed keep their instances, which answer again', async () => {
    const [host] = hosts as [Host];
    const before = await settled(host);
    const cell = await host.pidOf('cell');
    process.kill(cell, 'SIGKILL');
    await until('the cell has a new process', async () => (await host.pidOf('cell')) !== cell);
    await until('all answer', async () => (await answering()) === INSTANCES);
    expect(shimPids(host.data)).toEqual(before);
  });

  test('that are cut off cost no request; their instances are started elsewhere, and the surplus goes once they are back', async () => {
    const [host] = hosts as [Host];
    const held = (await settled(host)).length;
    expect(held).toBeGreaterThan(0);
    const { asked, failed } = await askedMeanwhile(async () => {
      await host.cable('pulled');
      await until('it is lost, and all runs elsewhere', async () => {
        const all = await cells();
        const elsewhere = all.filter(({ state }) => state === 'ACTIVE');
        const placed = elsewhere.reduce((sum, cell) => sum + cell.placedCopies, 0);
        // Of each index whoever runs first stays: a machine that came back before its successors ran would keep what it has.
        return elsewhere.length === 2 && placed === INSTANCES && (await answering()) === INSTANCES;
      });
    });
    expect(failed).toEqual([]);
    expect(asked).toBeGreaterThan(0);
    // Stale data stops nothing.
    expect(shimPids(host.data).length).toBe(held);
    const back = await askedMeanwhile(async () => {
      await host.cable('in');
      await until('it is back, and empty', async () => {
        const { state, copies } = await cellOf(host);
        return state === 'ACTIVE' && copies === 0;
      });
    });
    expect(back.failed).toEqual([]);
    await empty(host);
    await spread();
  });

  test('that lose their power are replaced within 20 s of their lease', async () => {
    const [, host] = hosts as [Host, Host];
    const { cellId } = await cellOf(host);
    const began = performance.now();
    let lostAt = 0;
    const { failed } = await askedMeanwhile(async () => {
      await host.cable('pulled');
      host.powerOff();
      await until('nothing runs there', async () => shimPids(host.data).length === 0);
      await until('all runs elsewhere', async () => {
        const all = await cells();
        if (all.some(cell => cell.cellId === cellId && cell.state === 'LOST')) lostAt ||= performance.now();
        const elsewhere = all.filter(({ state }) => state === 'ACTIVE');
        return lostAt > 0 && elsewhere.reduce((sum, cell) => sum + cell.placedCopies, 0) === INSTANCES;
      });
      await until('all answer', async () => (await answering()) === INSTANCES);
    });
    expect(failed).toEqual([]);
    const healthyMs = performance.now() - lostAt;
    expect(healthyMs).toBeLessThan(20_000);
    console.log(`lost after ${Math.round(lostAt - began)} ms, healthy ${Math.round(healthyMs)} ms later`);
    // What has lost its power comes back by the same command, without a token.
    await host.cable('in');
    await host.join(await address(), null);
    await until('it is back', async () => (await cellOf(host)).state === 'ACTIVE');
    await spread();
  });

  test('that were removed are refused, and what ran there is started elsewhere', async () => {
    const [, host] = hosts as [Host, Host];
    const { cellId } = await cellOf(host);
    await onPlatform('cluster', 'remove', cellId);
    await until('its lease is over', async () => (await cellOf(host)).state === 'LOST');
    await until('all answer elsewhere', async () => {
      const { placedCopies } = await cellOf(host);
      return placedCopies === 0 && (await answering()) === INSTANCES;
    });
    await expect(host.join(await address(), await token())).rejects.toThrow();
  });
});
