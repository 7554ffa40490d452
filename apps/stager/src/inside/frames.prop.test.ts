import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeFrame, FRAME_MAX_BYTES, type FrameKind, readFrames } from './frames.ts';

async function readAll(chunks: Buffer[]): Promise<Array<[string, string]>> {
  const frames: Array<[string, string]> = [];
  const source = (async function* () {
    yield* chunks;
  })();
  for await (const { kind, body } of readFrames(source)) frames.push([kind, body.toString('hex')]);
  return frames;
}

test('readFrames() gives back what was encoded, however the bytes are cut', async () => {
  const frame = fc.tuple(fc.constantFrom<FrameKind>('J', 'T'), fc.uint8Array({ maxLength: 50 }));
  await fc.assert(
    fc.asyncProperty(fc.array(frame), fc.array(fc.integer({ min: 1, max: 40 })), async (frames, cuts) => {
      const bytes = Buffer.concat(frames.map(([kind, body]) => encodeFrame(kind, Buffer.from(body))));
      const chunks: Buffer[] = [];
      let at = 0;
      for (const cut of cuts) {
        chunks.push(bytes.subarray(at, at + cut));
        at += cut;
      }
      chunks.push(bytes.subarray(at));
      expect(await readAll(chunks)).toEqual(frames.map(([kind, body]) => [kind, Buffer.from(body).toString('hex')]));
    }),
  );
});

test('readFrames() refuses what nobody sends: too long, or of another kind', async () => {
  const long = encodeFrame('T', Buffer.alloc(1));
  long.writeUInt32BE(FRAME_MAX_BYTES + 1, 0);
  const other = encodeFrame('J', '{}');
  other.write('X', 4);
  await expect(readAll([long])).rejects.toThrow(/nobody sends/);
  await expect(readAll([other])).rejects.toThrow(/nobody sends/);
});
