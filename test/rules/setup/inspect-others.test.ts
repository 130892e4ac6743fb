// What only other processes than the daemon read, as their services will find it: hidden, closed or open files, authorities and secrets
// that are none, libraries, and URLs that everybody can read.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspectOthers, type OtherChecks, whyHidden } from '../../../src/rules/setup/inspect-others.js';
import { temporaryDirectory } from '../../journal/files/reading.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { located, settingsOf, sound } from '../config/sound.js';

const checks: OtherChecks = {
  isInstalled: () => true,
  whyUnreadable: () => undefined,
  whyUnsafe: () => undefined,
  whyClosed: () => undefined,
  isOpenToDaemon: () => false,
  read: () => `whsec_${'A'.repeat(40)}\n`,
  listFile: '/etc/system.pem',
  nowMs: 0,
};

const all = (text: string, more: Partial<OtherChecks>, ofAuthorities: boolean): readonly string[] =>
  [...inspectOthers(settingsOf(text), { ...checks, ...more })]
    .flat()
    .filter(({ code }) => (code === 'bad-certificate') === ofAuthorities)
    .map(({ path, severity, message }) => `${path}: ${severity}: ${message}`);
/** Of authorities in files that are not there, nothing is said. */
const told = (text: string, more: Partial<OtherChecks> = {}) => all(text, more, false);

const receivers = `${sound}
audit:
  ship:
    - { syslog: "a:1", ca: /etc/ca }
    - { syslog: "b:1", certificate: /etc/c.pem, key: /etc/c.key }
    - { store: "https://c:1/trail", credentials: /etc/n.creds }
`;

const chat = `${sound}
notices:
  chat: { webhook: "https://a.example/hooks/x", format: text }
  tickets: { webhook: "https://a.example/tickets", secret_file: /etc/hook, ca: /etc/ca }
  later: { webhook: "https://b.example/", secret_file: /run/credentials/dovegate-ship.service/hook }
  local: { webhook: "http://127.0.0.1:8065/", format: text }
  mail: { mail: { to: [a@b.c], from: a@b.c } }
`;

const issuer = `${sound}
admin:
  page:
    tcp: "127.0.0.1:9147"
    oidc: { issuer: "https://sso.example.com", client_id: x, client_secret_file: /etc/oidc.secret, ca: /etc/sso.pem }
    people: { carol: { oidc: { sub: x }, role: view } }
`;

void test('a file of authorities without a certificate', (t) => {
  const folder = temporaryDirectory(t);
  const [empty, good] = [join(folder, 'empty'), join(folder, 'good')];
  writeFileSync(empty, 'whsec_x\n');
  writeFileSync(good, makeAuthority({ name: 'ours' }).certificatePem);
  const text = `${chat}${issuer.slice(sound.length)}audit: { ship: [{ syslog: "a:1", ca: /etc/ca }] }\n`;
  const found = (ca: string) => all(text.replaceAll(/\/etc\/(?:ca|sso\.pem)/g, ca), {}, true);
  assert.deepEqual(found(good), []);
  const why = `error: ${empty} holds no certificate: PEM begins with -----BEGIN CERTIFICATE-----; put the certificate of the authority there, as PEM`;
  const places = [`admin.page.oidc.ca: ${why}`, `audit.ship[0].ca: ${why}`, `notices.tickets.ca: ${why}`];
  assert.deepEqual(found(empty), places);
});

void test('the files of a receiver of records, each at the place of that receiver', () => {
  const settings = settingsOf(receivers);
  const found = [...inspectOthers(settings, { ...checks, whyUnreadable: () => 'permission denied' })].flat();
  assert.deepEqual(located(settings, found), [
    '15:7: audit.ship[0].ca: /etc/ca cannot be read: permission denied',
    '16:7: audit.ship[1].certificate: /etc/c.pem cannot be read: permission denied',
    '16:7: audit.ship[1].key: /etc/c.key cannot be read: permission denied',
    '17:7: audit.ship[2].credentials: /etc/n.creds cannot be read: permission denied',
  ]);
  const without = told(receivers, { listFile: undefined }).map((each) => each.split(': ', 2).join(': '));
  assert.deepEqual(without, ['audit.ship[1].ca: error', 'audit.ship[2].ca: error']);
});

void test('a library that is not installed is a problem where it is needed', () => {
  const isInstalled = (): boolean => false;
  assert.deepEqual(told(receivers, { isInstalled }), [
    'audit.ship[2].store: error: the library for buckets is not installed; run `npm install aws4fetch@1.0.20` where dovegate is installed, or take this out',
  ]);
  const mail = /^notices\.mail\.mail: error: the library for mail .*nodemailer@10\.6\.1/;
  assert.match(told(chat, { isInstalled })[0] ?? '', mail);
  assert.match(told(issuer, { isInstalled })[0] ?? '', /^admin\.page\.oidc: error: .*openid-client@6\.9\.0/);
  assert.deepEqual(told(sound, { isInstalled: () => assert.fail('nobody needs it') }), []);
});

void test('a secret that is missing, open, readable for the daemon, or none', () => {
  const later =
    'notices.later.secret_file: warning: /run/credentials/dovegate-ship.service/hook is there only while dovegate-ship.service runs, so it was not looked at';
  assert.deepEqual(told(chat), [later]);
  assert.deepEqual(told(chat, { whyUnreadable: () => 'there is no such file' }), [
    'notices.tickets.secret_file: error: /etc/hook cannot be read: there is no such file',
    'notices.tickets.ca: error: /etc/ca cannot be read: there is no such file',
    later,
  ]);
  const users: (string | undefined)[] = [];
  const whyUnsafe: OtherChecks['whyUnsafe'] = (path, isSecret, user) => {
    if (path !== '/etc/hook' && path !== '/etc/oidc.secret') return undefined;
    users.push(user);
    return isSecret ? { text: `${path} may be read`, isDoubtful: false } : undefined;
  };
  const hook = 'notices.tickets.secret_file: error: /etc/hook';
  const secret = 'admin.page.oidc.client_secret_file: error: /etc/oidc.secret';
  assert.deepEqual(told(chat, { whyUnsafe }), [`${hook} may be read`, later]);
  assert.deepEqual(told(issuer, { whyUnsafe }), [`${secret} may be read`]);
  assert.deepEqual(users, ['dovegate-ship', 'dovegate-page']);
  assert.deepEqual(told(receivers, { isOpenToDaemon: () => true }), [
    'audit.ship[1].key: warning: /etc/c.key can be read by the daemon, which does not need it; run: chown dovegate-ship: /etc/c.key && chmod 0400 /etc/c.key',
    'audit.ship[2].credentials: warning: /etc/n.creds can be read by the daemon, which does not need it; run: chown dovegate-ship: /etc/n.creds && chmod 0400 /etc/n.creds',
  ]);
  assert.deepEqual(told(chat, { read: () => 'hush' }), [
    `${hook} must hold whsec_ and base64 of 24 to 64 bytes; make one with: echo "whsec_$(openssl rand -base64 32)"`,
    later,
  ]);
  const empty = `${secret} is empty; write the secret of the client into it`;
  assert.deepEqual(told(issuer, { read: () => '\n' }), [empty]);
  assert.deepEqual(told(issuer, { read: () => undefined }), []);
});

void test('a file that its process does not see or cannot read is a warning, and not one that nobody can read', () => {
  const whyClosed: OtherChecks['whyClosed'] = ({ user }, path) => `${path} is closed to ${user}`;
  assert.deepEqual(told(receivers, { whyClosed }).slice(0, 2), [
    'audit.ship[0].ca: warning: /etc/ca is closed to dovegate-ship',
    'audit.ship[1].certificate: warning: /etc/c.pem is closed to dovegate-ship',
  ]);
  assert.deepEqual(told(issuer, { whyClosed }), [
    'admin.page.oidc.client_secret_file: warning: /etc/oidc.secret is closed to dovegate-page',
    'admin.page.oidc.ca: warning: /etc/sso.pem is closed to dovegate-page',
  ]);

  const ship = { of: 'ship', user: 'dovegate-ship' } as const;
  assert.equal(whyHidden(ship, '/etc/dovegate/ship/hook'), undefined);
  assert.equal(whyHidden(ship, '/etc/dovegateship'), undefined);
  assert.equal(whyHidden(ship, '/run/credentials/dovegate-ship.service/hook'), undefined);
  assert.equal(
    whyHidden(ship, '/etc/dovegate/page/hook'),
    'dovegate-ship.service does not see /etc/dovegate/page/hook: /etc/dovegate is hidden from it; run: install -d -g dovegate-ship -m 0750 /etc/dovegate/ship && install -g dovegate-ship -m 0640 /etc/dovegate/page/hook /etc/dovegate/ship/hook; then write /etc/dovegate/ship/hook, and remove the other one if nobody else needs it',
  );
  for (const path of ['/root/hook', '/home/anna/hook', '/tmp/hook'])
    assert.match(whyHidden(ship, path) ?? '', /hidden/);
});
