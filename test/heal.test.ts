/** kill -9 of everything, one after another, while a client keeps a ledger. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { askOn } from './ask-on.ts';
import {
  appPids,
  isThere,
  PARTS_ASIDE,
  type Platform,
  ROOT,
  ROUTER_PART,
  shimPids,
  startPlatform,
  until,
} from './platform.ts';

/** Also what has just ended: a part does by itself once its supervisor is gone. */
function killed(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

describe('kill -9', () => {
  let platform: Platform;
  beforeAll(async () => {
    platform = await startPlatform();
    await platform.login();
    await platform.cupola(['push'], { cwd: join(ROOT, 'examples/node-hello') });
  });
  afterAll(() => platform[Symbol.asyncDispose]());

  test.each(PARTS_ASIDE)('of %s: the app answers every request meanwhile, and the part comes back', async part => {
    const ledger = askOn(platform, 'node-hello.localhost');
    const before = await platform.pidOf(part);
    const apps = appPids(platform.data);
    process.kill(before, 'SIGKILL');
    await until(`${part} has a new pid`, async () => (await platform.pidOf(part)) !== before);
    await until('the API lists the instance as RUNNING', async () =>
      (await platform.status()).instances.some(({ state }) => state === 'RUNNING'),
    );
    const answers = await ledger.stop();
    expect(answers.filter(answer => answer !== 200)).toEqual([]);
    expect(answers.length).toBeGreaterThan(0);
    expect(appPids(platform.data)).toEqual(apps);
  });

  test('of the router: the next request is answered, with the old table', async () => {
    const before = await platform.pidOf(ROUTER_PART);
    process.kill(before, 'SIGKILL');
    const answer = await until('the router answers', () => platform.ask('node-hello.localhost').catch(() => null));
    expect(answer.status).toBe(200);
  });

  test('of the app: it is started again, the crash is an event with its reason', async () => {
    const [pid] = appPids(platform.data);
    process.kill(Number(pid), 'SIGKILL');
    await until(
      'another process runs',
      async () => appPids(platform.data).length === 1 && appPids(platform.data)[0] !== pid,
    );
    await until('it answers', async () => (await platform.ask('node-hello.localhost')).status === 200);
    await until('the crash is among the events', async () => {
      const { body } = await platform.api('GET', '/v3/audit_events?types=app.crash');
      return (body as { resources: unknown[] }).resources.length > 0;
    });
  });

  test('of the shim: the app ends with it, and is started again', async () => {
    const [pid] = appPids(platform.data);
    const [shim] = shimPids(platform.data);
    process.kill(Number(shim), 'SIGKILL');
    await until(
      'another process runs',
      async () => appPids(platform.data).length === 1 && appPids(platform.data)[0] !== pid,
    );
    await until('it answers', async () => (await platform.ask('node-hello.localhost')).status === 200);
  });

  test('of the supervisor: the instance lives on, and the next `up` adopts it', async () => {
    const apps = appPids(platform.data);
    const supervisors = await platform.supervisors();
    for (const pid of supervisors) killed(pid);
    await until('they have ended', async () => !supervisors.some(isThere));
    await until(
      'the parts have ended with it',
      async () => (await platform.ask('node-hello.localhost').catch(() => null)) === null,
    );
    await platform.up();
    await until('it answers', async () => (await platform.ask('node-hello.localhost')).status === 200);
    expect(appPids(platform.data)).toEqual(apps);
  });

  test('of everything, as in a reboot: the next `up` starts the app anew', async () => {
    // Its crashes of above are forgotten by that: the third within five minutes would wait for 30 s.
    await platform.cupola(['restart', 'node-hello']);
    await until('the one before has ended', async () => appPids(platform.data).length === 1);
    const status = await platform.status();
    const apps = appPids(platform.data);
    const all = [...(await platform.supervisors()), ...status.parts.map(part => part.pid), ...apps];
    for (const pid of all) killed(pid);
    await until('all have ended', async () => !all.some(isThere));
    await platform.up();
    await until('it answers', async () => (await platform.ask('node-hello.localhost')).status === 200);
  });
});
