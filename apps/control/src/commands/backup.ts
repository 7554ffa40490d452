/** `backup FILE` and `restore FILE`. */
import { resolve } from 'node:path';
import { type AboutBackup, takeBackup } from '../backup.ts';
import { command, dataFolder, PlainError, readConfig, type UpFlags } from '../platform-config.ts';
import { restoreBackup } from '../restore.ts';

interface Flags extends UpFlags {
  json?: boolean;
}
interface BackupFlags extends Flags {
  withStacks?: boolean;
}
type Stack = AboutBackup['stacks'][number];

const MIB = 1024 * 1024;

export async function backup(file: string, flags: BackupFlags): Promise<void> {
  const data = dataFolder(flags.data);
  if (readConfig(data) === null) throw new PlainError(`There is no platform in ${data}. Name its folder with --data.`);
  const path = resolve(file);
  const made = await takeBackup(data, path, { withStacks: flags.withStacks === true });
  if (flags.json) return console.log(JSON.stringify({ file: path, ...made }));
  console.log(
    `${path}: ${made.apps} apps, ${made.users} users, ${(made.sizeBytes / MIB).toFixed(1)} MB. It holds keys and passwords: keep it where only you read it.\nElsewhere: ./cupola restore FILE`,
  );
  const left = made.stacks.filter(({ isCarried }) => !isCarried);
  if (left.length > 0)
    console.log(
      `Not in it, since they are large: ${left.map(({ name }) => name).join(', ')}. Take stacks along with --with-stacks; or add them elsewhere, as restore will say.`,
    );
}

export async function restore(file: string, flags: Flags): Promise<void> {
  const data = dataFolder(flags.data);
  const about = await restoreBackup(data, resolve(file), flags);
  if (flags.json) return console.log(JSON.stringify({ data, ...about }));
  console.log(`${about.apps} apps and ${about.users} users of ${about.madeAt} are in ${data}.`);
  for (const stack of about.stacks.filter(({ isCarried }) => !isCarried)) console.log(missingText(stack, data));
  console.log(`Start them: ${command('up', data)}`);
}

/** Until it is there its apps wait. */
function missingText({ name, source, apps }: Stack, data: string): string {
  const users = apps === 0 ? 'which no app uses' : `which ${apps === 1 ? 'an app needs' : `${apps} apps need`}`;
  const add = command(`stack add ${source ?? 'FILE|HOST/IMAGE:TAG'} --name ${name}`, data);
  return `The backup was made without the stack ${name}, ${users}. Add it first: ${add}`;
}
