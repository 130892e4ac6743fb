// Goal: what is wrong with the files of TLS is found when they are read, with a sentence that names the file and nothing of it.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { CertificateFault, readTls } from '../../../src/rules/setup/read-certificates.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { openFolder } from '../../kit/plain/folder.js';

const authority = makeAuthority({ name: 'authority' });
const other = makeAuthority({ name: 'other' });
const issued = authority.issue({ names: ['gate.example.com'] });

function open(t: TestContext, texts: { readonly crt?: string; readonly key?: string; readonly ca?: string }) {
  const folder = openFolder(t);
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  return {
    certificate: write('crt', texts.crt ?? issued.certificatePem),
    key: write('key', texts.key ?? issued.keyPem),
    clientCa: texts.ca === undefined ? undefined : write('ca', texts.ca),
  };
}

function faultOf(files: Parameters<typeof readTls>[0], prepare: () => unknown = () => undefined): string {
  try {
    readTls(files, prepare);
  } catch (fault) {
    assert.ok(fault instanceof CertificateFault);
    return `${fault.key}: ${fault.message.replace(/\S*\//g, '')}`;
  }
  return assert.fail('no fault');
}

void test('all that is there', (t) => {
  const files = open(t, {
    crt: `${issued.certificatePem}${authority.certificatePem}`,
    // What stands between them is nothing that counts.
    ca: `the first:\n${authority.certificatePem}and another:\r\n${other.certificatePem.replaceAll('\n', '\r\n')}`,
  });
  const { offer, concerns, notAfterMs, clientCaNotAfterMs } = readTls(files, () => undefined);
  assert.deepEqual(concerns, []);
  const both = [authority, other].map(({ certificatePem }) => certificatePem.trim());
  assert.deepEqual(offer.clientCa, both);
  assert.equal(offer.certificate.key, issued.keyPem);
  assert.ok(Math.abs(notAfterMs - Date.now() - 30 * 86_400_000) < 120_000);
  assert.ok((clientCaNotAfterMs ?? 0) > notAfterMs);
});

void test('what cannot be used', (t) => {
  const foreign = authority.issue({ names: ['x'] });
  const encrypted = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' },
  }).privateKey;
  const cases: readonly (readonly [Parameters<typeof open>[1], string])[] = [
    [{ crt: '' }, 'certificate: crt holds no certificate: PEM begins with -----BEGIN CERTIFICATE-----'],
    [
      { crt: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' },
      'certificate: crt: certificate 1 is damaged',
    ],
    [{ key: 'key' }, 'key: key holds no private key (PEM)'],
    [{ key: encrypted }, 'key: key is encrypted; a key without a passphrase is needed'],
    [
      { key: foreign.keyPem },
      'key: key is not the key of the certificate in crt: put both files of one certificate there',
    ],
    [
      { ca: issued.keyPem },
      'client_ca: ca holds no certificate: PEM begins with -----BEGIN CERTIFICATE-----',
    ],
  ];
  for (const [texts, expected] of cases) assert.equal(faultOf(open(t, texts)), expected);
  const missing = { ...open(t, {}), certificate: '/nowhere/crt' };
  assert.equal(faultOf(missing), 'certificate: crt cannot be read: there is no such file');
  assert.equal(faultOf({ ...open(t, {}), key: '/' }), 'key:  cannot be read: it is a directory');
  const refuse = (): never => {
    throw new Error('too weak');
  };
  assert.equal(faultOf(open(t, {}), refuse), 'certificate: crt cannot be used: too weak');
});

void test('a key that others can read works, and is told', (t) => {
  const files = open(t, {});
  chmodSync(files.key, 0o644);
  assert.deepEqual(
    readTls(files, () => undefined).concerns.map(({ key, text }) => `${key} ${text.replace(files.key, 'K')}`),
    ['key K can be read by every user of this machine'],
  );
  chmodSync(files.key, 0o640);
  assert.deepEqual(readTls(files, () => undefined).concerns, []);
});

// bounds.certificateFileBytes
void test('a file that is far too long is not read', (t) => {
  const long = 'x'.repeat(bounds.certificateFileBytes + 1);
  assert.equal(faultOf(open(t, { crt: long })), 'certificate: crt has more than 1048576 bytes');
});
