// Goal: @dovegate/client by itself. Packed, it is installed into an empty folder without a network, and used by `import`, by `require` and
// from TypeScript in front of a running daemon. What must not happen: a dependency, a file of the daemon, two classes of one name.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import * as z from 'zod';
import { readManifest, root } from '../../architecture/project.js';
import { openGateway } from '../../kit/gate/gateway.js';
import type { Script } from '../../kit/gate/script.js';
import { openFolder } from '../../kit/plain/folder.js';
import { runProgram } from '../../kit/plain/program.js';
import { checkedWith, compile, install, sizeOf } from './packing.js';

const answer: Script = async ({ fields }, connection) => {
  if (fields[0] === 'quota get') {
    await connection.row('User quota', 'STORAGE', '12', '100', '12');
    return connection.status('+');
  }
  await connection.log('error', "doveadm(a)<1><x>: Can't create mailbox Old: Mailbox already exists");
  return connection.status('-DATAERR');
};

const policy = '\n    users: ["*@example.org"]\n    allow: [quota get, mailbox create]';

/** What each of the three programs does; `load` differs. */
const body = `
(async () => {
  const session = await connect({ socket: process.argv[2] ?? '' });
  const user = 'alice@example.org';
  for (const { root, type, limit } of await session.named({ user, name: 'quota get' })) console.log(root, type, limit);
  for (const command of [
    { user, name: 'mailbox create', args: ['--', 'Old'] },
    { user, name: 'mailbox delete', args: ['--', 'Old'] },
  ])
    try {
      await session.run(command);
    } catch (fault) {
      if (!(fault instanceof CommandFailed)) throw fault;
      console.log(fault.kind, fault.code);
    }
  await session.named({ name: 'user', args: ['alice'] }).catch((fault: unknown) => {
    if (fault instanceof SessionFault) console.log(fault.code, fault.mayHaveRun);
  });
  await session.close();
})();
`;
const untyped = body.replaceAll(': unknown', '');
const printed = 'User quota STORAGE 100\nexists DATAERR\ndenied NOPERM\nunsendable false\n';

void test('the client library by itself', { timeout: 240_000 }, async (t) => {
  const folder = openFolder(t);
  await install(folder, 'client');
  t.diagnostic(sizeOf(join(folder, `dovegate-client-${readManifest().version}.tgz`)));
  await t.test('import, require and TypeScript, in front of a daemon', (sub) => useIt(sub, folder));
  await t.test('what is packed: the library, no dependency, none of the daemon', () => lookInto(folder));
});

async function useIt(t: TestContext, folder: string): Promise<void> {
  const { daemon } = await openGateway(t, { backend: { script: answer }, policy });
  const names = 'CommandFailed, connect, SessionFault';
  const programs: Readonly<Record<string, string>> = {
    'program.mjs': `import { ${names} } from '@dovegate/client';${untyped}`,
    'program.cjs': `const { ${names} } = require('@dovegate/client');${untyped}`,
    'typed.mts': `import { type Command, ${names}, type FailureKind, type NamedRow } from '@dovegate/client';
export type Used = [Command, FailureKind, NamedRow];${body}
// @ts-expect-error a place is one thing or the other
void (() => connect({ host: 'mail.example.com' }));`,
    'typed.cts': `import library = require('@dovegate/client');
const { ${names} } = library;${body}`,
  };
  for (const [name, text] of Object.entries(programs)) writeFileSync(join(folder, name), text);
  await compile(folder, 'node20', ['typed.mts', 'typed.cts']);
  const run = checkedWith({ cwd: folder });
  for (const name of ['program.mjs', 'program.cjs', 'typed.mjs', 'typed.cjs'])
    assert.equal(await run(process.execPath, name, daemon.path('support.sock')), printed, name);
  writeFileSync(
    join(folder, 'both.mjs'),
    `import { createRequire } from 'node:module';
import * as imported from '@dovegate/client';
const required = createRequire(import.meta.url)('@dovegate/client');
console.log(Object.keys(imported).every((name) => imported[name] === required[name]), Object.keys(imported).join());`,
  );
  assert.equal(await run(process.execPath, 'both.mjs'), 'true CommandFailed,SessionFault,connect\n');
}

function lookInto(folder: string): void {
  const own = join(folder, 'node_modules/@dovegate/client');
  assert.doesNotMatch(readFileSync(join(own, 'README.md'), 'utf8'), /two ways|[^@]dovegate\/client/);
  const manifest = z
    .record(z.string(), z.unknown())
    .parse(JSON.parse(readFileSync(join(own, 'package.json'), 'utf8')));
  assert.equal(manifest['version'], readManifest().version);
  assert.deepEqual(
    Object.keys(manifest).filter((key) => /dependencies|scripts/i.test(key)),
    [],
  );
  assert.deepEqual(readdirSync(join(folder, 'node_modules/@dovegate')), ['client']);
  assert.deepEqual(
    readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.')),
    ['@dovegate'],
  );
  const folders = readdirSync(join(own, 'lib'), { withFileTypes: true }).map(({ name }) => name);
  assert.deepEqual(folders.toSorted(), ['client', 'doveadm', 'gate', 'host']);
  // The form of a request for access, which the page has too.
  assert.deepEqual(readdirSync(join(own, 'lib/gate')), ['access']);
  assert.deepEqual(
    readdirSync(join(own, 'lib/gate/access')).filter((name) => name.endsWith('.js')),
    ['access-item.js'],
  );
  const page = readFileSync(join(own, 'README.md'), 'utf8');
  assert.match(page, /from '@dovegate\/client'/);
  // The words to type; others of the same form are run above.
  for (const [text, version] of [
    [page, manifest['version']],
    [readFileSync(join(root, 'docs/client-node.md'), 'utf8'), 'VERSION'],
  ] as const) {
    assert.ok(text.includes(`\nnpm install ./dovegate-client-${version}.tgz\n`), 'the line that installs it');
    for (const line of [
      "import { connect } from '@dovegate/client';",
      "{ connect } = require('@dovegate/client')",
    ])
      assert.ok(text.includes(line), line);
  }
  assert.doesNotMatch(page, /\]\((?![a-z]+:)/);
}

void test('wrong words make nothing', async (t) => {
  const folder = openFolder(t);
  for (const args of [
    ['--only', 'rpmm'],
    ['client'],
    ['--version', '1', '--only', 'client'],
    ['--nothing'],
  ]) {
    const own = ['scripts/package.mjs', '--output', folder, ...args];
    const { exit, stderr } = await runProgram(process.execPath, own, { cwd: root });
    assert.equal(exit, 64, stderr);
  }
  assert.deepEqual(readdirSync(folder), []);
});
