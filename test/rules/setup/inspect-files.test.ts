// Goal: every file that a backend needs is asked for, all that is wrong is told at once, and where it was written.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { tlsFilesOf } from '../../../src/rules/setup/certificates.js';
import {
  inspectCertificates,
  inspectFiles,
  inspectModes,
  inspectTrust,
  namedFiles,
} from '../../../src/rules/setup/inspect-files.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { openFolder } from '../../kit/plain/folder.js';
import { withJobs } from '../config/jobs.js';
import { located, memoryFiles, settingsOf, sound } from '../config/sound.js';

const twoBackends = sound
  .replace(
    'mail1: {',
    `mail2: { address: "mail2.example.com:24245", ca: /etc/ca2, password_file: [/etc/p, /etc/p-next] }
  mail1: {`,
  )
  .replace('routes:', 'routes:\n  - { users: ["bob@example.com"], backend: mail2 }');

// In the place of this machine's own list.
process.env['SSL_CERT_FILE'] = '/etc/system.pem';

/** All problems at once. */
const all = <Problem>(steps: Iterable<readonly Problem[]>): Problem[] => [...steps].flat();

void test('each file is asked for, those of each backend', () => {
  const asked: string[] = [];
  const ask = (path: string) => void asked.push(path);
  assert.deepEqual(all(inspectFiles(namedFiles(settingsOf(twoBackends)), ask, undefined)), []);
  assert.deepEqual(asked.toSorted(), ['/etc/ca2', '/etc/p', '/etc/p', '/etc/p-next']);
});

void test('no list of authorities: a problem for each backend that names none and has TLS', () => {
  const settings = settingsOf(twoBackends.replace('ca: /etc/ca2, ', ''));
  const problems = inspectTrust(settings, undefined);
  const told = problems.map((problem) => `${problem.path} ${problem.severity}`);
  assert.deepEqual(told, ['backends.mail2.ca error']);
  assert.match(problems[0]?.message ?? '', /no list of authorities .*install the package ca-certificates/);
  assert.deepEqual(inspectTrust(settings, '/etc/system.pem'), []);
  assert.deepEqual(inspectTrust(settingsOf(twoBackends), undefined), []);
});

void test('a credential of the service is missed by the service alone', () => {
  const settings = settingsOf(sound.replaceAll('/etc/p', '/run/credentials/dovegate.service/p'));
  const told = (credentials: string | undefined) =>
    all(inspectFiles(namedFiles(settings), () => 'there is no such file', credentials)).map(
      ({ severity, message }) => `${severity}: ${message}`,
    );
  assert.deepEqual(told(undefined), [
    'warning: /run/credentials/dovegate.service/p is there only while its service runs, so it was not looked at',
  ]);
  const missed = ['error: /run/credentials/dovegate.service/p cannot be read: there is no such file'];
  assert.deepEqual(told('/run/credentials/dovegate.service'), missed);
});

// Which files are judged, which of them as secrets, and where a problem is told.

const main = '/etc/dovegate/d.yaml';
const files = {
  [main]: `include: [conf.d/*.yaml]\n${sound}`.replace(
    'allow: [quota get]',
    'allow: [quota get]\n    shadow: shadow.yaml',
  ),
  '/etc/dovegate/shadow.yaml': 'users: ["*@example.com"]\nallow: [quota get]\n',
  '/etc/dovegate/conf.d/more.yaml': `audit: { sign_key: s, hmac_key: h, ship: [{ syslog: "a:1", ca: c, certificate: d, key: e }] }
admin: { tcp: "127.0.0.1:9146", token_file: t }
listeners:
  jobs:
    tcp: "127.0.0.1:24246"
    tls: { mode: starttls, certificate: l, key: m, client_ca: n }
    accounts: { job: { certificate_name: job, policy: support } }
`,
};

void test('every file is asked for; passwords, keys and tokens are secrets', () => {
  const parsed = parseSettings(main, memoryFiles(files));
  const asked: string[] = [];
  const ask = (path: string, isSecret: boolean) =>
    void asked.push(`${path.replace('/etc/dovegate/', '')}${isSecret ? ' secret' : ''}`);
  all(inspectModes(parsed.files, parsed.settings, ask));
  // Those of receivers are not the daemon's.
  const inMore = ['s secret', 'h secret', 't secret', 'l', 'm secret', 'n'];
  const expected = [
    'd.yaml',
    'conf.d/more.yaml',
    'shadow.yaml',
    '/etc/p secret',
    ...inMore.map((each) => `conf.d/${each}`),
  ];
  assert.deepEqual(asked.toSorted(), expected.toSorted());
});

void test('told where the file is named, and the first file at its own first line', () => {
  const parsed = parseSettings(main, memoryFiles(files));
  const isOpen = (path: string) =>
    path.endsWith('.yaml') ? { text: `${path} is open`, isDoubtful: path.endsWith('more.yaml') } : undefined;
  const problems = all(inspectModes(parsed.files, parsed.settings, isOpen));
  const found = problems.map((each) => {
    const { file, line } = parsed.placeAt(each.path);
    return [file, line, each.path, each.severity, each.code];
  });
  assert.deepEqual(found, [
    [main, 1, '', 'error', 'unsafe-file'],
    [main, 1, 'include[0]', 'warning', 'unsafe-file'],
    [main, 13, 'policies.support.shadow', 'error', 'unsafe-file'],
  ]);
});

void test('a configuration with errors is judged by the files that it was read from', () => {
  const parsed = parseSettings(main, memoryFiles({ [main]: 'nonsense: 1\n' }));
  const problems = all(
    inspectModes(parsed.files, parsed.settings, () => ({ text: 'open', isDoubtful: false })),
  );
  const messages = problems.map(({ message }) => message);
  assert.deepEqual(messages, ['open']);
});

// Goal: `check` says of the certificates of listeners what the daemon would say of them, at the place of the listener.

const day = 86_400_000;

void test('each in its file; an end that is near is a warning', (t) => {
  const folder = openFolder(t);
  const authority = makeAuthority({ name: 'authority' });
  const { certificatePem, keyPem } = authority.issue({
    names: ['gate'],
    notAfter: new Date(Date.now() + 10 * day),
  });
  const tls = (ca: string) =>
    `tls: { certificate: ${join(folder, 'crt')}, key: ${join(folder, 'key')}, client_ca: ${join(folder, ca)} }`;
  writeFileSync(join(folder, 'crt'), certificatePem);
  writeFileSync(join(folder, 'key'), keyPem, { mode: 0o600 });
  writeFileSync(join(folder, 'ca'), authority.certificatePem);
  const told = (ca: string, nowMs = Date.now()) => {
    const settings = settingsOf(withJobs(tls(ca)));
    return located(settings, all(inspectCertificates(tlsFilesOf(settings), nowMs, undefined))).map((line) =>
      line.replace(`${folder}/`, ''),
    );
  };
  const at = '4:3: ';
  const soon = [`${at}warning: listeners.jobs.tls.certificate: the certificate expires in 9 days`];
  assert.deepEqual(told('ca'), soon);
  assert.deepEqual(told('ca', Date.now() - 30 * day), []);
  const ended = [`${at}warning: listeners.jobs.tls.certificate: the certificate has expired`];
  assert.deepEqual(told('ca', Date.now() + 11 * day), ended);
  const noFile = [`${at}listeners.jobs.tls.client_ca: no cannot be read: there is no such file`];
  assert.deepEqual(told('no'), noFile);
});

void test('a UNIX socket has none; a credential is not looked at before its service runs', () => {
  const text = withJobs(
    'tls: { certificate: /run/credentials/s/crt, key: /run/credentials/s/key, client_ca: /run/credentials/s/ca }',
  );
  const settings = settingsOf(text);
  const names = tlsFilesOf(settings).map(({ name }) => name);
  assert.deepEqual(names, ['jobs']);
  const told = (credentials: string | undefined) =>
    all(inspectCertificates(tlsFilesOf(settings), Date.now(), credentials)).map(({ severity }) => severity);
  assert.deepEqual(told(undefined), ['warning']);
  assert.deepEqual(told('/run/credentials/s'), ['error']);
});
