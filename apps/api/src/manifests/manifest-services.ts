/** Services that an app of a manifest is bound to: names, or names with a binding's (CF: manifest_service_binding_create_message.rb). */
import { isObject, type Reader, underscoreKeys } from './reader.ts';

export interface ManifestService {
  /** Of the instance, in the app's space. */
  name: string;
  bindingName: string | null;
  hasParameters: boolean;
}

export function readServices({ raw, errors }: Reader): ManifestService[] {
  const given = raw.services;
  if (given === undefined || given === null) return [];
  const services = Array.isArray(given) ? given.map(readOne) : [null];
  if (!services.includes(null)) return services.filter(service => service !== null);
  errors.push('Services must be a list of service instances');
  return [];
}

function readOne(item: unknown): ManifestService | null {
  if (typeof item === 'string') return { name: item, bindingName: null, hasParameters: false };
  if (!isObject(item)) return null;
  const { name, parameters, binding_name: bindingName, ...others } = underscoreKeys(item);
  const isGood =
    typeof name === 'string' &&
    (parameters === undefined || isObject(parameters)) &&
    (bindingName === undefined || typeof bindingName === 'string') &&
    Object.keys(others).length === 0;
  if (!isGood) return null;
  return {
    name,
    bindingName: bindingName ?? null,
    hasParameters: isObject(parameters) && Object.keys(parameters).length > 0,
  };
}
