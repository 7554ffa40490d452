/** For each thing that this page does to an app: the call of the API, and the commands that do the same. */
import type { App } from '../data/read.ts';
import type { Commands } from '../ui/action.tsx';

type Named = Pick<App, 'guid' | 'name'>;

/** As a shell reads it: quoted where it has to be. */
export function word(text: string): string {
  return /^[\w./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

export function changeState(app: Named, action: 'start' | 'stop' | 'restart'): Commands {
  const command = `${action} ${word(app.name)}`;
  return { cf: command, cupola: command, api: { method: 'POST', path: `/v3/apps/${app.guid}/actions/${action}` } };
}

export function scaleApp(
  app: Named,
  process: { guid: string; type: string },
  wanted: { instances?: number; memory_in_mb?: number; disk_in_mb?: number },
): Commands {
  const flags = [
    ...(process.type === 'web' ? [] : [`--process ${word(process.type)}`]),
    ...(wanted.instances === undefined ? [] : [`-i ${wanted.instances}`]),
    ...(wanted.memory_in_mb === undefined ? [] : [`-m ${wanted.memory_in_mb}M`]),
    ...(wanted.disk_in_mb === undefined ? [] : [`-k ${wanted.disk_in_mb}M`]),
  ].join(' ');
  const command = `scale ${word(app.name)} ${flags}`;
  // cf asks before it restarts for another size.
  const isSize = wanted.memory_in_mb !== undefined || wanted.disk_in_mb !== undefined;
  return {
    cf: isSize ? `${command} -f` : command,
    cupola: command,
    api: { method: 'POST', path: `/v3/processes/${process.guid}/actions/scale`, json: wanted },
  };
}

export function restartInstance(app: Named, process: { guid: string; type: string }, index: number): Commands {
  const type = process.type === 'web' ? '' : ` --process ${word(process.type)}`;
  const path = `/v3/processes/${process.guid}/instances/${index}`;
  return {
    cf: `restart-app-instance ${word(app.name)} ${index}${type}`,
    cupola: `curl ${path} -X DELETE`,
    api: { method: 'DELETE', path },
  };
}

export function rollBack(app: Named, revision: { guid: string; version: number }): Commands {
  const command = `rollback ${word(app.name)} --version ${revision.version}`;
  return {
    cf: command,
    cupola: command,
    api: {
      method: 'POST',
      path: '/v3/deployments',
      json: { revision: { guid: revision.guid }, relationships: { app: { data: { guid: app.guid } } } },
    },
  };
}

export function cancelDeployment(app: Named, guid: string): Commands {
  const command = `cancel-deployment ${word(app.name)}`;
  return { cf: command, cupola: command, api: { method: 'POST', path: `/v3/deployments/${guid}/actions/cancel` } };
}

/** Of a canary deployment that waits at a step. */
export function continueDeployment(app: Named, guid: string): Commands {
  const command = `continue-deployment ${word(app.name)}`;
  return { cf: command, cupola: command, api: { method: 'POST', path: `/v3/deployments/${guid}/actions/continue` } };
}

interface RouteName {
  domain: string;
  host: string;
  /** Empty, or with its slash. */
  path: string;
}
const routeFlags = ({ host, path }: RouteName): string =>
  `${host === '' ? '' : ` --hostname ${word(host)}`}${path === '' ? '' : ` --path ${word(path)}`}`;

/** @param routeGuid of the route; null: it is made first. */
export function mapRoute(app: Named, name: RouteName, routeGuid: string | null): Commands {
  const command = `map-route ${word(app.name)} ${word(name.domain)}${routeFlags(name)}`;
  return {
    cf: command,
    cupola: command,
    api: {
      method: 'POST',
      path: `/v3/routes/${routeGuid ?? 'ROUTE_GUID'}/destinations`,
      json: { destinations: [{ app: { guid: app.guid } }] },
    },
  };
}

export function unmapRoute(app: Named, name: RouteName, route: { guid: string; destination: string }): Commands {
  const command = `unmap-route ${word(app.name)} ${word(name.domain)}${routeFlags(name)}`;
  return {
    cf: command,
    cupola: command,
    api: { method: 'DELETE', path: `/v3/routes/${route.guid}/destinations/${route.destination}` },
  };
}

/** @param memoryMb null: what the platform gives to tasks. */
export function runTask(
  app: Named,
  { command, name, memoryMb }: { command: string; name: string; memoryMb: number | null },
): Commands {
  const named = `${name === '' ? '' : ` --name ${word(name)}`}${memoryMb === null ? '' : ` -m ${memoryMb}M`}`;
  return {
    cf: `run-task ${word(app.name)} --command ${word(command)}${named}`,
    cupola: `run-task ${word(app.name)} ${word(command)}${named}`,
    api: {
      method: 'POST',
      path: `/v3/apps/${app.guid}/tasks`,
      json: {
        command,
        ...(name === '' ? {} : { name }),
        ...(memoryMb === null ? {} : { memory_in_mb: memoryMb }),
      },
    },
  };
}

export function cancelTask(app: Named, task: { guid: string; sequence_id: number }): Commands {
  const command = `terminate-task ${word(app.name)} ${task.sequence_id}`;
  return { cf: command, cupola: command, api: { method: 'POST', path: `/v3/tasks/${task.guid}/actions/cancel` } };
}

/** `credentials` as JSON. What is shown leaves them out, unless they are to be sent: they are secrets. */
export function makeService(
  spaceGuid: string,
  { name, credentials }: { name: string; credentials: Record<string, unknown> },
  { isShown = false } = {},
): Commands {
  return {
    cf: `create-user-provided-service ${word(name)} -p 'CREDENTIALS'`,
    cupola: `cups ${word(name)} -p 'CREDENTIALS'`,
    api: {
      method: 'POST',
      path: '/v3/service_instances',
      json: {
        type: 'user-provided',
        name,
        credentials: isShown ? credentials : { CREDENTIALS: '' },
        relationships: { space: { data: { guid: spaceGuid } } },
      },
    },
  };
}

export function bindService(app: Named, service: { guid: string; name: string }): Commands {
  const command = `bind-service ${word(app.name)} ${word(service.name)}`;
  return {
    cf: command,
    cupola: command,
    api: {
      method: 'POST',
      path: '/v3/service_credential_bindings',
      json: {
        type: 'app',
        relationships: { app: { data: { guid: app.guid } }, service_instance: { data: { guid: service.guid } } },
      },
    },
  };
}

export function unbindService(app: Named, service: { name: string }, bindingGuid: string): Commands {
  const command = `unbind-service ${word(app.name)} ${word(service.name)}`;
  return {
    cf: command,
    cupola: command,
    api: { method: 'DELETE', path: `/v3/service_credential_bindings/${bindingGuid}` },
  };
}

export function renameApp(app: Named, name: string): Commands {
  const command = `rename ${word(app.name)} ${word(name === '' ? 'NAME' : name)}`;
  return { cf: command, cupola: command, api: { method: 'PATCH', path: `/v3/apps/${app.guid}`, json: { name } } };
}

interface Running {
  /** Empty: what staging has detected; null: it stays as it is. */
  command: string | null;
  type: 'port' | 'http' | 'process';
  endpoint: string;
  /** Seconds; null: the platform's own. */
  timeout: number | null;
}

/** cf sets only the check, and only by a push the rest. */
export function changeProcess(
  app: Named,
  process: { guid: string; type: string },
  { command, type, endpoint, timeout }: Running,
): Commands {
  const path = `/v3/processes/${process.guid}`;
  const data = { ...(type === 'http' ? { endpoint } : {}), timeout };
  const json = {
    ...(command === null ? {} : { command: command === '' ? null : command }),
    health_check: { type, data },
  };
  const of = process.type === 'web' ? '' : ` --process ${word(process.type)}`;
  return {
    cf: `set-health-check ${word(app.name)} ${type}${of}${type === 'http' ? ` --endpoint ${word(endpoint)}` : ''}`,
    cupola: `curl ${path} -X PATCH -d ${word(JSON.stringify(json))}`,
    api: { method: 'PATCH', path, json },
  };
}

export function deleteApp(app: Named): Commands {
  const command = `delete ${word(app.name)} -f`;
  return { cf: `${command} -r`, cupola: command, api: { method: 'DELETE', path: `/v3/apps/${app.guid}` } };
}

/** `value` null: takes it away. What is shown leaves the value out, unless it is to be sent: it may be a secret. */
export function setVariable(app: Named, name: string, value: string | null, { isShown = false } = {}): Commands {
  const command =
    value === null ? `unset-env ${word(app.name)} ${word(name)}` : `set-env ${word(app.name)} ${word(name)} VALUE`;
  const json = { var: { [name]: value === null || isShown ? value : 'VALUE' } };
  return {
    cf: command,
    cupola: command,
    api: { method: 'PATCH', path: `/v3/apps/${app.guid}/environment_variables`, json },
  };
}
