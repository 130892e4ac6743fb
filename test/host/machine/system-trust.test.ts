// Goal: the system's list is what its file holds now, shared by all connections. What must not happen: a context for each connection,
// Node's own authorities in place of a list that is not there, a file that is read without a bound, contexts that grow with certificates.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemContext, systemListFile } from '../../../src/host/machine/system-trust.js';
import { connectTls } from '../../../src/host/net/tls-connect.js';
import { UpstreamFault } from '../../../src/host/ports/faults.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { openFolder } from '../../kit/plain/folder.js';
import { openSockets, serveTls } from '../net/pair.js';

const authority = makeAuthority({ name: 'an authority of this company' });
const other = makeAuthority({ name: 'another authority' });
const demand = { serverName: 'mail.example.com', ca: undefined, keyPins: [] };

/** Puts a list in the place of the system's for this test. */
function openList(t: TestContext, text: string): { file: string; write: (changed: string) => void } {
  const file = join(openFolder(t), 'authorities.pem');
  const write = (changed: string): void => {
    writeFileSync(`${file}.new`, changed);
    renameSync(`${file}.new`, file);
  };
  write(text);
  const before = process.env['SSL_CERT_FILE'];
  process.env['SSL_CERT_FILE'] = file;
  t.after(() => {
    if (before === undefined) delete process.env['SSL_CERT_FILE'];
    else process.env['SSL_CERT_FILE'] = before;
  });
  return { file, write };
}

async function shake(t: TestContext, by: typeof authority): Promise<void> {
  const { near, far } = await openSockets(t, 'tcp');
  const server = serveTls(far, by.issue({ names: ['mail.example.com'] }));
  server.on('error', () => undefined);
  const tls = await connectTls(near, demand);
  tls.write('inside');
  await once(server, 'data');
}

const refusal = (pattern: RegExp) => (fault: unknown) => {
  assert.ok(fault instanceof UpstreamFault, String(fault));
  assert.equal(fault.code, 'tls-failed');
  assert.match(fault.message, pattern);
  return true;
};

test('an authority that only the system has counts, and counts no more once it is gone from the list', async (t) => {
  const { write } = openList(t, other.certificatePem + authority.certificatePem);
  await shake(t, authority);
  write(other.certificatePem);
  await assert.rejects(shake(t, authority), refusal(/not in the system's list of authorities/));
  await shake(t, other);
});

test('one context for all connections, until the file changes; at most four with client certificates', (t) => {
  const { write } = openList(t, authority.certificatePem);
  const first = systemContext();
  assert.equal(systemContext(), first);
  write(other.certificatePem);
  const second = systemContext();
  assert.notEqual(second, first);
  const shown = Array.from({ length: 5 }, (_, at) => {
    const { certificatePem: chain, keyPem: key } = authority.issue({ names: [`gate${at}`], client: true });
    return { chain, key };
  });
  const contexts = shown.map((each) => systemContext(each));
  assert.equal(new Set([second, ...contexts]).size, 6);
  assert.equal(systemContext(shown[4]), contexts[4], 'the last one is kept');
  assert.notEqual(systemContext(shown[0]), contexts[0], 'the first one made room');
});

test('a list that is not there, empty, too long or no file: nothing is trusted', async (t) => {
  const { file, write } = openList(t, '');
  await assert.rejects(shake(t, authority), refusal(/holds no certificate/));
  renameSync(file, `${file}.gone`);
  await assert.rejects(shake(t, authority), refusal(/cannot be read: ENOENT/));
  write(authority.certificatePem);
  truncateSync(file, (8 << 20) + 1);
  await assert.rejects(shake(t, authority), refusal(/more than 8388608 bytes/));
  const pipe = `${file}.pipe`;
  execFileSync('mkfifo', [pipe]);
  process.env['SSL_CERT_FILE'] = pipe;
  await assert.rejects(shake(t, authority), refusal(/not a regular file/));
  const folder = `${file}.d`;
  mkdirSync(folder);
  process.env['SSL_CERT_FILE'] = folder;
  await assert.rejects(shake(t, authority), refusal(/not a regular file/));
});

test('SSL_CERT_FILE comes first, and an empty one is none', (t) => {
  const { file } = openList(t, authority.certificatePem);
  assert.equal(systemListFile(), file);
  process.env['SSL_CERT_FILE'] = '';
  assert.notEqual(systemListFile(), '');
});
