import type { ServiceBindingAnswer, ServiceInstanceAnswer } from '@cupola/contract/v3/service';
import type { ShownMetadata } from '../apps/present-app.ts';
import { isoTime } from '../http/iso-time.ts';
import type { BindingRow } from './change-binding.ts';
import type { InstanceRow } from './find-instance.ts';
import type { ServiceSecrets } from './secrets.ts';

/** Credentials are not shown here: they have a path of their own, for developers. */
export function presentInstance(
  instance: InstanceRow,
  { syslogDrainUrl, routeServiceUrl }: ServiceSecrets,
  { metadata, baseUrl }: { metadata: ShownMetadata; baseUrl: string },
): ServiceInstanceAnswer {
  const { guid, space_guid } = instance;
  const self = `${baseUrl}/v3/service_instances/${guid}`;
  const at = isoTime(instance.operation_at);
  return {
    guid,
    created_at: isoTime(instance.created_at),
    updated_at: isoTime(instance.updated_at),
    name: instance.name,
    tags: JSON.parse(instance.tags_json) as string[],
    last_operation: {
      type: instance.operation,
      state: 'succeeded',
      description: 'Operation succeeded',
      updated_at: at,
      created_at: at,
    },
    type: 'user-provided',
    syslog_drain_url: syslogDrainUrl,
    route_service_url: routeServiceUrl,
    relationships: { space: { data: { guid: space_guid } } },
    metadata,
    links: {
      self: { href: self },
      space: { href: `${baseUrl}/v3/spaces/${space_guid}` },
      service_credential_bindings: { href: `${baseUrl}/v3/service_credential_bindings?service_instance_guids=${guid}` },
      service_route_bindings: { href: `${baseUrl}/v3/service_route_bindings?service_instance_guids=${guid}` },
      credentials: { href: `${self}/credentials` },
    },
  };
}

export function presentBinding(
  binding: BindingRow,
  { metadata, baseUrl }: { metadata: ShownMetadata; baseUrl: string },
): ServiceBindingAnswer {
  const { guid, app_guid, service_instance_guid } = binding;
  const self = `${baseUrl}/v3/service_credential_bindings/${guid}`;
  const at = isoTime(binding.created_at);
  return {
    guid,
    created_at: at,
    updated_at: isoTime(binding.updated_at),
    name: binding.name,
    type: 'app',
    last_operation: { type: 'create', state: 'succeeded', description: '', updated_at: at, created_at: at },
    metadata,
    relationships: {
      service_instance: { data: { guid: service_instance_guid } },
      app: { data: { guid: app_guid } },
    },
    links: {
      self: { href: self },
      details: { href: `${self}/details` },
      service_instance: { href: `${baseUrl}/v3/service_instances/${service_instance_guid}` },
      app: { href: `${baseUrl}/v3/apps/${app_guid}` },
    },
  };
}
