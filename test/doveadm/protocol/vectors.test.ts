// What real servers sent, and what they were sent: 537 sessions of 2.3.13 to 2.4.5. Every session is decoded whole, byte
// by byte, and cut in two everywhere; all answers are equal. Where a session is broken on purpose, what the real server
// made of it is what we make of it.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { encodeCommandLine, encodeOption } from '../../../src/doveadm/protocol/command.js';
import { unescapeLenient } from '../../../src/doveadm/protocol/lines.js';
import { DotDecoder, DotEncoder } from '../../../src/doveadm/protocol/text.js';
import {
  type Chunks,
  type Heard,
  hearServer,
  type Served,
  segmentChunkings,
  serveClient,
} from '../../kit/plain/replay.js';
import {
  connectionsOf,
  hasEnded,
  type Segment,
  segmentsOf,
  tlsOf,
  type Vector,
  type VectorCell,
  type VectorStep,
  type VectorTls,
  vectorsOf,
} from '../../kit/plain/vectors.js';

const badVersion = ['handshake-garbage', 'handshake-major2', 'handshake-wrong-name'];
const badLogin = [
  ...'auth-authzid auth-bad-base64 auth-bad-password auth-bad-user auth-early-command'.split(' '),
  ...'auth-login auth-second-try starttls-second-version'.split(' '),
];
const greetingOnly = ['handshake-auth-m0', 'handshake-auth-m1', 'handshake-auth-unix-m1'];
const badLine = ['auth-plain-on-preauth', 'empty-line', 'short-line', 'unknown-flag'];
/** `save` with a file or with arguments that do not parse reads no input. */
const noInput = ['save-smuggling', 'tempfail-save-file'];

const vectors = vectorsOf('server');
const familiesOf = (all: readonly Vector[]) => [...new Set(all.map(({ family }) => family))];

void test('there are 537 sessions of real servers', () => {
  assert.equal(vectors.length, 537);
});

for (const family of familiesOf(vectors)) {
  const ofFamily = vectors.filter((other) => other.family === family);
  void test(`${family}: what the server sent`, () => {
    for (const vector of ofFamily) checkServer(vector);
  });
  void test(`${family}: what it was sent`, () => {
    for (const vector of ofFamily) checkClient(vector);
  });
}

/** What is read of the segments, which is the same at every cutting. */
function readCut<Answer>(
  name: string,
  segments: readonly Segment[],
  read: (chunks: Chunks) => Answer,
): Answer {
  let first: { readonly answer: Answer; readonly text: string } | undefined;
  for (const { name: cut, chunks } of segmentChunkings(segments)) {
    const answer = read(chunks);
    const text = JSON.stringify(answer);
    first ??= { answer, text };
    if (text !== first.text) assert.fail(`${name} ${cut}`);
  }
  return (first ?? assert.fail(name)).answer;
}

function stepsOf(vector: Vector) {
  const [steps, ...others] = connectionsOf(vector);
  assert.ok(steps !== undefined && others.length === 0, vector.name);
  return steps;
}

function tlsOfVector(vector: Vector): VectorTls {
  return vector.family === 'starttls-clear-text-follows' ? 'starttls' : tlsOf(stepsOf(vector));
}

/** The minors that count: the client's, 0 where it sent something else, and the server's. */
function minorsOf(vector: Vector): { client: number; server: number; common: number } {
  const client = vector.minor ?? 0;
  return { client, server: vector.server_minor, common: Math.min(client, vector.server_minor) };
}

function checkServer(vector: Vector): void {
  const { client } = minorsOf(vector);
  const steps = stepsOf(vector);
  const isDuplex = vector.expect?.output_hex !== undefined;
  const options = { minor: client, tls: tlsOfVector(vector), hasEnded: hasEnded(steps, 's2c'), isDuplex };
  const heard = readCut(vector.name, segmentsOf(steps, 's2c'), (chunks) => hearServer(chunks, options));
  assertHeard(vector, heard);
}

function assertHeard(vector: Vector, heard: Heard): void {
  const { name, family, expect = {} } = vector;
  const { client, server, common } = minorsOf(vector);
  const ended = [...badVersion, 'starttls-clear-text-follows'].includes(family)
    ? 'closed-early'
    : badLogin.includes(family)
      ? 'auth-rejected'
      : greetingOnly.includes(family)
        ? undefined
        : { minor: common, serverMinor: client === 0 ? undefined : server };
  assert.deepEqual(heard.handshake, ended, name);
  assert.equal(heard.otherBytes, 0, name);
  const logs = (expect.logs ?? []).map((line) => ({ ...line, isCut: false }));
  assert.deepEqual(heard.logs, logs, name);
  if (expect.output_hex !== undefined) {
    assert.ok(Buffer.from(heard.output, 'latin1').toString('hex').startsWith(expect.output_hex), name);
    assert.equal(heard.fault, undefined, name);
    return;
  }

  const replies = [...(expect.replies ?? [])];
  const partial = replies.at(-1)?.partial;
  if (partial !== undefined) replies.pop();
  assert.equal(heard.replies.length, replies.length, `${name}: as many replies`);
  for (const [index, reply] of replies.entries()) {
    const read = heard.replies[index];
    assert.equal(read?.status, reply.status, `${name}: status ${index}`);
    if (reply.text !== undefined) assert.equal(read?.body, reply.text, name);
    else assertCells(read?.body ?? '', reply.cells ?? [], name);
  }
  assert.equal(heard.isStarted, partial !== undefined, name);
  assert.equal(heard.partial, partial ?? '', name);
  const ending = heard.isStarted && hasEnded(stepsOf(vector), 's2c') ? 'truncated' : undefined;
  assert.equal(heard.fault, ending, name);
}

function assertCells(body: string, expected: readonly VectorCell[], name: string): void {
  assert.ok(body === '' || body.endsWith('\t'), `${name}: cells end in TAB`);
  const cells = body
    .split('\t')
    .slice(0, -1)
    .map((cell) => unescapeLenient(Buffer.from(cell, 'latin1')));
  assert.equal(cells.length, expected.length, `${name}: as many cells`);
  for (const [index, cell] of cells.entries()) assertCell(cell, expected[index] ?? '', name);
}

function assertCell(cell: Buffer, expected: VectorCell, name: string): void {
  if (typeof expected === 'string') {
    assert.equal(cell.toString(), expected, name);
  } else if ('hex' in expected) {
    assert.equal(cell.toString('hex'), expected.hex, name);
  } else {
    assert.equal(cell.length, expected.bytes, name);
    assert.equal(createHash('sha256').update(cell).digest('hex'), expected.sha256, name);
  }
}

function servedOf(
  { name: of, server_minor: minor }: Vector,
  steps: readonly VectorStep[],
  { hasInput, isPasswordRight }: Readonly<Record<'hasInput' | 'isPasswordRight', boolean>>,
) {
  const options = {
    minor,
    preauthenticated: /^(VERSION[^\n]*\n)?\+\n/.test(textOf(steps, 's2c')),
    tls: tlsOf(steps),
    hasEnded: hasEnded(steps, 'c2s'),
    isPasswordRight,
    takesInput: ([name]: readonly string[]) => hasInput && (name === 'save' || name === 'sieve put'),
  };
  return readCut(of, segmentsOf(steps, 'c2s'), (chunks) => serveClient(chunks, options));
}

function checkClient(vector: Vector): void {
  const steps = stepsOf(vector);
  const answers = textOf(steps, 's2c');
  const served = servedOf(vector, steps, {
    hasInput: !noInput.includes(vector.family),
    isPasswordRight: true,
  });
  assertServed(vector, served, answers);
}

function assertServed(vector: Vector, served: Served, answers: string): void {
  const { name, family } = vector;
  const { client, common } = minorsOf(vector);
  assert.ok(answers.startsWith(served.sent), `${name}: the handshake answers as the real server did`);
  const ended = badVersion.includes(family)
    ? 'bad-version'
    : badLogin.includes(family)
      ? 'auth-failed'
      : [...greetingOnly, 'starttls-clear-text-follows'].includes(family)
        ? undefined
        : { minor: common, clientMinor: client };
  assert.deepEqual(served.handshake, ended, name);
  const forTls = family === 'starttls-clear-text-follows' ? 'PLAIN\tAGRvdmVhZG0Ac2VjcmV0\n' : '';
  assert.equal(served.forTls, forTls, `${name}: what follows STARTTLS in clear is no line`);
  const fault = badLine.includes(family)
    ? 'bad-command'
    : family === 'save-interrupted'
      ? 'truncated'
      : undefined;
  assert.equal(served.fault, fault, name);
  for (const item of served.items) {
    if (item.kind === 'input') assert.equal(item.isDone, family !== 'save-interrupted', name);
    if (item.kind === 'command') assert.equal(item.command.fault, undefined, name);
  }
}

void test('trap 13: on releases that know OPTION, it has no reply', () => {
  const options = vectors.filter(({ family }) => /^option-(log-passthrough-m[34]|unknown)$/.test(family));
  const known = options.filter(({ dovecot }) => dovecot.startsWith('2.4'));
  assert.ok(known.length >= 4);
  for (const vector of known) {
    const chunks = segmentsOf(stepsOf(vector), 'c2s').map(({ bytes }) => [bytes]);
    const { items } = serveClient(chunks, {
      minor: vector.server_minor,
      preauthenticated: true,
      tls: 'none',
      hasEnded: false,
      isPasswordRight: true,
      takesInput: () => false,
    });
    assert.equal(items[0]?.kind, 'option', vector.name);
    const commands = items.filter(({ kind }) => kind === 'command');
    assert.equal(commands.length, vector.expect?.replies?.length, vector.name);
  }
});

// What real clients sent, and what they were answered: 310 sessions of `doveadm` and of Dovecot as the next hop. Every
// one is decoded whole, byte by byte, and cut in two everywhere; all answers are equal. What a real client wrote, our
// encoders write the same way.

const insideReply = ['cli-eof-after-row', 'cli-eof-inside-row'];
/** Sessions that the recording server ended in the middle, by closing. */
const closedByServer = [...insideReply, 'cli-eof-before-reply'];

const ofClients = vectorsOf('client');

void test('there are 310 sessions of real clients, four of them with several connections', () => {
  assert.equal(ofClients.length, 310);
  assert.equal(ofClients.filter(({ connections }) => connections !== undefined).length, 4);
});

for (const family of familiesOf(ofClients)) {
  const ofFamily = ofClients.filter((other) => other.family === family);
  void test(`${family}: what the client sent`, () => {
    for (const vector of ofFamily) for (const steps of connectionsOf(vector)) checkRealClient(vector, steps);
  });
  void test(`${family}: what it was answered`, () => {
    for (const vector of ofFamily) for (const steps of connectionsOf(vector)) checkItsServer(vector, steps);
  });
}

function textOf(steps: readonly VectorStep[], dir: 'c2s' | 's2c'): string {
  return segmentsOf(steps, dir)
    .map(({ bytes }) => bytes.toString('latin1'))
    .join('');
}

function checkRealClient(vector: Vector, steps: readonly VectorStep[]): void {
  const answers = textOf(steps, 's2c');
  const isPasswordRight = vector.family !== 'cli-plain-refused';
  const served = servedOf(vector, steps, { hasInput: true, isPasswordRight });
  assertClient(vector, steps, served, answers);
}

function assertClient(vector: Vector, steps: readonly VectorStep[], served: Served, answers: string): void {
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

  // What was read behind the handshake is written again, and must be equal to what the client sent.
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

function checkItsServer(vector: Vector, steps: readonly VectorStep[]): void {
  const options = {
    minor: vector.minor ?? 0,
    tls: tlsOf(steps),
    hasEnded: closedByServer.includes(vector.family),
    isDuplex: false,
  };
  const heard = readCut(vector.name, segmentsOf(steps, 's2c'), (chunks) => hearServer(chunks, options));
  assertAnswered(vector, steps, heard);
}

function assertAnswered(vector: Vector, steps: readonly VectorStep[], heard: Heard): void {
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
    const exit = exitOf(vector, heard);
    assert.equal(exit, vector.expect.exit, `${name}: what we understood explains its exit code`);
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
