/** How an app is staged, and its features, as a manifest says them. Whether a buildpack or stack is known is judged when the manifest is applied. */
import { isAppFeature } from '../apps/features.ts';
import { isObject, type Reader } from './reader.ts';

const NAME_MAX = 4_096;
const AUTODETECT = ['default', 'null'];

/** `buildpack` names one; `default` and `null` mean: detect. */
export function readBuildpacks({ raw, errors, asked }: Reader): string[] | null {
  const isBlank = (name: string): boolean => name.trim() === '' || name.length > NAME_MAX;
  if (asked('buildpack') && asked('buildpacks'))
    errors.push('Buildpack and Buildpacks fields cannot be used together.');
  if (asked('docker') && (asked('buildpack') || asked('buildpacks')))
    errors.push('Cannot specify both buildpack(s) and docker keys');
  if (asked('buildpacks')) {
    const names = raw.buildpacks;
    if (names === null) return [];
    if (!Array.isArray(names)) errors.push('Buildpacks must be an array');
    else if (!names.every(name => typeof name === 'string')) errors.push('Buildpacks can only contain strings');
    else if (names.some(isBlank)) errors.push('Buildpacks entries must be between 1 and 4096 characters');
    else return names;
    return null;
  }
  if (!asked('buildpack')) return null;
  const name = raw.buildpack;
  if (name === null || (typeof name === 'string' && AUTODETECT.includes(name))) return [];
  if (typeof name !== 'string') errors.push('Buildpack must be a string');
  else if (isBlank(name)) errors.push('Buildpack must be between 1 and 4096 characters');
  else return [name];
  return null;
}

export function readFeatures({ raw, errors, asked }: Reader): Record<string, boolean> {
  if (!asked('features')) return {};
  const given = raw.features;
  const isGood =
    isObject(given) &&
    Object.keys(given).length > 0 &&
    Object.entries(given).every(([name, value]) => isAppFeature(name) && typeof value === 'boolean');
  if (isGood) return given as Record<string, boolean>;
  errors.push('Features must be a map of valid feature names to booleans (true = enabled, false = disabled)');
  return {};
}
