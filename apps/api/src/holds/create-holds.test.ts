import { HOLD_LIMITS } from '@cupola/model/limits';
import type { Change } from '@cupola/store/store';
import { describe, expect, test } from 'vitest';
import { createHolds } from './create-holds.ts';
import type { HoldAsker } from './holds.ts';
import { createTokenCap } from './token-cap.ts';

const CF = 'cf/8.18.4+3fcd823 (go1.25.5; amd64 linux)';

function aRequest(given: Partial<HoldAsker> & { token?: string } = {}): HoldAsker {
  const { token = 'token-1', ...rest } = given;
  return {
    trace: 'trace-1',
    userAgent: CF,
    preferWaitSeconds: null,
    signal: new AbortController().signal,
    actor: { tokenId: token },
    ...rest,
  };
}

/** Holds over a feed that the test writes, and a resource whose state it sets. */
function aWorld(max: number = HOLD_LIMITS.perTokenMax) {
  const listeners = new Set<(changes: readonly Change[]) => void>();
  let clock = 0;
  let state = 'STAGING';
  let reads = 0;
  const holds = createHolds({
    store: {
      subscribe: listener => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    monotonic: () => clock,
    cap: createTokenCap(max),
  });
  const change = (guid: string): void => {
    const one = { revision: 1, kind: 'build', guid, organizationGuid: null, spaceGuid: null };
    for (const listener of listeners) listener([one as Change]);
  };
  return {
    holds,
    listeners,
    reads: () => reads,
    pass: (ms: number) => {
      clock += ms;
    },
    become: (next: string, guid = 'b1') => {
      state = next;
      change(guid);
    },
    get: (request: HoldAsker, given: { kind?: 'build' | 'stats'; processGuid?: string } = {}) =>
      holds.wait(request, {
        kind: 'build',
        guid: 'b1',
        concerns: (kind, guid) => kind === 'build' && guid === 'b1',
        read: async () => {
          reads++;
          return state;
        },
        isFinal: value => value !== 'STAGING',
        ...given,
      }),
  };
}

/** Whether it has been answered when everything that could run at once has run. */
async function isHeld(answer: Promise<unknown>): Promise<boolean> {
  const turn = new Promise(resolve => setImmediate(() => setImmediate(() => resolve('held'))));
  return (await Promise.race([answer, turn])) === 'held';
}

describe('wait() holds the poll of the invocation that caused the work', () => {
  test('until the state is final', async () => {
    const world = aWorld();
    world.holds.own(aRequest(), 'build', 'b1');
    const answer = world.get(aRequest());
    expect(await isHeld(answer)).toBe(true);
    world.become('STAGED');
    expect(await answer).toBe('STAGED');
    expect(world.listeners.size).toBe(0);
  });

  test('through changes that are not final, and changes of others without a read', async () => {
    const world = aWorld();
    world.holds.own(aRequest(), 'build', 'b1');
    const answer = world.get(aRequest());
    world.become('STAGING');
    world.become('STAGING', 'another');
    expect(await isHeld(answer)).toBe(true);
    const before = world.reads();
    world.become('STAGING', 'another');
    expect(await isHeld(answer)).toBe(true);
    expect(world.reads()).toBe(before);
    world.become('FAILED');
    expect(await answer).toBe('FAILED');
  });

  test('a change while the state is being read is not missed', async () => {
    const world = aWorld();
    world.holds.own(aRequest(), 'build', 'b1');
    let state = 'STAGING';
    const answer = world.holds.wait(aRequest(), {
      kind: 'build',
      guid: 'b1',
      concerns: () => true,
      read: async () => {
        const seen = state;
        state = 'STAGED';
        if (seen === 'STAGING') world.become('STAGED');
        return seen;
      },
      isFinal: value => value !== 'STAGING',
    });
    expect(await answer).toBe('STAGED');
  });

  test('until its client has gone or the server drains', async () => {
    const world = aWorld();
    const gone = new AbortController();
    world.holds.own(aRequest(), 'build', 'b1');
    const answer = world.get(aRequest({ signal: gone.signal }));
    expect(await isHeld(answer)).toBe(true);
    gone.abort();
    expect(await answer).toBe('STAGING');
    expect(world.listeners.size).toBe(0);
  });

  test('an older CLI is known by its token and User-Agent', async () => {
    const world = aWorld();
    world.holds.own(aRequest({ trace: null }), 'build', 'b1');
    expect(await isHeld(world.get(aRequest({ trace: null, token: 'token-2' })))).toBe(false);
    const answer = world.get(aRequest({ trace: null }));
    expect(await isHeld(answer)).toBe(true);
    world.become('STAGED');
    await answer;
  });

  test('whatever the binary is called', async () => {
    const world = aWorld();
    const renamed = { userAgent: 'cf8/8.18.4 (go1.25.5; arm64 darwin)' };
    world.holds.own(aRequest(renamed), 'build', 'b1');
    const answer = world.get(aRequest(renamed));
    expect(await isHeld(answer)).toBe(true);
    world.become('STAGED');
    await answer;
  });

  test('our own clients, as long as they say they wait, and no longer than the bound', async () => {
    const world = aWorld();
    const ours = { userAgent: 'cupola/0.1.0', preferWaitSeconds: 3_600 };
    const answer = world.get(aRequest(ours));
    expect(await isHeld(answer)).toBe(true);
    world.become('STAGED');
    expect(await answer).toBe('STAGED');
    world.become('STAGING');
    expect(await isHeld(world.get(aRequest({ ...ours, preferWaitSeconds: 0 })))).toBe(false);
    expect(await world.get(aRequest({ ...ours, preferWaitSeconds: 0.001 }))).toBe('STAGING');
  });
});

describe('wait() never keeps a reader waiting', () => {
  test.each<[who: string, request: Partial<HoldAsker>]>([
    ['another invocation', { trace: 'trace-2' }],
    ['another invocation without a trace', { trace: null }],
    ['a browser with the same trace', { userAgent: 'Mozilla/5.0 (X11; Linux x86_64)' }],
    ['curl', { userAgent: 'curl/8.5.0' }],
    ['go-cfclient', { userAgent: 'Go-CF-Client/3.0' }],
    ['a client without a name', { userAgent: '' }],
  ])('%s', async (_who, request) => {
    const world = aWorld();
    world.holds.own(aRequest(), 'build', 'b1');
    expect(await world.get(aRequest(request))).toBe('STAGING');
    expect(world.reads()).toBe(1);
  });

  test('the same invocation, of what it has not caused', async () => {
    const world = aWorld();
    world.holds.own(aRequest(), 'build', 'another');
    world.holds.own(aRequest(), 'package', 'b1');
    expect(await world.get(aRequest())).toBe('STAGING');
  });

  test('the same invocation, ten minutes later', async () => {
    const world = aWorld();
    world.holds.own(aRequest(), 'build', 'b1');
    world.pass(600_000);
    expect(await world.get(aRequest())).toBe('STAGING');
    expect(world.holds.owns(aRequest(), 'build', 'b1')).toBe(false);
  });

  test('more polls of one token than it may have; another token still may', async () => {
    const world = aWorld(2);
    world.holds.own(aRequest(), 'build', 'b1');
    const held = [world.get(aRequest()), world.get(aRequest())];
    expect(await world.get(aRequest())).toBe('STAGING');
    const other = world.get(aRequest({ token: 'token-2' }));
    expect(await isHeld(other)).toBe(true);
    world.become('STAGED');
    expect(await Promise.all([...held, other])).toEqual(['STAGED', 'STAGED', 'STAGED']);
    world.become('STAGING');
    const again = world.get(aRequest());
    expect(await isHeld(again)).toBe(true);
    world.become('STAGED');
    await again;
  });

  test('a read that fails is the caller’s to know, and holds nothing', async () => {
    const world = aWorld(1);
    world.holds.own(aRequest(), 'build', 'b1');
    const failing = world.holds.wait(aRequest(), {
      kind: 'build',
      guid: 'b1',
      concerns: () => true,
      read: () => Promise.reject(new Error('Build not found')),
      isFinal: () => false,
    });
    await expect(failing).rejects.toThrow('Build not found');
    expect(world.listeners.size).toBe(0);
    const next = world.get(aRequest());
    expect(await isHeld(next)).toBe(true);
    world.become('STAGED');
    await next;
  });
});

describe('stats', () => {
  const stats = { kind: 'stats', processGuid: 'web' } as const;

  test('are held until the summary of that process begins', async () => {
    const world = aWorld();
    world.holds.own(aRequest(), 'stats', 'b1');
    world.holds.summaryBegins(aRequest(), 'b1', 'worker');
    const answer = world.get(aRequest(), stats);
    expect(await isHeld(answer)).toBe(true);
    world.become('RUNNING');
    await answer;
    world.become('STAGING');
    world.holds.summaryBegins(aRequest(), 'b1', 'web');
    expect(await world.get(aRequest(), stats)).toBe('STAGING');
  });

  test('are held again after the next start by the same invocation', async () => {
    const world = aWorld();
    world.holds.own(aRequest(), 'stats', 'b1');
    world.holds.summaryBegins(aRequest(), 'b1', 'web');
    world.holds.own(aRequest(), 'stats', 'b1');
    const answer = world.get(aRequest(), stats);
    expect(await isHeld(answer)).toBe(true);
    world.become('RUNNING');
    await answer;
  });

  test('are not held for `cf app`, which asks for sidecars first, beside another invocation’s start', async () => {
    const world = aWorld();
    const reader = aRequest({ trace: 'trace-2' });
    world.holds.own(aRequest(), 'stats', 'b1');
    world.holds.summaryBegins(reader, 'b1', 'web');
    expect(await world.get(reader, stats)).toBe('STAGING');
    const answer = world.get(aRequest(), stats);
    expect(await isHeld(answer)).toBe(true);
    world.become('RUNNING');
    await answer;
  });
});

test('own() remembers a bounded number of facts, the newest, whatever clients send', () => {
  const world = aWorld();
  const trace = 'x'.repeat(10_000);
  for (let at = 0; at < 10_500; at++) world.holds.own(aRequest({ trace }), 'build', `b${at}`);
  expect(world.holds.owns(aRequest({ trace }), 'build', 'b0')).toBe(false);
  expect(world.holds.owns(aRequest({ trace }), 'build', 'b10499')).toBe(true);
});
