// Goal: certificates of a fleet's server hold for its names and that purpose, until a day that the authority outlives.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { issueCertificate, makeFleetAuthority } from '../../../src/evidence/fleet-cli/fleet-authority.js';

const day = 86_400_000;
const nowMs = Date.parse('2026-11-22T12:00:00Z');
const authority = makeFleetAuthority(nowMs);

test('a server by a name and an address', () => {
  const own = new X509Certificate(authority.certificate);
  assert.equal(own.ca, true);
  assert.equal(Date.parse(own.validTo), nowMs + 3650 * day);
  const server = new X509Certificate(
    issueCertificate(authority, ['nats1.example.com', '192.0.2.7'], nowMs).certificate,
  );
  assert.equal(Date.parse(server.validTo), nowMs + 825 * day);
  assert.ok(server.checkIssued(own) && server.verify(own.publicKey));
  assert.deepEqual(server.keyUsage, ['1.3.6.1.5.5.7.3.1']);
  assert.equal(server.checkHost('nats1.example.com'), 'nats1.example.com');
  assert.equal(server.checkIP('192.0.2.7'), '192.0.2.7');
});

test('none outlives the authority', () => {
  const late = nowMs + 3600 * day;
  const server = issueCertificate(authority, ['a'], late);
  assert.equal(Date.parse(new X509Certificate(server.certificate).validTo), nowMs + 3650 * day);
});
