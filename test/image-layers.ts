/**
 * An image of this machine's own parts: perl, what it needs, and a small server, in three layers that are packed in the three ways that images know. It has no
 * shell, as many have none, but for the variant that is asked for one.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { PushedImage } from './registry.ts';

const LAYER = 'application/vnd.oci.image.layer.v1.tar';

/** Answers each request with what it was asked for: `/env/NAME`, `/id`, `/file/PATH`, `/write/PATH`, `/name` (its arguments). */
const SERVER = `
use IO::Socket::INET;
$| = 1;
$SIG{TERM} = sub { print "ending\\n"; exit 0 };
my $port = $ENV{PORT};
my $l = IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => $port, Listen => 20, ReuseAddr => 1) or die "port $port: $!";
print "listening on $port\\n";
while (1) {
  my $c = $l->accept or next;
  my $line = <$c> // '';
  while (my $header = <$c>) { last if $header =~ /^\\r?\\n$/ }
  my ($path) = $line =~ m{^\\S+ (\\S+)};
  my $body = '0';
  if ($path =~ m{^/env/(\\w+)}) { $body = $ENV{$1} // '(none)' }
  elsif ($path eq '/id') { $body = "$< " . ($( + 0) . " $ENV{USER} " . readlink('/proc/self/cwd') }
  elsif ($path eq '/name') { $body = join ' ', @ARGV }
  elsif ($path =~ m{^/file(/.*)}) { $body = -e $1 ? 'there' : 'absent' }
  elsif ($path =~ m{^/write(/.*)}) { $body = open(my $f, '>', $1) ? 'written' : "$!" }
  print $c "HTTP/1.1 200 OK\\r\\nContent-Length: " . length($body) . "\\r\\nConnection: close\\r\\n\\r\\n$body";
  close $c;
}
`;

/** What its Dockerfile would say. */
export const CONFIG = {
  Entrypoint: ['perl', '/srv/server.pl'],
  Cmd: ['one', 'two words'],
  Env: ['HOME=/home/some_user', 'SOME_VAR=some_value', "BAD_QUOTE='", 'BAD_SHELL=$1', 'VCAP_APPLICATION={}'],
  WorkingDir: '/srv',
  User: 'some_user',
};

export function imageLayers({ shell = false }: { shell?: boolean } = {}): PushedImage['layers'] {
  const work = mkdtempSync(join(tmpdir(), 'cupola-image-'));
  try {
    const base = join(work, 'base');
    copyPrograms(base, shell ? ['/usr/bin/perl', '/usr/bin/dash'] : ['/usr/bin/perl']);
    if (shell) {
      mkdirSync(join(base, 'bin'));
      cpSync(join(base, 'usr/bin/dash'), join(base, 'bin/sh'));
    }
    write(base, 'etc/passwd', 'root:x:0:0::/root:/bin/sh\nsome_user:x:1234:1235::/home/some_user:/bin/sh\n');
    write(base, 'gone', 'of the base');
    const app = join(work, 'app');
    write(app, 'srv/server.pl', SERVER);
    write(app, '.wh.gone', '');
    const more = join(work, 'more');
    write(more, 'opt/added', 'yes');
    return [
      { bytes: gzipSync(tar(base), { level: 1 }), mediaType: `${LAYER}+gzip` },
      { bytes: tar(app), mediaType: LAYER },
      { bytes: zstdCompressSync(tar(more)), mediaType: `${LAYER}+zstd` },
    ];
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function copyPrograms(root: string, programs: readonly string[]): void {
  for (const program of programs) {
    const libraries = execFileSync('ldd', [program], { encoding: 'utf8' }).match(/\/\S+/g) ?? [];
    for (const path of [program, ...libraries]) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      cpSync(realpathSync(path), join(root, path));
    }
  }
  const modules = execFileSync('perl', ['-e', 'print grep { /perl-base$/ } @INC'], { encoding: 'utf8' });
  cpSync(modules, join(root, modules), { recursive: true });
}

function write(root: string, path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

function tar(folder: string): Buffer {
  return execFileSync('tar', ['-C', folder, '--owner=0', '--group=0', '--mtime=@0', '-cf', '-', '.'], {
    maxBuffer: 256 * 1024 * 1024,
  });
}
