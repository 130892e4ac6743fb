// Goal: real doveadm programs, and Dovecots that proxy, come in by TCP with TLS as they come to a Dovecot. Phases: doveadm with
// STARTTLS and with TLS from the first byte; right and wrong passwords and authorities; texts upwards; Dovecot's own proxying with
// the daemon as the next hop. What must not happen: another answer than Dovecot's own, a password sent to whoever answers, a
// command run for somebody who did not log in.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext } from 'node:test';
import { hashPassword } from '../../../src/rules/identity/credentials.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import type { LogRecord } from '../../kit/gate/daemon.js';
import { type Lab, openLab } from '../../kit/plain/dovecot-lab.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import type { ProgramOptions, ProgramResult } from '../../kit/plain/program.js';
import { ends } from '../../kit/plain/program.js';
import {
  alice,
  backendPassword,
  onDovecot,
  openRealDovecot,
  openRealGateway,
  passwordSetting,
  type RealGateway,
} from './real-gateway.js';

/** As doveadm's setting `doveadm_ssl` calls them. */
const ways = ['starttls', 'ssl'] as const;
type Way = (typeof ways)[number];

interface Gate extends Pick<RealGateway, 'daemon' | 'finish'> {
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
  const peers = (await gate.finish('admission')).map(({ principal }) => principal);
  assert.deepEqual(new Set(peers), new Set(['doveadm@starttls', 'doveadm@ssl']));
});

async function openGate(t: TestContext, lab: Lab): Promise<Gate> {
  const authority = makeAuthority({ name: 'authority of the gate' });
  const { certificatePem, keyPem } = authority.issue({ names: ['localhost', '127.0.0.1'] });
  const [starttls = 0, ssl = 0] = await freePorts(2);
  const ports = { starttls, ssl };
  const hash = await hashPassword(Buffer.from(backendPassword), 14);
  const listener = (way: Way, mode: string): string => `  ${way}:
    tcp: 127.0.0.1:${ports[way]}
    tls: { mode: ${mode}, certificate: gate.crt, key: gate.key }
    accounts: { doveadm: { password_hash: "${hash}", policy: support } }\n`;
  const gateway = await openRealGateway(t, lab, {
    allow: ['save'],
    listeners: listener('starttls', 'starttls') + listener('ssl', 'implicit'),
    files: { 'gate.crt': certificatePem, 'gate.key': keyPem },
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
    daemon: gateway.daemon,
    finish: (event) => gateway.finish(event),
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
  await ends(0, gate.doveadm(way, ['save', '-u', alice, '-m', 'Drafts'], {}, { stdin: text }));
  const query = ['mailbox', 'Drafts', 'subject', way];
  const fetched = await ends(0, gate.doveadm(way, ['fetch', '-u', alice, 'text', ...query]));
  assert.ok(fetched.stdout.includes('a line of it'));
}

async function refusals(gate: Gate, way: Way): Promise<void> {
  // It prints no header, so nothing at all comes of a refusal.
  const command = ['mailbox', 'list', '-u', alice];
  const failures = (): number =>
    gate.daemon.logs.filter(({ event, listener }) => event === 'login-failed' && listener === way).length;
  const failed = (times: number) =>
    gate.daemon.waitForLog(() => failures() >= times, `${times} login-failed`);

  for (const [at, login] of [{ doveadm_password: 'wrong' }, { doveadm_username: 'nobody' }].entries()) {
    const { exit, stdout } = await gate.doveadm(way, command, login);
    assert.deepEqual([exit === 0, stdout.length], [false, 0]);
    await failed(at + 1);
  }

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
  const own = ['-o', `doveadm_password=${backendPassword}`];
  const at = ['-S', `127.0.0.1:${gate.ports.starttls}`, '-u', alice];
  const result = await lab.doveadm([...own, 'mailbox', 'list', ...at]);
  assert.notEqual(result.exit, 0);
  assert.equal(result.stdout.length, 0);
  const isTold = ({ event, type }: LogRecord): boolean => event === 'login-failed' && type === 'in-clear';
  await gate.daemon.waitForLog(isTold, 'in-clear');
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
    await front.writeExtraConf(`${passwordSetting}${port}ssl_client_ca_file = ${ca(authority)}\n`);
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
