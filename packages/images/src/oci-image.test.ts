import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createWriteStream, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { describeImage, type ImageLayer, type ImageRequest, saveImage } from './oci-image.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cupola-image-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
function aLayer(text: string): ImageLayer {
  const bytes = Buffer.from(text);
  return { digest: sha256(bytes), sizeBytes: bytes.length, open: () => Readable.from([bytes]) };
}
const aRequest = (fields: Partial<ImageRequest> = {}): ImageRequest => ({
  name: 'hello:latest',
  layers: [aLayer('stack'), aLayer('app')],
  command: 'npm start',
  environment: { GREETING: "it's" },
  architecture: 'x64',
  ...fields,
});

/** Saves and unpacks, with GNU tar. */
async function saved(request: ImageRequest) {
  const file = join(folder, 'image.tar');
  const result = await saveImage(request, createWriteStream(file));
  const unpacked = mkdtempSync(join(folder, 'unpacked-'));
  const tar = spawnSync('tar', ['-xf', file, '-C', unpacked], { encoding: 'utf8' });
  expect(tar.stderr).toBe('');
  const read = (path: string): Buffer => readFileSync(join(unpacked, path));
  return { result, unpacked, read, json: (path: string) => JSON.parse(read(path).toString('utf8')), file };
}

test('saveImage() writes an OCI layout whose every blob is what its name says', async () => {
  const { unpacked, read, json, result } = await saved(aRequest());
  expect(json('oci-layout')).toEqual({ imageLayoutVersion: '1.0.0' });
  const names = readdirSync(join(unpacked, 'blobs/sha256'));
  expect(names.map(name => sha256(read(`blobs/sha256/${name}`)))).toEqual(names);
  expect(json('index.json').manifests).toMatchObject([{ digest: `sha256:${result.digest}` }]);
  const manifest = json(`blobs/sha256/${result.digest}`);
  expect(manifest.config.digest).toBe(`sha256:${result.id}`);
  const config = json(`blobs/sha256/${result.id}`);
  const layers = manifest.layers.map(({ digest }: { digest: string }) => digest);
  expect(config.rootfs.diff_ids).toEqual(layers);
  expect(layers.slice(0, 2)).toEqual(aRequest().layers.map(({ digest }) => `sha256:${digest}`));
  expect(config.history).toHaveLength(layers.length);
});

test("saveImage() carries Docker's manifest with the name, the config and the layers", async () => {
  const { json, result } = await saved(aRequest());
  const [docker] = json('manifest.json');
  expect(docker.RepoTags).toEqual(['hello:latest']);
  expect(docker.Config).toBe(`blobs/sha256/${result.id}`);
  expect(docker.Layers).toHaveLength(3);
});

test('saveImage() says how the app is started: user, folder, port, variables, launcher and command', async () => {
  const { json, result } = await saved(aRequest({ environment: { PORT: '9000' } }));
  const { architecture, config } = json(`blobs/sha256/${result.id}`);
  expect(architecture).toBe('amd64');
  expect(config).toMatchObject({
    User: '2000:2000',
    WorkingDir: '/home/vcap/app',
    Entrypoint: ['/bin/bash', '/cupola/launch'],
    Cmd: ['npm start'],
    ExposedPorts: { '8080/tcp': {} },
  });
  expect(config.Env).toEqual(expect.arrayContaining(['HOME=/home/vcap/app', 'PORT=9000']));
});

test('saveImage() gives the same bytes for the same droplet, and writes a layer that comes twice once', async () => {
  const twice = aRequest({ layers: [aLayer('same'), aLayer('same')] });
  const one = readFileSync((await saved(twice)).file);
  const { file, result } = await saved(twice);
  expect(one.equals(readFileSync(file))).toBe(true);
  expect(result.sizeBytes).toBe(one.length);
  expect(describeImage(twice).manifest.digest).toBe(result.digest);
});

test('saveImage() refuses a layer whose bytes are not its digest', async () => {
  const damaged = { ...aLayer('app'), open: () => Readable.from([Buffer.from('apq')]) };
  const short = { ...aLayer('app'), open: () => Readable.from([Buffer.from('ap')]) };
  const save = (layer: ImageLayer) =>
    saveImage(aRequest({ layers: [layer] }), createWriteStream(join(folder, 'damaged.tar')));
  await expect(save(damaged)).rejects.toThrow(/damaged/);
  await expect(save(short)).rejects.toThrow(/damaged/);
});
