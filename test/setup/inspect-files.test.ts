// Goal: every file that a backend needs is asked for, all that is wrong is told at once, and where it was written.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  inspectIssuer,
  inspectModes,
  inspectNotices,
  inspectReceivers,
  inspectTrust,
  type NoticeChecks,
  inspectFiles as steps,
} from '../../src/setup/inspect-files.js';
import { located, settingsOf, sound } from '../domain/config/sound.js';

const text = sound
  .replace(
    'mail1: {',
    `mail2: { address: "mail2.example.com:24245", ca: /etc/ca2, password_file: [/etc/p, /etc/p-next] }
  mail1: {`,
  )
  .replace('routes:', 'routes:\n  - { users: ["*@example.net"], backend: mail2 }');

// In the place of this machine's own list.
process.env['SSL_CERT_FILE'] = '/etc/system.pem';

/** All problems at once. */
const inspectFiles = (...args: Parameters<typeof steps>) => [...steps(...args)].flat();

void test('each file is asked for, those of each backend', () => {
  const asked: string[] = [];
  const problems = inspectFiles(
    settingsOf(text),
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

void test('the files of a receiver of records, each at the place of that receiver', () => {
  const settings = settingsOf(`${sound}
audit:
  ship:
    - { syslog: "a:1", ca: /etc/ca }
    - { syslog: "b:1", certificate: /etc/c.pem, key: /etc/c.key }
    - { nats: "tls://c:1", credentials: /etc/n.creds }
`);
  const problems = inspectFiles(
    settings,
    (path) => (path === '/etc/p' ? undefined : 'permission denied'),
    undefined,
  );
  assert.deepEqual(located(settings, problems), [
    '15:7: audit.ship[0].ca: /etc/ca cannot be read: permission denied',
    '16:7: audit.ship[1].ca: /etc/system.pem cannot be read: permission denied',
    '16:7: audit.ship[1].certificate: /etc/c.pem cannot be read: permission denied',
    '16:7: audit.ship[1].key: /etc/c.key cannot be read: permission denied',
    '17:7: audit.ship[2].ca: /etc/system.pem cannot be read: permission denied',
    '17:7: audit.ship[2].credentials: /etc/n.creds cannot be read: permission denied',
  ]);
});

void test('a receiver whose library is not installed is a problem; others are none', () => {
  const settings = settingsOf(`${sound}
audit:
  ship:
    - { syslog: "a:1" }
    - { nats: "tls://b:1" }
`);
  const told = (hasLibrary: boolean) =>
    located(
      settings,
      inspectReceivers(settings, () => hasLibrary),
    );
  assert.deepEqual(told(true), []);
  assert.deepEqual(told(false), [
    '16:7: audit.ship[1].nats: the library for NATS is not installed; run `npm install @nats-io/transport-node@3.3.1` where dovegate is installed, or take this receiver out',
  ]);
  const without = settingsOf(`${sound}audit: { ship: [{ syslog: "a:1" }] }`);
  assert.deepEqual(
    inspectReceivers(without, () => assert.fail('nobody needs it')),
    [],
  );
});

void test('receivers of notices: the library, and files of theirs that are missing, readable for others or no secret', () => {
  const settings = settingsOf(`${sound}
admin: { page: { unix: /run/page.sock, people: { anna: { user: anna, role: view } } } }
notices:
  chat: { webhook: "https://a.example/", secret_file: /etc/hook, ca: /etc/ca }
  other: { webhook: "https://b.example/", secret_file: /run/credentials/dovegate-page.service/hook }
  mail: { mail: { to: [a@b.c], from: a@b.c } }
`);
  const checks: NoticeChecks = {
    isInstalled: () => true,
    whyUnreadable: () => undefined,
    whyUnsafe: () => undefined,
    read: () => `whsec_${'A'.repeat(40)}\n`,
  };
  const later =
    'notices.other.secret_file: warning: /run/credentials/dovegate-page.service/hook is there only while the service of the page runs, so it was not looked at';
  const told = (more: Partial<NoticeChecks>) =>
    inspectNotices(settings, { ...checks, ...more })
      .map(({ path, severity, message }) => `${path}: ${severity}: ${message}`)
      .filter((each) => each !== later);
  assert.equal(inspectNotices(settings, checks).length, 1);
  assert.deepEqual(told({}), []);
  assert.deepEqual(told({ isInstalled: () => false }), [
    'notices.mail.mail: error: the library for mail is not installed; run `npm install nodemailer@10.6.1` where dovegate is installed, or take this receiver out',
  ]);
  assert.deepEqual(told({ whyUnreadable: () => 'there is no such file' }), [
    'notices.chat.secret_file: error: /etc/hook cannot be read: there is no such file',
    'notices.chat.ca: error: /etc/ca cannot be read: there is no such file',
  ]);
  assert.deepEqual(
    told({
      whyUnsafe: (path, isSecret) =>
        isSecret ? { text: `${path} may be read`, isDoubtful: false } : undefined,
    }),
    ['notices.chat.secret_file: error: /etc/hook may be read'],
  );
  assert.deepEqual(told({ read: () => 'hush' }), [
    'notices.chat.secret_file: error: /etc/hook must hold whsec_ and base64 of 24 to 64 bytes; make one with: echo "whsec_$(openssl rand -base64 32)"',
  ]);
  assert.deepEqual(told({ read: () => undefined }), []);
  assert.deepEqual(inspectNotices(settingsOf(sound), checks), []);
});

void test('a credential of the service is missed by the service alone', () => {
  const settings = settingsOf(sound.replaceAll('/etc/p', '/run/credentials/dovegate.service/p'));
  const told = (credentials: string | undefined) =>
    inspectFiles(settings, () => 'there is no such file', credentials).map(
      ({ severity, message }) => `${severity}: ${message}`,
    );
  assert.deepEqual(told(undefined), [
    'warning: /run/credentials/dovegate.service/p is there only while its service runs, so it was not looked at',
  ]);
  assert.deepEqual(told('/run/credentials/dovegate.service'), [
    'error: /run/credentials/dovegate.service/p cannot be read: there is no such file',
  ]);
});

void test('the files of an issuer are looked at for the page only, and its secret is one', () => {
  const settings = settingsOf(`${sound}
admin:
  page:
    tcp: "127.0.0.1:9147"
    oidc: { issuer: "https://sso.example.com", client_id: dovegate, client_secret_file: /etc/oidc.secret, ca: /etc/sso.pem }
    people: { carol: { oidc: { sub: x }, role: view } }
`);
  const why = (path: string) => (path === '/etc/p' ? undefined : 'there is no such file');
  const shown = (problems: readonly { readonly path: string; readonly message: string }[]) =>
    problems.map(({ path, message }) => `${path}: ${message}`);
  assert.deepEqual(inspectFiles(settings, why, undefined), []);
  assert.deepEqual(shown(inspectFiles(settings, why, undefined, true)), [
    'admin.page.oidc.client_secret_file: /etc/oidc.secret cannot be read: there is no such file',
    'admin.page.oidc.ca: /etc/sso.pem cannot be read: there is no such file',
  ]);
  const open = (path: string, isSecret: boolean) =>
    isSecret && path.startsWith('/etc/oidc') ? { text: `${path} is open`, isDoubtful: false } : undefined;
  assert.deepEqual([...inspectModes(new Map(), settings, open)].flat(), []);
  assert.deepEqual(shown([...inspectModes(new Map(), settings, open, true)].flat()), [
    'admin.page.oidc.client_secret_file: /etc/oidc.secret is open',
  ]);
  assert.deepEqual(
    inspectIssuer(
      settings,
      () => true,
      () => 's3cret\n',
    ),
    [],
  );
  const none = (): undefined => undefined;
  assert.deepEqual(
    shown(
      inspectIssuer(
        settings,
        () => true,
        () => '\n',
      ),
    ),
    ['admin.page.oidc.client_secret_file: /etc/oidc.secret is empty; write the secret of the client into it'],
  );
  assert.match(
    inspectIssuer(settings, () => false, none)[0]?.message ?? '',
    /npm install openid-client@6\.9\.0/,
  );
  assert.deepEqual(
    inspectIssuer(settingsOf(sound), () => assert.fail('nobody needs it'), none),
    [],
  );
});
