/**
 * What goes over the socket between the stager and a build inside its sandbox: frames of a length (4 bytes), a kind (1 byte) and a body. `J` is a JSON
 * message, `T` a piece of the app layer's tar. Loaded inside too, so it needs nothing but Node's own modules.
 */

export const FRAME_MAX_BYTES = 1024 * 1024;
const HEADER_BYTES = 5;

export type FrameKind = 'J' | 'T';

export interface Frame {
  kind: FrameKind;
  body: Buffer;
}

export function encodeFrame(kind: FrameKind, body: Buffer | string): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const frame = Buffer.allocUnsafe(HEADER_BYTES + bytes.length);
  frame.writeUInt32BE(bytes.length, 0);
  frame.write(kind, 4, 'latin1');
  bytes.copy(frame, HEADER_BYTES);
  return frame;
}

/** Frames as they are complete. @throws Error for one that is too long or of an unknown kind: nothing after it can be trusted. */
export async function* readFrames(source: AsyncIterable<Buffer>): AsyncIterable<Frame> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    while (held.length >= HEADER_BYTES) {
      const length = held.readUInt32BE(0);
      const kind = held.toString('latin1', 4, HEADER_BYTES);
      if (length > FRAME_MAX_BYTES || (kind !== 'J' && kind !== 'T')) throw new Error('a frame that nobody sends');
      if (held.length < HEADER_BYTES + length) break;
      yield { kind, body: held.subarray(HEADER_BYTES, HEADER_BYTES + length) };
      held = held.subarray(HEADER_BYTES + length);
    }
  }
}
