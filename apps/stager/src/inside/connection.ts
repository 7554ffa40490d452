/** The build's end of the socket: messages both ways, and the way out for the layer's tar. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Toolchain, ToolchainAsk } from '@cupola/buildpacks/buildpack';
import { StagingFailedError } from '@cupola/model/errors';
import type { Begin, FromInside, ToInside, ToolchainAnswer } from '../protocol.ts';
import { encodeFrame, FRAME_MAX_BYTES, readFrames } from './frames.ts';

export interface Connection {
  readonly begin: Begin;
  /** @throws StagingFailedError when the stager has none like that. */
  toolchain(ask: ToolchainAsk): Promise<Toolchain>;
  /** The layer's tar, piece by piece, as fast as it is taken. */
  sendLayer(pieces: Iterable<Buffer>): Promise<void>;
  /** Resolves once it is handed over to the kernel. */
  send(message: FromInside): Promise<void>;
  close(): Promise<void>;
}

export async function openConnection(path: string): Promise<Connection> {
  const socket = connect(path);
  await once(socket, 'connect');
  const waiting = new Map<number, PromiseWithResolvers<ToolchainAnswer>>();
  const begin = Promise.withResolvers<Begin>();
  let isClosing = false;
  // The stager has gone: nobody wants this build any more.
  const gone = (): void => void (isClosing || process.exit(1));
  receive(socket, message => {
    if (message.type === 'begin') begin.resolve(message);
    else waiting.get(message.id)?.resolve(message);
  }).then(gone, gone);
  let asked = 0;
  const write = async (frame: Buffer): Promise<void> => {
    await new Promise<void>((resolve, reject) => socket.write(frame, error => (error ? reject(error) : resolve())));
  };
  const send = (message: FromInside): Promise<void> => write(encodeFrame('J', JSON.stringify(message)));
  return {
    begin: await begin.promise,
    send,
    toolchain: async ask => {
      const id = ++asked;
      const answer = Promise.withResolvers<ToolchainAnswer>();
      waiting.set(id, answer);
      await send({ type: 'toolchain', id, ask });
      const { toolchain, error } = await answer.promise;
      waiting.delete(id);
      if (toolchain === null)
        throw new StagingFailedError(error?.title ?? 'BuildpackCompileFailed', error?.message ?? 'no toolchain');
      return toolchain;
    },
    sendLayer: async pieces => {
      for (const piece of pieces)
        for (let at = 0; at < piece.length; at += FRAME_MAX_BYTES)
          await write(encodeFrame('T', piece.subarray(at, at + FRAME_MAX_BYTES)));
    },
    close: async () => {
      isClosing = true;
      await new Promise<void>(resolve => socket.end(resolve));
    },
  };
}

async function receive(socket: Socket, take: (message: ToInside) => void): Promise<void> {
  for await (const { body } of readFrames(socket)) take(JSON.parse(body.toString('utf8')) as ToInside);
}
