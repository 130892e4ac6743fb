// Goal: two verifiers with keys of their own over one store accept each other's lines where fleet.yaml lists them; a key is replaced by
// the command, and the other verifier says so until it has the new one; who has the old key is found by both; a line that was kept before
// the replacement still proves what was there.
import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { readCheckpoint, signCheckpoint } from '../../../src/evidence/fleet/checkpoint.js';
import type { FleetStatus } from '../../../src/evidence/fleet/shapes.js';
import { formatName } from '../../../src/evidence/store/names.js';
import { writeJournal } from '../../evidence/cli/shown.js';
import type { Owner } from '../../kit/plain/folder.js';
import { type Lines, openDesk, openTrail, readLines, type Trail, trusted } from './fleet-lab.js';

const names = ['audit-1', 'audit-2'] as const;

/** One of two, with keys of both beside its fleet.yaml once they are exchanged. */
function openOne(owner: Owner, trail: Trail, name: string) {
  const hosts = { gate1: trusted };
  const desk = openDesk(owner, trail, hosts, { name });
  const verifiers = Object.fromEntries(names.map((each) => [each, { key: `${each}.pub` }]));
  return {
    ...desk,
    list: () => desk.write(hosts, { verifiers }),
    lines: (): string[] => readFileSync(desk.at('state', 'checkpoints.jsonl'), 'utf8').trimEnd().split('\n'),
  };
}

const kindsOf = ({ findings }: Pick<FleetStatus, 'findings'>): string[] =>
  findings.map(({ kind, journal, seq }) => [kind, journal ?? '-', seq ?? '-'].join(' '));

void test('two verifiers, and a key that is replaced', { timeout: 600_000 }, async (t) => {
  const trail = openTrail(t);
  const journal = readLines(await writeJournal(t, 40, undefined, true));
  const part = (from: number, to: number): Lines => ({ ...journal, lines: journal.lines.slice(from, to) });
  let sent = 20;
  const more = async (): Promise<void> => {
    await trail.send('gate1', part(sent, sent + 5));
    sent += 5;
  };
  await trail.send('gate1', part(0, sent));
  const [one, two] = [openOne(t, trail, names[0]), openOne(t, trail, names[1])];
  const exchangeKeys = (): void => {
    for (const desk of [one, two])
      for (const [name, from] of [
        [names[0], one],
        [names[1], two],
      ] as const)
        cpSync(from.at('state', 'checkpoint.pub'), desk.at(`${name}.pub`));
  };

  await t.test('unlisted they are strangers, listed they are not', async () => {
    assert.deepEqual(kindsOf(await one.verify()), []);
    assert.deepEqual(kindsOf(await two.verify()), ['untrusted - 1']);
    assert.deepEqual(kindsOf(await two.verify('--accept')), []);
    await more();
    assert.deepEqual(kindsOf(await one.verify()), ['untrusted - 1']);
    assert.deepEqual(kindsOf(await two.verify()), ['untrusted - 2']);
    exchangeKeys();
    for (const desk of [one, two]) desk.list();
    // Listed: what was found ends.
    for (const desk of [one, two]) {
      const verified = await desk.verify();
      assert.deepEqual([verified.exit, kindsOf(verified)], [0, []], verified.text);
    }
    for (let round = 0; round < 2; round += 1) {
      await more();
      for (const desk of [one, two]) {
        const verified = await desk.verify();
        assert.deepEqual([verified.exit, kindsOf(verified)], [0, []], verified.text);
      }
    }
    const shown = await one.run('status');
    assert.match(shown.text, /^verifier audit-2: line 3, at \d{4}-/m);
  });

  await t.test('an older copy of the state is put back: found, and ends when it is accepted', async () => {
    cpSync(two.at('state'), two.at('copy'), { recursive: true });
    const { length } = two.lines();
    for (let round = 0; round < 2; round += 1) {
      await more();
      await two.verify();
    }
    cpSync(two.at('copy'), two.at('state'), { recursive: true });
    const broken = [`cut-at-host audit-2 ${length + 1}`, `unlinked audit-2 ${length + 3}`];
    await more();
    const put = await two.verify();
    assert.deepEqual([put.exit, kindsOf(put)], [1, broken], put.text);
    const again = await two.verify();
    assert.deepEqual([again.exit, kindsOf(again)], [1, broken], again.text);
    assert.deepEqual(kindsOf(await two.verify('--accept')), []);
    await more();
    const ended = await two.verify();
    assert.deepEqual([ended.exit, kindsOf(ended)], [0, []], ended.text);
    await one.verify();
  });

  const [kept = ''] = one.lines();
  let forgedSeq = 0;
  const stolen = readFileSync(one.at('state', 'checkpoint.key'), 'utf8');

  await t.test('a key is replaced: the other one says so until it has the new key', async () => {
    const seq = one.lines().length + 1;
    const replaced = await one.run('rotate-key');
    assert.equal(replaced.exit, 0, replaced.text);
    assert.ok(replaced.text.startsWith(`line ${seq} of checkpoints.jsonl names the new key: `));
    assert.ok(!existsSync(one.at('state', 'checkpoint.key.next')));
    assert.notEqual(readFileSync(one.at('state', 'checkpoint.key'), 'utf8'), stolen);
    await more();
    const own = await one.verify();
    assert.deepEqual([own.exit, kindsOf(own)], [0, []], own.text);
    const told = await two.verify();
    assert.deepEqual([told.exit, kindsOf(told)], [1, [`key-replaced audit-1 ${seq}`]], told.text);
    exchangeKeys();
    const known = await two.verify();
    assert.deepEqual([known.exit, kindsOf(known)], [0, []], known.text);
  });

  await t.test('who has the old key is found by both', async () => {
    const last = readCheckpoint(one.lines().at(-1) ?? '');
    assert.ok(last !== undefined);
    const { line, seq } = signCheckpoint(last, last, stolen, Date.now());
    forgedSeq = seq;
    const name = formatName({
      kind: 'verifier',
      verifier: names[0],
      seq,
      hash: readCheckpoint(line)?.hash ?? '',
    });
    await trail.store.put(name, Buffer.from(`${line}\n`), { ifAbsent: true });
    for (const desk of [one, two]) {
      const verified = await desk.verify();
      assert.deepEqual([verified.exit, kindsOf(verified)], [1, [`untrusted audit-1 ${seq}`]], verified.text);
      await desk.verify('--accept');
    }
  });

  await t.test('a line that was kept before the replacement still counts, at both', async () => {
    for (const desk of [one, two]) {
      writeFileSync(desk.at('kept.jsonl'), `${kept}\n`);
      const verified = await desk.verify('--checkpoint', desk.at('kept.jsonl'));
      assert.deepEqual([verified.exit, kindsOf(verified)], [0, []], verified.text);
    }
    // Without its state it reads all again, and knows its own old lines by its list of public keys.
    rmSync(one.at('state', 'state.json'));
    assert.deepEqual(kindsOf(await one.verify()), [`untrusted audit-1 ${forgedSeq}`]);
    await one.verify('--accept');
  });

  await t.test('the old key in the place of the new one is refused', async () => {
    const now = readFileSync(one.at('state', 'checkpoint.key'));
    writeFileSync(one.at('state', 'checkpoint.key'), stolen);
    const refused = await one.run('verify');
    assert.equal(refused.exit, 78, refused.text);
    assert.match(refused.text, /checkpoint\.key was replaced by the key /);
    writeFileSync(one.at('state', 'checkpoint.key'), now);
    assert.equal((await one.verify()).exit, 0);
  });
});
