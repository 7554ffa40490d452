/**
 * The pre-receive hook: tells the part that started git what is pushed, prints the lines that come back, and ends as it is told. Ends with the push: then its
 * connection closes, and the part knows. Plain JavaScript of Node's own modules, since it is started by git, outside of any program of ours.
 */
import { createConnection } from 'node:net';
import { createInterface } from 'node:readline';

const NULL = /^0+$/;

let input = '';
for await (const chunk of process.stdin) input += chunk;
const updates = input
  .trim()
  .split('\n')
  .map(line => line.split(' '))
  .map(([before, after, ...ref]) => ({
    ref: ref.join(' '),
    before: NULL.test(before) ? null : before,
    after: NULL.test(after) ? null : after,
  }));
const names = ['GIT_OBJECT_DIRECTORY', 'GIT_ALTERNATE_OBJECT_DIRECTORIES', 'GIT_QUARANTINE_PATH'];
const environment = Object.fromEntries(names.filter(name => process.env[name]).map(name => [name, process.env[name]]));
const socket = createConnection(process.env.CUPOLA_HOOK_SOCKET);
socket.on('error', error => {
  console.log(`The push cannot be taken over at this moment (${error.code}). Push again.`);
  process.exit(1);
});
socket.write(`${JSON.stringify({ id: process.env.CUPOLA_HOOK_PUSH, updates, environment })}\n`);
process.on('SIGTERM', () => process.exit(1));
for await (const line of createInterface({ input: socket })) {
  const { say, exit } = JSON.parse(line);
  if (say !== undefined) console.log(say);
  if (exit !== undefined) process.exit(exit);
}
console.log('The platform has ended this push. Push again.');
process.exit(1);
