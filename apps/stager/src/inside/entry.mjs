// The first thing that runs in the sandbox of a build: compile cache (made ahead by the stager, read-only here), then the build itself.
// Arguments: SOCKET COMPILE-CACHE. Without a socket it only loads what a build needs, and so fills that cache.
import module from 'node:module';

const [socket, cache] = process.argv.slice(2);
if (cache) module.enableCompileCache(cache);
const { stageInside, loadAll } = await import('./main.ts');
if (socket === '-') await loadAll();
else process.exitCode = await stageInside(socket);
// A command of the build may have left something open.
if (socket !== '-') process.exit();
