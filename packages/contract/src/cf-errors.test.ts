import { describe, expect, test } from 'vitest';
import cloudFoundry from './cf-errors.golden.json' with { type: 'json' };
import { CF_ERRORS, knownTitle } from './cf-errors.ts';

describe('CF_ERRORS', () => {
  const notCloudFoundrys = ['UniquenessError', 'InsufficientStorage', 'AgentFenced', 'BodyTooLarge'];

  test('titles, codes and statuses are those of Cloud Foundry', () => {
    const ours = Object.entries(CF_ERRORS).filter(([title]) => !notCloudFoundrys.includes(title));
    const theirs = ours.map(([title]) => [title, (cloudFoundry as Record<string, unknown>)[title]]);
    expect(ours).toEqual(theirs);
  });

  test('codes of our own are none of Cloud Foundry', () => {
    const codes = Object.values(cloudFoundry).map(({ code }) => code);
    expect(codes).not.toContain(CF_ERRORS.InsufficientStorage.code);
    expect(codes).not.toContain(CF_ERRORS.AgentFenced.code);
    expect(codes).not.toContain(CF_ERRORS.BodyTooLarge.code);
  });

  test('knownTitle() falls back for a title that is not in the table', () => {
    expect(knownTitle('StagingInProgress', 'UnprocessableEntity')).toBe('StagingInProgress');
    expect(knownTitle('toString', 'UnprocessableEntity')).toBe('UnprocessableEntity');
  });
});
