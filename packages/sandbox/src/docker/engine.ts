/**
 * The few calls that a Docker engine is asked, and how it fails: it refuses (`EngineError`), or it is away (`EngineAwayError`), which says nothing about
 * its containers. dockerode is loaded when an engine is opened, and not before: a platform without Docker has no use for it.
 */
import { Readable } from 'node:stream';
import type Docker from 'dockerode';
import type { ContainerCreateOptions, ContainerInspectInfo } from 'dockerode';
import { SandboxError } from '../sandbox.ts';

/** On images that were made here. */
const IMAGE_LABEL = 'io.cupola.image';
/** Of one call; an engine that is busy on a small machine takes some seconds to start a container. */
const CALL_MS = 30_000;

/** It does not answer: not there, just ended, or hung. */
export class EngineAwayError extends Error {
  override readonly name = 'EngineAwayError';
}
/** It has answered, and not done it. */
export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** What is asked of a container. */
export interface ContainerFacts {
  id: string;
  isRunning: boolean;
  /** Of its first process, on the engine's machine; 0 when none runs. */
  pid: number;
  /** As the engine tells it: a signal is 128 and its number. */
  exitCode: number;
  outOfMemory: boolean;
  finishedMs: number;
  /** Where what it prints is kept. */
  logPath: string;
}
export interface KnownContainer {
  id: string;
  labels: Record<string, string>;
}
export interface EngineEvent {
  action: string;
  id: string;
}

export interface Engine {
  /** Its version. */
  version(): Promise<string>;
  /** Its id. */
  create(name: string, options: ContainerCreateOptions): Promise<string>;
  start(id: string): Promise<void>;
  /** Null when it knows no such container. */
  inspect(id: string): Promise<ContainerFacts | null>;
  /** All that carry this label, ended ones too. */
  list(label: string): Promise<KnownContainer[]>;
  /** Ends and forgets it. Idempotent. */
  remove(id: string): Promise<void>;
  /** What happens to containers with this label, until it goes away. `connected` is called once nothing more can be missed. */
  events(
    label: string,
    told: { connected(): void; event(event: EngineEvent): void },
    signal: AbortSignal,
  ): Promise<void>;
  hasImage(name: string): Promise<boolean>;
  /** Names, with their tags, of those in that repository. */
  images(repository: string): Promise<string[]>;
  /** Makes an image of one layer. */
  importImage(name: string, tar: Buffer): Promise<void>;
  /** Unless a container stands on it. Idempotent. */
  removeImage(name: string): Promise<void>;
}

/** @throws SandboxError for an address that names no engine of this machine. */
export async function openEngine(host: string): Promise<Engine> {
  const { default: Client } = await import('dockerode');
  const address = addressOf(host);
  return withoutDockerHost(() => engineOf(new Client({ ...address, timeout: CALL_MS }), new Client(address)));
}

/** An engine that the environment names comes before the one that dockerode is told, and it is not the operator's choice for apps. */
function withoutDockerHost<T>(make: () => T): T {
  const { DOCKER_HOST } = process.env;
  delete process.env.DOCKER_HOST;
  try {
    return make();
  } finally {
    if (DOCKER_HOST !== undefined) process.env.DOCKER_HOST = DOCKER_HOST;
  }
}

/** `unix:///run/docker.sock`, or TCP on the loopback: what it mounts and starts must be ours to see. */
function addressOf(host: string): { socketPath: string } | { host: string; port: number; protocol: 'http' } {
  if (/^unix:\/\/\/./.test(host)) return { socketPath: host.slice('unix://'.length) };
  const tcp = /^tcp:\/\/(127\.\d+\.\d+\.\d+|localhost|\[::1\]):(\d+)$/.exec(host);
  if (tcp?.[1] !== undefined) return { host: tcp[1].replace(/[[\]]/g, ''), port: Number(tcp[2]), protocol: 'http' };
  throw new SandboxError(
    `"${host}" is no Docker engine of this machine. Name its socket, as in unix:///var/run/docker.sock, or tcp://127.0.0.1:PORT.`,
  );
}

/** `streams` waits for answers without an end. */
function engineOf(docker: Docker, streams: Docker): Engine {
  const byLabel = (label: string): string => JSON.stringify({ label: [label] });
  return {
    version: () => asked(async () => (await docker.version()).Version),
    create: (name, options) => asked(async () => (await docker.createContainer({ ...options, name })).id),
    start: id => asked(async () => void (await docker.getContainer(id).start())),
    inspect: id => unlessGone(async () => factsOf(await docker.getContainer(id).inspect())),
    list: label =>
      asked(async () =>
        (await docker.listContainers({ all: true, filters: byLabel(label) })).map(found => ({
          id: found.Id,
          labels: found.Labels,
        })),
      ),
    remove: id =>
      unlessConflict(async () => {
        await unlessGone(() => docker.getContainer(id).remove({ force: true, v: true }));
      }),
    events: (label, told, signal) => asked(() => follow(streams, label, told, signal)),
    hasImage: async name => (await unlessGone(() => docker.getImage(name).inspect())) !== null,
    images: repository =>
      asked(async () => {
        const found = await docker.listImages({ filters: JSON.stringify({ reference: [repository] }) });
        return found.flatMap(({ RepoTags }) => RepoTags ?? []);
      }),
    importImage: (name, tar) => asked(() => importImage(docker, name, tar)),
    removeImage: name =>
      unlessConflict(async () => {
        await unlessGone(() => docker.getImage(name).remove());
      }),
  };
}

function factsOf({ Id, State, LogPath }: ContainerInspectInfo): ContainerFacts {
  return {
    id: Id,
    isRunning: State.Running,
    pid: State.Pid,
    exitCode: State.ExitCode,
    outOfMemory: State.OOMKilled,
    finishedMs: Date.parse(State.FinishedAt),
    logPath: LogPath,
  };
}

async function follow(
  docker: Docker,
  label: string,
  { connected, event }: { connected(): void; event(event: EngineEvent): void },
  signal: AbortSignal,
): Promise<void> {
  const filters = JSON.stringify({ type: ['container'], event: ['die', 'destroy'], label: [label] });
  const stream = (await docker.getEvents({ filters, abortSignal: signal })) as NodeJS.ReadableStream & {
    socket?: { unref(): void };
  };
  stream.socket?.unref(); // Containers do not keep us alive.
  connected();
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const { Action, Actor } = JSON.parse(line) as { Action: string; Actor: { ID: string } };
      event({ action: Action, id: Actor.ID });
    }
  }
}

async function importImage(docker: Docker, name: string, tar: Buffer): Promise<void> {
  const [repo = '', tag = ''] = name.split(':');
  // Of two agents that make the same one at once, one is left without a name.
  const changes = `LABEL ${IMAGE_LABEL}=root`;
  const answer = await docker.importImage(Readable.from([tar]), { repo, tag, changes });
  let said = '';
  for await (const chunk of answer as AsyncIterable<Buffer>) said += String(chunk);
  // A failure is a line like the others, under status 200.
  const failed = /"error":"([^"]*)"/.exec(said);
  if (failed !== null) throw new EngineError(500, `the image ${name} could not be made: ${failed[1]}`);
}

/** An image in use stays; a container that is being removed already goes. */
async function unlessConflict(remove: () => Promise<void>): Promise<void> {
  try {
    await remove();
  } catch (error) {
    if (!(error instanceof EngineError) || error.status !== 409) throw error;
  }
}

/** Null for what the engine does not know. */
async function unlessGone<T>(call: () => Promise<T>): Promise<T | null> {
  try {
    return await asked(call);
  } catch (error) {
    if (error instanceof EngineError && error.status === 404) return null;
    throw error;
  }
}

async function asked<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const said = error as { statusCode?: number; json?: { message?: string }; code?: string; message: string };
    if (said.statusCode !== undefined) throw new EngineError(said.statusCode, said.json?.message ?? said.message);
    if (said.code === undefined) throw error; // A bug of ours.
    throw new EngineAwayError(`the Docker engine does not answer: ${said.message}`, { cause: error });
  }
}
