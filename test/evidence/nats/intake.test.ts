import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createIntake, IntakeFault, intakeLimits } from '../../../src/evidence/nats/intake.js';
import { chunkings } from '../../kit/plain/chunkings.js';

const info = 'INFO {"version":"2.9.10","max_payload":1048576,"nonce":"a"}\r\n';
const headers = 'NATS/1.0 503 No Responders\r\nNats-Subject: a\r\n\r\n';
const real = [
  info,
  '+OK\r\n',
  'PING\r\n',
  `HMSG _INBOX.a 2  ${headers.length} ${headers.length + 3}\r\n${headers}a\r\n\r\n`,
  'MSG _INBOX.a.1 1 $JS.ACK.a 2\r\n{}\r\n',
  "-ERR 'Permissions Violation'\r\n",
  'PONG\r\n',
].join('');

function pushAll(pieces: readonly (string | Buffer)[], now = (): number => 0): string {
  const intake = createIntake(now);
  return Buffer.concat(pieces.flatMap((piece) => intake.push(Buffer.from(piece)))).toString('latin1');
}

test('what a real server sends passes unchanged, however it is cut', () => {
  for (const { name, chunks } of chunkings(Buffer.from(real))) assert.equal(pushAll(chunks), real, name);
});

test('half of a line is kept, and what lies in one piece is given in one', () => {
  const intake = createIntake(() => 0);
  assert.deepEqual(intake.push(Buffer.from('PI')), []);
  assert.deepEqual(intake.push(Buffer.from('NG\r\n')), [Buffer.from('PING\r\n')]);
  const message = Buffer.from('MSG a 1 2\r\n{}\r\nPING\r\n');
  assert.deepEqual(intake.push(message), [message]);
});

test('a piece costs more than a byte of it: each was a record of TLS to decrypt', () => {
  const most = intakeLimits.burstBytes / intakeLimits.pieceCost;
  const send = (pieces: number): string =>
    pushAll(['MSG a 1 9000\r\n', ...Array.from({ length: pieces }, () => 'x')]);
  assert.doesNotThrow(() => send(most - 3));
  assert.throws(() => send(most), IntakeFault);
});

// bounds.natsLineBytes, bounds.natsPayloadBytes, bounds.natsHeaderBytes
test('what the library would fail on, print or hold ends the connection', () => {
  for (const [name, text] of Object.entries({
    'another verb': 'HTTP/1.1 400\r\n',
    'a line without CR': 'PING\n',
    'a line that is too long': 'M'.repeat(intakeLimits.lineBytes + 1),
    'an INFO that is no object': 'INFO 1\r\n',
    'an INFO with another version': 'INFO {"version":{"match":1}}\r\n',
    'an INFO with another nonce': 'INFO {"version":"2.9.10","nonce":[1]}\r\n',
    'a message of 4 GB': 'MSG a 1 4294967295\r\n',
    'a message above max_payload': `${info}MSG a 1 1048577\r\n`,
    'a message above every max_payload': `${info.replace('1048576', '4294967296')}MSG a 1 ${intakeLimits.payloadBytes + 1}\r\n`,
    'headers longer than their message': 'HMSG a 1 10 5\r\n',
    'headers that are too long': `HMSG a 1 ${intakeLimits.headerBytes + 1} ${intakeLimits.headerBytes + 1}\r\n`,
    'a sid that is none': 'MSG a b 1\r\n',
    'a message that is longer than it said': 'MSG a 1 2\r\n{}x\r\n',
    'a message that ends otherwise': 'MSG a 1 2\r\n{}\n\n',
  }))
    assert.throws(() => pushAll([text]), IntakeFault, name);
});

test('names and values of headers that the library refuses are made harmless, and keep their length', () => {
  const hostile = 'NATS/1.0\r\nbad name: 1\r\n\u001b[2J: 2\r\nDovegate Seq: 3\r\nGood: a\rb\nc d\r\n\r\n';
  const clean = 'NATS/1.0\r\nbad_name: 1\r\n_[2J: 2\r\nDovegate_Seq: 3\r\nGood: a b c d\r\n\r\n';
  const around = (block: string): string => `HMSG a 1 ${block.length} ${block.length}\r\n${block}\r\n`;
  assert.equal(pushAll([around(hostile)]), around(clean));
});

// bounds.natsBurstBytes, bounds.natsRate, bounds.natsAskedBytes
test('what comes without a question is bounded at once and by the second; what was asked for is not', () => {
  let nowMs = 0;
  const message = Buffer.from(`MSG a 1 65536\r\n${'x'.repeat(65_536)}\r\n`);
  const intake = createIntake(() => nowMs);
  const cost = message.length + intakeLimits.lineCost;
  const atOnce = Math.floor(intakeLimits.burstBytes / cost);
  for (let count = 0; count < atOnce; count += 1) intake.push(message);
  nowMs += 1000;
  for (let count = 0; count < Math.floor(intakeLimits.bytesPerSecond / cost); count += 1)
    intake.push(message);
  intake.ask(100 * cost);
  for (let count = 0; count < 100; count += 1) intake.push(message);
  assert.throws(() => {
    for (let count = 0; count < 3; count += 1) intake.push(message);
  }, IntakeFault);

  // Questions do not add up without end, and short lines cost more than their bytes.
  const asking = createIntake(() => 0);
  for (let count = 0; count < 1000; count += 1) asking.ask(1 << 20);
  const most = Math.ceil((intakeLimits.askedBytes + intakeLimits.burstBytes) / intakeLimits.lineCost);
  let pings = 0;
  assert.throws(() => {
    for (; pings <= most; pings += 1) asking.push(Buffer.from('PING\r\n'));
  }, IntakeFault);
  assert.ok(pings > most / 3);
});
