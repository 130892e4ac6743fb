// The digest of a journal: what is signed is read back as it was, and nothing else counts: not a byte of it changed, not another spelling,
// not rows that are shorter, changed or of another digest.
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import { bounds } from '../../../../src/bounds/bounds.js';
import { makeSignKey, parseSignKey } from '../../../../src/domain/records/audit/ledger.js';
import {
  type Digest,
  isFaultless,
  packRow,
  readDigest,
  readRows,
  signDigest,
} from '../../../../src/domain/records/fleet/digest.js';
import { createVerifier, type Verifier } from '../../../../src/domain/records/trail/verify.js';
import { key as hostKey, makeTrail, type PaperTrail } from '../trail/paper-trail.js';

const key = makeSignKey();
const nowMs = Date.UTC(2026, 10, 21);

function fed(trail: PaperTrail): Verifier {
  const verifier = createVerifier({ trustedKeys: [hostKey.key], kept: [], isPart: false, faultsMax: 20 });
  for (const { name, lines } of trail.segments) {
    verifier.beginSegment(name);
    for (const line of lines) verifier.takeLine(Buffer.from(line), true);
  }
  return verifier;
}

const rows = [1, 1, 2].map((segment, at) => ({
  segment,
  at: at * 100,
  bytes: 100,
  firstSeq: at * 10 + 1,
  firstMs: nowMs + at,
  sha256: hash('sha256', `member ${at}`, 'buffer'),
  sketch: Buffer.alloc(at * 40, at),
}));
const body = Buffer.concat(rows.map(packRow));

function digestOf(trail = makeTrail()): Digest {
  const state = fed(trail).state() ?? assert.fail();
  const sha256 = hash('sha256', body, 'hex');
  return {
    host: 'gate',
    journal: 'ab'.repeat(16),
    segment: 2,
    bytes: body.length,
    sha256,
    hostKeys: [],
    state,
  };
}

void test('a digest is read as it was signed, and the verifier goes on from it', () => {
  const trails = [makeTrail(), makeTrail(), makeTrail()];
  trails[1]?.segments.splice(1, 1);
  trails[2]?.segments[1]?.lines.splice(2, 1, 'no record');
  for (const [at, trail] of trails.entries()) {
    const digest = digestOf(trail);
    const read =
      readDigest(`${signDigest(digest, key.secretPem, nowMs) ?? assert.fail()}\n`) ?? assert.fail();
    assert.equal(read.key, key.key);
    assert.equal(read.time, '2026-11-21T00:00:00.000Z');
    assert.equal(isFaultless(read), at === 0);
    const options = { trustedKeys: [hostKey.key], kept: [], isPart: false, faultsMax: 20 };
    assert.deepEqual(createVerifier(options, read.state).finish(), fed(trail).finish());
    assert.deepEqual(readRows(body, read), rows);
  }
});

void test('a line that was changed, or spelled otherwise, is none', () => {
  const line = signDigest(digestOf(), key.secretPem, nowMs) ?? assert.fail();
  assert.ok(readDigest(line));
  for (
    let at = 0;
    at < line.length;
    at += line.length > 4000 && at > 1000 && at < line.length - 1000 ? 97 : 1
  ) {
    const other = line[at] === '0' ? '1' : '0';
    assert.equal(readDigest(line.slice(0, at) + other + line.slice(at + 1)), undefined, `byte ${at}`);
  }
  for (const other of [` ${line}`, line.replace(',', ', '), line.slice(1), line.slice(0, -1), '', '{}'])
    assert.equal(readDigest(other), undefined, other.slice(0, 40));
  // Signed by a right key, and of another form: with a member more, without one, of a host that is none.
  const [text = ''] = line.split(',"signature":');
  for (const change of [
    (one: string) => one.replace('{"time"', '{"more":1,"time"'),
    (one: string) => one.replace('"event":"digest",', ''),
    (one: string) => one.replace('"event":"digest"', '"event":"mirrored"'),
    (one: string) => one.replace('"host":"gate"', '"host":"../x"'),
    (one: string) => one.replace('"records":30', '"records":-1'),
  ]) {
    const changed = `${change(text)}}`;
    assert.notEqual(changed, `${text}}`);
    const signature = parseSignKey(key.secretPem).sign(changed);
    assert.equal(
      readDigest(`${changed.slice(0, -1)},"signature":"${signature}"}`),
      undefined,
      changed.slice(0, 99),
    );
  }
});

void test('rows count as a whole, and what is appended behind them does not matter', () => {
  const digest = digestOf();
  assert.deepEqual(readRows(Buffer.concat([body, Buffer.from('half a row')]), digest), rows);
  assert.equal(readRows(body.subarray(0, -1), digest), undefined);
  for (let at = 0; at < body.length; at += 1) {
    const changed = Buffer.from(body);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.equal(readRows(changed, digest), undefined, `byte ${at}`);
  }
  // Of a verifier that wrote nonsense.
  const nonsense = (bytes: Buffer, segment = 2): unknown =>
    readRows(bytes, { ...digest, segment, bytes: bytes.length, sha256: hash('sha256', bytes, 'hex') });
  assert.equal(nonsense(body.subarray(0, 20)), undefined);
  assert.equal(nonsense(Buffer.alloc(200)), undefined);
  assert.equal(nonsense(Buffer.alloc(200, 0xff)), undefined);
  assert.equal(nonsense(body, 1), undefined, 'a row behind the last segment');
});

void test('a head that no reader would take is not made', () => {
  const digest = digestOf();
  const steps = Array.from({ length: bounds.clockSteps }, (_, at) => ({
    from: '2026-11-21T00:00:00.000Z'.repeat(3),
    to: '2026-11-21T00:00:00.000Z',
    seq: at,
    isAtStart: false,
  }));
  const large = { ...digest, state: { ...digest.state, steps } };
  assert.ok(JSON.stringify(large).length > bounds.digestHeadBytes);
  assert.equal(signDigest(large, key.secretPem, nowMs), undefined);
  assert.throws(() => signDigest({ ...digest, bytes: bounds.digestBodyBytes + 1 }, key.secretPem, nowMs));
});
