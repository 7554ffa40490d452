/** Features of an app that its users switch (CF: app_features_controller.rb). */
import { UnprocessableError } from '@cupola/model/errors';
import type { AppsTable } from '@cupola/store/schema';
import type { Selectable } from 'kysely';

type FeatureRow = Pick<Selectable<AppsTable>, 'ssh_enabled' | 'revisions_enabled'>;

const DESCRIPTIONS = {
  ssh: 'Enable SSHing into the app.',
  revisions: 'Enable versioning of an application',
  'service-binding-k8s': 'Enable k8s service bindings for the app',
  'file-based-vcap-services': 'Enable file-based VCAP service bindings for the app',
} as const;
export type AppFeature = keyof typeof DESCRIPTIONS;
export const APP_FEATURES = Object.keys(DESCRIPTIONS) as AppFeature[];

export function isAppFeature(name: string): name is AppFeature {
  return Object.hasOwn(DESCRIPTIONS, name);
}

export function presentFeature(name: AppFeature, app: FeatureRow) {
  const enabled = (name === 'ssh' && app.ssh_enabled === 1) || (name === 'revisions' && app.revisions_enabled === 1);
  return { name, description: DESCRIPTIONS[name], enabled };
}

/** What to write to switch a feature. @throws UnprocessableError for switching on what is not built yet. */
export function featureRow(name: AppFeature, enabled: boolean): Partial<FeatureRow> {
  switch (name) {
    case 'ssh':
      return { ssh_enabled: enabled ? 1 : 0 };
    case 'revisions':
      return { revisions_enabled: enabled ? 1 : 0 };
    case 'service-binding-k8s':
    case 'file-based-vcap-services':
      if (enabled)
        throw new UnprocessableError(
          `'${name}' is not supported yet. Leave it off: VCAP_SERVICES has what the app is bound to.`,
        );
      return {};
  }
}
