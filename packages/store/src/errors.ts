/** A row with these values is there already. `constraint` names table and columns: `apps_space_guid_name`. */
export class UniqueViolationError extends Error {
  override readonly name = 'UniqueViolationError';
  readonly constraint: string;
  constructor(constraint: string, options: { cause: unknown }) {
    super(`not unique: ${constraint}`, options);
    this.constraint = constraint;
  }
}

/** The data folder was written by a newer Cupola. */
export class NewerSchemaError extends Error {
  override readonly name = 'NewerSchemaError';
  constructor(migration: string) {
    super(
      `The store was written by a newer Cupola (it knows "${migration}"). Start that version, or restore an older backup.`,
    );
  }
}

/** Nothing of the mutation was written: the disk has no room. Reads go on working. */
export class StoreFullError extends Error {
  override readonly name = 'StoreFullError';
  constructor(options: { cause: unknown }) {
    super('The disk with the data folder is full: nothing was changed. Free some space and try again.', options);
  }
}

/** The database does not answer. What was asked for was not done, as far as is known: it may be asked again. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
  constructor(options: { cause: unknown }) {
    super(
      'The database cannot be reached at the moment. Try again in a few seconds; apps and their routes go on.',
      options,
    );
  }
}

/** It may have been done, and nobody can tell: whoever asked has to look before he asks again. */
export class UnknownOutcomeError extends StoreUnavailableError {}

/** The file is not what was written: no part of it can be trusted. */
export class DamagedStoreError extends Error {
  override readonly name = 'DamagedStoreError';
  constructor(path: string, found: string, options?: { cause: unknown }) {
    super(`${path} is damaged (${found}). Set it aside with its -wal file and restore the newest backup.`, options);
  }
}
