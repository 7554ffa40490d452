import { expect, test } from 'vitest';
import { parseS3Url } from './place.ts';

test('parseS3Url() reads bucket, prefix, endpoint, region and credentials', () => {
  const url = 's3://KEY:a%2Fb@bucket/some/place/?endpoint=https%3A%2F%2Fs3.example.com&region=eu-1';
  expect(parseS3Url(url, {})).toEqual({
    bucket: 'bucket',
    prefix: 'some/place/',
    endpoint: 'https://s3.example.com',
    membersEndpoint: null,
    region: 'eu-1',
    credentials: { accessKeyId: 'KEY', secretAccessKey: 'a/b' },
    isPathStyle: true,
    hasChecksums: true,
  });
});

test('parseS3Url() without more is Amazon, with the bucket in the name of the host and credentials as the SDK finds them', () => {
  expect(parseS3Url('s3://bucket', { AWS_REGION: 'eu-central-1' })).toMatchObject({
    prefix: '',
    endpoint: null,
    region: 'eu-central-1',
    credentials: null,
    isPathStyle: false,
  });
});

test.each([
  'http://bucket',
  's3://',
  's3://bucket?endpoint=ftp://x',
  's3://bucket?members=s3:7070',
  's3://bucket?style=both',
  's3://bucket?enpoint=http://x',
])('parseS3Url(%j) shows the form', text => {
  expect(() => parseS3Url(text, {})).toThrow('s3://[KEY:SECRET@]BUCKET');
});
