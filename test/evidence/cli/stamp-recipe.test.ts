// Goal: the recipe of docs/shipping.md has the newest checkpoint stamped, and tells a journal that was written anew with the stolen key. An
// authority by `openssl ts` answers over HTTP. What must not happen: a stamp of what is not signed, or of an authority that is not known.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openFolder } from '../../kit/plain/folder.js';
import { listenHere } from '../../kit/plain/free-ports.js';
import { runProgram } from '../../kit/plain/program.js';
import { readPage } from '../../whole/cli/docs-page.js';
import { fencesOf } from '../../whole/cli/docs-steps.js';
import { signKey, writeJournal } from './shown.js';

function openssl(folder: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' });
  assert.equal(status, 0, `openssl ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** Its certificate is `tsa.pem` of the folder; returns its URL. */
async function openAuthority(t: TestContext, folder: string): Promise<string> {
  const purpose = ['-addext', 'extendedKeyUsage=critical,timeStamping'];
  const files = ['-keyout', 'tsa.key', '-out', 'tsa.pem'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(folder, 'req', '-x509', '-days', '30', '-subj', '/CN=stamps', ...key, ...purpose, ...files);
  writeFileSync(join(folder, 'serial'), '01\n');
  const settings =
    'serial = serial\nsigner_digest = sha256\ndefault_policy = 1.3.6.1.4.1.99999.1\ndigests = sha256\n';
  const signer = 'signer_cert = tsa.pem\nsigner_key = tsa.key\ncerts = tsa.pem\n';
  writeFileSync(join(folder, 'tsa.cnf'), `[stamps]\n${settings}${signer}ess_cert_id_alg = sha256\n`);
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => void pieces.push(piece));
    request.on('end', () => {
      writeFileSync(join(folder, 'query'), Buffer.concat(pieces));
      const from = ['-config', 'tsa.cnf', '-section', 'stamps', '-queryfile', 'query'];
      openssl(folder, 'ts', '-reply', ...from, '-out', 'reply');
      response.end(readFileSync(join(folder, 'reply')));
    });
  });
  const port = await listenHere(server);
  t.after(() => server.close());
  return `http://127.0.0.1:${port}/tsr`;
}

void test('the recipe for time stamps', async (t) => {
  const folder = openFolder(t);
  const url = await openAuthority(t, folder);
  const journal = await writeJournal(t);
  const stamps = join(folder, 'stamps');
  mkdirSync(stamps);
  const fences = fencesOf(readPage('docs/shipping.md'));
  const textOf = (name: string): string => fences.find(({ info }) => info === name)?.text ?? '';
  const put = (text: string, values: Readonly<Record<string, string>>): string =>
    Object.entries(values).reduce((all, [from, to]) => {
      assert.ok(all.includes(from), from);
      return all.replaceAll(from, to);
    }, text);
  const script = join(folder, 'stamp');
  const write = (authority: string): void =>
    writeFileSync(
      script,
      put(textOf('stamp'), {
        '/var/lib/dovegate/audit': journal,
        '/srv/stamps/mail-gate-1': stamps,
        '/etc/dovegate/tsa.pem': join(folder, authority),
        'https://tsa.example.com/tsr': url,
      }),
    );
  write('tsa.pem');
  const done = await runProgram('sh', [script]);
  assert.equal(done.exit, 0, done.text);
  const day = new Date().toISOString().slice(0, 10);
  writeFileSync(join(folder, 'audit.pub'), signKey.key);
  const [verifyStamp = '', verifyJournal = ''] = textOf('check').trimEnd().split('\n');
  const at = put(verifyStamp, { '2026-11-29': join(stamps, day), 'tsa.pem': join(folder, 'tsa.pem') });
  const checked = await runProgram('sh', ['-c', at.replace('1795944000', '$(date +%s)')]);
  assert.equal(checked.exit, 0, checked.text);
  const verified = (directory: string) =>
    runWarm(
      put(verifyJournal, {
        'dovegate ': '',
        'audit.pub': join(folder, 'audit.pub'),
        '2026-11-29': join(stamps, day),
        '/srv/audit/gate1': directory,
      }).split(' '),
    );
  const own = await verified(journal);
  assert.equal(own.exit, 0, own.text);

  // Written anew, by whoever has the key.
  const anew = await writeJournal(t, 44, (record) => ({ ...record, user: 'nobody@example.com' }));
  const forged = await verified(anew);
  assert.equal(forged.exit, 1);
  assert.match(forged.text, /rewritten: the record is not the one that .*\.jsonl names/);
  assert.match((await verified(await writeJournal(t, 20))).text, /cut: .*\.jsonl names record \d+/);

  // An authority that nobody knows; and what was not signed.
  openssl(folder, ...'req -x509 -newkey ed25519 -nodes -subj /CN=x -out other.pem -keyout o.key'.split(' '));
  write('other.pem');
  assert.notEqual((await runProgram('sh', [script])).exit, 0);
  write('tsa.pem');
  rmSync(join(stamps, `${day}.tsr`));
  const plain = readFileSync(join(journal, 'checkpoint.json'), 'utf8').replace(/"signature":"[^"]*",/, '');
  writeFileSync(join(journal, 'checkpoint.json'), plain);
  assert.notEqual((await runProgram('sh', [script])).exit, 0);
  assert.ok(!existsSync(join(stamps, `${day}.tsr`)));
});
