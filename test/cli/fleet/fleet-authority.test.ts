// Goal: certificates of a fleet hold for their names and one purpose, until a day that the authority outlives; a pair that does not belong
// together is found before it is written anywhere.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import {
  issueCertificate,
  makeFleetAuthority,
  whyNotOfAuthority,
} from '../../../src/cli/fleet/fleet-authority.js';

const day = 86_400_000;
const nowMs = Date.parse('2026-11-22T12:00:00Z');
const authority = makeFleetAuthority(nowMs);

test('a gate, and a server by a name and an address', () => {
  const own = new X509Certificate(authority.certificate);
  assert.equal(own.ca, true);
  assert.equal(Date.parse(own.validTo), nowMs + 3650 * day);
  const gate = new X509Certificate(
    issueCertificate(authority, { names: ['mail-gate-1'], purpose: 'client' }, nowMs).certificate,
  );
  assert.equal(gate.subjectAltName, 'DNS:mail-gate-1');
  assert.deepEqual(gate.keyUsage, ['1.3.6.1.5.5.7.3.2']);
  assert.equal(Date.parse(gate.validTo), nowMs + 825 * day);
  assert.ok(gate.checkIssued(own) && gate.verify(own.publicKey));
  const server = new X509Certificate(
    issueCertificate(authority, { names: ['nats1.example.com', '192.0.2.7'], purpose: 'server' }, nowMs)
      .certificate,
  );
  assert.deepEqual(server.keyUsage, ['1.3.6.1.5.5.7.3.1']);
  assert.equal(server.checkHost('nats1.example.com'), 'nats1.example.com');
  assert.equal(server.checkIP('192.0.2.7'), '192.0.2.7');
});

test('none outlives the authority', () => {
  const late = nowMs + 3600 * day;
  const gate = issueCertificate(authority, { names: ['a'], purpose: 'client' }, late);
  assert.equal(Date.parse(new X509Certificate(gate.certificate).validTo), nowMs + 3650 * day);
});

test('what does not belong together', () => {
  const [one, two] = ['one', 'two'].map((name) =>
    issueCertificate(authority, { names: [name], purpose: 'client' }, nowMs),
  );
  assert.ok(one !== undefined && two !== undefined);
  const { certificate } = authority;
  assert.equal(whyNotOfAuthority(certificate, one), undefined);
  assert.match(whyNotOfAuthority(certificate, { ...one, key: two.key }) ?? '', /not that of the certificate/);
  assert.match(whyNotOfAuthority(makeFleetAuthority(nowMs).certificate, one) ?? '', /another authority/);
  assert.match(whyNotOfAuthority('x', one) ?? '', /cannot be read/);
});
