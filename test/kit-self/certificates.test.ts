// The certificate maker against node:crypto and against whole TLS handshakes that verify chain, name, purpose and time.
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import tls from 'node:tls';
import { type IssueOptions, type KeyPairPem, makeAuthority } from '../kit/certificates.js';

const day = 24 * 60 * 60 * 1000;
const authority = makeAuthority({ name: 'Kit Test Authority' });

void test('the authority is a self-signed CA', () => {
  const ca = new X509Certificate(authority.certificatePem);
  assert.equal(ca.ca, true);
  assert.equal(ca.subject, 'CN=Kit Test Authority');
  assert.ok(ca.verify(ca.publicKey));
  assert.ok(ca.checkIssued(ca));
});

void test('an issued certificate has the names, the purpose and the fingerprint that it says', () => {
  const names = ['localhost', '127.0.0.1', '::1', 'fe80::1:2', 'mail.example.org'];
  const issued = authority.issue({ names });
  const leaf = new X509Certificate(issued.certificatePem);
  const ca = new X509Certificate(authority.certificatePem);
  assert.equal(leaf.ca, false);
  assert.ok(leaf.checkIssued(ca));
  assert.ok(leaf.verify(ca.publicKey));
  assert.equal(leaf.checkHost('localhost'), 'localhost');
  assert.equal(leaf.checkHost('mail.example.org'), 'mail.example.org');
  assert.equal(leaf.checkHost('other.example.org'), undefined);
  assert.equal(leaf.checkIP('127.0.0.1'), '127.0.0.1');
  assert.equal(leaf.checkIP('::1'), '::1');
  assert.equal(leaf.checkIP('fe80::1:2'), 'fe80::1:2');
  assert.equal(leaf.checkIP('127.0.0.2'), undefined);
  assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1']);
  const spki = leaf.publicKey.export({ type: 'spki', format: 'der' });
  assert.equal(issued.spkiSha256Hex, createHash('sha256').update(spki).digest('hex'));
});

void test('times are written in both forms, and an expired certificate has a beginning before its end', () => {
  const late = new X509Certificate(
    authority.issue({ names: ['a'], notAfter: new Date('2051-02-03T04:05:06Z') }).certificatePem,
  );
  assert.equal(new Date(late.validTo).toISOString(), '2051-02-03T04:05:06.000Z');
  const expired = new X509Certificate(
    authority.issue({ names: ['a'], notAfter: new Date('2001-02-03T04:05:06Z') }).certificatePem,
  );
  assert.equal(new Date(expired.validTo).toISOString(), '2001-02-03T04:05:06.000Z');
  assert.ok(new Date(expired.validFrom) < new Date(expired.validTo));
});

const good: IssueOptions = { names: ['localhost', '127.0.0.1'] };
const handshakes: {
  name: string;
  options: IssueOptions;
  host?: string;
  ca?: KeyPairPem;
  expected: string;
}[] = [
  { name: 'by IP address', options: good, expected: 'ok' },
  { name: 'by DNS name', options: good, host: 'localhost', expected: 'ok' },
  { name: 'wrong name', options: { names: ['other.example.org'] }, expected: 'ERR_TLS_CERT_ALTNAME_INVALID' },
  {
    name: 'expired',
    options: { ...good, notAfter: new Date(Date.now() - day) },
    expected: 'CERT_HAS_EXPIRED',
  },
  {
    name: 'not yet valid',
    options: { ...good, notBefore: new Date(Date.now() + day) },
    expected: 'CERT_NOT_YET_VALID',
  },
  {
    name: 'another authority of the same name',
    options: good,
    ca: makeAuthority({ name: 'Kit Test Authority' }),
    expected: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  },
  {
    name: 'a client certificate on a server',
    options: { ...good, client: true },
    expected: 'INVALID_PURPOSE',
  },
];

for (const { name, options, host, ca, expected } of handshakes) {
  void test(`TLS handshake: ${name}`, async () => {
    const issued = authority.issue(options);
    assert.equal(await handshake(issued, ca ?? authority, host ?? '127.0.0.1'), expected);
  });
}

void test('a client certificate is accepted by a server that demands one, a server certificate is not', async () => {
  const server = authority.issue(good);
  const client = authority.issue({ names: ['job.example.org'], client: true });
  assert.equal(await handshake(server, authority, '127.0.0.1', client), 'ok job.example.org');
  assert.equal(await handshake(server, authority, '127.0.0.1', server), 'refused INVALID_PURPOSE');
});

/** One handshake on loopback; 'ok' with the client's name when one was sent, or why one side refused the other. */
async function handshake(
  server: KeyPairPem,
  ca: KeyPairPem,
  host: string,
  client?: KeyPairPem,
): Promise<string> {
  const listener = tls.createServer({
    cert: server.certificatePem,
    key: server.keyPem,
    ...(client && { ca: authority.certificatePem }),
    requestCert: client !== undefined,
    rejectUnauthorized: false, // judged below, so that the reason is seen
    maxVersion: 'TLSv1.3',
  });
  listener.on('secureConnection', (socket) => {
    socket.on('error', () => undefined);
    const judged = socket.authorized ? `ok ${String(socket.getPeerCertificate().subject.CN)}` : 'refused';
    socket.end(client === undefined ? 'ok' : `${judged} ${String(socket.authorizationError ?? '')}`.trim());
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  assert.ok(typeof address === 'object' && address !== null);
  try {
    return await new Promise((resolve) => {
      let text = '';
      const socket = tls.connect({
        host: '127.0.0.1',
        port: address.port,
        servername: host === 'localhost' ? host : '',
        ca: ca.certificatePem,
        checkServerIdentity: (_, certificate) => tls.checkServerIdentity(host, certificate),
        ...(client && { cert: client.certificatePem, key: client.keyPem }),
      });
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      socket.on('end', () => resolve(text || 'ended'));
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
  } finally {
    listener.close();
  }
}
