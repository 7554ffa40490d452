/**
 * What sqlite.test.ts kills and traces: a process that writes to the store at argv[2] and says `call KEY` before and `answer KEY` after each mutation, by
 * synchronous writes, so that their order among its system calls is the order of what happened. argv[3] is how many rounds, argv[4] how many at once.
 */
import { writeSync } from 'node:fs';
import { openSqliteStore } from './sqlite.ts';

const [, , path = '', rounds = '1', atOnce = '1'] = process.argv;
const store = await openSqliteStore({ path });

async function writeOne(key: string): Promise<void> {
  writeSync(1, `call ${key}\n`);
  await store.mutate(async ({ db, changed }) => {
    await db
      .insertInto('settings')
      .values({ key, value: 'x'.repeat(500) })
      .execute();
    changed('app', key);
  });
  writeSync(1, `answer ${key}\n`);
}

for (let round = 0; round < Number(rounds); round++)
  await Promise.all(Array.from({ length: Number(atOnce) }, (_, index) => writeOne(`${process.pid}-${round}-${index}`)));
await store.close();
