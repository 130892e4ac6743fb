// Goal: notices by mail reach a real mail server (Debian's Exim), however slow it is. Phases: a mail over STARTTLS, from a sender that
// checks the certificate; a server that answers half a minute after the dot, then one that is slow at each word; many notices of which that
// server holds one. What must not happen: a mail that comes twice, or one that another has delayed.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, type LookupFunction } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../src/host/machine/clock.js';
import { segmentName } from '../../../src/journal/files/segments.js';
import { sendMail } from '../../../src/ship/carriers/mail.js';
import { mailOf } from '../../../src/ship/notices/forms.js';
import { noticeOf } from '../../../src/ship/notices/notice.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { startShip } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { accessBody, accessLine, usualRequest } from '../../kit/plain/access-record.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { endBefore, openFolder } from '../../kit/plain/folder.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { runProgram } from '../../kit/plain/program.js';
import { projectRoot } from '../../kit/plain/root.js';
import { type Skipped, skipped } from '../../kit/plain/skipped.js';
import { until } from '../../kit/plain/until.js';
import { openDiskJournal } from '../../ship/shipping/journal-on-disk.js';

/** Seconds after the dot, at least: more than a whole attempt may take elsewhere. */
const slowS = Number(process.env['DOVEGATE_SLOW_MAIL'] ?? 30);
/** How long the others of a slow one may take after that, on a busy machine. */
const othersS = 240;
const authority = makeAuthority({ name: 'mail authority' });
const setup = fileURLToPath(new URL('scripts/packages.sh', projectRoot));
const program = '/usr/sbin/exim4';

function isListening(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

interface Exim {
  readonly port: number;
  /** Whole mails, as it keeps them, the first to come first. */
  readonly mails: () => readonly string[];
  /** It thinks no longer about what it holds. */
  readonly release: () => void;
}

async function openExim(t: TestContext): Promise<Exim | Skipped> {
  if (process.getuid?.() !== 0) return skipped('a real Exim needs root');
  const installed = await runProgram('bash', [setup, 'audit'], { timeoutMs: 10 * 60_000 });
  if (installed.exit !== 0) return skipped(installed.text);
  const folder = openFolder(t);
  const [port = 0] = await freePorts(1);
  const { certificatePem, keyPem } = authority.issue({ names: ['mail.example.com'] });
  chmodSync(folder, 0o755);
  // It writes as a user of its own.
  for (const each of ['spool', 'mails']) {
    mkdirSync(join(folder, each));
    chmodSync(join(folder, each), 0o777);
  }
  const files = { 'tls.pem': certificatePem, 'tls.key': keyPem, 'exim.conf': configurationOf(folder, port) };
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(folder, name), text);
    chmodSync(join(folder, name), 0o644);
  }
  let output = '';
  const child: ChildProcess = spawn(program, ['-C', join(folder, 'exim.conf'), '-bdf'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (each: Buffer) => (output += String(each)));
  // Before its folder goes: it writes there, and a hook that cannot remove the folder keeps the next ones from ending it.
  endBefore(folder, async () => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    const ended = once(child, 'exit');
    // With those that hold a connection.
    process.kill(-child.pid, 'SIGKILL');
    await ended;
  });
  await until(
    async () => child.exitCode !== null || (await isListening('127.0.0.1', port)),
    () => output,
  );
  assert.equal(child.exitCode, null, output);
  const kept = join(folder, 'mails');
  return {
    port,
    mails: () => {
      const names = readdirSync(kept).filter((each) => each.startsWith('q'));
      return names.map((each) => readFileSync(join(kept, each), 'utf8'));
    },
    release: () => writeFileSync(join(folder, 'released'), ''),
  };
}

/** `slow` in a mail: it thinks about that one until it is released; to `tarpit`: it thinks about each word. */
function configurationOf(folder: string, port: number): string {
  return `
primary_hostname = mail.example.com
spool_directory = ${folder}/spool
log_file_path = ${folder}/spool/%slog
pid_file_path = ${folder}/spool/pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = ${port}
domainlist local_domains = example.com
host_lookup =
rfc1413_query_timeout = 0s
queue_run_max = 0
tls_advertise_hosts = *
tls_certificate = ${folder}/tls.pem
tls_privatekey = ${folder}/tls.key
message_body_visible = 5000
acl_smtp_rcpt = words
acl_smtp_data = dot
begin acl
words:
  accept local_parts = tarpit
         delay = 6s
  accept
dot:
  accept condition = \${if !match{$message_body}{slow}}
  warn   delay = ${slowS}s
${`  warn   delay = \${if exists{${folder}/released}{0s}{1s}}\n`.repeat(othersS)}
  accept
begin routers
here:
  driver = accept
  transport = file
begin transports
file:
  driver = appendfile
  directory = ${folder}/mails
  maildir_format = false
  directory_file = q\${message_exim_id}
  user = Debian-exim
  create_directory = false
`;
}

const lookup: LookupFunction = (_name, options, callback) => {
  if (options.all === true) callback(null, [{ address: '127.0.0.1', family: 4 }]);
  else callback(null, '127.0.0.1', 4);
};

const from = 'dovegate@gate1.example.com';
const idOf = (mail: string): string => /^Message-ID: (\S+)/im.exec(mail)?.[1] ?? '';

void test('over STARTTLS, by a certificate that counts, to a server that is slow at each word', {
  timeout: 120_000,
}, async (t) => {
  const exim = await openExim(t);
  if ('skip' in exim) return t.skip(exim.skip);
  const notice = noticeOf(accessLine(7, Date.now(), usualRequest), {
    journal: 'ab'.repeat(16),
    host: 'gate1',
  });
  assert.ok(notice !== undefined);
  const folder = openFolder(t);
  const to = (caFile: string) =>
    sendMail(
      { to: ['tarpit@example.com'], from, host: 'mail.example.com', port: exim.port, caFile },
      mailOf(notice),
      { clock: systemClock, lookup },
      new AbortController().signal,
    );
  const [own, other] = ['own.pem', 'other.pem'].map((name) => join(folder, name));
  writeFileSync(own ?? '', authority.certificatePem);
  writeFileSync(other ?? '', makeAuthority({ name: 'another authority' }).certificatePem);
  await assert.rejects(to(other ?? ''), { code: 'tls-failed' });
  await to(own ?? '');
  await until(() => exim.mails().length > 0, 'the mail');
  const [mail = '', ...more] = exim.mails();
  assert.deepEqual(more, []);
  assert.match(mail, /with esmtps +\(TLS1\.3\)/i);
  assert.match(mail, /^Subject: .*anna/m);
});

void test('many notices, one of which the server thinks about: each once, the others not late', {
  timeout: 120_000 + (slowS + othersS) * 1000,
}, async (t) => {
  const exim = await openExim(t);
  if ('skip' in exim) return t.skip(exim.skip);
  const before = openDiskJournal(t);
  const count = slowS >= 60 ? 100 : 40;
  for (let number = 1; number <= count; number += 1) {
    const reason = number === 5 ? 'a slow one' : `ticket ${number}`;
    before.writeBodies(accessBody(Date.now() - 60_000 + number, { ...usualRequest, reason }));
  }
  const { daemon } = await openGateway(t, {
    audit: '{ door: ship.sock, directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB }',
    more: `admin: { unix: admin.sock }
notices: { leads: { mail: { to: [leads@example.com], from: ${from}, server: "127.0.0.1:${exim.port}" } } }`,
    files: {
      [join('audit', segmentName(1))]: `${before.lines.join('\n')}\n`,
      [join('ship-state', 'notices-leads.json')]: '-',
    },
  });
  const ship = await startShip(t, daemon);
  const slow = (): boolean => exim.mails().some((each) => each.includes('a slow one'));
  await until(
    () => exim.mails().length >= count - 1,
    () => `${exim.mails().length} mails: ${ship.output()}`,
    othersS * 1000,
  );
  assert.ok(!slow(), 'the others waited for it');
  exim.release();
  await until(slow, 'the slow one', 60_000 + slowS * 1000);
  await until(async () => {
    const { body } = await askHttp({ socketPath: daemon.path('admin.sock') }, '/metrics');
    return body.includes(`dovegate_notices_delivered_total{receiver="leads"} ${count}\n`);
  }, 'all are delivered');
  const ids = exim.mails().map(idOf);
  assert.equal(ids.length, count);
  assert.equal(new Set(ids).size, count);
});
