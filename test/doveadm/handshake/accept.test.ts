import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type AcceptStep,
  HandshakeAccept,
  type HandshakeAcceptOptions,
} from '../../../src/doveadm/handshake/accept.js';
import {
  formatPlain,
  formatVersion,
  readPlain,
  readVersion,
} from '../../../src/doveadm/handshake/greeting.js';

const options: HandshakeAcceptOptions = {
  minor: 3,
  preauthenticated: false,
  tls: 'none',
  plainAllowed: true,
  lineBytesMax: 200,
};
const preauthenticated = { ...options, preauthenticated: true };
const secured: HandshakeAcceptOptions = { ...options, tls: 'starttls', plainAllowed: false };

const bytes = (text: string): Buffer => Buffer.from(text);
const send = (text: string): AcceptStep => ({ do: 'send', bytes: bytes(text) });
const version = (minor: number): string => `VERSION\tdoveadm-server\t1\t${minor}\n`;
const plainLine = 'PLAIN\tAGRvdmVhZG0Ac2VjcmV0\n';
const verify: AcceptStep = { do: 'verify', user: 'doveadm', password: bytes('secret') };
const ready = (minor: number, clientMinor: number, rest = ''): AcceptStep => ({
  do: 'ready',
  minor,
  clientMinor,
  rest: bytes(rest),
});
const closed = (why: (AcceptStep & { do: 'close' })['why']): AcceptStep[] => [{ do: 'close', why }];
const failed = [send('-\n'), ...closed('auth-failed')];

void test('preauthenticated: VERSION and + in one send, and the rest is commands', () => {
  const accept = new HandshakeAccept(preauthenticated);
  assert.deepEqual(accept.push(bytes(`${version(2)}\tu\tquota get\n`)), [
    send('VERSION\tdoveadm-client\t1\t3\n+\n'),
    ready(2, 2, '\tu\tquota get\n'),
  ]);
  assert.deepEqual([accept.push(bytes('more')), accept.pendingBytes], [[], 0]);
  assert.deepEqual(accept.end(), []);
});

void test('PLAIN, with what follows it in the same chunk', () => {
  const accept = new HandshakeAccept(options);
  assert.deepEqual(accept.push(bytes(version(4))), [send('VERSION\tdoveadm-client\t1\t3\n-\n')]);
  assert.deepEqual(accept.push(bytes(`${plainLine}\tu\tc\n`)), [verify]);
  assert.deepEqual(accept.push(bytes('\tu\td\n')), []);
  assert.deepEqual(accept.verified(true), [send('+\n'), ready(3, 4, '\tu\tc\n\tu\td\n')]);
});

void test('anything that is no PLAIN is a failed login', () => {
  const asOther = `PLAIN\t${bytes('other\0doveadm\0secret').toString('base64')}\n`;
  const others = ['LOGIN\tx\n', 'PLAIN\t!\n', '\tu\tquota get\n', '\n', 'STARTTLS\n'];
  for (const line of [...others, asOther, version(1)]) {
    const accept = new HandshakeAccept(options);
    accept.push(bytes(version(2)));
    assert.deepEqual(accept.push(bytes(line)), failed, line);
  }
});

void test('a bad VERSION line closes without a byte', () => {
  const versions = ['client\t1\t1', 'server\t2\t0', 'server\t0\t2'].map((it) => `VERSION\tdoveadm-${it}\n`);
  for (const line of ['EHLO x\n', '\n', ...versions])
    assert.deepEqual(new HandshakeAccept(preauthenticated).push(bytes(line)), closed('bad-version'), line);
});

void test('a PROXY header is called by its name, in both of its versions', () => {
  for (const line of ['PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n', '\r\n\r\n\0\r\nQUIT\n!'])
    assert.deepEqual(new HandshakeAccept(options).push(bytes(line)), closed('proxy-header'));
});

void test('STARTTLS inside TLS, and a second VERSION, are failed logins', () => {
  for (const line of ['STARTTLS\n', version(2)]) {
    const accept = new HandshakeAccept(secured);
    accept.push(bytes(`${version(2)}STARTTLS\n`));
    accept.tlsStarted();
    assert.deepEqual(accept.push(bytes(line)), failed);
  }
});

void test('where TLS is demanded, PLAIN in clear is not even judged', () => {
  for (const tls of ['starttls', 'none'] as const) {
    const accept = new HandshakeAccept({ ...secured, tls });
    assert.deepEqual(accept.push(bytes(version(2) + plainLine)).slice(1), [
      { do: 'in-clear', user: 'doveadm' },
      ...failed,
    ]);
  }
  const implicit = new HandshakeAccept({ ...secured, tls: 'done' });
  assert.deepEqual(implicit.push(bytes(version(2) + plainLine)).slice(1), [verify]);
});

void test('bytes that come past TLS close', () => {
  const accept = new HandshakeAccept(secured);
  accept.push(bytes(`${version(2)}STARTTLS\n`));
  assert.deepEqual(accept.push(bytes(plainLine)), closed('unexpected-input'));
});

void test('a line, and what is sent while a judgement is out, have a limit', () => {
  const long = new HandshakeAccept(options);
  assert.deepEqual(long.push(Buffer.alloc(201, 0x56)), closed('line-too-long'));
  assert.equal(long.pendingBytes, 0);
  const ahead = new HandshakeAccept(options);
  ahead.push(bytes(version(2) + plainLine));
  assert.deepEqual(ahead.push(Buffer.alloc(200)), []);
  assert.deepEqual(ahead.push(Buffer.alloc(1)), closed('line-too-long'));
  assert.deepEqual(ahead.verified(true), []);
});

void test('trap 29: the end closes, but not while a judgement is out', () => {
  assert.deepEqual(new HandshakeAccept(options).end(), closed('ended'));
  const halfLine = new HandshakeAccept(options);
  halfLine.push(bytes('VERS'));
  assert.deepEqual(halfLine.end(), closed('ended'));
  const encrypting = new HandshakeAccept(secured);
  encrypting.push(bytes(`${version(2)}STARTTLS\n`));
  assert.deepEqual(encrypting.end(), closed('ended'));
  assert.deepEqual(encrypting.end(), []);
  const waiting = new HandshakeAccept(options);
  waiting.push(bytes(`${version(2)}${plainLine}\tu\tc\n`));
  assert.equal(waiting.pendingBytes, 5);
  assert.deepEqual(waiting.end(), []);
  assert.deepEqual(waiting.verified(true), [send('+\n'), ready(2, 2, '\tu\tc\n')]);
});

void test('trap 16: STARTTLS has no answer, and the ClientHello in its segment is kept whole', () => {
  const hello = Buffer.from('1603010005010000010a0a', 'hex');
  const accept = new HandshakeAccept(secured);
  accept.push(bytes(version(2)));
  const steps = accept.push(Buffer.concat([bytes('STARTTLS\n'), hello]));
  assert.deepEqual(steps, [{ do: 'start-tls', rest: hello }]);
  assert.deepEqual(accept.tlsStarted(), [], 'and nothing is repeated inside TLS');
});

const lineOfPlain = (decoded: string | Uint8Array): Buffer =>
  Buffer.from(`PLAIN\t${Buffer.from(decoded).toString('base64')}`);

void test('the line that the real client sends', () => {
  const plain = readPlain(Buffer.from('PLAIN\tAGRvdmVhZG0Ac2VjcmV0'));
  assert.deepEqual(plain, { authzid: '', user: 'doveadm', password: Buffer.from('secret') });
  assert.equal(formatPlain('doveadm', Buffer.from('secret'))?.toString(), 'PLAIN\tAGRvdmVhZG0Ac2VjcmV0\n');
});

void test('the password is all that follows, a NUL included', () => {
  assert.deepEqual(readPlain(lineOfPlain('\0doveadm\0secret\0junk'))?.password, Buffer.from('secret\0junk'));
  assert.equal(readPlain(lineOfPlain('\0doveadm\0'))?.password.length, 0);
});

void test('a NUL is not written: the server would end the name or the password there', () => {
  assert.equal(formatPlain('dove\0adm', Buffer.from('secret')), undefined);
  assert.equal(formatPlain('doveadm', Buffer.from('sec\0ret')), undefined);
});

void test('numbers of a version have 32 bits', () => {
  for (const [numbers, expected] of [
    ['1\t4294967295', { major: 1, minor: 4_294_967_295 }],
    ['4294967295\t0', { major: 4_294_967_295, minor: 0 }],
    ['0\t00', { major: 0, minor: 0 }],
    ['1\t4294967296', undefined],
    ['4294967296\t0', undefined],
    ['1\t', undefined],
    ['1\t2\t', undefined],
  ] as const) {
    const line = Buffer.from(`VERSION\tdoveadm-server\t${numbers}`);
    assert.deepEqual(readVersion(line, 'doveadm-server'), expected, numbers);
    assert.equal(readVersion(line, 'doveadm-client'), undefined);
  }
  const inside = Buffer.from('xVERSION\tdoveadm-server\t1\t2');
  assert.equal(readVersion(inside, 'doveadm-server'), undefined);
  for (const minor of [0, 4_294_967_295])
    assert.equal(formatVersion('doveadm-server', minor).toString(), `VERSION\tdoveadm-server\t1\t${minor}\n`);
  for (const minor of [4_294_967_296, -1, 1.5])
    assert.throws(() => formatVersion('doveadm-server', minor), { message: 'minor is out of range' });
});

void test('what lacks a NUL, or has names that are no UTF-8, is no PLAIN; a password may be any bytes', () => {
  for (const broken of ['u\0p', '\0u', '\xff\0u\0p', '\0\xff\0p'])
    assert.equal(readPlain(lineOfPlain(Buffer.from(broken, 'latin1'))), undefined, JSON.stringify(broken));
  // Node would read each of these.
  for (const base64 of 'AHUAcA|AHUAcA==x|AHUAcB==|AHUA cA==|AHUAcA==\r|AHUA_w==|!AHUAcA=='.split('|'))
    assert.equal(readPlain(Buffer.from(`PLAIN\t${base64}`)), undefined, base64);
  for (const line of ['PLAIN AHUAcA==', 'plain\tAHUAcA==', 'AHUAcA==', 'PLAIN\t', ''])
    assert.equal(readPlain(Buffer.from(line)), undefined, line);
  const anyBytes = Buffer.from('a\0u\0\xff', 'latin1');
  assert.deepEqual(readPlain(lineOfPlain(anyBytes)), { authzid: 'a', user: 'u', password: Buffer.of(0xff) });
});
