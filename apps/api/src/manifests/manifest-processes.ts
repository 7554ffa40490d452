/**
 * Processes of a manifest. What stands at the app's level is for `web`, unless `processes` names `web` itself: then that alone counts for it
 * (CF: app_manifest_message.rb, manifest_process_scale_message.rb, manifest_process_update_message.rb).
 */
import { HEALTH_CHECK_TYPES, type HealthCheckType } from '@cupola/model/states';
import type { ProcessSettings, ProcessSize } from '../processes/change-process.ts';
import { isObject, type Raw, type Reader, underscoreKeys } from './reader.ts';
import { parseLogRate, parseSizeMb } from './size.ts';

export interface ManifestProcess {
  type: string;
  settings: ProcessSettings;
  size: ProcessSize;
}

const INSTANCES_MAX = 2_000_000;
const COMMAND_MAX = 4_096;
const RESETS = ['null', 'default'];

export function readProcesses({ raw, errors, asked }: Reader): ManifestProcess[] {
  const processes = new Map<string, ManifestProcess>();
  const topLevel = readProcess(raw, 'web', errors);
  if (asks(topLevel)) processes.set('web', topLevel);
  if (!asked('processes') || raw.processes === null) return [...processes.values()];
  if (!Array.isArray(raw.processes)) {
    errors.push('Processes must be an array of process configurations');
    return [];
  }
  const seen = new Set<string>();
  let isNameless = false;
  for (const sent of raw.processes) {
    const given = isObject(sent) ? underscoreKeys(sent) : {};
    if (typeof given.type !== 'string' || given.type === '') {
      isNameless = true;
      continue;
    }
    if (seen.has(given.type)) errors.push(`Process "${given.type}" may only be present once`);
    seen.add(given.type);
    const process = readProcess(given, given.type, errors);
    // A bare `type: web` asks for nothing; any other type is made.
    if (asks(process) || given.type !== 'web') processes.set(given.type, process);
    else processes.delete(given.type);
  }
  if (isNameless) errors.push('All Processes must specify a type');
  return [...processes.values()];
}

function asks({ settings, size }: ManifestProcess): boolean {
  return Object.keys(settings).length + Object.keys(size).length > 0;
}

function readProcess(raw: Raw, type: string, errors: string[]): ManifestProcess {
  const complain = (text: string): void => {
    errors.push(`Process "${type}": ${text}`);
  };
  return { type, settings: readSettings(raw, complain), size: readSize(raw, complain) };
}

type Complain = (text: string) => void;

function readSize(raw: Raw, complain: Complain): ProcessSize {
  const size: ProcessSize = {};
  const mb = (key: string, name: string): number | undefined => {
    if (raw[key] === undefined || raw[key] === null || raw[key] === '') return undefined;
    const read = parseSizeMb(raw[key], name);
    if ('error' in read) complain(read.error);
    else if (read.mb <= 0) complain(`${name} must be greater than 0MB`);
    else if (read.mb > INSTANCES_MAX * 1024) complain(`${name} is too large`);
    else return read.mb;
    return undefined;
  };
  const memoryMb = mb('memory', 'Memory');
  const diskMb = mb('disk_quota', 'Disk quota');
  if (memoryMb !== undefined) size.memoryMb = memoryMb;
  if (diskMb !== undefined) size.diskMb = diskMb;
  const rate = raw.log_rate_limit_per_second;
  if (rate !== undefined && rate !== null && rate !== '') {
    const read = parseLogRate(rate, 'Log rate limit per second');
    if ('error' in read) complain(read.error);
    else if (read.bytes < -1 || !Number.isSafeInteger(read.bytes))
      complain('Log rate limit must be an integer greater than or equal to -1');
    else size.logRateBytes = read.bytes;
  }
  const instances = readNumber(raw.instances, 'Instances', { from: 0, to: INSTANCES_MAX }, complain);
  if (instances !== undefined && instances !== null) size.instances = instances;
  return size;
}

/** Undefined: not said, or wrong and complained of. */
function readNumber(
  value: unknown,
  label: string,
  { from, to }: { from: number; to: number },
  complain: Complain,
): number | null | undefined {
  if (value === undefined) return undefined;
  if (value === null) return null;
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || Number.isNaN(number)) complain(`${label} is not a number`);
  else if (!Number.isSafeInteger(number)) complain(`${label} must be an integer`);
  else if (number < from) complain(`${label} must be greater than or equal to ${from}`);
  else if (number > to) complain(`${label} must be less than or equal to ${to}`);
  else return number;
  return undefined;
}

function readSettings(raw: Raw, complain: Complain): ProcessSettings {
  const settings: ProcessSettings = {};
  const seconds = (key: string, label: string): number | null | undefined =>
    readNumber(raw[key], label, { from: 1, to: 2 ** 31 - 1 }, complain);
  const command = readCommand(raw, complain);
  const healthCheckType = readCheckType(raw.health_check_type, 'Health check type', complain);
  const readinessType = readCheckType(raw.readiness_health_check_type, 'Readiness health check type', complain);
  const values = {
    command,
    healthCheckType,
    healthCheckEndpoint: readPath(raw.health_check_http_endpoint, 'Health check http endpoint', complain),
    healthCheckTimeoutS:
      raw.timeout === undefined
        ? seconds('health_check_timeout', 'Health check timeout')
        : seconds('timeout', 'Timeout'),
    healthCheckInvocationTimeoutS: seconds('health_check_invocation_timeout', 'Health check invocation timeout'),
    healthCheckIntervalS: seconds('health_check_interval', 'Health check interval'),
    readinessType,
    readinessEndpoint: readPath(
      raw.readiness_health_check_http_endpoint,
      'Readiness health check http endpoint',
      complain,
    ),
    readinessInvocationTimeoutS: seconds(
      'readiness_health_check_invocation_timeout',
      'Readiness health check invocation timeout',
    ),
    readinessIntervalS: seconds('readiness_health_check_interval', 'Readiness health check interval'),
  };
  for (const [key, value] of Object.entries(values)) if (value !== undefined) Object.assign(settings, { [key]: value });
  if (isPath(values.healthCheckEndpoint) && healthCheckType !== undefined && healthCheckType !== 'http')
    complain('Health check type must be "http" to set a health check HTTP endpoint');
  if (isPath(values.readinessEndpoint) && readinessType !== undefined && readinessType !== 'http')
    complain('Readiness health check type must be "http" to set a health check HTTP endpoint');
  return settings;
}

const isPath = (value: string | null | undefined): boolean => typeof value === 'string';

/** `command: null` and `command: default` go back to the droplet's own. */
function readCommand(raw: Raw, complain: Complain): string | null | undefined {
  const { command } = raw;
  if (command === undefined) return undefined;
  if (command === null || (typeof command === 'string' && RESETS.includes(command))) return null;
  if (typeof command !== 'string') complain('Command must be a string');
  else if (command === '' || command.length > COMMAND_MAX) complain('Command must be between 1 and 4096 characters');
  else return command;
  return undefined;
}

/** `none` is the old name of `process`. */
function readCheckType(value: unknown, label: string, complain: Complain): HealthCheckType | undefined {
  if (value === undefined) return undefined;
  const type = HEALTH_CHECK_TYPES.find(known => known === (value === 'none' ? 'process' : value));
  if (type === undefined) complain(`${label} must be "port", "process", or "http"`);
  return type;
}

function readPath(value: unknown, label: string, complain: Complain): string | null | undefined {
  if (value === undefined) return undefined;
  if (value === null) return null;
  if (typeof value === 'string' && value.length <= 255 && /^\/(?:[^\s/]\S*)?$/.test(value)) return value;
  complain(`${label} must be a valid URI path`);
  return undefined;
}
