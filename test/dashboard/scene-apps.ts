/** What the apps of the pictures run: a shop that answers and logs as one would, and the small ones beside it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { appFolder } from '../platform.ts';

interface ShopOptions {
  /** Nobody is answered before: a deployment is seen at work meanwhile. */
  warmUpMs?: number;
  /** What it has learned since: other files, as a push has them. */
  version: string;
}

/** Lines of JSON, answers of all kinds, and times that are mostly short and sometimes long. */
export const shop = ({ warmUpMs = 0, version }: ShopOptions): string => `// ${version}
const http = require('node:http');
const say = (level, msg, more) => console.log(JSON.stringify({ level, msg, ...more }));
const kept = [];
const route = url => {
  if (url.startsWith('/account')) return 302;
  if (url.startsWith('/offers')) return 404;
  return url.startsWith('/checkout') && Math.random() < 0.15 ? 500 : 200;
};
const server = http.createServer((request, response) => {
  const status = route(request.url);
  const ms = Math.round(4 + 14 * Math.random() + (Math.random() < 0.06 ? 260 * Math.random() : 0));
  if (kept.length < 900) kept.push(Buffer.alloc(16_384, request.url));
  setTimeout(() => {
    response.writeHead(status, status === 302 ? { location: '/login' } : {}).end(status + '\\n');
    say(status === 404 ? 'warn' : 'info', request.method + ' ' + request.url, { status, ms });
    if (status === 500)
      say('error', 'checkout failed', {
        order: 7000 + Math.floor(3000 * Math.random()),
        cause: { code: 'ETIMEDOUT', host: 'pay.example' },
      });
  }, ms);
});
say('info', 'catalogue is read', { products: 4812 });
setTimeout(() => {
  server.listen(process.env.PORT);
  say('info', 'shop is up', { version: '${version}' });
}, ${warmUpMs});
`;

/** Until somebody tells it of a database. */
export const FAILS = `console.log('billing 2.1.0 starts');
require('node:net').connect(5432, '127.0.0.1', () => console.log('connected'));
`;
export const ANSWERS = `require('node:http')
  .createServer((_, response) => response.end('ok'))
  .listen(process.env.PORT, () => console.log('listening on ' + process.env.PORT));
`;
export const WORKS = `console.log('waiting for orders');
setInterval(() => console.log(JSON.stringify({ level: 'info', msg: 'invoice is sent', order: Math.floor(9000 * Math.random()) })), 4000);
`;

/** In MB: of the shop, and of the small ones. */
const MEMORY = { shop: 128, others: 64 };

/** A folder of that name with one such program, and what its package.json has besides. */
export function sceneFolder(work: string, name: string, server: string): string {
  const folder = appFolder(work, name);
  const memory = name === 'shop' ? MEMORY.shop : MEMORY.others;
  writeFileSync(join(folder, 'manifest.yml'), `applications:\n- name: ${name}\n  memory: ${memory}M\n`);
  const scripts = {
    start: 'node server.js',
    migrate: `node -e "console.log('3 migrations are done')"`,
    report: 'exit 3',
  };
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, version: '1.4.0', scripts }));
  writeFileSync(join(folder, 'server.js'), server);
  return folder;
}
