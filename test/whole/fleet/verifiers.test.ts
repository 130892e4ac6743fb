// Goal: two verifiers with keys of their own over one store accept each other's lines where fleet.yaml lists them; a key is replaced by
// the command, and the other verifier says so until it has the new one; who has the old key is found by both; a line that was kept before
// the replacement still proves what was there.
import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readCheckpoint, signCheckpoint } from '../../../src/evidence/fleet/checkpoint.js';
import type { FleetStatus } from '../../../src/evidence/fleet/shapes.js';
import { formatName } from '../../../src/evidence/store/names.js';
import { writeJournal } from '../../evidence/cli/shown.js';
import type { Owner } from '../../kit/plain/folder.js';
import { ends } from '../../kit/plain/program.js';
import { type Desk, type Lines, openDesk, openTrail, readLines, type Trail, trusted } from './fleet-lab.js';

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

/** A run finds this, and ends accordingly. */
async function verifies(
  desk: Pick<Desk, 'verify'>,
  found: readonly string[],
  ...args: string[]
): Promise<void> {
  const verified = await desk.verify(...args);
  assert.deepEqual(kindsOf(verified), found, verified.text);
}

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
    for (const desk of [one, two]) {
      cpSync(one.at('state', 'checkpoint.pub'), desk.at(`${names[0]}.pub`));
      cpSync(two.at('state', 'checkpoint.pub'), desk.at(`${names[1]}.pub`));
    }
  };

  await t.test('unlisted they are strangers, listed they are not', async () => {
    await verifies(one, []);
    await verifies(two, ['untrusted - 1']);
    await verifies(two, [], '--accept');
    await more();
    await verifies(one, ['untrusted - 1']);
    await verifies(two, ['untrusted - 2']);
    exchangeKeys();
    for (const desk of [one, two]) desk.list();
    // Listed: what was found ends.
    for (let round = 0; round < 3; round += 1) {
      for (const desk of [one, two]) await verifies(desk, []);
      if (round < 2) await more();
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
    await verifies(two, broken);
    await verifies(two, broken);
    await verifies(two, [], '--accept');
    await more();
    await verifies(two, []);
    await one.verify();
  });

  const [kept = ''] = one.lines();
  let forgedSeq = 0;
  const stolen = readFileSync(one.at('state', 'checkpoint.key'), 'utf8');

  await t.test('a key is replaced: the other one says so until it has the new key', async () => {
    const seq = one.lines().length + 1;
    const replaced = await ends(0, one.run('rotate-key'));
    assert.ok(replaced.text.startsWith(`line ${seq} of checkpoints.jsonl names the new key: `));
    assert.ok(!existsSync(one.at('state', 'checkpoint.key.next')));
    assert.notEqual(readFileSync(one.at('state', 'checkpoint.key'), 'utf8'), stolen);
    await more();
    await verifies(one, []);
    await verifies(two, [`key-replaced audit-1 ${seq}`]);
    exchangeKeys();
    await verifies(two, []);
  });

  await t.test('who has the old key is found by both', async () => {
    const last = readCheckpoint(one.lines().at(-1) ?? '');
    assert.ok(last !== undefined);
    const { line, seq } = signCheckpoint(last, last, stolen, Date.now());
    forgedSeq = seq;
    const { hash = '' } = readCheckpoint(line) ?? {};
    const name = formatName({ kind: 'verifier', verifier: names[0], seq, hash });
    await trail.store.put(name, Buffer.from(`${line}\n`), { ifAbsent: true });
    for (const desk of [one, two]) {
      await verifies(desk, [`untrusted audit-1 ${seq}`]);
      await desk.verify('--accept');
    }
  });

  await t.test('junk behind the last line is told once, and hides no line that comes', async () => {
    const last = {
      kind: 'verifier',
      verifier: names[0],
      seq: 9_000_000_000_000_000,
      hash: '0'.repeat(64),
    } as const;
    await trail.store.put(formatName(last), Buffer.from('junk'), { ifAbsent: true });
    await verifies(two, ['malformed - -']);
    await two.verify('--accept');
    await more();
    for (const desk of [one, two, two]) await desk.verify();
    assert.equal(two.status().verifiers?.[0]?.seq, one.lines().length);
    await verifies(two, []);
    await one.verify('--accept');
    rmSync(trail.pathOf(formatName(last)));
  });

  await t.test('the last line, or all lines of a verifier, are removed', async () => {
    const folder = trail.pathOf(`_verifiers/${names[0]}`);
    renameSync(folder, join(trail.folder, 'away'));
    const seq = one.lines().length;
    await verifies(two, [`cut-in-store audit-1 ${seq}`]);
    await verifies(two, [`cut-in-store audit-1 ${seq}`]);
    renameSync(join(trail.folder, 'away'), folder);
    await verifies(two, [], '--accept');
    await more();
    await verifies(one, []);
    await verifies(two, []);
  });

  await t.test('a line that was kept before the replacement still counts, at both', async () => {
    for (const desk of [one, two]) {
      writeFileSync(desk.at('kept.jsonl'), `${kept}\n`);
      await verifies(desk, [], '--checkpoint', desk.at('kept.jsonl'));
    }
    // Without its state it reads all again, and knows its own old lines by its list of public keys.
    rmSync(one.at('state', 'state.json'));
    await verifies(one, [`untrusted audit-1 ${forgedSeq}`]);
    await one.verify('--accept');
  });

  await t.test('the old key in the place of the new one is refused', async () => {
    const now = readFileSync(one.at('state', 'checkpoint.key'));
    writeFileSync(one.at('state', 'checkpoint.key'), stolen);
    const refused = await ends(78, one.run('verify'));
    assert.match(refused.text, /checkpoint\.key was replaced by the key /);
    writeFileSync(one.at('state', 'checkpoint.key'), now);
    await ends(0, one.verify());
  });
});
