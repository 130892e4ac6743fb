// Goal: whatever is wrong with the way to a backend, the client gets -TEMPFAIL within the configured time, one log line names the
// backend and the cause, nothing secret was sent, and the daemon goes on. Phases: certificates, password, greeting, injection.
// What must not happen: PLAIN before TLS; a command at a backend that was not judged good; a hang.

import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import type { Authority, Issued } from '../../kit/gate/certificates.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { runDovegate } from '../../kit/gate/daemon.js';
import { backendPassword, type GatewayOptions, openGateway } from '../../kit/gate/gateway.js';
import type { GreetingFault } from '../../kit/gate/script.js';
import { openScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { listenHere } from '../../kit/plain/free-ports.js';
import { until } from '../../kit/plain/until.js';

const day = 24 * 3600 * 1000;

interface Case {
  readonly name: string;
  readonly options: GatewayOptions;
  /** Code in the log's `type`; several where the kernel decides which comes first. */
  readonly code: string | readonly string[];
  readonly text: RegExp;
  /** Whether PLAIN may have been sent (never in clear). */
  readonly isAuthenticated?: boolean;
}

const otherAuthority = makeAuthority({ name: 'somebody else' });
const fault = (name: GreetingFault, more: GatewayOptions = {}): GatewayOptions => ({
  ...more,
  backend: { fault: name, ...more.backend },
});
const certificate = (issue: (authority: Authority) => Issued): GatewayOptions => ({ certificate: issue });
const quick = { connect_timeout: '400ms', greeting_timeout: '400ms' };

const cases: readonly Case[] = [
  {
    name: 'wrong CA',
    options: certificate(() => otherAuthority.issue({ names: ['localhost', '127.0.0.1'] })),
    code: 'tls-failed',
    text: /authority that is not in `ca`/,
  },
  {
    name: 'wrong host name',
    options: certificate((authority) => authority.issue({ names: ['mail9.example.org'] })),
    code: 'tls-failed',
    text: /another name than `server_name`/,
  },
  {
    name: 'an IP address is not the name localhost',
    options: {
      ...certificate((authority) => authority.issue({ names: ['localhost'] })),
      mail1: { server_name: '127.0.0.1' },
    },
    code: 'tls-failed',
    text: /another name/,
  },
  {
    name: 'expired certificate',
    options: certificate((authority) =>
      authority.issue({
        names: ['localhost'],
        notBefore: new Date(Date.now() - 9 * day),
        notAfter: new Date(Date.now() - day),
      }),
    ),
    code: 'tls-failed',
    text: /expired/,
  },
  {
    name: 'a key that is not pinned',
    options: { mail1: { key_pins: `["sha256:${'ab'.repeat(32)}"]` } },
    code: 'tls-failed',
    text: /key_pins/,
  },
  {
    name: 'wrong password',
    options: { password: 'wrong-password' },
    code: 'auth-rejected',
    text: /password|PLAIN|auth/i,
    isAuthenticated: true,
  },
  { name: 'speaks SSH', options: fault('banner-ssh'), code: 'version-unsupported', text: /doveadm/ },
  {
    name: 'preauthenticated where TLS is configured',
    options: fault('greeting-plus'),
    code: 'tls-failed',
    text: /TLS/,
  },
  {
    name: 'clear text injected behind the greeting',
    options: fault('injected-same-segment'),
    code: 'tls-failed',
    text: /clear|inject/i,
  },
  {
    name: 'clear text injected in a segment of its own',
    options: fault('injected-later-segment'),
    code: 'tls-failed',
    text: /./,
  },
  {
    name: 'clear text injected before the handshake',
    options: fault('injected-after-starttls'),
    code: 'tls-failed',
    text: /./,
  },
  {
    name: 'silent after accept',
    options: { ...fault('silent-after-accept'), mail1: quick },
    code: 'dial-timeout',
    text: /400 ms/,
  },
  {
    name: 'resets after accept',
    options: fault('reset-after-accept'),
    code: ['closed-early', 'dial-refused'],
    text: /./,
  },
];

/** A backend that is wrong in one way, and its user. */
async function openFaulty({ options }: Case, number: number, trusted: Authority) {
  const { certificate: issue, backend, password } = options;
  const dovecot = await openScriptedDovecot({
    tls: 'starttls',
    certificate: issue?.(trusted) ?? trusted.issue({ names: ['localhost', '127.0.0.1'] }),
    password: backendPassword,
    ...backend,
  });
  const name = `faulty${number}`;
  const settings = {
    address: dovecot.address,
    tls: 'starttls',
    ca: 'ca.pem',
    server_name: 'localhost',
    password_file: password === undefined ? 'mail1.password' : 'wrong.password',
    shared_namespaces: '[]',
    idle: '0',
    ...options.mail1,
  };
  const lines = Object.entries(settings).map(([key, value]) => `\n    ${key}: ${value}`);
  return { dovecot, name, user: `${name}@example.org`, yaml: `\n  ${name}:${lines.join('')}` };
}

test('each fault: -TEMPFAIL, one clear log line, and the daemon goes on', async (t) => {
  const trusted = makeAuthority({ name: 'scenario authority' });
  const faulty = await Promise.all(cases.map((each, number) => openFaulty(each, number, trusted)));
  for (const { dovecot } of faulty) t.after(() => dovecot.close());
  const routes = faulty.map(({ name, user }) => `{ users: ["${user}"], backend: ${name} }`);
  const { client, daemon } = await openGateway(t, {
    authority: trusted,
    routes: `[${routes.join(', ')}, { users: ["*"], backend: mail1 }]`,
    more: 'include: [faulty.yaml]',
    files: {
      'faulty.yaml': `backends:${faulty.map(({ yaml }) => yaml).join('')}\n`,
      'wrong.password': 'wrong-password\n',
    },
  });
  for (const [at, { name: title, code, text, isAuthenticated }] of cases.entries()) {
    await t.test(title, async () => {
      const { dovecot, name, user } = faulty[at] ?? assert.fail();
      const one = await client();
      for (let round = 0; round < 2; round += 1) {
        const reply = await one.ask({ user, fields: ['quota get'] });
        assert.equal(reply.status, '-TEMPFAIL');
        const told = new RegExp(
          `^dovegate: backend ${name} (?:is not reachable|did not answer in time) \\(([a-z-]+)\\) \\[(?:\\1|not-done)\\], id `,
        );
        assert.match(reply.logs[0]?.text ?? '', told);
      }
      const log = await daemon.waitForLog(
        ({ event, backend }) => event === 'dial-failed' && backend === name,
        'the failed dial',
      );
      const codes = typeof code === 'string' ? [code] : code;
      assert.ok(codes.includes(String(log['type'])), `${String(log['type'])}: ${String(log['text'])}`);
      assert.match(String(log['text']), text);
      assert.match(String(log['text']), new RegExp(`^backend ${name}: `));
      assert.equal(dovecot.commands.length, 0);
      const inClear = Buffer.concat(dovecot.records.flatMap((record) => record.inClear)).toString('latin1');
      assert.ok(!inClear.includes('PLAIN'), inClear);
      assert.equal(dovecot.plainAttempts.length > 0, isAuthenticated === true);
      // Refused commands are still refused, and who lives elsewhere is served.
      assert.equal((await one.ask({ user, fields: ['mailbox delete', 'INBOX'] })).status, '-NOPERM');
      assert.equal((await one.ask({ user: 'alice@example.org', fields: ['quota get'] })).status, '+');
    });
  }
  assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
  assert.deepEqual(daemon.grepSecrets([backendPassword, 'wrong-password']), []);
});

test('a bad certificate after a good one: its end is measured, and status names the cause', async (t) => {
  const { client, daemon, backend, authority } = await openGateway(t, {
    more: 'admin: { unix: admin.sock }',
  });
  const admin = { socketPath: daemon.path('admin.sock') };
  const expiry = /^dovegate_certificate_expiry_seconds\{role="backend",name="mail1"\} (\S+)$/m;
  const daysLeft = async (): Promise<number> =>
    Math.round((Number(expiry.exec((await askHttp(admin, '/metrics')).body)?.[1]) * 1000) / day);
  const one = await client();
  const ask = async (): Promise<string> => {
    return (await one.ask({ user: 'alice@example.org', fields: ['quota get'] })).status;
  };
  assert.equal(await ask(), '+');
  await until(async () => (await daysLeft()) === 30, 'the good certificate');
  const names = ['localhost'];
  const ends = (days: number): Date => new Date(Date.now() + days * day);
  const bads: readonly (readonly [Issued, number, RegExp])[] = [
    [authority.issue({ names, notAfter: ends(-2) }), -2, /^mail1 is down .*: its certificate has expired\./m],
    [
      authority.issue({ names: ['mail9.example.org'], notAfter: ends(60) }),
      60,
      /^mail1 is down .*: its certificate is for another name than server_name\./m,
    ],
    [
      otherAuthority.issue({ names, notAfter: ends(50) }),
      50,
      /^mail1 is down .*: its certificate comes from an authority that is not trusted\./m,
    ],
  ];
  for (const [bad, days, cause] of bads) {
    backend.change({ certificate: bad });
    for (const connection of backend.live) connection.end();
    await until(async () => (await ask()) === '-TEMPFAIL' && (await daysLeft()) === days, `${days} days`);
    let shown = '';
    const isNamed = async (): Promise<boolean> => {
      ({ text: shown } = await runDovegate(['status', '--socket', admin.socketPath]));
      return cause.test(shown);
    };
    await until(isNamed, () => shown);
  }
});

test('one of two password files is empty, as while it is written: the other one serves', async (t) => {
  const { client, daemon, backend } = await openGateway(t, {
    mail1: { password_file: '[mail1.password, mail1.next]' },
    files: { 'mail1.next': 'the next password\n' },
  });
  const one = await client();
  const ask = async (password: string, next: string): Promise<string> => {
    daemon.write('mail1.password', password);
    daemon.write('mail1.next', next);
    for (const connection of backend.live) {
      connection.end();
      await connection.closed;
    }
    return (await one.ask({ user: 'alice@example.org', fields: ['quota get'] })).status;
  };
  assert.equal(await ask(backendPassword, ''), '+');
  const note = await daemon.waitForLog(({ event }) => event === 'password-unread', 'the empty file');
  assert.match(String(note['text']), /mail1\.next: is empty$/);
  assert.equal(await ask('', backendPassword), '+');
  assert.equal(await ask('', ''), '-TEMPFAIL');
  const log = await daemon.waitForLog(({ event }) => event === 'dial-failed', 'the failed dial');
  assert.match(String(log['text']), /the password cannot be read: \S*mail1\.password: is empty/);
  assert.equal(backend.records.length, 2);
});

test('nobody listens: refused at once; and when somebody does again, it works', async (t) => {
  const holder = net.createServer();
  const port = await listenHere(holder);
  await new Promise((resolve) => holder.close(resolve));
  const { client, daemon } = await openGateway(t, { mail1: { address: `127.0.0.1:${port}` } });
  const one = await client();
  assert.equal((await one.ask({ user: 'alice@example.org', fields: ['quota get'] })).status, '-TEMPFAIL');
  const log = await daemon.waitForLog((record) => record['event'] === 'dial-failed', 'the failed dial');
  assert.equal(log['type'], 'dial-refused');
  assert.match(String(log['text']), new RegExp(`127\\.0\\.0\\.1:${port}: nobody listens there`));
});
