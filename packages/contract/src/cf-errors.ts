/**
 * The errors that the API answers, by CF's title (without `CF-`): code and HTTP status (failure-rules.md 6). A test holds those of Cloud Foundry to a copy
 * of its own table (`errors/v2.yml`); `UniquenessError` is of its `errors/v3.yml`.
 */
export const CF_ERRORS = {
  InvalidAuthToken: { code: 1000, status: 401 },
  MessageParseError: { code: 1001, status: 400 },
  BadRequest: { code: 1004, status: 400 },
  NotFound: { code: 10000, status: 404 },
  NotAuthenticated: { code: 10002, status: 401 },
  NotAuthorized: { code: 10003, status: 403 },
  InvalidRequest: { code: 10004, status: 400 },
  BadQueryParameter: { code: 10005, status: 400 },
  UnprocessableEntity: { code: 10008, status: 422 },
  ResourceNotFound: { code: 10010, status: 404 },
  DatabaseError: { code: 10011, status: 500 },
  RateLimitExceeded: { code: 10013, status: 429 },
  IPBasedRateLimitExceeded: { code: 10014, status: 429 },
  ServiceUnavailable: { code: 10015, status: 503 },
  UniquenessError: { code: 10016, status: 422 },
  OrgSuspended: { code: 10017, status: 403 },
  ServiceFetchBindingParametersNotSupported: { code: 90007, status: 400 },
  AppMemoryQuotaExceeded: { code: 100005, status: 400 },
  QuotaInstanceMemoryLimitExceeded: { code: 100007, status: 400 },
  QuotaInstanceLimitExceeded: { code: 100008, status: 400 },
  ServiceFetchInstanceParametersNotSupported: { code: 120004, status: 400 },
  AppPackageInvalid: { code: 150001, status: 400 },
  AppPackageNotFound: { code: 150002, status: 404 },
  BlobstoreUnavailable: { code: 150006, status: 502 },
  AppBitsUploadInvalid: { code: 160001, status: 400 },
  StagingError: { code: 170001, status: 400 },
  NotStaged: { code: 170002, status: 400 },
  NoAppDetectedError: { code: 170003, status: 400 },
  BuildpackCompileFailed: { code: 170004, status: 400 },
  BuildpackReleaseFailed: { code: 170005, status: 400 },
  StagingTimeExpired: { code: 170007, status: 504 },
  InsufficientResources: { code: 170008, status: 400 },
  NoCompatibleCell: { code: 170009, status: 400 },
  StagerError: { code: 170011, status: 500 },
  RunnerUnavailable: { code: 170015, status: 503 },
  RunnerError: { code: 170016, status: 500 },
  StagingInProgress: { code: 170017, status: 422 },
  SpaceQuotaMemoryLimitExceeded: { code: 310003, status: 400 },
  SpaceQuotaInstanceMemoryLimitExceeded: { code: 310004, status: 400 },
  SpaceQuotaInstanceLimitExceeded: { code: 310008, status: 400 },
  JobTimeout: { code: 290006, status: 524 },
  FeatureDisabled: { code: 330002, status: 403 },
  LabelLimitExceeded: { code: 390020, status: 422 },
  AnnotationLimitExceeded: { code: 390023, status: 422 },
  /** Ours: the disk with the uploads is nearly full. */
  InsufficientStorage: { code: 990001, status: 503 },
  /** Ours: a cell, stager or session that another one has taken over from. */
  AgentFenced: { code: 990002, status: 409 },
  /** Ours: a body over its limit (Cloud Foundry's proxy answers a page of HTML). */
  BodyTooLarge: { code: 990003, status: 413 },
} as const satisfies Record<string, { code: number; status: number }>;

export type CfErrorTitle = keyof typeof CF_ERRORS;

/** The title, if it is one of ours; else what stands for its kind. */
export function knownTitle(title: string, otherwise: CfErrorTitle): CfErrorTitle {
  return Object.hasOwn(CF_ERRORS, title) ? (title as CfErrorTitle) : otherwise;
}
