// Goal: what a listener shows follows its files, and never becomes worse by them. Phases: replaced half, by something
// broken, by nothing; a reload; the warnings before an end. What must not happen: a certificate without its key, a listener
// with nothing to show, a line of the log for each look.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { prepareOffer } from '../../../src/host/net/tls-accept.js';
import { type CertificateEvent, createCertificates } from '../../../src/rules/setup/certificates.js';
import { CertificateFault } from '../../../src/rules/setup/read-certificates.js';
import { type Issued, makeAuthority } from '../../kit/gate/certificates.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';
import { openFolder } from '../../kit/plain/folder.js';

const authority = makeAuthority({ name: 'authority' });
const day = 86_400_000;
/** As the certificates have it, since they are made for real. */
const nowMs = Date.now();

function issue(days = 90): Issued {
  return authority.issue({ names: ['gate.example.com'], notAfter: new Date(nowMs + days * day) });
}

function open(t: TestContext, first = issue(), more: { readonly clientCa?: string } = {}) {
  const folder = openFolder(t);
  const clientCa = more.clientCa === undefined ? undefined : join(folder, 'ca');
  const files = { name: 'jobs', certificate: join(folder, 'crt'), key: join(folder, 'key'), clientCa };
  const write = (path: string, text: string): void => {
    // As programs that renew certificates do it: the file under the name is another one.
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  };
  const replace = ({ certificatePem, keyPem }: Issued): void => {
    write(files.certificate, certificatePem);
    write(files.key, keyPem);
  };
  replace(first);
  if (clientCa !== undefined) write(clientCa, more.clientCa ?? '');
  const clock = createFakeClock();
  clock.leap(nowMs - clock.wallMs());
  const events: CertificateEvent[] = [];
  const report = (event: CertificateEvent): number => events.push(event);
  /** What was shown whenever it was told to be another. */
  const replaced: (string | undefined)[] = [];
  const onReplaced = (): void => void replaced.push(shown());
  const shownByReceivers: { readonly name: string; readonly validTo: string }[] = [];
  const parts = { clock, prepareOffer, report, onReplaced, shownByReceivers: () => shownByReceivers };
  const certificates = createCertificates(parts);
  certificates.prepare([files], []).commit();
  t.after(() => certificates.close());
  /** One look, however long: files are asked without the clock, and the next timer is set when that is over. */
  const look = async (ms = 10_000): Promise<void> => {
    await clock.advance(ms);
    const isOver = (): boolean => clock.timers > 0;
    while (!isOver()) await new Promise(setImmediate);
  };
  const shown = (): string | undefined => certificates.offerOf('jobs')?.certificate.chain;
  const told = (): string[] => events.splice(0).map(({ event }) => event);
  const seen = { shown, told, replaced, events, shownByReceivers };
  return { certificates, files, write, replace, look, ...seen };
}

void test('authorities of clients are shown and told like the certificate; other line ends are nothing new', async (t) => {
  const other = makeAuthority({ name: 'other' }).certificatePem;
  const both = { clientCa: `${authority.certificatePem}${other}` };
  const { certificates, files, write, look, told, replaced } = open(t, issue(), both);
  const authorities = (): number | undefined => certificates.offerOf('jobs')?.clientCa?.length;
  const before = certificates.offerOf('jobs');
  write(files.clientCa ?? '', `# ours\r\n${both.clientCa.replaceAll('\n', '\r\n')}`);
  await look();
  assert.equal(certificates.offerOf('jobs'), before);
  assert.deepEqual([authorities(), told(), replaced.length], [2, [], 0]);
  write(files.clientCa ?? '', other);
  await look();
  assert.deepEqual([authorities(), told(), replaced.length], [1, ['certificate-replaced'], 1]);
});

void test('half of a pair changes nothing, and is told only when it stays so', async (t) => {
  const first = issue();
  const { files, write, look, shown, told } = open(t, first);
  const second = issue();
  write(files.certificate, second.certificatePem);
  await look();
  assert.equal(shown(), first.certificatePem);
  assert.deepEqual(told(), []);
  write(files.key, second.keyPem);
  await look();
  assert.equal(shown(), second.certificatePem);
  assert.deepEqual(told(), ['certificate-replaced']);
  write(files.key, first.keyPem);
  for (let times = 0; times < 4; times += 1) await look();
  assert.equal(shown(), second.certificatePem);
  assert.deepEqual(told(), ['certificate-kept']);
});

const damaged = issue().certificatePem.replace(/\n.{64}\n/, '\n');

for (const [what, spoil] of [
  ['an empty file', (path: string) => writeFileSync(path, '')],
  ['a file that is no certificate', (path: string) => writeFileSync(path, 'certificate')],
  ['a damaged certificate', (path: string) => writeFileSync(path, damaged)],
  ['no file', (path: string) => unlinkSync(path)],
] as const) {
  void test(`${what} keeps the old one; a good one ends that`, async (t) => {
    const first = issue();
    const { files, replace, look, shown, told } = open(t, first);
    spoil(files.certificate);
    for (let times = 0; times < 3; times += 1) await look();
    assert.equal(shown(), first.certificatePem);
    assert.deepEqual(told(), ['certificate-kept']);
    const second = issue();
    replace(second);
    await look();
    assert.equal(shown(), second.certificatePem);
    assert.deepEqual(told(), ['certificate-replaced']);
  });
}

void test('a reload reads at once, all or nothing, and what did not change goes on', (t) => {
  const first = issue();
  const { certificates, files, write, replace, shown, told } = open(t, first);
  const before = certificates.offerOf('jobs');
  certificates.prepare([files], []).commit();
  assert.equal(certificates.offerOf('jobs'), before);
  const second = issue();
  replace(second);
  const prepared = certificates.prepare([files], []);
  assert.equal(shown(), first.certificatePem);
  prepared.commit();
  assert.equal(shown(), second.certificatePem);
  write(files.key, first.keyPem);
  assert.throws(() => certificates.prepare([files], []), CertificateFault);
  assert.equal(shown(), second.certificatePem);
  certificates.prepare([], []).commit();
  assert.equal(shown(), undefined);
  assert.deepEqual(told(), []);
});

void test('an end is told from 14 days before on, once a day', async (t) => {
  const { certificates, look, told } = open(t, issue(14.5));
  assert.deepEqual(told(), []);
  const until = async (days: number): Promise<void> => {
    const { leftMs } = certificates.expiries()[0] ?? { leftMs: 0 };
    await look(leftMs - days * day);
  };
  await until(13.9);
  assert.deepEqual(told(), ['certificate-expires']);
  await look();
  await until(13.5);
  assert.deepEqual(told(), []);
  await until(12.8);
  await look();
  assert.deepEqual(told(), ['certificate-expires']);
});

void test('what backends show is told like our own, as long as they are there', async (t) => {
  const { certificates, files, look, told } = open(t);
  const { validTo } = new X509Certificate(issue(3).certificatePem);
  certificates.saw('mail1', validTo);
  certificates.saw('mail2', 'Dec  1 09:05:00 2099 GMT');
  const left = () => {
    const backends = certificates.expiries().filter(({ role }) => role === 'backend');
    return backends.map(({ name, leftMs }) => `${name} ${Math.round(leftMs / day)}`);
  };
  assert.match(left().join(), /^mail1 3,mail2 2\d{4}$/);
  await look();
  assert.deepEqual(told(), ['certificate-expires']);
  certificates.prepare([files], ['mail2']).commit();
  assert.match(left().join(), /^mail2 /);
});

void test('what receivers show, and what they are shown, is told like our own, and a new file ends it', async (t) => {
  const { certificates, look, events, replaced, shownByReceivers: shown } = open(t);
  const certificate = join(openFolder(t), 'own.pem');
  const write = (days: number): void => writeFileSync(certificate, issue(days).certificatePem);
  write(3);
  const told = (): string[] =>
    events.splice(0).map(({ event, level, sink, text }) => [event, level, sink, text].join(' '));
  const left = (): string[] =>
    certificates.expiries().map(({ role, name, leftMs }) => `${role} ${name} ${Math.round(leftMs / day)}`);
  certificates.prepare([], [], [{ name: 'log1:6514', certificate }]).commit();
  assert.deepEqual(told(), [
    'certificate-expires warn log1:6514 the certificate that is shown to the server expires in 2 days',
  ]);
  shown.push({ name: 'log2:6514', validTo: new X509Certificate(issue(-1).certificatePem).validTo });
  assert.deepEqual(left(), ['receiver log2:6514 -1', 'receiver-client log1:6514 3']);
  await look();
  assert.deepEqual(told(), ['certificate-expires error log2:6514 the certificate of the server has expired']);
  // Both are renewed, without a reload.
  write(90);
  shown.splice(0, 1, { name: 'log2:6514', validTo: new X509Certificate(issue(80).certificatePem).validTo });
  await look();
  assert.deepEqual(left(), ['receiver log2:6514 80', 'receiver-client log1:6514 90']);
  // A file that is away has no end; the connection says what is wrong with it.
  unlinkSync(certificate);
  await look();
  assert.deepEqual([left(), told()], [['receiver log2:6514 80'], []]);
  certificates.prepare([], []).commit();
  shown.length = 0;
  assert.deepEqual([left(), replaced], [[], []], 'no listener shows it');
});
