/** `backup FILE` and `restore FILE`. */
import { resolve } from 'node:path';
import { takeBackup } from '../backup.ts';
import { dataFolder, PlainError, readConfig, type UpFlags } from '../platform-config.ts';
import { restoreBackup } from '../restore.ts';

interface Flags extends UpFlags {
  json?: boolean;
}

const MIB = 1024 * 1024;

export async function backup(file: string, flags: Flags): Promise<void> {
  const data = dataFolder(flags.data);
  if (readConfig(data) === null) throw new PlainError(`There is no platform in ${data}. Name its folder with --data.`);
  const path = resolve(file);
  const made = await takeBackup(data, path);
  if (flags.json) return console.log(JSON.stringify({ file: path, ...made }));
  console.log(
    `${path}: ${made.apps} apps, ${made.users} users, ${(made.sizeBytes / MIB).toFixed(1)} MB. It holds keys and passwords: keep it where only you read it.\nElsewhere: ./cupola restore FILE`,
  );
}

export async function restore(file: string, flags: Flags): Promise<void> {
  const data = dataFolder(flags.data);
  const about = await restoreBackup(data, resolve(file), flags);
  if (flags.json) return console.log(JSON.stringify({ data, ...about }));
  console.log(
    `${about.apps} apps and ${about.users} users of ${about.madeAt} are in ${data}. Start them: ./cupola up --data ${data}`,
  );
}
