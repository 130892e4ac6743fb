// Goal: every example of the client library runs, those of examples/ and those of docs/client-node.md, as they stand there, against the
// scripted server. What must not happen: an example that was never run, or a session that stays open.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import type { Script } from '../../kit/gate/script.js';
import { openScriptedDovecot, type ScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { type Owner, openFolder } from '../../kit/plain/folder.js';
import { listenHere } from '../../kit/plain/free-ports.js';
import { type ProgramResult, runProgram } from '../../kit/plain/program.js';
import { projectRoot } from '../../kit/plain/root.js';

const root = fileURLToPath(projectRoot);
const alice = 'alice@example.org';

/** A request that needs no approval. */
const granted = {
  id: '01KDYAK34845MPXQWX6V6XJE37',
  state: 'granted',
  to: 'anna@support',
  policy: 'support',
  users: ['bob@example.com'],
  command: 'fetch hdr.subject mailbox INBOX all',
  scope: 'command',
  place: 'dovegate.yaml:12',
  effect: 'read',
  reason: 'ticket 4711',
  approvals: 0,
  approved_by: [],
  asked: '2026-11-20T08:22:34.123Z',
  until: '2026-11-20T09:22:34.123Z',
  for_ms: 3_600_000,
  uses: 1,
  used: 0,
  break_glass: true,
  mine: true,
  may: ['revoke'],
};

const answer: Script = async ({ user, fields }, connection) => {
  const [name = '', ...args] = fields;
  if (name === 'save') {
    const text = await connection.readInput();
    if (user === alice) return connection.status(text === null ? '-TEMPFAIL' : '+');
    await connection.log('error', `no user ${user}`);
    return connection.status('-NOUSER');
  }
  if (user === 'nobody@example.org') return connection.status('-NOUSER');
  if (name === 'quota get') await connection.row('User quota', 'STORAGE', '12', '100', '12');
  if (name === 'mailbox create') {
    await connection.log('error', "cmd mailbox create: Can't create mailbox Archive: Mailbox already exists");
    return connection.status('-DATAERR');
  }
  if (name === 'dovegate request') await connection.row('access', JSON.stringify(granted));
  if (name === 'mailbox list') for (const box of ['INBOX', 'Archive']) await connection.row(box);
  if (name === 'fetch' && args.includes('uid hdr.subject'))
    for (let uid = 1; uid <= 1_000; uid += 1) await connection.row(String(uid), `subject ${uid}`);
  if (name === 'fetch' && args.includes('text')) await connection.bigCell(100_000);
  await connection.status('+');
};

interface Here {
  readonly socket: string;
  readonly folder: string;
  readonly server: ScriptedDovecot;
  readonly run: (file: string, ...args: string[]) => Promise<ProgramResult>;
}

async function openHere(owner: Owner): Promise<Here> {
  const folder = openFolder(owner);
  const socket = join(folder, 'support.sock');
  const server = await openScriptedDovecot({ unix: socket, minor: 3, script: answer, owner });
  return {
    socket,
    folder,
    server,
    async run(file, ...args) {
      const result = await runProgram(process.execPath, [file, ...args], { cwd: root });
      await server.waitFor((one) => one.records.every(({ isOpen }) => !isOpen), 'the end of the sessions');
      return result;
    },
  };
}

const examples: Readonly<Record<string, (here: Here) => Promise<void>>> = {
  'quota.mjs': async ({ socket, run }) => {
    assert.equal((await run('examples/quota.mjs', socket, alice)).text, 'User quota STORAGE: 12 of 100\n');
  },
  'stream.mjs': async ({ socket, run }) => {
    const lines = (await run('examples/stream.mjs', socket, alice, 'INBOX')).text.trim().split('\n');
    assert.deepEqual([lines.length, lines[999]], [1_000, '1000 subject 1000']);
  },
  'export.mjs': async ({ socket, run }) => {
    assert.equal((await run('examples/export.mjs', socket, alice, 'INBOX', '1')).stdout.length, 100_000);
  },
  'save.mjs': async ({ socket, folder, server, run }) => {
    const mail = join(folder, 'mail');
    writeFileSync(mail, 'Subject: x\n\n.dot\nend');
    assert.equal((await run('examples/save.mjs', socket, alice, 'INBOX', mail)).text, 'stored\n');
    assert.equal(server.records[0]?.inputs.join(''), 'Subject: x\n\n.dot\nend');
    const refused = await run('examples/save.mjs', socket, 'bob@example.org', 'INBOX', mail);
    assert.equal(refused.text, 'refused: NOUSER\nerror: no user bob@example.org\n');
    assert.equal(refused.exit, 1);
  },
  'many.mjs': async ({ socket, server, run }) => {
    const { text } = await run('examples/many.mjs', socket, alice, 'nobody@example.org', 'bob@example.org');
    assert.equal(text, `${alice}: 12\nnobody@example.org: NOUSER\nbob@example.org: 12\n`);
    assert.equal(server.records.length, 1);
  },
  'remote.mjs': async ({ folder, run }) => {
    const authority = makeAuthority({ name: 'example authority' });
    const server = await openScriptedDovecot({
      minor: 3,
      tls: 'starttls',
      certificate: authority.issue({ names: ['localhost'] }),
      script: answer,
    });
    try {
      writeFileSync(join(folder, 'ca.pem'), authority.certificatePem);
      writeFileSync(join(folder, 'password'), 'secret\n');
      const paths = [join(folder, 'ca.pem'), 'doveadm', join(folder, 'password')];
      const { text } = await run('examples/remote.mjs', 'localhost', String(server.port), ...paths, alice);
      assert.equal(text, 'INBOX\nArchive\n');
      assert.equal(server.tlsHandshakes, 1);
    } finally {
      await server.close();
    }
  },
};

for (const [name, use] of Object.entries(examples)) {
  test(`examples/${name}`, async (t) => use(await openHere(t)));
}

test('every program among the examples is run here', () => {
  // The configurations beside them are run by test/whole/fleet/examples, ecs.mjs by test/evidence/formats/page.
  const programs = readdirSync(join(root, 'examples')).filter(
    (name) => name.endsWith('.mjs') && name !== 'ecs.mjs',
  );
  assert.deepEqual(programs.toSorted(), Object.keys(examples).toSorted());
});

test('the examples of docs/client-node.md run', async (t) => {
  const here = await openHere(t);
  const page = readFileSync(join(root, 'docs/client-node.md'), 'utf8');
  const blocks = [...page.matchAll(/^```js\n([\s\S]*?)^```/gm)].map(([, code = '']) => code);
  assert.ok(blocks.length >= 2, 'there are examples');
  // The API over HTTP as a panel finds it.
  const authority = makeAuthority({ name: 'authority of a panel' });
  const { certificatePem: cert, keyPem } = authority.issue({ names: ['localhost'] });
  const api = createServer({ cert, key: keyPem }, (_request, response) => {
    response.end('[["doveadmResponse",[{"mailbox":"INBOX"},{"mailbox":"Archive"}],"1"]]');
  });
  const port = await listenHere(api);
  t.after(() => void api.close());
  const key = join(here.folder, 'panel.key');
  writeFileSync(key, `${makeKey(randomBytes(keyBytes))}\n`);
  const ca = join(here.folder, 'ca.pem');
  writeFileSync(ca, authority.certificatePem);
  for (const [at, code] of blocks.entries()) {
    // Inside of the package, so that it finds itself by its name.
    const file = join(root, 'build', `page-${process.pid}-${at}.mjs`);
    const asHere = code
      .replaceAll('/run/dovegate/support.sock', here.socket)
      .replaceAll("'panel.key'", JSON.stringify(key))
      .replaceAll("'ca.pem'", JSON.stringify(ca))
      .replaceAll('https://gate.example.com:8443', `https://localhost:${port}`);
    writeFileSync(file, asHere);
    try {
      const { exit, text, stderr } = await here.run(file);
      assert.equal(exit, 0, `${code}\n${text}`);
      assert.equal(stderr, '', code);
      if (at === 0)
        assert.equal(text, /^```\n(.*?)^```$/ms.exec(page.slice(page.indexOf('It prints:')))?.[1]);
    } finally {
      rmSync(file);
    }
  }
});
