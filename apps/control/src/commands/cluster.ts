/** `cluster token|members|remove`: who belongs to this platform beside its own machine. */
import { writeToken } from '@cupola/certificates/members/joining';
import { memberList, tokenAnswer, tokenRequest } from '@cupola/contract/internal';
import { internalCall, internalResult } from '../internal-call.ts';
import { command, dataFolder, PlainError, readConfig } from '../platform-config.ts';

interface Flags {
  data?: string;
  json?: boolean;
}

const MINUTE_MS = 60_000;

export async function clusterToken(flags: Flags & { role: string; minutes: number; id?: string }): Promise<void> {
  const data = dataFolder(flags.data);
  const asked = tokenRequest.safeParse({
    roles: flags.role.split(',').map(role => role.trim()),
    lifeMs: flags.minutes * MINUTE_MS,
    ...(flags.id === undefined ? {} : { id: flags.id }),
  });
  if (!asked.success)
    throw new PlainError(
      `--role ${flags.role} --minutes ${flags.minutes} cannot be. Roles are agent, stager and router, with commas between; minutes a whole number.`,
    );
  const config = readConfig(data);
  if (config !== null && config.cluster === null)
    throw new PlainError(
      `This platform does not listen to other machines. Take it down (${command('down', data)}: apps come back with it), and start it so: ${command('up', data)} --cluster-listen 0.0.0.0:7443`,
    );
  const made = tokenAnswer.parse(await internalResult(data, 'POST', '/internal/cluster/tokens', asked.data));
  const token = writeToken({ secret: made.token, authority: made.authority });
  const address = config?.cluster == null ? 'HOST:PORT' : `${config.cluster.host}:${config.cluster.port}`;
  const line = `./cupola join ${address} --token ${token}`;
  if (flags.json === true) return console.log(JSON.stringify({ token, address, command: line }));
  console.log(`On the new machine, once, within ${flags.minutes} minutes:\n\n  ${line}\n`);
}

export async function clusterMembers(flags: Flags): Promise<void> {
  const data = dataFolder(flags.data);
  const { members } = memberList.parse(await internalResult(data, 'GET', '/internal/cluster/members'));
  if (flags.json === true) return console.log(JSON.stringify(members, null, 2));
  if (members.length === 0) return console.log(`Nobody has joined. Make a token: ${command('cluster token', data)}`);
  console.log('id                                    host              roles                  joined');
  for (const { id, hostName, roles, joinedAtMs, removedAtMs } of members)
    console.log(
      `${id.padEnd(37)} ${hostName.padEnd(17)} ${roles.join(',').padEnd(22)} ${new Date(joinedAtMs).toISOString()}${removedAtMs === null ? '' : '  removed'}`,
    );
}

export async function removeFromCluster(id: string, flags: Flags): Promise<void> {
  const data = dataFolder(flags.data);
  const { status } = await internalCall(data, 'POST', `/internal/cluster/members/${encodeURIComponent(id)}/remove`);
  if (status === 404)
    throw new PlainError(`There is no member ${id}. Who there is, by id: ${command('cluster members', data)}`);
  if (status !== 204) throw new PlainError(`The platform answered ${status}. Its parts write to ${data}/log.`);
  if (flags.json === true) return console.log(JSON.stringify({ id, removed: true }));
  console.log(`${id} is refused from now on. What ran there is started elsewhere once its lease is over.`);
}
