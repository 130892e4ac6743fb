// Goal: the commands of docs/audit-fleet.md for rclone, as they stand there, copy a mirror that lives: what they bring back proves
// itself, without a server, a verifier or its state. Phases: the first night; a second one with more records; the copy is fetched and
// verified; then somebody changes a segment of the mirror, one of the copy, and a signed line of the copy. What must not happen: a changed
// segment that takes the place of its copy, a copy that verifies although it was changed. The store is a folder: what an object lock does
// is the store's.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { readCheckpoint } from '../../../src/evidence/fleet/checkpoint.js';
import { openNats } from '../../../src/evidence/nats/link.js';
import { signKey, writeJournal } from '../../evidence/cli/shown.js';
import { builtProgram } from '../../kit/gate/daemon.js';
import { openNatsServer } from '../../kit/gate/nats.js';
import { openFolder } from '../../kit/plain/folder.js';
import { runProgram } from '../../kit/plain/program.js';
import { readPage } from '../cli/docs-page.js';
import { fencesOf } from '../cli/docs-steps.js';
import { fill, openDesk, readLines, send, skipOf, trusted } from './fleet-lab.js';

const host = 'gate1';

/** The lines of a block of the page; a line that goes on has a backslash at its end. */
function linesOf(info: string): readonly string[] {
  const fence = fencesOf(readPage('docs/audit-fleet.md')).find((each) => each.info === info);
  assert.ok(fence !== undefined, info);
  return fence.text.trimEnd().replaceAll('\\\n', ' ').split('\n');
}

/** A shell whose `cold:` is a folder, and whose paths are those of a test. */
function openShell(t: TestContext, paths: Readonly<Record<string, string>>) {
  const folder = openFolder(t);
  const [bin, store] = [join(folder, 'bin'), join(folder, 'store')];
  for (const each of [bin, store]) mkdirSync(each);
  writeFileSync(join(bin, 'dovegate'), `#!/bin/sh\nexec "${process.execPath}" "${builtProgram}" "$@"\n`, {
    mode: 0o755,
  });
  const env = {
    PATH: `${bin}:${process.env['PATH']}`,
    RCLONE_CONFIG: join(folder, 'rclone.conf'),
    RCLONE_CONFIG_COLD_TYPE: 'alias',
    RCLONE_CONFIG_COLD_REMOTE: store,
  };
  const run = (line: string) => {
    const own = Object.entries(paths).reduce((text, [from, to]) => text.replaceAll(from, to), line);
    return runProgram('sh', ['-c', `cd ${folder} && ${own}`], { env });
  };
  return {
    folder,
    store,
    run,
    /** All lines of a block; the first that fails ends the test. */
    async runAll(info: string): Promise<string> {
      let said = '';
      for (const line of linesOf(info)) {
        const done = await run(line);
        assert.equal(done.exit, 0, `${line}\n${done.text}`);
        said += done.text;
      }
      return said;
    },
  };
}

const packedIn = (folder: string): string[] => readdirSync(folder).filter((name) => name.endsWith('.gz'));

void test('a copy of the mirror proves itself, and a changed one does not', {
  timeout: 300_000,
}, async (t) => {
  const nats = await openNatsServer(t, { gates: [host] });
  if (skipOf(t, nats)) return;
  const journal = readLines(await writeJournal(t, 60));
  const half = journal.lines.length >> 1;
  await fill(nats, { [host]: { ...journal, lines: journal.lines.slice(0, half) } });
  const desk = openDesk(nats, { [host]: trusted });
  const keys = openFolder(t);
  writeFileSync(join(keys, `${host}.pub`), signKey.key);
  const shell = openShell(t, {
    '/var/lib/dovegate-fleet': desk.state,
    '/etc/dovegate/fleet/keys': keys,
    'mail-gate-1': host,
  });
  const verified = async (): Promise<void> => {
    const done = await desk.run('verify');
    assert.equal(done.exit, 0, done.text);
  };
  const mirrored = join(desk.state, 'journals', host, journal.id);
  const copied = join(shell.store, 'audit-archive', 'journals', host, journal.id);

  await verified();
  await shell.runAll('copy');
  const first = packedIn(copied);
  assert.ok(first.length > 2);
  const link = await openNats(nats.settingsOf(host));
  await send(link, host, { ...journal, lines: journal.lines.slice(half) });
  await link.close();
  await verified();
  await shell.runAll('copy');
  assert.deepEqual(packedIn(copied), packedIn(mirrored));
  assert.ok(packedIn(copied).length > first.length);
  const said = await shell.runAll('fetch');
  assert.match(said, /"host":"gate1"/);

  // The line that was signed last names a record behind the copy; the one before, whose hour is over, one in it.
  const [kept = ''] = readFileSync(join(desk.state, 'checkpoints.jsonl'), 'utf8').split('\n');
  const [head] = readCheckpoint(kept)?.heads ?? [];
  const [zgrep = ''] = linesOf('find');
  const asked = zgrep
    .replace('"hash":"9a0f...', `"hash":"${head?.hash}`)
    .replace('mail-gate-1/2f0c...', `${host}/${journal.id}`);
  const found = await shell.run(asked);
  assert.match(found.text, /:1$/m, found.text);

  const [name = ''] = packedIn(mirrored);
  const whole = readFileSync(join(mirrored, name));
  const changed = gzipSync(gunzipSync(whole).toString().replace('alice@', 'alike@'));
  assert.ok(!changed.equals(whole));
  writeFileSync(join(mirrored, name), changed);
  const [copy = ''] = linesOf('copy');
  const refused = await shell.run(copy);
  assert.notEqual(refused.exit, 0);
  assert.match(refused.text, /immutable file modified/);
  assert.deepEqual(readFileSync(join(copied, name)), whole);
  const check = await shell.run(linesOf('copy').at(-1) ?? '');
  assert.equal(check.exit, 1, check.text);

  // Who can write to the store, and has no key of the gate.
  const verify = linesOf('fetch')[1] ?? '';
  const fetched = join(shell.folder, 'restored', 'journals', host, journal.id);
  writeFileSync(join(fetched, name), changed);
  const forged = await shell.run(verify);
  assert.equal(forged.exit, 1, forged.text);
  assert.match(forged.text, /changed/);
  writeFileSync(join(fetched, name), whole);
  const middle = packedIn(fetched)[2] ?? '';
  rmSync(join(fetched, middle));
  const lacking = await shell.run(verify);
  assert.equal(lacking.exit, 1, lacking.text);
});
