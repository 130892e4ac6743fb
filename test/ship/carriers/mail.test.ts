// Goal: a notice as a mail that no text of a record can change the headers of, over verified TLS beyond this machine, and within a time and
// bytes whatever the server does. What must not happen: a mail in clear to another machine, a socket that stays, words of the server in a
// fault.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import type { LookupFunction } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { systemClock } from '../../../src/host/machine/clock.js';
import { isInstalled } from '../../../src/host/machine/optional-packages.js';
import type { Clock } from '../../../src/host/ports/machine.js';
import { sendMail } from '../../../src/ship/carriers/mail.js';
import { mailOf } from '../../../src/ship/notices/forms.js';
import { noticeOf } from '../../../src/ship/notices/notice.js';
import { temporaryDirectory } from '../../journal/files/reading.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { hostileTexts } from '../../kit/gate/page-daemon.js';
import { openSmtpServer, type SmtpOptions } from '../../kit/gate/smtp-server.js';
import { type AccessFacts, accessLine, usualRequest } from '../../kit/plain/access-record.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';
import { until } from '../../kit/plain/until.js';
import { fasterClock, faultOf, flood } from './attempts.js';

const usual = { to: ['leads@example.com', 'second@example.com'], from: 'dovegate@gate1.example.com' };
/** Every name is this machine. */
const lookup: LookupFunction = (_name, options, callback) => {
  if (options.all === true) callback(null, [{ address: '127.0.0.1', family: 4 }]);
  else callback(null, '127.0.0.1', 4);
};

interface Sending {
  readonly facts?: AccessFacts;
  readonly clock?: Clock;
  readonly onSlow?: () => void;
}
function send(
  mailbox: Partial<Parameters<typeof sendMail>[0]> & { readonly port: number },
  { facts = usualRequest, clock = systemClock, onSlow }: Sending = {},
  signal = new AbortController().signal,
): Promise<void> {
  const from = { journal: 'ab'.repeat(16), host: 'gate1' };
  const mail = mailOf(noticeOf(accessLine(7, 1_764_144_000_000, facts), from) ?? assert.fail());
  return sendMail({ ...usual, host: '127.0.0.1', ...mailbox }, mail, { clock, lookup }, signal, onSlow);
}

function headersOf(text: string): Map<string, string> {
  const head = text.slice(0, text.indexOf('\n\n')).replaceAll(/\n[ \t]+/g, ' ');
  const lines = head.split('\n').map((line) => {
    const [name = '', ...value] = line.split(': ');
    return [name.toLowerCase(), value.join(': ')] as const;
  });
  assert.equal(new Map(lines).size, lines.length, head);
  return new Map(lines);
}

const names =
  'auto-submitted content-transfer-encoding content-type date from message-id mime-version subject to';

void test('a mail in plain text, with the same Message-ID at each delivery', async (t) => {
  assert.ok(isInstalled('nodemailer'));
  const server = await openSmtpServer(t);
  await send({ port: server.port });
  await send({ port: server.port });
  const [first, again] = server.mails;
  assert.ok(first !== undefined && again !== undefined);
  assert.match(first.from, /^MAIL FROM:<dovegate@gate1\.example\.com>/);
  assert.deepEqual(first.to, ['RCPT TO:<leads@example.com>', 'RCPT TO:<second@example.com>']);
  const headers = headersOf(first.text);
  assert.equal([...headers.keys()].toSorted().join(' '), names);
  assert.equal(headers.get('message-id'), `<${'ab'.repeat(16)}.7@gate1.example.com>`);
  assert.equal(headersOf(again.text).get('message-id'), headers.get('message-id'));
  assert.equal(headers.get('subject'), 'dovegate gate1: temporary access requested (anna@support)');
  assert.match(headers.get('content-type') ?? '', /^text\/plain; charset=utf-8$/);
  assert.match(first.text, /^reason: ticket 4711$/m);
});

void test('no text of a record adds a header, an address or a part', async (t) => {
  const server = await openSmtpServer(t);
  const evil = [
    ...hostileTexts,
    'x\r\nBcc: victim@example.net\r\n\r\n<h1>x</h1>\r\n.\r\nMAIL FROM:<a@b>',
    '.\r\n.',
  ];
  for (const text of evil) {
    const texts = { reason: text, principal: text, command: text, users: [text], listener: text };
    await send({ port: server.port }, { facts: { ...usualRequest, ...texts } });
  }
  assert.equal(server.mails.length, evil.length);
  for (const { to, text } of server.mails) {
    assert.equal(to.length, 2);
    assert.equal([...headersOf(text).keys()].toSorted().join(' '), names);
  }
});

void test('beyond this machine only over TLS, with authority and name', async (t) => {
  const [authority, stranger] = [makeAuthority({ name: 'ours' }), makeAuthority({ name: 'evil' })];
  const caFile = join(temporaryDirectory(t), 'ca.pem');
  writeFileSync(caFile, authority.certificatePem);
  const host = 'mail.example.com';
  const at = async (options: SmtpOptions): Promise<number> => (await openSmtpServer(t, options)).port;
  const good = await openSmtpServer(t, { tls: authority.issue({ names: [host] }) });
  await send({ host, port: good.port, caFile });
  assert.equal(good.mails[0]?.isSecure, true);
  const [plain, other, foreign] = [
    await openSmtpServer(t),
    await openSmtpServer(t, { tls: authority.issue({ names: ['evil.example'] }) }),
    await openSmtpServer(t, { tls: stranger.issue({ names: [host] }) }),
  ];
  assert.equal(await faultOf(send({ host, port: plain.port, caFile })), 'no-starttls');
  for (const { port } of [other, foreign]) {
    assert.equal(await faultOf(send({ host, port, caFile })), 'tls-failed');
  }
  for (const { mails } of [plain, other, foreign]) assert.equal(mails.length, 0);
  assert.equal(await faultOf(send({ host, port: await at({}), caFile: `${caFile}.none` })), 'ca-file');
});

void test('a server that refuses, is silent, floods or goes away', async (t) => {
  const clock = fasterClock(1000);
  const busyClock = fasterClock(0.01);
  const refusing = (command: string) =>
    openSmtpServer(t, { say: (said) => (said === command ? '550 evil words' : undefined) });
  for (const command of ['greeting', 'MAIL', 'RCPT', 'DATA', '.']) {
    const { port } = await refusing(command);
    assert.equal(await faultOf(send({ port })), 'mail-refused 550', command);
  }
  // bounds.noticeMailStepMs
  const startMs = performance.now();
  const silent = await openSmtpServer(t, { talk: () => undefined });
  assert.equal(await faultOf(send({ port: silent.port }, { clock })), 'timeout');
  const drips = await openSmtpServer(t, {
    talk(socket) {
      const drip = setInterval(() => (socket.destroyed ? clearInterval(drip) : socket.write('2')), 10);
    },
  });
  assert.equal(await faultOf(send({ port: drips.port }, { clock })), 'timeout');
  assert.ok(performance.now() - startMs < bounds.noticeMailStepMs);
  const written = { bytes: 0 };
  for (const piece of ['e'.repeat(1000), `220-${'e'.repeat(500)}\r\n`, '250 evil\r\n']) {
    written.bytes = 0;
    const floods = await openSmtpServer(t, { talk: (socket) => flood(socket, piece, written) });
    await faultOf(send({ port: floods.port }, { clock }));
    assert.ok(written.bytes < 32 << 20, `${written.bytes} bytes of ${16 * 1024}`);
  }
  // Answers without a word, each as short as can be.
  const endless = await openSmtpServer(t, { talk: (socket) => flood(socket, '\r\n'.repeat(1000), written) });
  written.bytes = 0;
  assert.equal(await faultOf(send({ port: endless.port }, { clock: busyClock })), 'mail-refused');
  assert.ok(written.bytes < 16 << 20, `${written.bytes} bytes of ${128 * 1024}`);
  // The library works off what it holds, an immediate for each line, also after the attempt.
  let held = 0;
  for (let left = 1; left > 0; held += left) {
    await new Promise(setImmediate);
    left = process.getActiveResourcesInfo().filter((kind) => kind === 'Immediate').length;
    assert.ok(held < 128 * 1024, 'more than its bound was read');
  }
  const gone = await openSmtpServer(t, { talk: (socket) => socket.end('220 hello\r\n') });
  assert.equal(await faultOf(send({ port: gone.port })), 'unreachable');
  assert.equal(await faultOf(send({ port: 1 })), 'connection-refused');
  const ended = new AbortController();
  const reason = new Error('the page is stopping');
  const attempt = send({ port: silent.port }, {}, ended.signal);
  setTimeout(() => ended.abort(reason), 50);
  await assert.rejects(attempt, reason);
});

/** A server that waits at these commands, over TLS, for a clock that the test turns. */
async function openThinker(t: TestContext, commands: readonly string[]) {
  const authority = makeAuthority({ name: 'ours' });
  const caFile = join(temporaryDirectory(t), 'ca.pem');
  writeFileSync(caFile, authority.certificatePem);
  const clock = createFakeClock();
  const held: (() => void)[] = [];
  const server = await openSmtpServer(t, {
    tls: authority.issue({ names: ['mail.example.com'] }),
    think: (command) =>
      commands.includes(command) ? new Promise((resolve) => held.push(resolve)) : undefined,
  });
  let slow = 0;
  let ended: string | undefined;
  const attempt = send(
    { host: 'mail.example.com', port: server.port, caFile },
    { clock, onSlow: () => (slow += 1) },
  );
  void attempt.then(
    () => (ended = 'taken'),
    (fault: unknown) => (ended = String(fault)),
  );
  return {
    clock,
    server,
    held,
    isHeld: () => until(() => held.length > 0, 'the command'),
    answer: () => held.shift()?.(),
    ends: async () => {
      await until(() => ended !== undefined, 'the end');
      return ended;
    },
    get now() {
      return { slow, ended };
    },
  };
}

void test('each step may take minutes, and the answer to the mail ten', async (t) => {
  const minuteMs = 60_000;
  const steps = ['greeting', 'EHLO', 'MAIL', 'RCPT', 'DATA'];
  const patient = await openThinker(t, steps);
  // The greeting, a greeting over TLS, and one more recipient.
  for (let at = 0; at < steps.length + 2; at += 1) {
    await patient.isHeld();
    await patient.clock.advance(bounds.noticeMailStepMs - minuteMs);
    patient.answer();
  }
  assert.equal(await patient.ends(), 'taken');
  assert.deepEqual([patient.server.mails.length, patient.now.slow, patient.clock.timers], [1, 0, 0]);
  for (const step of steps) {
    const stuck = await openThinker(t, [step]);
    await stuck.isHeld();
    await stuck.clock.advance(bounds.noticeMailStepMs);
    assert.equal(await stuck.ends(), 'NoticeFault: timeout', step);
  }
  for (const ms of [20_000, 5 * minuteMs]) {
    const late = await openThinker(t, ['.']);
    await late.isHeld();
    await late.clock.advance(ms);
    assert.deepEqual(late.now, { slow: 1, ended: undefined });
    late.answer();
    assert.equal(await late.ends(), 'taken');
    assert.equal(late.clock.timers, 0);
  }
});
