/**
 * What durable.test.ts traces: a process that uploads to an API of its own and says `call` before and `answer STATUS` after, by synchronous writes, so that
 * their place among its system calls is where they happened.
 */
import { writeSync } from 'node:fs';
import { startTestApi } from '../fixtures.ts';
import { anAppWithWeb, newPackage, upload } from './fixtures.ts';

await using test = await startTestApi({ isSynced: true });
const guid = await newPackage(test, (await anAppWithWeb(test)).guid);
writeSync(1, 'call\n');
const { status } = await upload(test, guid, { bits: [{ name: 'index.js', content: 'serve()' }] });
writeSync(1, `answer ${status}\n`);
