/** A part as its supervisor sees it: what it says, and when it ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';

/** Runs a part whose source is `part`, until it ends; its stdin stays open. */
async function run(part: string): Promise<{ code: number; ready: string; printed: string }> {
  const script = `
    import { runPart } from ${JSON.stringify(new URL('part-process.ts', import.meta.url).href)};
    const log = { info: () => {}, error: console.error, fatal: console.error };
    await runPart(log, async () => (${part}));
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['pipe', 'pipe', 'inherit', 'pipe'],
  });
  const texts = [child.stdout, child.stdio[3]].map(async stream => {
    let text = '';
    for await (const chunk of stream as AsyncIterable<Buffer>) text += String(chunk);
    return text;
  });
  const [code] = (await once(child, 'exit')) as [number];
  const [printed = '', ready = ''] = await Promise.all(texts);
  return { code, ready, printed };
}

test('runPart() ends, in order, a part that has no work any more', async () => {
  const part = `{
    facts: { name: 'x' },
    over: new Promise(resolve => setTimeout(resolve, 1, 'another one holds this cell')),
    async [Symbol.asyncDispose]() { console.log('disposed'); },
  }`;
  expect(await run(part)).toEqual({ code: 0, ready: '{"ready":{"name":"x"}}\n', printed: 'disposed\n' });
});
