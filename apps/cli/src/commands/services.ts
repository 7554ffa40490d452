/** cups, services, service, bind-service, unbind-service, delete-service: what an app is given to work with. */
import { readFileSync } from 'node:fs';
import { readServiceBinding, readServiceInstance } from '@cupola/contract/v3/client-reads';
import { usageError, WordedError } from '@cupola/push/failures';
import { type CliContext, findApp } from '../context.ts';
import { findServiceInstance } from '../find.ts';
import { confirm, secret } from '../prompt.ts';

interface CupsFlags {
  parameters?: string;
  syslog?: string;
  route?: string;
  tags?: string;
}

/** As cf: JSON, a file of JSON, or names to be asked for. */
async function credentials(context: CliContext, text: string): Promise<Record<string, unknown>> {
  const isJson = text.trimStart().startsWith('{');
  const source = isJson ? text : text.startsWith('@') ? readFileSync(text.slice(1), 'utf8') : fileOrNull(text);
  if (source !== null) {
    try {
      const value: unknown = JSON.parse(source);
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    } catch {
      // Said below.
    }
    throw usageError(`-p is no JSON object.`, `Write it like -p '{"uri":"postgres://..."}', or name a file with it.`);
  }
  if (!context.isTerminal)
    throw usageError('There is no terminal to ask for credentials.', `Write them like -p '{"uri":"postgres://..."}'`);
  const given: Record<string, string> = {};
  for (const name of text.split(',').map(one => one.trim())) given[name] = await secret(`${name}: `);
  return given;
}

function fileOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null; // Then it is a list of names.
  }
}

/** create-user-provided-service. */
export async function cups(context: CliContext, name: string, flags: CupsFlags): Promise<void> {
  const { space } = context.target();
  const given = flags.parameters === undefined ? {} : await credentials(context, flags.parameters);
  await context.client().act({
    method: 'POST',
    path: '/v3/service_instances',
    json: {
      type: 'user-provided',
      name,
      relationships: { space: { data: { guid: space.guid } } },
      credentials: given,
      ...(flags.syslog === undefined ? {} : { syslog_drain_url: flags.syslog }),
      ...(flags.route === undefined ? {} : { route_service_url: flags.route }),
      ...(flags.tags === undefined ? {} : { tags: flags.tags.split(',').map(tag => tag.trim()) }),
    },
  });
  context.result({ name }, `Made service ${name}. Give it to an app: cupola bind-service APP ${name}`);
}

async function bindingsOf(context: CliContext, query: Record<string, string>) {
  return context.client().all(readServiceBinding, '/v3/service_credential_bindings', { type: 'app', ...query });
}

export async function services(context: CliContext): Promise<void> {
  const { space } = context.target();
  const client = context.client();
  const all = await client.all(readServiceInstance, '/v3/service_instances', {
    space_guids: space.guid,
    order_by: 'name',
  });
  const { readApp } = await import('@cupola/contract/v3/client-reads');
  const apps = new Map(
    (await client.all(readApp, '/v3/apps', { space_guids: space.guid })).map(({ guid, name }) => [guid, name]),
  );
  const bindings =
    all.length === 0
      ? []
      : await bindingsOf(context, { service_instance_guids: all.map(({ guid }) => guid).join(',') });
  const list = all.map(({ guid, name, type }) => ({
    guid,
    name,
    type: type ?? 'managed',
    apps: bindings
      .filter(({ relationships }) => relationships?.service_instance?.data?.guid === guid)
      .map(({ relationships }) => apps.get(relationships?.app?.data?.guid ?? '') ?? '?'),
  }));
  context.result(
    { services: list },
    list.length === 0
      ? `no services in ${space.name}; make one: cupola cups NAME -p '{"uri":"..."}'`
      : context.table([
          ['name', 'kind', 'given to'],
          ...list.map(({ name, type, apps: names }) => [name, type, names.join(', ') || '-']),
        ]),
  );
}

export async function service(context: CliContext, name: string, flags: { guid?: boolean }): Promise<void> {
  const found = await findServiceInstance(context, name);
  if (flags.guid) return context.result({ guid: found.guid }, found.guid);
  const rows = [
    ['name', found.name],
    ['guid', found.guid],
    ['kind', found.type ?? 'managed'],
    ['tags', found.tags?.join(', ') || '-'],
    ['syslog drain', found.syslog_drain_url ?? '-'],
  ];
  context.result(found, context.table(rows));
}

export async function bindService(
  context: CliContext,
  appName: string,
  { service: name, bindingName }: { service: string; bindingName?: string },
): Promise<void> {
  const [app, instance] = [await findApp(context, appName), await findServiceInstance(context, name)];
  await context.client().act({
    method: 'POST',
    path: '/v3/service_credential_bindings',
    json: {
      type: 'app',
      ...(bindingName === undefined ? {} : { name: bindingName }),
      relationships: { app: { data: { guid: app.guid } }, service_instance: { data: { guid: instance.guid } } },
    },
  });
  context.result(
    { app: appName, service: name, bound: true },
    `${appName} has ${name}, in VCAP_SERVICES. It takes effect with: cupola restart ${appName}`,
  );
}

export async function unbindService(context: CliContext, appName: string, name: string): Promise<void> {
  const [app, instance] = [await findApp(context, appName), await findServiceInstance(context, name)];
  const bindings = await bindingsOf(context, { app_guids: app.guid, service_instance_guids: instance.guid });
  for (const { guid } of bindings)
    await context.client().act({ method: 'DELETE', path: `/v3/service_credential_bindings/${guid}` });
  context.result(
    { app: appName, service: name, unbound: bindings.length },
    bindings.length === 0
      ? `${appName} did not have ${name}.`
      : `${appName} has ${name} no more. It takes effect with: cupola restart ${appName}`,
  );
}

export async function deleteService(context: CliContext, name: string, flags: { force?: boolean }): Promise<void> {
  const { space } = context.target();
  const client = context.client();
  const found = await client.first(readServiceInstance, '/v3/service_instances', {
    names: name,
    space_guids: space.guid,
  });
  if (found === null) return context.result({ name, deleted: false }, `Service ${name} does not exist.`);
  const bound = await bindingsOf(context, { service_instance_guids: found.guid });
  if (bound.length > 0)
    throw new WordedError(`Service ${name} is still given to an app.`, {
      next: `See to which: cupola services. Then: cupola unbind-service APP ${name}`,
    });
  const isSure = await confirm(context, {
    force: flags.force,
    what: `Deleting service ${name}`,
    command: `cupola delete-service ${name} -f`,
  });
  if (!isSure) return context.result({ name, deleted: false }, `${name} was left as it is.`);
  await client.act({ method: 'DELETE', path: `/v3/service_instances/${found.guid}` });
  context.result({ name, deleted: true }, `Service ${name} is deleted.`);
}
