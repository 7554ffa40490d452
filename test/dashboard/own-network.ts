/**
 * The first process of Chromium's network (own-network.sh): brings its loopback up, leads each port of PORTS through the unix socket of that name in SOCKETS, which
 * lie outside of every network, and ends with Chromium.
 */
import { spawn, spawnSync } from 'node:child_process';
import net from 'node:net';
import { join } from 'node:path';

const { SOCKETS = '', PORTS = '' } = process.env;
const { status } = spawnSync('ip', ['link', 'set', 'lo', 'up'], { stdio: 'inherit' });
if (status !== 0) throw new Error('the loopback of a network of its own does not come up');
for (const port of PORTS.split(','))
  net
    .createServer(browser => {
      const platform = net.connect(join(SOCKETS, port));
      browser.on('error', () => platform.destroy());
      platform.on('error', () => browser.destroy());
      browser.pipe(platform).pipe(browser);
    })
    .listen(Number(port), '127.0.0.1');
// 3 and 4 are the pipes that playwright speaks through.
const child = spawn('/usr/bin/chromium', process.argv.slice(2), { stdio: [0, 1, 2, 3, 4] });
child.on('exit', code => process.exit(code ?? 1));
