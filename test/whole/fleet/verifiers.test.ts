// Goal: two verifiers with keys of their own on one real server accept each other's lines where fleet.yaml lists them; a key is replaced by
// the command, and the other verifier says so until it has the new one; who has the old key is found by both; a line that was kept before
// the replacement still proves what was there.
import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkpointSubject } from '../../../src/evidence/fleet/block.js';
import { readCheckpoint, signCheckpoint } from '../../../src/evidence/fleet/checkpoint.js';
import { openNats } from '../../../src/evidence/nats/link.js';
import { signKey, writeJournal } from '../../evidence/cli/shown.js';
import { type Nats, openNatsServer } from '../../kit/gate/nats.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { type Owner, openFolder } from '../../kit/plain/folder.js';
import { fill, type Lines, readLines, send, skipOf } from './fleet-lab.js';
import { openVerifier, type Verified } from './verifier.js';

const names = ['audit-1', 'audit-2'] as const;

/** One of two, in a folder of its own, with keys of both in `keys`. */
function openOne(owner: Owner, nats: Nats) {
  const folder = openFolder(owner);
  const at = (...path: string[]): string => join(folder, ...path);
  const hosts = { gate1: `{ key: "${signKey.key}" }` };
  // The share of the stream that `fill` makes.
  const settings = 'drift: 1h\nmax_size: 1GiB';
  const listed = names.map((name) => `  ${name}: { key: ${name}.pub }`).join('\n');
  let verifier = openVerifier(owner, { nats, hosts, folder, more: settings });
  return {
    at,
    verify: (...flags: string[]): Promise<Verified> => verifier.verify(...flags),
    run: (...args: string[]) => runWarm(['audit', 'fleet', ...args, '--config', verifier.config]),
    list(): void {
      verifier = openVerifier(owner, { nats, hosts, folder, more: `${settings}\nverifiers:\n${listed}` });
    },
    lines: (): string[] => readFileSync(at('state', 'checkpoints.jsonl'), 'utf8').trimEnd().split('\n'),
  };
}

const kindsOf = ({ findings }: Verified): string[] =>
  findings.map(({ kind, journal, seq }) => [kind, journal ?? '-', seq ?? '-'].join(' '));

void test('two verifiers, and a key that is replaced', { timeout: 600_000 }, async (t) => {
  const nats = await openNatsServer(t, { gates: ['gate1'] });
  if (skipOf(t, nats)) return;
  const journal = readLines(await writeJournal(t));
  const part = (from: number, to: number): Lines => ({ ...journal, lines: journal.lines.slice(from, to) });
  let sent = 20;
  const more = async (): Promise<void> => {
    const link = await openNats(nats.settingsOf('gate1'));
    await send(link, 'gate1', part(sent, sent + 5));
    sent += 5;
    await link.close();
  };
  await fill(nats, { gate1: part(0, sent) });
  const [one, two] = [openOne(t, nats), openOne(t, nats)];
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
    const link = await openNats(nats.settingsOf('verifier'));
    const { line, seq } = signCheckpoint(last, last, stolen, Date.now());
    forgedSeq = seq;
    const expected = (await link.lastOf('DOVEGATE_AUDIT', checkpointSubject))?.streamSeq ?? 0;
    await link.publish(checkpointSubject, [], Buffer.from(`${line}\n`), expected);
    await link.close();
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
