import { expect, test } from 'vitest';
import { aFolder } from '../fixtures.ts';
import { parseManifest } from './jar-file.ts';
import { shapeOf } from './shape.ts';

const shape = (files: Record<string, string>) => {
  using app = aFolder(files);
  return shapeOf(app.path);
};

test('parseManifest() reads main attributes, long lines and any end of line', () => {
  const text =
    'Manifest-Version: 1.0\r\nMain-Class: org.example.a.very.long.name\r\n .that.goes.On\r\n\r\nName: x\r\nMain-Class: no\r\n';
  expect(parseManifest(text).get('Main-Class')).toBe('org.example.a.very.long.name.that.goes.On');
});

test('shapeOf() knows what cf push -p sends of a jar and of a war', () => {
  const manifest = 'Main-Class: org.example.Main\nClass-Path: lib/a.jar ../evil.jar lib/b.jar\n';
  expect(shape({ 'META-INF/MANIFEST.MF': manifest, 'pom.xml': '' })).toEqual({
    kind: 'jar-folder',
    mainClass: 'org.example.Main',
    classPath: ['lib/a.jar', 'lib/b.jar'],
  });
  expect(shape({ 'META-INF/MANIFEST.MF': 'Main-Class: a;touch x\n' })).toBeNull();
  expect(shape({ 'WEB-INF/web.xml': '' })).toEqual({ kind: 'war-folder' });
});

test('shapeOf() knows sources and distributions, and no folder that merely holds a broken jar', () => {
  expect(shape({ 'pom.xml': '' })).toEqual({ kind: 'maven' });
  expect(shape({ 'build.gradle.kts': '' })).toEqual({ kind: 'gradle' });
  expect(shape({ 'bin/shop': '', 'bin/shop.bat': '', 'lib/shop.jar': '' })).toEqual({
    kind: 'distribution',
    script: 'bin/shop',
  });
  expect(shape({ 'app.jar': 'no zip' })).toBeNull();
  expect(shape({ 'index.html': '' })).toBeNull();
});
