/** What keys and values of metadata may be, in CF's words (CF: metadata_validator_helper.rb; the form is that of Kubernetes). */

const NAME_MAX = 63;
const PREFIX_MAX = 253;
const ANNOTATION_MAX = 5_000;
const DOMAIN = /^(([a-z0-9]|[a-z0-9][a-z0-9-]{0,61}[a-z0-9])\.)+([a-z0-9]|[a-z0-9][a-z0-9-]{0,61}[a-z0-9])$/i;
const RESERVED = 'cloudfoundry.org';

/** Every sentence that is wrong with it; none when it may be written. */
export function metadataErrors({ labels, annotations }: { labels?: unknown; annotations?: unknown }): string[] {
  return [...labelErrors(labels), ...annotationErrors(annotations)].map(text => `Metadata ${text}`);
}

function labelErrors(labels: unknown): string[] {
  if (labels === undefined || labels === null) return [];
  if (!isObject(labels)) return ["'labels' is not an object"];
  return Object.entries(labels).flatMap(([key, value]) => {
    const keyError = metadataKeyError(key);
    const valueError = labelValueError(value === null ? '' : textOf(value));
    return [
      ...(keyError === null ? [] : [`label key error: ${keyError}`]),
      ...(valueError === null ? [] : [`label value error: ${valueError}`]),
    ];
  });
}

function annotationErrors(annotations: unknown): string[] {
  if (annotations === undefined || annotations === null) return [];
  if (!isObject(annotations)) return ["'annotations' is not an object"];
  return Object.entries(annotations).flatMap(([key, value]) => {
    const text = value === null ? '' : textOf(value);
    const keyError = text === '' ? null : metadataKeyError(key);
    return [
      ...(keyError === null ? [] : [`annotation key error: ${keyError}`]),
      ...(text.length > ANNOTATION_MAX
        ? [`annotation value error: '${text.slice(0, 8)}...' is greater than ${ANNOTATION_MAX} characters`]
        : []),
    ];
  });
}

/** `name` or `prefix.example/name`. Null when it is one. */
export function metadataKeyError(key: string): string | null {
  if (key === '') return 'key cannot be empty string';
  const [first = '', second, ...more] = key.split('/');
  if (more.length > 0) return "key has more than one '/'";
  const prefix = second === undefined ? null : first;
  const name = second ?? first;
  if (prefix !== null) {
    if (!DOMAIN.test(prefix)) return `prefix '${prefix}' must be in valid dns format`;
    if (prefix.length > PREFIX_MAX) return `prefix '${prefix.slice(0, 8)}...' is greater than ${PREFIX_MAX} characters`;
    if (prefix.toLowerCase() === RESERVED) return `prefix '${RESERVED}' is reserved`;
  }
  return name === '' ? 'key cannot be empty string' : nameError(name);
}

/** Null when it may be a label's value; the empty text may. */
export function labelValueError(value: string): string | null {
  return value === '' ? null : nameError(value);
}

function nameError(text: string): string | null {
  if (/[^\w\-.]/.test(text)) return `'${text}' contains invalid characters`;
  if (!/^[a-z0-9](.*[a-z0-9])?$/i.test(text)) return `'${text}' starts or ends with invalid characters`;
  return text.length > NAME_MAX ? `'${text.slice(0, 8)}...' is greater than ${NAME_MAX} characters` : null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Numbers and booleans become text, as in CF; a structure is no value, and its text breaks the rules. */
function textOf(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
