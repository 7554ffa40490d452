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
