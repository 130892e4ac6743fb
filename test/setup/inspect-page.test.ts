// What only the page's process reads, as its service will find it: hidden or closed files, authorities that are none, and URLs that
// everybody can read.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspectPageFiles, type PageChecks, whyHidden } from '../../src/setup/inspect-page.js';
import { temporaryDirectory } from '../adapters/journal/reading.js';
import { settingsOf, sound } from '../domain/config/sound.js';
import { makeAuthority } from '../kit/certificates.js';

const checks: PageChecks = {
  whyUnreadable: () => undefined,
  whyClosed: () => undefined,
  whyUnsafe: () => undefined,
};

void test('a file of authorities without a certificate', (t) => {
  const folder = temporaryDirectory(t);
  const [empty, good] = [join(folder, 'empty'), join(folder, 'good')];
  writeFileSync(empty, 'whsec_x\n');
  writeFileSync(good, makeAuthority({ name: 'ours' }).certificatePem);
  const told = (ca: string): readonly string[] =>
    inspectPageFiles(
      settingsOf(`${sound}
admin:
  page:
    tcp: "127.0.0.1:9147"
    oidc: { issuer: "https://sso.example.com", client_id: x, client_secret_file: /s, ca: ${ca} }
    people: { carol: { oidc: { sub: x }, role: view } }
notices:
  tickets: { webhook: "https://a.example/x", secret_file: /s, ca: ${ca} }
  mail: { mail: { to: [a@b.c], from: a@b.c, server: "mx.example.com:25" }, ca: ${ca} }
`),
      checks,
    ).map(({ path, severity, message }) => `${path}: ${severity}: ${message}`);
  assert.deepEqual(told(good), []);
  const why = `error: ${empty} holds no certificate: PEM begins with -----BEGIN CERTIFICATE-----; put the certificate of the authority there, as PEM`;
  assert.deepEqual(told(empty), [
    `admin.page.oidc.ca: ${why}`,
    `notices.tickets.ca: ${why}`,
    `notices.mail.ca: ${why}`,
  ]);
});

const chat = `${sound}
admin: { page: { unix: /run/page.sock, people: { anna: { user: anna, role: view } } } }
notices:
  chat: { webhook: "https://a.example/hooks/x", format: text }
  tickets: { webhook: "https://a.example/tickets", secret_file: /etc/dovegate/page/hook }
  local: { webhook: "http://127.0.0.1:8065/", format: text }
`;

void test('a file that the page does not see or cannot read is a warning, and not one that nobody can read', () => {
  const closed = (path: string) => `${path} is closed`;
  const told = (more: Partial<PageChecks>) =>
    inspectPageFiles(settingsOf(chat), { ...checks, ...more }).map(
      ({ path, severity, message }) => `${path}: ${severity}: ${message}`,
    );
  assert.deepEqual(told({ whyClosed: closed }), [
    'notices.tickets.secret_file: warning: /etc/dovegate/page/hook is closed',
  ]);
  assert.deepEqual(told({ whyClosed: closed, whyUnreadable: () => 'there is no such file' }), []);

  assert.equal(whyHidden('/etc/dovegate/page/hook'), undefined);
  assert.equal(whyHidden('/etc/dovegatepage'), undefined);
  assert.equal(whyHidden('/run/credentials/dovegate-page.service/hook'), undefined);
  assert.equal(
    whyHidden('/etc/dovegate/hook'),
    'dovegate-page.service does not see /etc/dovegate/hook: /etc/dovegate is hidden from it; put the file into /etc/dovegate/page',
  );
  for (const path of ['/root/hook', '/home/anna/hook', '/tmp/hook'])
    assert.match(whyHidden(path) ?? '', /hidden/);
});

void test('the URL of a chat in a configuration that everybody can read', () => {
  const told = (isDoubtful: boolean, isWritable = false) =>
    inspectPageFiles(settingsOf(chat), {
      ...checks,
      whyUnsafe: (path, isSecret) =>
        isSecret || isWritable ? { text: `${path} can be read`, isDoubtful } : undefined,
    }).map(({ path, severity, message }) => `${path}: ${severity}: ${message}`);
  assert.deepEqual(told(false), [
    'notices.chat.webhook: warning: whoever knows this URL can write to the channel, and /etc/dovegate/d.yaml can be read',
  ]);
  // By a group; and what others can even change, which is reported with the configuration.
  assert.deepEqual(told(true), []);
  assert.deepEqual(told(false, true), []);
});
