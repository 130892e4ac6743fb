// Goal: nobody gets our bytes inside TLS who does not show the right certificate. Phases: chains, names, times and pins; what is
// offered; ends that are not TLS, or go. What must not happen: a socket that stays open after a refusal.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { connectTls, keyPinOf } from '../../../src/host/net/tls-connect.js';
import { type TlsCause, UpstreamFault } from '../../../src/host/ports/faults.js';
import type { SeenCertificate, TlsDemand } from '../../../src/host/ports/transport.js';
import { type KeyPairPem, makeAuthority } from '../../kit/gate/certificates.js';
import { openSockets, serveTls } from './pair.js';

const authority = makeAuthority({ name: 'our authority' });
const other = makeAuthority({ name: 'another authority' });
const good = authority.issue({
  names: ['mail.example.com', '*.imap.example.com', '192.0.2.7', '2001:db8::7'],
});
const pins = [good.spkiSha256Hex];
const wrongPin = other.issue({ names: ['mail.example.com'] }).spkiSha256Hex;

function demandOf(changes: Partial<TlsDemand> = {}): TlsDemand {
  return { serverName: 'mail.example.com', ca: authority.certificatePem, keyPins: [], ...changes };
}

/** A handshake with a server that shows `certificate`. */
async function shake(
  t: TestContext,
  certificate: KeyPairPem,
  demand: TlsDemand,
  protocols?: Buffer,
): Promise<{ near: Socket; tls: TLSSocket; far: TLSSocket }> {
  const { near, far } = await openSockets(t, 'tcp');
  const server = serveTls(far, certificate, protocols === undefined ? {} : { ALPNProtocols: protocols });
  server.on('error', () => undefined);
  try {
    const tls = await connectTls(near, demand);
    return { near, tls, far: server };
  } catch (fault) {
    assert.ok(near.destroyed);
    throw fault;
  }
}

const refusal =
  (pattern: RegExp, ...cause: [] | [TlsCause | undefined]) =>
  (fault: unknown) => {
    assert.ok(fault instanceof UpstreamFault, String(fault));
    assert.equal(fault.code, 'tls-failed');
    assert.match(fault.message, pattern);
    for (const word of cause) assert.equal(fault.tlsCause, word);
    return true;
  };

const accepted: Readonly<Record<string, Partial<TlsDemand>>> = {
  'by its name': {},
  'by its name in another case': { serverName: 'MAIL.example.COM' },
  'by a wildcard': { serverName: 'a.imap.example.com' },
  'by an IPv4 address': { serverName: '192.0.2.7' },
  'by an IPv6 address': { serverName: '2001:db8::7' },
  'with the key that is pinned': { keyPins: pins },
  'with one of the keys that are pinned': { keyPins: [wrongPin, ...pins] },
};
for (const [how, changes] of Object.entries(accepted)) {
  void test(`accepted ${how}`, async (t) => {
    const { tls, far } = await shake(t, good, demandOf(changes));
    assert.ok(tls.authorized);
    tls.write('inside');
    const [bytes]: Buffer[] = await once(far, 'data');
    assert.equal(String(bytes), 'inside');
  });
}

const day = 24 * 60 * 60 * 1000;
const names = ['mail.example.com'];
type Why = readonly [RegExp, TlsCause | undefined];
const otherName: Why = [/for another name/, 'name'];
const notInCa: Why = [/authority that is not in `ca`/, 'issuer'];
const loud = pins[0]?.toUpperCase() ?? '';
const inDays = (days: number) => new Date(Date.now() + days * day);
const early = authority.issue({ names, notBefore: inDays(1), notAfter: inDays(2) });
const refused: Readonly<Record<string, readonly [KeyPairPem, Partial<TlsDemand>, Why]>> = {
  'another name': [good, { serverName: 'mail2.example.com' }, otherName],
  'a wildcard that does not reach so far': [good, { serverName: 'a.b.imap.example.com' }, otherName],
  'another address': [good, { serverName: '192.0.2.8' }, otherName],
  'another IPv6 address': [good, { serverName: '2001:db8::8' }, otherName],
  'the address of an interface': [good, { serverName: '2001:db8::7%lo' }, otherName],
  'an address that is only its common name': [authority.issue({ names: ['localhost'] }), {}, otherName],
  'another authority': [other.issue({ names }), {}, notInCa],
  'an authority that is none of the system': [
    good,
    { ca: undefined },
    [/authority that is not in the system's list of authorities/, 'issuer'],
  ],
  'any authority, where the text of `ca` holds none': [good, { ca: '' }, notInCa],
  expired: [authority.issue({ names, notAfter: new Date(Date.now() - day) }), {}, [/has expired/, 'expired']],
  'not valid yet': [early, {}, [/not valid yet/, 'not-valid-yet']],
  'for clients only': [authority.issue({ names, client: true }), {}, [/the handshake failed/, undefined]],
  'another key than is pinned': [good, { keyPins: [wrongPin] }, [/none of `key_pins`/, 'key']],
  'a pin in upper case, which config never hands on': [good, { keyPins: [loud] }, [/key_pins/, 'key']],
  'a pinned key under another authority': [
    other.issue({ names }),
    { keyPins: [other.issue({ names }).spkiSha256Hex] },
    notInCa,
  ],
};
for (const [what, [certificate, changes, why]] of Object.entries(refused)) {
  void test(`refused: ${what}`, async (t) => {
    const shown: string[] = [];
    const onShown = (validTo: string): void => void shown.push(validTo);
    await assert.rejects(shake(t, certificate, demandOf({ ...changes, onShown })), refusal(...why));
    assert.deepEqual(shown, [new X509Certificate(certificate.certificatePem).validTo]);
  });
}

void test('the end of a certificate that is accepted is seen once', async (t) => {
  const shown: string[] = [];
  await shake(t, good, demandOf({ onShown: (validTo) => void shown.push(validTo) }));
  assert.deepEqual(shown, [new X509Certificate(good.certificatePem).validTo]);
});

void test('what is offered: the name (an address is none), the protocols, TLS 1.2 and newer', async (t) => {
  const offered = Buffer.from('\x04imap\x07doveadm');
  const { far, tls } = await shake(t, good, demandOf({ protocols: ['doveadm'] }), offered);
  tls.write('x');
  await once(far, 'data');
  assert.deepEqual([Reflect.get(far, 'servername'), far.alpnProtocol], ['mail.example.com', 'doveadm']);
  assert.match(tls.getProtocol() ?? '', /^TLSv1\.[23]$/);
  const address = await shake(t, good, demandOf({ serverName: '192.0.2.7' }));
  assert.equal(Reflect.get(address.far, 'servername') || undefined, undefined);
  // Real servers select nothing.
  assert.equal(address.tls.alpnProtocol, false);
  const none = await shake(t, good, demandOf(), offered);
  assert.equal(none.tls.alpnProtocol, false);
});

void test('who is asked shows its certificate, and who has none shows none', async (t) => {
  const ours = authority.issue({ names: ['gate1.example.com'], client: true });
  const shown = { chain: ours.certificatePem, key: ours.keyPem };
  for (const [certificate, name] of [
    [shown, 'gate1.example.com'],
    [undefined, undefined],
  ] as const) {
    const { near, far } = await openSockets(t, 'tcp');
    const server = serveTls(far, good, { requestCert: true });
    const tls = await connectTls(near, demandOf({ certificate }));
    tls.write('x');
    await once(server, 'data');
    assert.equal(server.getPeerX509Certificate()?.subject.replace('CN=', ''), name);
  }
});

void test('a certificate or key that is none fails before a byte is sent', async (t) => {
  const ours = authority.issue({ names: ['gate1.example.com'], client: true });
  for (const certificate of [
    { chain: 'no certificate', key: ours.keyPem },
    { chain: ours.certificatePem, key: 'no key' },
    { chain: ours.certificatePem, key: good.keyPem },
  ]) {
    const { near } = await openSockets(t, 'tcp');
    await assert.rejects(connectTls(near, demandOf({ certificate })), refusal(/cannot be used/));
    assert.ok(near.destroyed);
    assert.equal(near.bytesWritten, 0);
  }
});

void test('what is no TLS, and ends within the handshake', async (t) => {
  const ends: readonly (readonly [(far: Socket) => void, RegExp])[] = [
    [(far) => far.write('-ERR something else\n'.repeat(3)), /not TLS/],
    [(far) => far.end(), /ended within the handshake/],
    [(far) => far.destroy(), /ended within the handshake/],
    [(far) => far.resetAndDestroy(), /ended within the handshake/],
  ];
  for (const [leave, pattern] of ends) {
    const { near, far } = await openSockets(t, 'tcp');
    far.on('error', () => undefined);
    const shaking = connectTls(near, demandOf());
    shaking.catch(() => undefined);
    await once(far, 'data');
    leave(far);
    await assert.rejects(shaking, refusal(pattern));
    assert.ok(near.destroyed);
  }
});

void test('a pin is the hash of the public key, whatever certificate it stands in', () => {
  assert.equal(keyPinOf(new X509Certificate(good.certificatePem)), good.spkiSha256Hex);
  assert.match(good.spkiSha256Hex, /^[0-9a-f]{64}$/);
});

test('who only looks sees every certificate, and gets no connection, not even from the right one', async (t) => {
  for (const [issued, told] of [
    [good, /DNS:mail\.example\.com.*CN=our authority/],
    [other.issue({ names: ['vm'] }), /DNS:vm CN=another authority/],
  ] as const) {
    const seen: string[] = [];
    const onlyLooks = (it: SeenCertificate): void => void seen.push(`${it.names} ${it.issuer}`);
    const shaking = shake(t, issued, demandOf({ onlyLooks }));
    await assert.rejects(shaking, { name: 'UpstreamFault', code: 'tls-failed' });
    assert.equal(seen.length, 1);
    assert.match(seen[0] ?? '', told);
  }
});
