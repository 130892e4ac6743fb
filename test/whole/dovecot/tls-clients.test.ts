// Goal: real doveadm programs, and Dovecots that proxy, come in by TCP with TLS as they come to a Dovecot. Phases: doveadm with
// STARTTLS and with TLS from the first byte; right and wrong passwords and authorities; texts upwards; Dovecot's own proxying with
// the daemon as the next hop. What must not happen: another answer than Dovecot's own, a password sent to whoever answers, a
// command run for somebody who did not log in.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext } from 'node:test';
import { hashPassword } from '../../../src/rules/identity/credentials.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { type Daemon, startDaemon } from '../../kit/gate/daemon.js';
import { type Lab, openLab } from '../../kit/plain/dovecot-lab.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import type { ProgramOptions, ProgramResult } from '../../kit/plain/program.js';
import { alice, assertNoSecret, backendPassword, onDovecot, openRealDovecot } from './real-gateway.js';

/** As doveadm's setting `doveadm_ssl` calls them. */
const ways = ['starttls', 'ssl'] as const;
type Way = (typeof ways)[number];

interface Gate {
  readonly daemon: Daemon;
  readonly ports: Readonly<Record<Way, number>>;
  /** PEM of who signed its certificate. */
  readonly authority: string;
  /** Paths as the daemon's clients see them. */
  readonly ca: string;
  readonly otherCa: string;
  /** The real doveadm by TCP. `options` are settings, instead of the right ones. */
  doveadm(
    way: Way,
    args: readonly string[],
    options?: Readonly<Record<string, string>>,
    more?: ProgramOptions,
  ): Promise<ProgramResult>;
}

onDovecot('clients by TCP with TLS', openRealDovecot, async (t, lab) => {
  const gate = await openGate(t, lab);
  for (const way of ways) {
    await t.test(`doveadm_ssl=${way}: the answers of Dovecot itself`, () => sameAnswers(lab, gate, way));
    await t.test(`doveadm_ssl=${way}: who is refused, and by whom`, () => refusals(gate, way));
  }
  await t.test('STARTTLS not asked for: no password is taken', () => inClear(lab, gate));
  await t.test('Dovecot proxies to the daemon', (sub) => proxied(sub, lab, gate));
  assert.deepEqual(await gate.daemon.stop(), { code: 0, signal: null });
  assertNoSecret(gate.daemon, backendPassword);
  const peers = gate.daemon
    .audit()
    .flatMap(({ record }) => (record['event'] === 'admission' ? [record['principal']] : []));
  assert.deepEqual(new Set(peers), new Set(['doveadm@starttls', 'doveadm@ssl']));
});

async function openGate(t: TestContext, lab: Lab): Promise<Gate> {
  const folder = mkdtempSync(join(lab.folder, 'tls-'));
  const authority = makeAuthority({ name: 'authority of the gate' });
  const { certificatePem, keyPem } = authority.issue({ names: ['localhost', '127.0.0.1'] });
  const [starttls = 0, ssl = 0] = await freePorts(2);
  const ports = { starttls, ssl };
  const hash = await hashPassword(Buffer.from(backendPassword), 14);
  const listener = (way: Way, mode: string): string => `
  ${way}:
    tcp: 127.0.0.1:${ports[way]}
    tls: { mode: ${mode}, certificate: gate.crt, key: gate.key }
    accounts: { doveadm: { password_hash: "${hash}", policy: support } }`;
  const allow = ['quota get', 'mailbox list', 'mailbox status', 'save', '{ command: fetch, content: true }'];
  const daemon = await startDaemon(t, {
    folder,
    config: `version: 1
listeners:${listener('starttls', 'starttls')}${listener('ssl', 'implicit')}
backends:
  mail1:
    address: localhost:${lab.port}
    ca: ca.pem
    password_file: mail1.password
    shared_namespaces: []
    idle: 0
routes: [{ users: ["*"], backend: mail1 }]
policies:
  support: { users: ["*@example.org"], allow: [${allow.join(', ')}] }
state: state
audit: { directory: audit, memory: audit.ring, memory_size: 1MiB, reserve: 4KiB }
log: { level: trace }
`,
    files: {
      'ca.pem': readFileSync(lab.caFile, 'utf8'),
      'mail1.password': `${backendPassword}\n`,
      'gate.crt': certificatePem,
      'gate.key': keyPem,
    },
  });
  // Where programs that are not root, and live in a root of their own, can read them.
  const place = (name: string, text: string): string => {
    const path = join(lab.folder, name);
    writeFileSync(path, text, { mode: 0o644 });
    return lab.inRoot(path);
  };
  const ca = place('gate-ca.pem', authority.certificatePem);
  const otherCa = place('other-ca.pem', makeAuthority({ name: 'somebody else' }).certificatePem);
  return {
    daemon,
    ports,
    authority: authority.certificatePem,
    ca,
    otherCa,
    doveadm(way, args, options = {}, more = {}) {
      const settings = {
        // Without it doveadm_ssl is ignored in silence.
        doveadm_port: String(ports[way]),
        doveadm_ssl: way,
        doveadm_password: backendPassword,
        ssl_client_ca_file: ca,
        ...options,
      };
      const ahead = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
      const at = args.indexOf('-u');
      const all = [...ahead, ...args.slice(0, at), '-S', `127.0.0.1:${ports[way]}`, ...args.slice(at)];
      return lab.doveadm(all, more);
    },
  };
}

const commands: readonly (readonly string[])[] = [
  ['quota', 'get', '-u', alice],
  ['mailbox', 'list', '-u', alice],
  ['mailbox', 'status', '-u', alice, 'messages vsize', '*'],
  ['fetch', '-u', alice, 'uid text', 'mailbox', 'INBOX', 'all'],
];

async function sameAnswers(lab: Lab, gate: Gate, way: Way): Promise<void> {
  for (const command of commands) {
    const at = command.indexOf('-u');
    const unix = ['-S', lab.inRoot(lab.unixPreauth)];
    const direct = await lab.doveadm([...command.slice(0, at), ...unix, ...command.slice(at)]);
    const through = await gate.doveadm(way, command);
    assert.equal(direct.exit, 0, direct.text);
    assert.equal(through.exit, 0, through.text);
    assert.deepEqual(through.stdout, direct.stdout);
  }
  const text = `Subject: by ${way}\r\n\r\n${'a line of it\r\n'.repeat(5_000)}`;
  const saved = await gate.doveadm(way, ['save', '-u', alice, '-m', 'Drafts'], {}, { stdin: text });
  assert.equal(saved.exit, 0, saved.text);
  const fetched = await gate.doveadm(way, [
    'fetch',
    '-u',
    alice,
    'text',
    'mailbox',
    'Drafts',
    'subject',
    way,
  ]);
  assert.equal(fetched.exit, 0, fetched.text);
  assert.ok(fetched.stdout.includes('a line of it'));
}

async function refusals(gate: Gate, way: Way): Promise<void> {
  // It prints no header, so nothing at all comes of a refusal.
  const command = ['mailbox', 'list', '-u', alice];
  const failures = (): number =>
    gate.daemon.logs.filter(({ event, listener }) => event === 'login-failed' && listener === way).length;
  const failed = (times: number) =>
    gate.daemon.waitForLog(() => failures() >= times, `${times} login-failed`);

  const wrong = await gate.doveadm(way, command, { doveadm_password: 'wrong' });
  assert.notEqual(wrong.exit, 0);
  assert.equal(wrong.stdout.length, 0);
  await failed(1);

  const nobody = await gate.doveadm(way, command, { doveadm_username: 'nobody' });
  assert.notEqual(nobody.exit, 0);
  assert.equal(nobody.stdout.length, 0);
  await failed(2);

  // Here the client refuses: it never sends its password.
  const other = await gate.doveadm(way, command, { ssl_client_ca_file: gate.otherCa });
  assert.notEqual(other.exit, 0);
  assert.match(other.text, /certificate/i);
  assert.equal(other.stdout.length, 0);
  await gate.daemon.waitForLog(
    ({ event, listener, reason }) =>
      event === 'session-closed' && listener === way && (reason === 'tls-failed' || reason === 'peer-ended'),
    'the end of the client that did not accept our certificate',
  );
  assert.equal(failures(), 2);
}

/** Without doveadm_port the real program sends its password in clear: it is not taken, right or wrong. */
async function inClear(lab: Lab, gate: Gate): Promise<void> {
  const at = ['-S', `127.0.0.1:${gate.ports.starttls}`];
  const result = await lab.doveadm([
    '-o',
    `doveadm_password=${backendPassword}`,
    'mailbox',
    'list',
    ...at,
    '-u',
    alice,
  ]);
  assert.notEqual(result.exit, 0);
  assert.equal(result.stdout.length, 0);
  await gate.daemon.waitForLog(
    ({ event, type }) => event === 'login-failed' && type === 'in-clear',
    'in-clear',
  );
}

/** Another Dovecot's passdb says that alice lives at the daemon; it asks there, by its own password. */
async function proxied(t: TestContext, lab: Lab, gate: Gate): Promise<void> {
  const front = await openLab(t, lab.release, { users: false });
  assert.ok(!('skip' in front));
  const own = readFileSync(join(front.folder, 'passwd'), 'utf8');
  const ca = (text: string): string => {
    const path = join(front.folder, 'next-ca.pem');
    writeFileSync(path, text, { mode: 0o644 });
    return front.inRoot(path);
  };
  // Only a server with doveadm_port asks the passdb where users live.
  const live = async (way: Way, tls: string, authority: string): Promise<void> => {
    const next = `proxy=y host=127.0.0.1 port=${gate.ports[way]} ${tls}`;
    writeFileSync(join(front.folder, 'passwd'), own.replace(/^(alice@.*)$/m, `$1${next}`));
    const port = `doveadm_port = ${gate.ports[way]}\n`;
    const password = `doveadm_password = ${backendPassword}\n`;
    await front.writeExtraConf(`${password}${port}ssl_client_ca_file = ${ca(authority)}\n`);
  };
  const ask = (name: string, ...words: readonly string[]): Promise<ProgramResult> => {
    const unix = ['-S', front.inRoot(front.unixPreauth), '-u', alice];
    return front.doveadm(['-o', 'doveadm_port=0', 'mailbox', name, ...unix, ...words]);
  };
  const direct = await lab.doveadm(['mailbox', 'list', '-S', lab.inRoot(lab.unixPreauth), '-u', alice]);
  for (const [way, tls] of [
    ['starttls', 'starttls=y'],
    ['starttls', 'starttls=any-cert'],
    ['ssl', 'ssl=y'],
  ] as const) {
    await live(way, tls, gate.authority);
    const through = await ask('list');
    assert.equal(through.exit, 0, `${tls}: ${through.text}`);
    assert.deepEqual(through.stdout, direct.stdout);
    // The rights of its account, not more.
    const denied = await ask('create', 'New');
    assert.notEqual(denied.exit, 0);
    assert.match(denied.text, /denied by policy support/);
  }
  await live('starttls', 'starttls=y', makeAuthority({ name: 'somebody else' }).certificatePem);
  const other = await ask('list');
  assert.notEqual(other.exit, 0);
  assert.equal(other.stdout.length, 0);
}
