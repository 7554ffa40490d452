import { QueryClient, QueryObserver } from '@tanstack/react-query';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ShownProcess } from '../data/queries.ts';
import { followStream } from './follow.ts';
import type { openStream } from './stream.ts';

type Listening = Parameters<typeof openStream>[0];

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const processesIn = (state: string) =>
  [{ process: { guid: 'p' }, instances: [{ index: 0, state, instance_guid: 'i' }] }] as unknown as ShownProcess[];
const crashed = {
  type: 'changed',
  kind: 'instances',
  guid: 'p',
  app_guid: 'a',
  object: {
    process_guid: 'p',
    app_guid: 'a',
    type: 'web',
    instances: [
      {
        ...{ index: 0, state: 'CRASHED', since: null, routable: null, details: null, instance_guid: 'i' },
        ...{ cell_id: null, crashes: 1, last_exit: null },
      },
    ],
  },
} as unknown as Parameters<Listening['changed']>[0];
const figures = { type: 'metrics', app_guid: 'a' } as Parameters<Listening['metrics']>[0];

/** A page of the app `a` that reads `name`: its answers are given by the test, which tells it what the stream says. */
function aPage<Data>(name: string) {
  const client = new QueryClient();
  client.setQueryData(['app', 'a'], {});
  const answers: PromiseWithResolvers<Data>[] = [];
  const observer = new QueryObserver<Data>(client, {
    queryKey: ['app', 'a', name],
    queryFn: () => {
      const answer = Promise.withResolvers<Data>();
      answers.push(answer);
      return answer.promise;
    },
  });
  const stop = observer.subscribe(() => undefined);
  const listening: Listening[] = [];
  followStream(client, told => {
    listening.push(told);
    return {} as ReturnType<typeof openStream>;
  });
  const close = (): void => {
    stop();
    client.clear();
  };
  return { answers, listening, data: () => observer.getCurrentResult().data, close };
}

test('what is told of instances stays, though an older answer comes after it', async () => {
  const { answers, listening, data, close } = aPage<ShownProcess[]>('processes');
  const state = () => data()?.[0]?.instances[0]?.state;
  answers[0]?.resolve(processesIn('RUNNING'));
  await vi.advanceTimersByTimeAsync(100);
  listening[0]?.metrics(figures);
  await vi.advanceTimersByTimeAsync(100);
  listening[0]?.changed(crashed);
  await vi.advanceTimersByTimeAsync(100);
  answers[1]?.resolve(processesIn('RUNNING'));
  await vi.advanceTimersByTimeAsync(100);
  expect([answers.length, state()]).toEqual([3, 'CRASHED']);
  close();
});

test('a deployment that is told of while the page reads is what the page ends with', async () => {
  const { answers, listening, data, close } = aPage<unknown>('deployment');
  listening[0]?.changed({ type: 'changed', kind: 'deployment', guid: 'd', app_guid: 'a', object: {} } as never);
  await vi.advanceTimersByTimeAsync(100);
  answers[0]?.resolve('older');
  await vi.advanceTimersByTimeAsync(100);
  answers[1]?.resolve('as it is');
  await vi.advanceTimersByTimeAsync(100);
  expect([answers.length, data()]).toEqual([2, 'as it is']);
  close();
});
