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
