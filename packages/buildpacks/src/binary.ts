/** For programs that are ready to run: changes nothing, knows no command of its own. Detected by a Procfile alone, after every other buildpack. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Buildpack } from './buildpack.ts';

export const binaryBuildpack: Buildpack = {
  name: 'binary_buildpack',
  title: 'Binary',
  detect: async app => (existsSync(join(app, 'Procfile')) ? 'binary' : null),
  compile: async () => undefined,
  release: async () => ({}),
};
