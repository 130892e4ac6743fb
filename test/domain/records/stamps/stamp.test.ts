// Stamps by `openssl ts`, and by a key of an authority that says anything. A stamp passes if everything in it is right; each thing that is
// wrong is found, by its code. What changes on the way is found, or changes nothing of what the stamp says.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { bounds } from '../../../../src/bounds/bounds.js';
import { readAuthority } from '../../../../src/domain/records/stamps/certificate.js';
import { StampFault, type StampFaultCode, stampCodes } from '../../../../src/domain/records/stamps/fault.js';
import {
  checkStamp,
  makeStampRequest,
  stampDay,
  whyOddTime,
} from '../../../../src/domain/records/stamps/stamp.js';
import { randomInteger, seededRandom } from '../../../kit/chunkings.js';
import {
  makeStampAuthority,
  type PaperStamp,
  paperStamp,
  refusal,
  type StampAuthority,
} from '../../../kit/stamp-authority.js';

const stamped = Buffer.from('{"seq":1}\n');
const nonce = Buffer.from('00ff', 'hex');
const nowMs = Math.floor(Date.now() / 1000) * 1000;
const paper = { timeMs: nowMs, stamped, nonce };

function codeOf(
  answer: Buffer,
  by: Pick<StampAuthority, 'root'>,
  bytes: Uint8Array = stamped,
): StampFaultCode | undefined {
  try {
    checkStamp(answer, bytes, readAuthority(by.root), nonce);
    return undefined;
  } catch (fault) {
    assert.ok(fault instanceof StampFault, String(fault));
    assert.ok(fault.ask.length > 0);
    return fault.code;
  }
}

for (const keys of ['rsa', 'ec'] as const)
  void test(`a stamp by openssl ts with ${keys} keys, and what becomes of it on its way`, (t) => {
    const authority = makeStampAuthority(t, { keys });
    const answer = authority.answer(makeStampRequest(stamped, nonce));
    const stamp = checkStamp(answer, stamped, readAuthority(authority.root), nonce);
    assert.ok(Math.abs(stamp.timeMs - Date.now()) < 600_000, String(stamp.timeMs));
    assert.deepEqual(
      [stamp.accuracyMs, stamp.policy, stamp.signer],
      [1000, '1.3.6.1.4.1.99999.1', 'CN=Stamps of the test 1'],
    );
    // Without the root in the answer, and with the signer itself as what is trusted.
    assert.doesNotThrow(() => checkStamp(answer, stamped, readAuthority(authority.signer.toString()), nonce));

    assert.equal(codeOf(answer, authority, Buffer.from('{"seq":2}\n')), 'other-bytes');
    assert.equal(
      codeOf(authority.answer(makeStampRequest(stamped, Buffer.from([1]))), authority),
      'other-nonce',
    );
    for (const most of [0, 1, 20, answer.length >> 1, answer.length - 1])
      assert.equal(codeOf(answer.subarray(0, most), authority), 'malformed', String(most));
    assert.equal(codeOf(Buffer.concat([answer, Buffer.from([0])]), authority), 'malformed');

    const random = seededRandom(7);
    for (let count = 0; count < 400; count += 1) {
      const changed = Buffer.from(answer);
      const at = randomInteger(random, 0, answer.length - 1);
      changed[at] = (changed[at] ?? 0) ^ (1 << randomInteger(random, 0, 7));
      try {
        assert.deepEqual(
          checkStamp(changed, stamped, readAuthority(authority.root), nonce),
          stamp,
          `byte ${at}`,
        );
      } catch (fault) {
        assert.ok(fault instanceof StampFault, `byte ${at}: ${String(fault)}`);
      }
    }
  });

void test('each thing that is wrong in a stamp is found', (t) => {
  const authority = makeStampAuthority(t);
  // Of the same name, as somebody on the way or on the host can make it.
  const false_ = makeStampAuthority(t);
  const withEc = makeStampAuthority(t, { keys: 'ec' });
  const withEd = makeStampAuthority(t, { keys: 'ed25519' });
  const at = (changes: Partial<PaperStamp>, by: StampAuthority = authority): StampFaultCode | undefined =>
    codeOf(paperStamp(by, { ...paper, ...changes }), by);

  for (const by of [authority, withEc, withEd]) {
    assert.equal(at({}, by), undefined, by.key.asymmetricKeyType);
    assert.equal(at({ ess: 1 }, by), undefined);
  }
  assert.equal(at({ isPss: true }), undefined);
  const table: readonly (readonly [string, StampFaultCode | undefined, StampFaultCode])[] = [
    ['another authority of the same name', codeOf(paperStamp(false_, paper), authority), 'untrusted'],
    [
      'signed by another key, with the right certificate',
      codeOf(paperStamp({ signer: authority.signer, key: false_.key }, paper), authority),
      'bad-signature',
    ],
    ['of other bytes', at({ stamped: Buffer.from('else') }), 'other-bytes'],
    ['over SHA-512', at({ hash: 'sha512', hashId: '2.16.840.1.101.3.4.2.3' }), 'other-hash'],
    ['a SHA-512 that is called SHA-256', at({ hash: 'sha512' }), 'other-bytes'],
    ['of another request', at({ nonce: Buffer.from([9]) }), 'other-nonce'],
    ['without a nonce', codeOf(paperStamp(authority, { timeMs: nowMs, stamped }), authority), 'other-nonce'],
    ['other content under the signature', at({ digest: Buffer.alloc(32) }), 'bad-signature'],
    ['another type under the signature', at({ contentType: '1.2.840.113549.1.7.1' }), 'bad-signature'],
    ['another certificate under the signature', at({ named: false_.signer }), 'untrusted'],
    ['no certificate under the signature', at({ isEssLeftOut: true }), 'malformed'],
    ['no certificate beside it', at({ certificates: [] }), 'untrusted'],
    ['a refusal', codeOf(refusal(14), authority), 'refused'],
    ['no answer', codeOf(Buffer.from('<html>'), authority), 'malformed'],
    ['before its certificate', at({ timeMs: nowMs - 5 * 86_400_000 }), 'not-valid-then'],
    ['after its certificate', at({ timeMs: nowMs + 2000 * 86_400_000 }), 'not-valid-then'],
  ];
  for (const [what, code, expected] of table) assert.equal(code, expected, what);

  assert.match(
    new StampFault('refused', 'its clock is not available').message,
    /no stamp \(its clock is not available\)$/,
  );
  for (const purpose of ['timeStamping', 'critical,timeStamping,codeSigning', 'critical,serverAuth', ''])
    assert.equal(at({}, makeStampAuthority(t, { purpose, keys: 'ec' })), 'wrong-purpose', purpose);
});

void test('a certificate that had expired, or was not valid yet, stamps nothing; one that expired later did', (t) => {
  const options = {
    notBefore: new Date(nowMs - 90 * 86_400_000),
    notAfter: new Date(nowMs - 30 * 86_400_000),
    keys: 'ec',
  } as const;
  const expired = makeStampAuthority(t, options);
  assert.equal(codeOf(expired.answer(makeStampRequest(stamped, nonce)), expired), 'not-valid-then');
  assert.equal(
    codeOf(paperStamp(expired, { ...paper, timeMs: nowMs - 60 * 86_400_000 }), expired),
    undefined,
  );
});

void test('an authority under the root may issue the certificate, and whoever has one for stamps may not', (t) => {
  const under = makeStampAuthority(t, { under: 'middle', keys: 'ec' });
  const answer = under.answer(makeStampRequest(stamped, nonce));
  assert.equal(codeOf(answer, under), undefined);
  assert.equal(codeOf(answer, { root: String(under.issuer) }), undefined, 'trusted itself');
  assert.equal(codeOf(paperStamp(under, paper), under), 'untrusted', 'without the one between');
  const { issuer } = under;
  assert.ok(issuer !== undefined);
  assert.equal(
    codeOf(paperStamp(under, { ...paper, certificates: [issuer, under.signer] }), under),
    undefined,
  );

  const leaf = makeStampAuthority(t, { under: 'leaf', keys: 'ec' });
  assert.equal(codeOf(leaf.answer(makeStampRequest(stamped, nonce)), leaf), 'untrusted');
});

void test('at most so many certificates are looked at', (t) => {
  const authority = makeStampAuthority(t, { keys: 'ec' });
  const root = new X509Certificate(authority.root);
  const certificates = Array.from({ length: bounds.stampCertificates }, () => root);
  assert.equal(
    codeOf(paperStamp(authority, { ...paper, certificates: [...certificates, authority.signer] }), authority),
    'untrusted',
  );
  assert.equal(
    codeOf(
      paperStamp(authority, { ...paper, certificates: [...certificates.slice(1), authority.signer] }),
      authority,
    ),
    undefined,
  );
  assert.equal(readAuthority(authority.root.repeat(20)).length, bounds.stampCertificates);
});

void test('the time of a stamp fits to that of its checkpoint', () => {
  const at = (timeMs: number, nextMs?: number) => whyOddTime({ timeMs, accuracyMs: 1000 }, 1_000_000, nextMs);
  // Two clocks may be apart by bounds.stampSkewMs.
  const edge = bounds.stampSkewMs;
  assert.equal(at(1_000_000 - edge - 1000), undefined);
  assert.equal(at(1_000_000 - edge - 1001), 'too-early');
  assert.equal(at(9e9), undefined);
  assert.equal(at(1_060_000 + 2 * edge + 1000, 1_060_000), undefined);
  assert.equal(at(1_060_000 + 2 * edge + 1001, 1_060_000), 'too-late');
  assert.equal(stampDay(Date.UTC(2026, 10, 29, 23, 59)), '2026-11-29');
});

void test('each code says what happened, and what to do', () => {
  for (const [code, [means, ask]] of Object.entries(stampCodes))
    assert.ok(means.length > 10 && ask.length > 5, code);
});
