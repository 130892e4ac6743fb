// What real servers sent, and what they were sent: 537 sessions of 2.3.13 to 2.4.5. Every session is decoded whole, byte
// by byte, and cut in two everywhere; all answers are equal. Where a session is broken on purpose, what the real server
// made of it is what we make of it.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { unescapeLenient } from '../../../src/doveadm/protocol/lines.js';
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
  type VectorCell,
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
const families = [...new Set(vectors.map(({ family }) => family))];

void test('there are 537 sessions of real servers', () => {
  assert.equal(vectors.length, 537);
});

for (const family of families) {
  void test(`${family}: what the server sent`, () => {
    for (const vector of vectors.filter((other) => other.family === family)) checkServer(vector);
  });
  void test(`${family}: what it was sent`, () => {
    for (const vector of vectors.filter((other) => other.family === family)) checkClient(vector);
  });
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
  let first: string | undefined;
  for (const { name, chunks } of segmentChunkings(segmentsOf(steps, 's2c'))) {
    const heard = hearServer(chunks, options);
    if (first === undefined) assertHeard(vector, heard);
    first ??= JSON.stringify(heard);
    if (JSON.stringify(heard) !== first) assert.fail(`${vector.name} ${name}`);
  }
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
  assert.deepEqual(
    heard.logs,
    (expect.logs ?? []).map((line) => ({ ...line, isCut: false })),
    name,
  );
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
  assert.equal(
    heard.fault,
    heard.isStarted && hasEnded(stepsOf(vector), 's2c') ? 'truncated' : undefined,
    name,
  );
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

function checkClient(vector: Vector): void {
  const steps = stepsOf(vector);
  const answers = segmentsOf(steps, 's2c')
    .map(({ bytes }) => bytes.toString('latin1'))
    .join('');
  const options = {
    minor: vector.server_minor,
    preauthenticated: /^(VERSION[^\n]*\n)?\+\n/.test(answers),
    tls: tlsOf(steps),
    hasEnded: hasEnded(steps, 'c2s'),
    isPasswordRight: true,
    takesInput: ([name]: readonly string[]) =>
      (name === 'save' || name === 'sieve put') && !noInput.includes(vector.family),
  };
  let first: string | undefined;
  for (const { name, chunks } of segmentChunkings(segmentsOf(steps, 'c2s'))) {
    const served = serveClient(chunks, options);
    if (first === undefined) assertServed(vector, served, answers);
    first ??= JSON.stringify(served);
    if (JSON.stringify(served) !== first) assert.fail(`${vector.name} ${name}`);
  }
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
