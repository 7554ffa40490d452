import net from 'node:net';
import { PlainError } from './platform-config.ts';

/** A bound address that nobody accepts on yet. Handed to a part as a file descriptor: connections wait in its queue while that part is being restarted. */
export interface Listener {
  fd: number;
  port: number;
  close(): void;
}

interface Handle {
  fd: number;
  getsockname(out: { port?: number }): number;
  listen(backlog: number): number;
  close(): void;
}

const FLAGS = 'Choose another with --port (apps), --api-port (API) or --https-port; 0 picks a free one.';

/**
 * Binds without listening. `net.Server` would accept here, in the supervisor; `_createServerHandle` is what Node's own cluster module uses to bind for
 * its workers (undocumented, there since 0.6; a test holds it).
 */
export function bindListener(address: string, port: number, advice: string = FLAGS): Listener {
  if (port !== 0) probe(address, port, advice);
  const handle = bind(address, port, advice);
  const name: { port?: number } = {};
  handle.getsockname(name);
  return { fd: handle.fd, port: name.port ?? port, close: () => handle.close() };
}

/**
 * The port that others know already, or any other where that is taken: while nobody listened the kernel may have lent it to a connection. Port 0: any.
 * @throws PlainError as above.
 */
export function bindAgain(address: string, port: number): Listener {
  try {
    return bindListener(address, port);
  } catch (error) {
    if (port === 0 || !(error instanceof PlainError)) throw error;
    return bindListener(address, 0);
  }
}

function bind(address: string, port: number, advice: string): Handle {
  const create = (
    net as unknown as { _createServerHandle(address: string, port: number, type: 4 | 6): Handle | number }
  )._createServerHandle;
  const handle = create(address, port, net.isIPv6(address) ? 6 : 4);
  if (typeof handle === 'number') throw new PlainError(refusal(address, port, { code: handle, advice }));
  return handle;
}

/** libuv tells of a taken port only when one listens: so listens for a moment, before anyone knows of the port. */
function probe(address: string, port: number, advice: string): void {
  const handle = bind(address, port, advice);
  const code = handle.listen(1);
  handle.close();
  if (code !== 0) throw new PlainError(refusal(address, port, { code, advice }));
}

function refusal(address: string, port: number, { code, advice }: { code: number; advice: string }): string {
  const name = getErrorName(code);
  if (name === 'EACCES') return `Port ${port} needs root. Start as root, or choose a port above 1023.`;
  if (name === 'EADDRNOTAVAIL') return `${address} is not an address of this machine. Choose another with --listen.`;
  return `Port ${port} on ${address} is taken by another program. ${advice}`;
}

function getErrorName(code: number): string {
  return code === -13 ? 'EACCES' : code === -99 || code === -49 ? 'EADDRNOTAVAIL' : 'EADDRINUSE';
}
