import { expect, test } from 'vitest';
import { unitText } from './systemd-unit.ts';

const facts = { root: '/opt/cupola', data: '/var/lib/cupola', home: '/root', command: ['up'], flags: ['--port', '80'] };

test('unitText() starts, reloads and stops the platform, and starts it at boot', () => {
  const unit = unitText(facts);
  expect(unit).toContain('ExecStart=/opt/cupola/cupola up --data /var/lib/cupola --no-install --json --port 80\n');
  expect(unit).toContain('ExecReload=/opt/cupola/cupola restart --data /var/lib/cupola\n');
  expect(unit).toContain('WantedBy=multi-user.target\n');
  // What lives under shims must outlive a platform that was killed.
  expect(unit).toContain('KillMode=process\n');
});

test('unitText() goes on as the member that has joined: a token is needed once only', () => {
  const unit = unitText({ ...facts, command: ['join', '10.0.0.5:7443'], flags: [] });
  expect(unit).toContain(
    'ExecStart=/opt/cupola/cupola join 10.0.0.5:7443 --data /var/lib/cupola --no-install --json\n',
  );
});

test('unitText() prints no password: up --json names the file it lies in', () => {
  expect(unitText(facts)).toMatch(/ExecStart=.* --json/);
});

test('unitText() quotes what systemd would read as something else', () => {
  const unit = unitText({ ...facts, root: '/srv/my cupola', data: '/srv/100%/$x', flags: ['--domain', 'a"b'] });
  expect(unit).toContain('ExecStart="/srv/my cupola/cupola" up --data /srv/100%%/$$x');
  expect(unit).toContain('--domain "a\\"b"\n');
  expect(unit).toContain('Documentation=file:///srv/my%20cupola/README.md\n');
});
