/** The app that is measured: ten files, a server that tells its version and which process it is. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const APP = 'bench-app';
export const HOST = `${APP}.localhost`;

const SERVER = `
const { version } = require('./version.json');
const born = require('node:crypto').randomUUID();
require('node:http')
  .createServer((request, response) => response.end(JSON.stringify({ version, born, pid: process.pid })))
  .listen(Number(process.env.PORT));
`;

export interface BenchApp {
  folder: string;
  /** The next push is of this version. */
  change(version: number): void;
}

export interface Answer {
  version: number;
  born: string;
}

export function makeBenchApp(): BenchApp {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-bench-app-'));
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  write('server.js', SERVER);
  write('package.json', JSON.stringify({ name: APP, version: '1.0.0', private: true }));
  write('manifest.yml', `applications:\n- name: ${APP}\n  memory: 64M\n  command: node server.js\n`);
  for (let file = 1; file <= 6; file++) write(`asset-${file}.txt`, `${file} `.repeat(1_000));
  const change = (version: number): void => write('version.json', JSON.stringify({ version }));
  change(1);
  return { folder, change };
}
