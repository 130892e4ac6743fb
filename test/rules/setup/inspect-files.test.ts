// Goal: every file that a backend needs is asked for, all that is wrong is told at once, and where it was written.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspectTrust, namedFiles, inspectFiles as steps } from '../../../src/rules/setup/inspect-files.js';
import { settingsOf, sound } from '../config/sound.js';

const text = sound
  .replace(
    'mail1: {',
    `mail2: { address: "mail2.example.com:24245", ca: /etc/ca2, password_file: [/etc/p, /etc/p-next] }
  mail1: {`,
  )
  .replace('routes:', 'routes:\n  - { users: ["bob@example.com"], backend: mail2 }');

// In the place of this machine's own list.
process.env['SSL_CERT_FILE'] = '/etc/system.pem';

/** All problems at once. */
const inspectFiles = (...args: Parameters<typeof steps>) => [...steps(...args)].flat();

void test('each file is asked for, those of each backend', () => {
  const asked: string[] = [];
  const problems = inspectFiles(
    namedFiles(settingsOf(text)),
    (path) => {
      asked.push(path);
      return undefined;
    },
    undefined,
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(asked.toSorted(), ['/etc/ca2', '/etc/p', '/etc/p', '/etc/p-next']);
});

void test('no list of authorities: a problem for each backend that names none and has TLS', () => {
  const settings = settingsOf(text.replace('ca: /etc/ca2, ', ''));
  const problems = inspectTrust(settings, undefined);
  assert.deepEqual(
    problems.map((problem) => `${problem.path} ${problem.severity}`),
    ['backends.mail2.ca error'],
  );
  assert.match(problems[0]?.message ?? '', /no list of authorities .*install the package ca-certificates/);
  assert.deepEqual(inspectTrust(settings, '/etc/system.pem'), []);
  assert.deepEqual(inspectTrust(settingsOf(text), undefined), []);
});

void test('a credential of the service is missed by the service alone', () => {
  const settings = settingsOf(sound.replaceAll('/etc/p', '/run/credentials/dovegate.service/p'));
  const told = (credentials: string | undefined) =>
    inspectFiles(namedFiles(settings), () => 'there is no such file', credentials).map(
      ({ severity, message }) => `${severity}: ${message}`,
    );
  assert.deepEqual(told(undefined), [
    'warning: /run/credentials/dovegate.service/p is there only while its service runs, so it was not looked at',
  ]);
  assert.deepEqual(told('/run/credentials/dovegate.service'), [
    'error: /run/credentials/dovegate.service/p cannot be read: there is no such file',
  ]);
});
