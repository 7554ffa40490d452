// Switches the compile cache on before the first .ts is loaded: 52 ms to the first line instead of 145. Not by environment, which children would inherit.
import { mkdirSync } from 'node:fs';
import module from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'cupola', 'compile');
try {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  module.enableCompileCache(folder);
} catch {
  // No place for a cache: only slower.
}
await import('./main.ts');
