/**
 * `npm run dev`: the whole platform on a data folder of its own, the example app pushed, and its own parts swapped whenever a source file changes. Ctrl-C
 * stops it; what it holds is kept in .dev/ for the next time.
 */
import { spawn, spawnSync } from 'node:child_process';
import { watch } from 'node:fs';

const DATA = '.dev';
const PORTS = ['--port', '9080', '--api-port', '9081'];
/** An editor that saves writes several files: one swap for all of them. */
const QUIET_MS = 300;

const platform = spawn('./cupola', ['up', 'examples/node-hello', '--data', DATA, '--no-install', ...PORTS], {
  stdio: 'inherit',
});
platform.once('exit', code => process.exit(code ?? 1));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void platform.kill(signal));

let timer: NodeJS.Timeout | undefined;
for (const folder of ['apps', 'packages'])
  watch(folder, { recursive: true }, (_, file) => {
    if (file === null || !/\/src\/.*\.(ts|mjs|sh|pl)$/.test(file) || /\.test\.ts$/.test(file)) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      console.log(`${file} has changed: swapping the parts`);
      spawnSync('./cupola', ['restart', '--data', DATA], { stdio: 'inherit' });
    }, QUIET_MS);
  });
