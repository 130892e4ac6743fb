import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type DialStep,
  HandshakeDial,
  type HandshakeDialOptions,
  type HandshakeOptions,
  shakeHands,
} from '../../../src/doveadm/handshake/dial.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { createMemoryTransport } from '../../kit/plain/memory-transport.js';

const options: HandshakeDialOptions = {
  minor: 2,
  tls: 'none',
  credentials: { user: 'doveadm', password: Buffer.from('secret') },
  mayAuthenticateInClear: true,
  lineBytesMax: 200,
};
const secured: HandshakeDialOptions = { ...options, tls: 'starttls', mayAuthenticateInClear: false };

const bytes = (text: string): Buffer => Buffer.from(text);
const send = (text: string): DialStep => ({ do: 'send', bytes: bytes(text) });
const version = (minor: number): string => `VERSION\tdoveadm-client\t1\t${minor}\n`;
const plain = send('PLAIN\tAGRvdmVhZG0Ac2VjcmV0\n');
const startTls: DialStep[] = [send('STARTTLS\n'), { do: 'start-tls' }];
const ready = (minor: number, serverMinor: number | undefined, rest = ''): DialStep[] => [
  { do: 'ready', minor, serverMinor, rest: bytes(rest) },
];

/** Trap 1: the client speaks first, and says doveadm-server. */
function started(changes: Partial<HandshakeDialOptions> = {}): HandshakeDial {
  const merged = { ...options, ...changes };
  const dial = new HandshakeDial(merged);
  assert.deepEqual(dial.start(), [send(`VERSION\tdoveadm-server\t1\t${merged.minor}\n`)]);
  return dial;
}

/** Failures share the codes of faults; the message tells them apart. */
const failures: readonly (readonly [name: string, code: string, message: RegExp])[] = [
  ['not-doveadm', 'version-unsupported', /no doveadm server|a line that is too long|spoke first/],
  ['version-unsupported', 'version-unsupported', /another version/],
  ['plaintext-injected', 'tls-failed', /clear text came/],
  ['tls-missing', 'tls-failed', /without asking for TLS|too old for STARTTLS/],
  ['auth-required', 'auth-rejected', /asks for a password/],
  ['auth-rejected', 'auth-rejected', /refused the user|holds a NUL/],
  ['closed-early', 'closed-early', /closed before/],
];

function failure(steps: readonly DialStep[]): string | undefined {
  const last = steps.at(-1);
  if (last?.do !== 'fail') return undefined;
  const { code, message } = last;
  const found = failures.find(([, itsCode, text]) => itsCode === code && text.test(message));
  return found?.[0] ?? `${code}: ${message}`;
}

void test('a preauthenticated server', () => {
  assert.deepEqual(started().push(bytes(`${version(4)}+\n`)), ready(2, 4));
  assert.deepEqual(started().push(bytes(`${version(1)}+\n\0\0`)), ready(1, 1, '\0\0'));
});

void test('VERSION behind the go-ahead, as very old servers send it', () => {
  assert.deepEqual(started().push(bytes(`+\n${version(1)}`)), ready(1, 1));
  const halves = started();
  assert.deepEqual(halves.push(bytes('+\nVERS')), []);
  assert.equal(halves.pendingBytes, 4);
  assert.deepEqual(halves.push(bytes(version(1).slice(4))), ready(1, 1));
  const plainText = started();
  assert.deepEqual(plainText.push(bytes(`-\n${version(1)}`)), [plain]);
  assert.deepEqual(plainText.push(bytes('+\n')), ready(1, 1));
  assert.equal(failure(started().push(bytes('-\nVERSION\tdoveadm-client\t2\t2\n'))), 'version-unsupported');
  assert.deepEqual(started().push(bytes('+\nVERx')), ready(0, undefined, 'VERx'));
});

void test('no VERSION at all: nothing is multiplexed', () => {
  assert.deepEqual(started().push(bytes('+\n')), ready(0, undefined));
  assert.deepEqual(started().push(bytes('+\nx')), ready(0, undefined, 'x'));
});

void test('PLAIN in clear, where that may be', () => {
  const dial = started();
  assert.deepEqual(dial.push(bytes(`${version(2)}-\n`)), [plain]);
  assert.deepEqual(dial.push(bytes('+\n')), ready(2, 2));
  assert.equal(failure(started({ mayAuthenticateInClear: false }).push(bytes('-\n'))), 'auth-required');
  const rejected = [{ do: 'fail', code: 'auth-rejected', message: 'the server asks for a password' }];
  assert.deepEqual(started({ credentials: undefined }).push(bytes('-\n')), rejected);
});

void test('anything but + to PLAIN is a refusal', () => {
  for (const answer of ['-\n', '+OK\n', '\n', version(2), '-NOPERM\n']) {
    const dial = started();
    dial.push(bytes(`${version(2)}-\n`));
    assert.equal(failure(dial.push(bytes(answer))), 'auth-rejected', answer);
  }
});

void test('a password that no server can take is not sent', () => {
  const dial = started({ credentials: { user: 'doveadm', password: Buffer.from('sec\0ret') } });
  const steps = dial.push(bytes(`${version(2)}-\n`));
  assert.deepEqual([steps.length, failure(steps)], [1, 'auth-rejected']);
});

void test('STARTTLS with a server that announces nothing to minor 0', () => {
  assert.deepEqual(started({ ...secured, minor: 0 }).push(bytes('-\n')), startTls);
});

void test('trap 17: TLS was demanded, and is not there: nothing more is sent', () => {
  const v4 = version(4);
  for (const greeting of [`${version(2)}+\n`, `${version(1)}-\n`, '-\n', '+\n', `${v4}+\n`, `+\n${v4}`]) {
    const steps = started(secured).push(bytes(greeting));
    assert.deepEqual([steps.length, failure(steps)], [1, 'tls-missing'], greeting);
  }
});

void test('clear text behind the go-ahead for STARTTLS', () => {
  assert.equal(failure(started(secured).push(bytes(`${version(2)}-\n+\n`))), 'plaintext-injected');
  const later = started(secured);
  later.push(bytes(`${version(2)}-\n`));
  assert.equal(failure(later.push(bytes('+'))), 'plaintext-injected');
});

void test('TLS from the first byte', () => {
  const implicit = { ...secured, tls: 'done' } as const;
  assert.deepEqual(started(implicit).push(bytes(`${version(4)}-\n`)), [plain]);
  assert.deepEqual(started(implicit).push(bytes(`${version(4)}+\n`)), ready(2, 4));
});

void test('versions that are not ours', () => {
  // A newer minor is: the lower one of both counts.
  assert.deepEqual(started().push(bytes(`${version(5)}+\n`)), ready(2, 5));
  assert.equal(failure(started().push(bytes('VERSION\tdoveadm-client\t2\t0\n'))), 'version-unsupported');
});

void test('whatever else greets is no doveadm server', () => {
  const lines = ['* OK IMAP ready\n', '-NOPERM\n', '\n', 'VERSION\tdoveadm-server\t1\t2\n'];
  const twice = version(2) + version(2);
  for (const greeting of [...lines, twice, `+\n${version(2).slice(0, 9)}x\n`, 'x'.repeat(201)])
    assert.equal(failure(started().push(bytes(greeting))), 'not-doveadm', greeting);
});

void test('another service of Dovecot is named', () => {
  for (const [greeting, named] of [
    ['* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] Dovecot ready.\r\n', 'IMAP'],
    ['+OK Dovecot ready.\r\n', 'POP3'],
    ['220 mail Dovecot ready.\r\n', 'LMTP or SMTP'],
    ['"IMPLEMENTATION" "Dovecot Pigeonhole"\r\n', 'ManageSieve'],
    ['VERSION\t1\t2\nSPID\t17\n', "Dovecot's auth service"],
  ] as const) {
    const [step] = started().push(bytes(greeting)).slice(-1);
    assert.ok(step?.do === 'fail');
    assert.equal(step.message, `it is no doveadm server: it greets as ${named} does`);
  }
});

void test('the server ends', () => {
  const silent = started();
  assert.equal(failure(silent.end()), 'closed-early');
  assert.deepEqual(silent.end(), []);
  const half = started();
  half.push(bytes(`${version(2)}-`));
  assert.equal(failure(half.end()), 'closed-early');
  const answering = started();
  answering.push(bytes(`${version(2)}-\n`));
  assert.equal(failure(answering.end()), 'closed-early');
});

void test('a failure holds no byte of the server', () => {
  for (const greeting of ['sesame\n', `${version(2)}-\nsesame\n`, 'VERSION\tdoveadm-client\t77777\t1\n']) {
    const [step] = started().push(bytes(greeting)).slice(-1);
    assert.ok(step?.do === 'fail');
    assert.doesNotMatch(step.message, /sesame|77777|secret/);
  }
});

// Goal: the handshake comes to what the server says, and whoever started it knows what it waited for. All of its answers are tested in
// test/doveadm/protocol; what daemon and library make of them, beside those.

/** What came of it when the server says that, and the phases on the way. */
async function shaken(said: (string | null)[], password?: string, tls: HandshakeOptions['tls'] = 'off') {
  const { transport, peer } = createMemoryTransport();
  const phases: string[] = [];
  const demand = { serverName: 'x', ca: undefined, keyPins: [], protocols: [] };
  const credentials = password === undefined ? undefined : { user: 'doveadm', password: bytes(password) };
  const how = { minor: 2, tls, demand, credentials, mayAuthenticateInClear: tls === 'off' };
  const done = shakeHands(transport, how, (phase) => phases.push(phase));
  done.catch(() => undefined);
  for (const text of said) {
    if (text === null) peer.end();
    else peer.send(text);
    // What comes before TLS and after it is read apart.
    await settle();
  }
  return { handshake: await done, phases, sent: peer.received().toString(), demands: peer.tlsDemands.length };
}

void test('preauthenticated: ready, with what came behind the greeting', async () => {
  const { handshake, phases, sent } = await shaken(['VERSION\tdoveadm-client\t1\t3\n+\nmore']);
  assert.deepEqual([handshake.minor, handshake.serverMinor], [2, 3]);
  assert.equal(handshake.rest.toString(), 'more');
  assert.deepEqual(phases, []);
  assert.match(sent, /^VERSION\tdoveadm-server\t1\t2\n/);
});

void test('a password is sent when it is asked for, and may be refused', async () => {
  const good = await shaken([`${version(2)}-\n`, '+\n'], 'secret');
  assert.deepEqual([good.handshake.minor, good.handshake.serverMinor], [2, 2]);
  assert.deepEqual(good.phases, ['authentication']);
  assert.match(good.sent, /\nPLAIN\t/);
  const refused = { name: 'UpstreamFault', code: 'auth-rejected', phase: 'authentication' };
  await assert.rejects(shaken([`${version(2)}-\n`, '-\n'], 'secret'), refused);
});

void test('the phases with TLS', async () => {
  const greeting = `${version(2)}-\n`;
  for (const [tls, expected, asked] of [
    ['starttls', 'tls authentication', 'STARTTLS\n'],
    ['implicit', 'tls greeting authentication', ''],
  ] as const) {
    const { phases, sent, demands, handshake } = await shaken([greeting, '+\n'], 'secret', tls);
    assert.deepEqual([phases.join(' '), demands, handshake.minor], [expected, 1, 2]);
    assert.ok(sent.startsWith(`VERSION\tdoveadm-server\t1\t2\n${asked}PLAIN\t`), sent);
    const cut = shaken([greeting, null], 'secret', tls);
    await assert.rejects(cut, { code: 'closed-early', phase: 'authentication' });
  }
  await assert.rejects(shaken([null], 'secret', 'implicit'), { code: 'tls-failed', phase: 'tls' });
});

void test('an end, and what is no doveadm server', async () => {
  await assert.rejects(shaken([null]), { code: 'closed-early', phase: 'greeting' });
  const ended = shaken([`${version(2)}-\n`, null], 'secret');
  await assert.rejects(ended, { code: 'closed-early', phase: 'authentication' });
  const other = { code: 'version-unsupported', message: /no doveadm server/ };
  await assert.rejects(shaken(['VERSION\tsomething-else\t1\t0\n']), other);
});

// bounds.greetingLineBytes
void test('a line of the greeting without an end is given up', async () => {
  const endless = `VERSION\t${'x'.repeat(bounds.greetingLineBytes)}`;
  await assert.rejects(shaken([endless]), { name: 'UpstreamFault' });
});
