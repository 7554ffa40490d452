/** In the place of ssh: hands the command that git asks for to the part that started git, and passes bytes. Plain JavaScript, since git starts it, outside of any program of ours. */
import { createConnection } from 'node:net';

const socket = createConnection({ path: process.env.CUPOLA_SSH_SOCKET, allowHalfOpen: true });
socket.on('error', () => process.exit(1));
socket.write(`${JSON.stringify({ command: process.argv.at(-1) })}\n`);
process.stdin.pipe(socket);
socket.pipe(process.stdout);
socket.on('end', () => socket.destroy());
socket.on('close', () => process.stdin.destroy());
