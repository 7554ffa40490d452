import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SandboxExit, Sandboxes } from '@cupola/sandbox/sandbox';
import { expect, test } from 'vitest';
import { type InsideJob, runInside } from './build-sandbox.ts';
import { encodeFrame } from './inside/frames.ts';

const STAGED = {
  type: 'staged',
  buildpacks: [{ name: 'b', buildpackName: 'b', detectOutput: 'b', version: null }],
  processTypes: { web: 'start' },
  sidecars: [],
};

test('a build that has said its result and does not end is ended: its result counts', async () => {
  const work = mkdtempSync(join(tmpdir(), 'cupola-inside-'));
  const killed = Promise.withResolvers<SandboxExit>();
  const kept: number[] = [];
  const report = { rung: 'process', enforced: { pid: false } };
  const sandboxes = {
    report,
    start: async () => {
      const socket = connect(join(work, 's'));
      socket.on('error', () => undefined);
      await once(socket, 'data');
      socket.write(encodeFrame('T', Buffer.from('a layer')));
      socket.write(encodeFrame('J', JSON.stringify(STAGED)));
      return {
        // As a process that stands still: nothing more, and no end.
        async *output() {
          yield { stream: 'out', line: 'done' };
          await killed.promise;
        },
        ended: killed.promise,
        kill: async () => {
          socket.destroy();
          killed.resolve({ code: null, signal: 9, outOfMemory: false, lost: false } as unknown as SandboxExit);
        },
        remove: async () => undefined,
      };
    },
  } as unknown as Sandboxes;
  const job = {
    guid: 'g',
    uid: null,
    places: { packageFile: 'p', work, cache: 'c', toolchains: 't', buildpacks: [], compileCache: 'cc', cafile: null },
    network: { network: { kind: 'host' }, resolvers: [], release: async () => undefined },
    limits: { memoryMb: 64, diskMb: 64 },
    stackRoot: null,
    begin: { npmrc: '' },
    keep: async ({ sizeBytes }: { sizeBytes: number }) => void kept.push(sizeBytes),
    line: () => undefined,
  } as unknown as InsideJob;
  try {
    const end = await runInside(sandboxes, job, new AbortController().signal);
    expect(end).toMatchObject({ said: STAGED, layer: { sizeBytes: 7 }, exit: { signal: 9 } });
    expect(kept).toEqual([7]);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
});
