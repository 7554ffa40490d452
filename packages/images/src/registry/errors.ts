/** What a registry's image can fail by, told apart for whoever says what to do next. The message is a sentence for people. */
export type RegistryTrouble =
  /** Not reached, or not to be trusted. */
  | 'unreachable'
  /** We may not go there. */
  | 'refused'
  | 'login'
  | 'not-found'
  /** Not for this machine, or not what can be run. */
  | 'unfit';

export class RegistryError extends Error {
  override readonly name = 'RegistryError';
  readonly trouble: RegistryTrouble;
  constructor(trouble: RegistryTrouble, message: string, options?: ErrorOptions) {
    super(message, options);
    this.trouble = trouble;
  }
}
