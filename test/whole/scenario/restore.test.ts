// Goal: what docs/upgrade.md says of copies of a running gate. Phases: commands; a copy of `state` and of the journal, in either order,
// with commands between; more commands; the gate is killed and files are lost; the copy is put in their place; a start, commands, a
// verdict.
// What must not happen: a copy in the right order that does not pass, records that are missing without a fault where something knows of
// them.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { startDaemon } from '../../kit/gate/daemon.js';
import { auditRecords, openGateway } from '../../kit/gate/gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { until } from '../../kit/plain/until.js';

const audit =
  '{ directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, checkpoint_interval: 50ms }';
const quota = { user: 'alice@example.org', fields: ['quota get'] };
const both = ['state', 'audit'] as const;
const machine = ['audit', 'state', 'shm/audit.ring'];

interface Case {
  readonly order: readonly string[];
  readonly lost: readonly string[];
  /** Faults of the verdict; none: it passes. */
  readonly faults: readonly RegExp[];
}

const cut = [/missing: records \d+ to \d+ are missing/, /cut: the daemon found then/];
const cases: readonly (readonly [string, Case])[] = [
  ['`state`, then the journal; all is lost', { order: both, lost: machine, faults: [] }],
  [
    'the journal, then `state`, which knows of later records; all is lost',
    { order: both.toReversed(), lost: machine, faults: cut },
  ],
  ['only `state` is lost', { order: both, lost: ['state'], faults: [] }],
  ['only the journal is lost', { order: both, lost: ['audit'], faults: cut }],
];

/** As the page does it. Exit code 1: a file was changed or removed while tar read it. */
function copy(folder: string, name: string): void {
  const { status, stderr } = spawnSync('tar', ['-cf', `${name}.tar`, '--exclude=reserve', name], {
    cwd: folder,
    encoding: 'utf8',
  });
  assert.ok(status === 0 || status === 1, stderr);
}

for (const [what, { order, lost, faults }] of cases)
  void test(`a copy of a running gate: ${what}`, async (t) => {
    const { daemon, client } = await openGateway(t, { audit });
    const one = await client();
    let asked = 0;
    const completed = () => auditRecords(daemon).filter(({ event }) => event === 'completion');
    const ask = async (): Promise<void> => {
      for (let count = 0; count < 5; count += 1) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        assert.equal((await one.ask(quota)).status, '+');
      }
      asked += 5;
      await until(() => completed().length === asked, 'all are on disk');
      const seq = Number(completed().at(-1)?.['seq']);
      const names = (text: unknown): boolean => JSON.parse(String(text)).seq > seq;
      await daemon.waitForLog(
        ({ event, text }) => event === 'audit-checkpoint' && names(text),
        'a checkpoint that names them',
      );
    };
    await ask();
    for (const name of order) {
      copy(daemon.folder, name);
      // oxlint-disable-next-line no-await-in-loop
      await ask();
    }
    await daemon.kill();
    const before = auditRecords(daemon).length;
    const logged = daemon.logs.filter(({ event }) => event === 'audit-checkpoint').at(-1);
    writeFileSync(daemon.path('last.json'), `${String(logged?.['text'])}\n`);
    for (const name of lost) rmSync(daemon.path(name), { recursive: true });
    for (const name of order.filter((each) => lost.includes(each)))
      execFileSync('tar', ['-xpf', `${name}.tar`], { cwd: daemon.folder });
    const restored = await startDaemon(t, { folder: daemon.folder });
    const again = await openRawClient({ path: restored.path('support.sock'), minor: 2 });
    assert.equal((await again.ask(quota)).status, '+', 'it serves again');
    again.close();
    await restored.stop();
    const verdict = await runWarm(['audit', 'verify', '--config', daemon.configFile]);
    assert.equal(verdict.exit, faults.length === 0 ? 0 : 1, verdict.text);
    for (const fault of faults) assert.match(verdict.text, fault);
    if (!lost.includes('audit')) return;
    assert.ok(auditRecords(restored).length < before, 'what came after the copy is in no file any more');
    const kept = ['audit', 'verify', '--config', daemon.configFile, '--checkpoint', daemon.path('last.json')];
    const compared = await runWarm(kept);
    assert.equal(compared.exit, 1, 'a checkpoint that lay elsewhere knows of them');
  });
