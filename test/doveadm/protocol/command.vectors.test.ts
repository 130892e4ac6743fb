// What real clients sent, and what they were answered: 310 sessions of `doveadm` and of Dovecot as the next hop. Every
// one is decoded whole, byte by byte, and cut in two everywhere; all answers are equal. What a real client wrote, our
// encoders write the same way.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeCommandLine, encodeOption } from '../../../src/doveadm/protocol/command.js';
import { DotDecoder, DotEncoder } from '../../../src/doveadm/protocol/text.js';
import {
  type Heard,
  hearServer,
  type Served,
  segmentChunkings,
  serveClient,
} from '../../kit/plain/replay.js';
import {
  connectionsOf,
  hasEnded,
  segmentsOf,
  tlsOf,
  type Vector,
  type VectorStep,
  vectorsOf,
} from '../../kit/plain/vectors.js';

/** Sessions that the recording server ended in the middle, by closing. */
const closedByServer = ['cli-eof-after-row', 'cli-eof-before-reply', 'cli-eof-inside-row'];
const insideReply = ['cli-eof-after-row', 'cli-eof-inside-row'];

const vectors = vectorsOf('client');
const families = [...new Set(vectors.map(({ family }) => family))];

void test('there are 310 sessions of real clients, four of them with several connections', () => {
  assert.equal(vectors.length, 310);
  assert.equal(vectors.filter(({ connections }) => connections !== undefined).length, 4);
});

for (const family of families) {
  const ofFamily = vectors.filter((other) => other.family === family);
  void test(`${family}: what the client sent`, () => {
    for (const vector of ofFamily) for (const steps of connectionsOf(vector)) checkClient(vector, steps);
  });
  void test(`${family}: what it was answered`, () => {
    for (const vector of ofFamily) for (const steps of connectionsOf(vector)) checkServer(vector, steps);
  });
}

function textOf(steps: readonly VectorStep[], dir: 'c2s' | 's2c'): string {
  return segmentsOf(steps, dir)
    .map(({ bytes }) => bytes.toString('latin1'))
    .join('');
}

function checkClient(vector: Vector, steps: readonly VectorStep[]): void {
  const answers = textOf(steps, 's2c');
  const options = {
    minor: vector.server_minor,
    preauthenticated: /^(VERSION[^\n]*\n)?\+\n/.test(answers),
    tls: tlsOf(steps),
    hasEnded: hasEnded(steps, 'c2s'),
    isPasswordRight: vector.family !== 'cli-plain-refused',
    takesInput: ([name]: readonly string[]) => name === 'save' || name === 'sieve put',
  };
  let first: string | undefined;
  for (const { name, chunks } of segmentChunkings(segmentsOf(steps, 'c2s'))) {
    const served = serveClient(chunks, options);
    if (first === undefined) assertServed(vector, steps, served, answers);
    first ??= JSON.stringify(served);
    if (JSON.stringify(served) !== first) assert.fail(`${vector.name} ${name}`);
  }
}

function assertServed(vector: Vector, steps: readonly VectorStep[], served: Served, answers: string): void {
  const { name, family, minor } = vector;
  // The recording server played one of minor 0 by leaving its VERSION line out.
  const sent = family === 'cli-to-minor-0' ? served.sent.replace(/^VERSION.*\n/, '') : served.sent;
  assert.ok(answers.startsWith(sent), `${name}: the handshake answers as the recording server did`);
  assert.equal(served.fault, undefined, name);
  if (family === 'cli-plain-refused') {
    assert.equal(served.handshake, 'auth-failed', name);
    return;
  }
  if (name === 'hop-starttls-2.4.1') {
    // The capture ends with the ClientHello, which came in the segment of STARTTLS.
    assert.equal(served.handshake, undefined);
    assert.equal(served.forTls.length, 1565);
    assert.ok(served.forTls.startsWith('\x16\x03\x01'));
    return;
  }
  const common = { minor: Math.min(minor ?? 0, vector.server_minor), clientMinor: minor };
  assert.deepEqual(served.handshake, common, name);

  // Everything behind the handshake, written anew, is what the client wrote.
  let written = '';
  for (const item of served.items) {
    switch (item.kind) {
      case 'option':
        assert.equal(item.name, 'log-passthrough', name);
        written += encodeOption(item.name).toString('latin1');
        break;
      case 'command': {
        const { command } = item;
        const [commandName = '', ...args] = command.words;
        assert.equal(command.fault, undefined, name);
        written += encodeCommandLine({ ...command, name: commandName, args }).toString('latin1');
        break;
      }
      case 'input': {
        assert.ok(item.isDone, name);
        // The client stuffs only what it must; we stuff every line, and both mean the same text.
        written += `${item.text.replace(/(^|\n)\./g, '$1..')}\r\n.\r\n`;
        const encoder = new DotEncoder(undefined);
        const ours = Buffer.concat([...encoder.push(Buffer.from(item.text, 'latin1')), ...encoder.end()]);
        const { parts } = new DotDecoder({ inputBytesMax: ours.length }).push(ours);
        assert.equal(Buffer.concat(parts).toString('latin1'), item.text, name);
        if (vector.stdin_hex !== undefined) {
          // The client gives every line a CR; nothing else is changed on the way.
          const typed = Buffer.from(vector.stdin_hex, 'hex').toString('latin1');
          assert.equal(item.text, typed.replace(/\r?\n/g, '\r\n'), name);
        }
        break;
      }
      default:
        item satisfies never;
    }
  }
  assert.ok(textOf(steps, 'c2s').endsWith(`\n${written}`), `${name}: written as the client wrote it`);
  assert.equal(
    served.items.some(({ kind }) => kind === 'option'),
    Math.min(minor ?? 0, vector.server_minor) >= 3,
    `${name}: OPTION from minor 3 on`,
  );
}

function checkServer(vector: Vector, steps: readonly VectorStep[]): void {
  const options = {
    minor: vector.minor ?? 0,
    tls: tlsOf(steps),
    hasEnded: closedByServer.includes(vector.family),
    isDuplex: false,
  };
  let first: string | undefined;
  for (const { name, chunks } of segmentChunkings(segmentsOf(steps, 's2c'))) {
    const heard = hearServer(chunks, options);
    if (first === undefined) assertHeard(vector, steps, heard);
    first ??= JSON.stringify(heard);
    if (JSON.stringify(heard) !== first) assert.fail(`${vector.name} ${name}`);
  }
}

function assertHeard(vector: Vector, steps: readonly VectorStep[], heard: Heard): void {
  const { name, family, minor } = vector;
  if (name === 'hop-starttls-2.4.1') {
    // Nothing was captured behind the ClientHello; our handshake goes on with PLAIN.
    assert.deepEqual(heard.sent, [
      'VERSION\tdoveadm-server\t1\t3\n',
      'STARTTLS\n',
      'start-tls',
      'PLAIN\tAGRvdmVhZG0Ac2VjcmV0\n',
    ]);
    assert.equal(heard.handshake, undefined);
    return;
  }
  const sent = heard.sent.filter((text) => text !== 'start-tls').join('');
  assert.ok(textOf(steps, 'c2s').startsWith(sent), `${name}: the handshake sends what the real client sent`);
  assert.equal(heard.otherBytes, 0, name);
  if (family === 'cli-plain-refused') {
    assert.equal(heard.handshake, 'auth-rejected', name);
    return;
  }
  const serverMinor = family === 'cli-to-minor-0' ? undefined : vector.server_minor;
  assert.deepEqual(heard.handshake, { minor: Math.min(minor ?? 0, serverMinor ?? 0), serverMinor }, name);
  assert.equal(heard.isStarted, insideReply.includes(family), name);
  assert.equal(heard.fault, heard.isStarted ? 'truncated' : undefined, name);
  if (vector.connections === undefined && vector.expect?.exit !== undefined) {
    assert.equal(
      exitOf(vector, heard),
      vector.expect.exit,
      `${name}: what we understood explains its exit code`,
    );
  }
}

/** Exit codes of the real client, by what ended its last command. */
const exitCodes: Record<string, readonly [exit23: number, exit24: number]> = {
  UNKNOWN: [75, 255],
  NOUSER: [67, 67],
  TEMPFAIL: [75, 75],
  USAGE: [64, 64],
  NOPERM: [77, 77],
  PROTOCOL: [76, 76],
  DATAERR: [65, 65],
  NOTFOUND: [68, 68],
  CHANGED: [75, 2],
  EXPIRED: [75, 235],
  NOREPLICATE: [233, 255],
};

function exitOf(vector: Vector, heard: Heard): number {
  const is24 = vector.dovecot.startsWith('2.4');
  // It aborts when a reply ends inside a cell, and of a referral on a UNIX socket.
  if (heard.midCell) return 134;
  const last = heard.replies.at(-1);
  if (heard.isStarted || last === undefined) return 75;
  if (last.code === 'REFERRAL') return is24 ? 134 : 75;
  if (last.body !== '' && !last.body.endsWith('\t')) return 75;
  if (last.code === '') return 0;
  const exits = exitCodes[last.code] ?? [75, 255];
  return exits[is24 ? 1 : 0];
}
