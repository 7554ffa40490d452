import { expect, test } from 'vitest';
import { aPlacement, aRunSpec, ask, serverLayer, testCell } from './fixtures.ts';

test('the agent starts a placed copy, which answers at the address that it reports', async () => {
  await using cell = await testCell();
  const agent = await cell.startAgent();
  await agent.ready;
  const placement = aPlacement(aRunSpec([cell.add(await serverLayer())]));
  const running = await cell.run(placement);
  expect(await ask(running)).toBe('hello');
  expect(running).toMatchObject({ attempt: 1, crashCount: 0, routable: true, exit: null, placementError: null });
});
