// Goal: `check` says of the certificates of listeners what the daemon would say of them, at the place of the listener.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { tlsFilesOf } from '../../../src/rules/setup/certificates.js';
import { inspectCertificates as steps } from '../../../src/rules/setup/inspect-files.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { openFolder } from '../../kit/plain/folder.js';
import { withJobs } from '../config/jobs.js';
import { located, settingsOf } from '../config/sound.js';

const day = 86_400_000;

/** All problems at once. */
const inspectCertificates = (...args: Parameters<typeof steps>) => [...steps(...args)].flat();

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
    return located(settings, [...inspectCertificates(tlsFilesOf(settings), nowMs, undefined)].flat()).map(
      (line) => line.replace(`${folder}/`, ''),
    );
  };
  const at = '4:3: ';
  assert.deepEqual(told('ca'), [
    `${at}warning: listeners.jobs.tls.certificate: the certificate expires in 9 days`,
  ]);
  assert.deepEqual(told('ca', Date.now() - 30 * day), []);
  assert.deepEqual(told('ca', Date.now() + 11 * day), [
    `${at}warning: listeners.jobs.tls.certificate: the certificate has expired`,
  ]);
  assert.deepEqual(told('no'), [
    `${at}listeners.jobs.tls.client_ca: no cannot be read: there is no such file`,
  ]);
});

void test('a UNIX socket has none; a credential is not looked at before its service runs', () => {
  const text = withJobs(
    'tls: { certificate: /run/credentials/s/crt, key: /run/credentials/s/key, client_ca: /run/credentials/s/ca }',
  );
  const settings = settingsOf(text);
  assert.deepEqual(
    tlsFilesOf(settings).map(({ name }) => name),
    ['jobs'],
  );
  const told = (credentials: string | undefined) =>
    inspectCertificates(tlsFilesOf(settings), Date.now(), credentials).map(({ severity }) => severity);
  assert.deepEqual(told(undefined), ['warning']);
  assert.deepEqual(told('/run/credentials/s'), ['error']);
});
