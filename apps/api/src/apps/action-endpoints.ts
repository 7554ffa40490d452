/** What is done to a whole app: start, stop, restart. Each is one transaction of desired state; the scheduler does the rest. */
import { app as appAnswer } from '@cupola/contract/v3/app';
import type { Mutation } from '@cupola/store/store';
import type { Actor } from '../access/actor.ts';
import type { ApiDeps } from '../deps.ts';
import { type ApiRequest, type Endpoint, endpoint, type Reply } from '../http/endpoint.ts';
import { type AppEventType, recordAppEvent } from './app-events.ts';
import { APP_MANAGERS, findApp, type ScopedApp, writableApp } from './find-app.ts';
import { presentApps } from './list-apps.ts';
import { logApi } from './log-line.ts';
import { restartApp, startApp, stopApp } from './run-app.ts';

interface Action {
  /** Also the name of its event. */
  name: Extract<AppEventType, 'start' | 'stop' | 'restart'>;
  /** What the app's log says before its guid. */
  line: string;
  summary: string;
  act(mutation: Mutation, deps: ApiDeps, by: { app: ScopedApp; actor: Actor }): Promise<void>;
}

const ACTIONS: readonly Action[] = [
  {
    name: 'start',
    line: 'Starting app',
    summary: 'Start an app: its current droplet, as it is set now',
    act: startApp,
  },
  {
    name: 'stop',
    line: 'Stopping app',
    summary: 'Stop an app',
    act: (mutation, _deps, { app }) => stopApp(mutation, app),
  },
  {
    name: 'restart',
    line: 'Restarted app',
    summary: 'Start an app anew, or for the first time, as it is set now',
    act: restartApp,
  },
];

async function perform(deps: ApiDeps, request: ApiRequest, { name, line, act }: Action): Promise<Reply> {
  const { actor, params } = request;
  const app = await deps.store.mutate(async mutation => {
    const present = await writableApp(mutation.db, actor, params.guid ?? '', APP_MANAGERS);
    await act(mutation, deps, { app: present, actor });
    await recordAppEvent(mutation, { actor, app: present, type: name });
    return (await findApp(mutation.db, present.guid)) ?? present;
  });
  // The cf CLI polls the stats of what it has started.
  if (name !== 'stop') deps.holds.own(request, 'stats', app.guid);
  await logApi(deps, app.guid, `${line} with guid ${app.guid}`);
  return { status: 200, body: (await presentApps(deps, [app]))[0] };
}

export const actionEndpoints: Endpoint[] = ACTIONS.map(action =>
  endpoint({
    method: 'POST',
    path: `/v3/apps/:guid/actions/${action.name}`,
    summary: action.summary,
    responseSchema: appAnswer,
    handle: (deps, request) => perform(deps, request, action),
  }),
);
