import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { aPlacement, aRunSpec, ask, serverLayer, type TestCell, testCell, until } from './fixtures.ts';

test('a new agent takes over what runs: same process, same address, RUNNING since then', async () => {
  await using cell = await testCell();
  const placement = aPlacement(aRunSpec([cell.add(await serverLayer())]));
  const first = await cell.startAgent();
  const before = await cell.run(placement);
  await first[Symbol.asyncDispose]();
  expect(await ask(before)).toBe('hello');
  const { pid } = (await cell.sandboxes.adopt())[0] ?? {};

  cell.api.reports.length = 0;
  const second = await cell.startAgent();
  await second.ready;
  const after = await until('its report', () => cell.api.copy(placement.guid));
  expect(after).toEqual(before);
  expect((await cell.sandboxes.adopt()).map(sandbox => sandbox.pid)).toEqual([pid]);
  expect(await ask(after)).toBe('hello');
  cell.api.withdraw(placement.guid);
  await until('GONE', () => cell.api.copy(placement.guid)?.state === 'GONE');
});

test('after kill -9 of the agent a copy serves on, its output is read on, and what it prints meanwhile is not lost', async () => {
  await using cell = await testCell();
  const placement = aPlacement(aRunSpec([cell.add(await serverLayer())]));
  const child = await cell.spawnAgent();
  const before = await cell.run(placement);
  await ask(before, '/say/10');
  await until('the lines before', () => cell.api.lines('APP/PROC/WEB').includes('line 10'));
  const { pid } = (await cell.sandboxes.adopt())[0] ?? {};
  child.kill('SIGKILL');
  await once(child, 'exit');
  await ask(before, '/say/20');

  await cell.spawnAgent();
  await until('the lines meanwhile', () => cell.api.lines('APP/PROC/WEB').includes('line 20'));
  const after = cell.api.copy(placement.guid);
  expect(after).toMatchObject({ state: 'RUNNING', attempt: 1, address: before.address, crashCount: 0 });
  expect((await cell.sandboxes.adopt()).map(sandbox => sandbox.pid)).toEqual([pid]);
});

test('a copy that ended while no agent was there counts as a crash, and is started again', async () => {
  await using cell = await testCell();
  const placement = aPlacement(aRunSpec([cell.add(await serverLayer())]));
  const first = await cell.startAgent();
  const before = await cell.run(placement);
  await first[Symbol.asyncDispose]();
  await ask(before, '/exit/9').catch(() => undefined);
  await cell.startAgent();
  const after = await until('RUNNING again', () => {
    const copy = cell.api.copy(placement.guid);
    return copy?.state === 'RUNNING' && copy.attempt === 2 && copy;
  });
  expect(after).toMatchObject({ crashCount: 1, exit: { code: 9 } });
});

test('a copy is started again by the table while the API is away, and what was missed is reported after', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const environment = { WHO: randomUUID() };
  const placement = aPlacement(aRunSpec([cell.add(await serverLayer())], { environment }));
  const before = await cell.run(placement);
  await cell.api.away();
  await ask(before, '/exit/4').catch(() => undefined);
  // At one of the next ports: some may be those of other tests' apps.
  const addresses = Array.from({ length: 50 }, (_, index) => ({
    host: '127.0.0.1',
    port: (before.address?.port ?? 0) + 1 + index,
  }));
  const address = await until('it answers again', async () => {
    for (const tried of addresses) {
      const said = await ask({ ...before, address: tried }, '/env').catch(() => '');
      if (said.includes(environment.WHO)) return tried;
    }
    return null;
  });
  await cell.api.listen();
  const after = await until('its report', () => {
    const copy = cell.api.copy(placement.guid);
    return copy?.attempt === before.attempt + 1 && copy.state === 'RUNNING' && copy;
  });
  expect(after).toMatchObject({ crashCount: 1, exit: { code: 4 }, address });
});

test('output waits on disk while the API is away: more than is kept in memory comes whole and in order', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const running = await cell.run(aPlacement(aRunSpec([cell.add(await serverLayer())])));
  await cell.api.away();
  await ask(running, '/say/30000');
  await cell.api.listen();
  const said = () => cell.api.lines('APP/PROC/WEB').filter(line => line.startsWith('line '));
  await until('the last line', () => said().at(-1) === 'line 30000');
  expect(said()).toEqual(Array.from({ length: 30_000 }, (_, at) => `line ${at + 1}`));
});

test('a new agent without an API starts nothing it does not know, and stops nothing', async () => {
  await using cell = await testCell();
  const placement = aPlacement(aRunSpec([cell.add(await serverLayer())]));
  const first = await cell.startAgent();
  const before = await cell.run(placement);
  await first[Symbol.asyncDispose]();
  await cell.api.away();
  const second = await cell.startAgent();
  expect(await ask(before)).toBe('hello');
  await second[Symbol.asyncDispose]();
  expect(await ask(before)).toBe('hello');
});

test('an unknown sandbox is removed once the view is fresh, not before', async () => {
  await using cell = await testCell();
  const placement = aPlacement(aRunSpec([cell.add(await serverLayer())]));
  const first = await cell.startAgent();
  const before = await cell.run(placement);
  await first[Symbol.asyncDispose]();
  await cell.api.away();
  const elsewhere = { folder: join(cell.folder, 'another') };
  await cell.startAgent(elsewhere);
  expect(await ask(before)).toBe('hello');
  cell.api.withdraw(placement.guid);
  await cell.api.listen();
  await until('it is gone', async () => (await cell.sandboxes.adopt()).length === 0);
});

test('stopAll() ends every copy gracefully, and the next agent starts them again', async () => {
  await using cell = await testCell();
  const runSpec = aRunSpec([cell.add(await serverLayer())]);
  const placements = [aPlacement(runSpec), aPlacement(runSpec, { index: 1 })];
  const first = await cell.startAgent();
  for (const placement of placements) await cell.run(placement);
  await first.stopAll();
  expect(await cell.sandboxes.adopt()).toEqual([]);
  expect(placements.map(({ guid }) => cell.api.copy(guid)?.state)).toEqual(['GONE', 'GONE']);
  expect(cell.api.lines('APP/PROC/WEB').filter(line => line === 'asked to end')).toHaveLength(2);
  await first[Symbol.asyncDispose]();
  await cell.startAgent();
  await until('both again', () => placements.every(({ guid }) => cell.api.copy(guid)?.state === 'RUNNING'));
  expect(placements.map(({ guid }) => cell.api.copy(guid)?.attempt)).toEqual([2, 2]);
});

test('an agent whose cell a newer one holds stops taking work, and touches nothing', async () => {
  await using cell = await testCell();
  const agent = await cell.startAgent();
  const layer = cell.add(await serverLayer());
  const running = await cell.run(aPlacement(aRunSpec([layer])));
  cell.api.fenceOff();
  await agent.fenced;
  expect(await ask(running)).toBe('hello');
  const late = aPlacement(aRunSpec([layer]));
  cell.api.place(late);
  expect(existsSync(join(cell.folder, 'agent/copies', `${late.guid}.json`))).toBe(false);
  await until('it watches no more', () => cell.api.watchers === 0);
});

test('a watch that breaks goes on from its cursor', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const layer = cell.add(await serverLayer());
  await cell.run(aPlacement(aRunSpec([layer])));
  await cell.api.away();
  const late = aPlacement(aRunSpec([layer]), { index: 1 });
  cell.api.place(late);
  await cell.api.listen();
  await until('RUNNING', () => cell.api.copy(late.guid)?.state === 'RUNNING');
  expect(cell.api.asked).toEqual([null, '1']);
});

test('a placement that is not understood is not taken for a withdrawn one', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const placement = aPlacement(aRunSpec([cell.add(await serverLayer())]));
  const running = await cell.run(placement);
  cell.api.place({ ...placement, runSpec: { fromAnotherVersion: true } });
  const next = aPlacement(placement.runSpec, { index: 1 });
  await cell.run(next);
  expect(await ask(running)).toBe('hello');
  expect(cell.api.copy(placement.guid)?.state).toBe('RUNNING');
});

test('a report whose answer is lost is said again', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  cell.api.loseAnswers(3);
  const running = await cell.run(aPlacement(aRunSpec([cell.add(await serverLayer())])));
  expect(running).toMatchObject({ state: 'RUNNING', attempt: 1 });
});

/** Kills an agent `afterMs` after it has begun to look at its cell. */
async function killedAgent(cell: TestCell, afterMs: number): Promise<void> {
  const child = await cell.spawnAgent();
  await sleep(afterMs);
  child.kill('SIGKILL');
  await once(child, 'exit');
}

test.each([0, 20, 45, 80, 130, 220])(
  'an agent killed %i ms into its work leaves nothing that the next one cannot put right',
  async afterMs => {
    await using cell = await testCell();
    const runSpec = aRunSpec([cell.add(await serverLayer())]);
    const placements = [0, 1, 2].map(index => aPlacement(runSpec, { index }));
    for (const placement of placements) cell.api.place(placement);
    await killedAgent(cell, afterMs);
    await killedAgent(cell, afterMs);
    const agent = await cell.startAgent();
    await agent.ready;
    await until('all RUNNING', () => placements.every(({ guid }) => cell.api.copy(guid)?.state === 'RUNNING'));
    const answers = await Promise.all(placements.map(({ guid }) => ask(cell.api.copy(guid) ?? never())));
    expect(answers).toEqual(['hello', 'hello', 'hello']);
    await until('one sandbox each', () => readdirSync(join(cell.folder, 'sandboxes')).length === 3);
    expect(placements.map(({ guid }) => cell.api.copy(guid)?.crashCount)).toEqual([0, 0, 0]);
  },
);

function never(): never {
  throw new Error('a copy without a report');
}
