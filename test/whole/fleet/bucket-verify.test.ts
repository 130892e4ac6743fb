// Goal: over a bucket with a lock, with the rights that `audit fleet policy` prints: each try of a thief is refused by name, and what
// somebody with more rights overwrites or hides is found and read all the same. What must not happen: a record that the verifier does not
// have, or a finding about what is whole.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { packBlock } from '../../../src/evidence/store/block.js';
import { type BlockName, formatName, journalFolder } from '../../../src/evidence/store/names.js';
import { systemClock } from '../../../src/host/machine/clock.js';
import { openBucket } from '../../../src/host/store/bucket.js';
import { writeJournal } from '../../evidence/cli/shown.js';
import { type Gateway, openGateway } from '../../kit/plain/bucket.js';
import { ends } from '../../kit/plain/program.js';
import { type Desk, kindsOf, nameOf, openDesk, readLines, trusted } from './fleet-lab.js';

const prefix = 'dovegate';
const once = { ifAbsent: true } as const;
const principalOf = (user: string): string => `arn:aws:iam:::user/${user}`;

/** The rights of some users in a bucket, as the command prints them. */
async function grant(gateway: Gateway, url: string, desk: Desk, users: readonly string[]): Promise<void> {
  const statements: unknown[] = [];
  for (const user of users) {
    const done = await ends(0, desk.run('policy', user, '--principal', principalOf(user)));
    const policy: { Version: string; Statement: unknown[] } = JSON.parse(done.stdout.toString());
    statements.push(...policy.Statement);
  }
  const policy = JSON.stringify({ Version: '2012-10-17', Statement: statements });
  await gateway.ask('PUT', `${new URL(url).pathname}?policy`, policy);
}

/** The blocks of a journal, each with its name and its lines. */
async function blocksOf(owner: TestContext, host: string) {
  const { id, lines } = readLines(await writeJournal(owner));
  const blocks: { readonly name: BlockName; readonly lines: readonly string[] }[] = [];
  for (let at = 0; at < lines.length; at += 15) {
    const some = lines.slice(at, at + 15);
    blocks.push({ name: nameOf(host, id, some), lines: some });
  }
  return { lines, blocks };
}

/** What is well formed is refused for its right alone. */
const bodies: Readonly<Record<string, string>> = {
  retention:
    '<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate></Retention>',
  'legal-hold': '<LegalHold><Status>ON</Status></LegalHold>',
  acl: `<AccessControlPolicy><Owner><ID>gate1</ID></Owner><AccessControlList><Grant>
    <Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group">
    <URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission>
    </Grant></AccessControlList></AccessControlPolicy>`,
};

const bodyOf = (method: string, path: string): string =>
  method === 'PUT' ? (bodies[path.split('?')[1] ?? ''] ?? 'x') : '';

const packed = (lines: readonly string[]): Promise<Buffer> => packBlock(Buffer.from(lines.join('')));

test('a bucket with a lock: rights, thieves, and what was overwritten or hidden', {
  timeout: 300_000,
}, async (t) => {
  const gateway = await openGateway(t);
  if ('skip' in gateway) return t.skip(gateway.skip);
  const url = await gateway.openBucket({ lock: true });
  const bucket = new URL(url).pathname;
  const [ofGate, , ofVerifier] = [
    await gateway.makeUser('gate1'),
    await gateway.makeUser('gate2'),
    await gateway.makeUser('verifier'),
  ];
  const settings = { store: url, credentials: ofVerifier };
  const desk = openDesk(t, { folder: '/nowhere' }, { gate1: trusted }, settings);
  await grant(gateway, url, desk, ['gate1', 'gate2', 'verifier']);
  const gate = openBucket({ url, prefix, credentialsFile: ofGate, clock: systemClock });
  const owner = openBucket({ url, prefix, credentialsFile: gateway.credentialsFile, clock: systemClock });
  for (const each of [gate, owner]) t.after(() => each.close());
  const { lines, blocks } = await blocksOf(t, 'gate1');
  assert.ok(blocks.length >= 6);
  for (const { name, lines: some } of blocks)
    await gate.put(formatName(name), await packed(some), { ifAbsent: true });

  await t.test('with these rights the gate puts blocks, and the verifier its line', async () => {
    const first = await desk.verify();
    assert.deepEqual([first.findings, first.records], [[], lines.length], first.text);
    const again = await desk.verify();
    assert.deepEqual([again.findings, again.records], [[], lines.length], again.text);
  });

  await t.test('a stolen credential of a gate, and one of a verifier: each try', async () => {
    const own = `${bucket}/${prefix}/${formatName(blocks[0]?.name ?? assert.fail())}`;
    const tries: readonly (readonly [string, string, string, string])[] = [
      ['gate1', 'writes for another host', 'PUT', `${bucket}/${prefix}/gate2/x`],
      ['gate1', 'writes as a verifier', 'PUT', `${bucket}/${prefix}/_verifiers/verifier/x`],
      ['gate1', 'deletes an own object', 'DELETE', own],
      ['gate1', 'locks an own object for longer', 'PUT', `${own}?retention`],
      ['gate1', 'holds an own object', 'PUT', `${own}?legal-hold`],
      ['gate1', 'publishes an own object', 'PUT', `${own}?acl`],
      ['gate1', 'lists another host', 'GET', `${bucket}?list-type=2&prefix=${prefix}%2Fgate2%2F`],
      ['gate1', 'lists all', 'GET', `${bucket}?list-type=2`],
      ['gate1', 'gives itself rights', 'PUT', `${bucket}?policy`],
      ['gate1', 'ends the lock', 'PUT', `${bucket}?object-lock`],
      ['gate2', 'reads another host', 'GET', own],
      ['verifier', 'writes for a host', 'PUT', `${bucket}/${prefix}/gate1/x`],
      ['verifier', 'deletes an object', 'DELETE', own],
      ['verifier', 'gives itself rights', 'PUT', `${bucket}?policy`],
    ];
    for (const [user, what, method, path] of tries)
      await assert.rejects(
        gateway.ask(method, path, bodyOf(method, path), {}, user),
        /: 403 /,
        `${user} ${what}`,
      );
    assert.deepEqual((await desk.verify()).findings, []);
  });

  await t.test('without the right to list versions it verifies, and says what it does not see', async () => {
    await gateway.ask('DELETE', `${bucket}?policy`);
    const done = await desk.run('policy', 'verifier', '--principal', principalOf('verifier'));
    const policy = done.stdout
      .toString()
      .replace('"s3:ListBucketVersions"', '"s3:ListBucketMultipartUploads"');
    await gateway.ask('PUT', `${bucket}?policy`, policy);
    const found = await ends(0, desk.run('verify'));
    assert.match(found.stderr, /may not list versions/);
    await grant(gateway, url, desk, ['gate1', 'gate2', 'verifier']);
    assert.doesNotMatch((await desk.run('verify')).stderr, /may not list versions/);
  });

  await t.test('overwritten, altered in the middle, hidden in the middle and at the end', async () => {
    const [, second, third, fourth] = blocks;
    const last = blocks.at(-1);
    assert.ok(second && third && fourth && last);
    // True ends, and a middle of its own.
    const altered = third.lines.map((line, at) => (at === 5 ? line.replace('alice', 'carol') : line));
    assert.notDeepEqual(altered, third.lines);
    await gate.put(formatName(second.name), Buffer.from('junk'), { ifAbsent: false });
    await gate.put(formatName(third.name), await packed(altered), { ifAbsent: false });
    for (const { name } of [fourth, last])
      await gateway.ask('DELETE', `${bucket}/${prefix}/${formatName(name)}`);
    const expected = [second, third, fourth, last].map(({ name }) => `gate1 changed ${name.first}`);
    const of = ({ findings }: Awaited<ReturnType<Desk['verify']>>): readonly string[] =>
      findings
        .toSorted((one, other) => (one.seq ?? 0) - (other.seq ?? 0))
        .map(({ host, kind, seq }) => `${host} ${kind} ${seq}`);
    const known = await desk.verify();
    assert.deepEqual(of(known), expected, known.text);
    assert.deepEqual(of(await desk.verify()), expected, 'each once');
    await desk.verify('--accept');
    for (const flags of [[], ['--whole']]) assert.deepEqual(of(await desk.verify(...flags)), []);
    // Much junk in the place of one that was accepted: it is told anew, and the true one is found below it.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    for (let count = 0; count < 60; count += 1)
      await gate.put(formatName(third.name), Buffer.from(`junk ${count}`), { ifAbsent: false });
    const again = [`gate1 changed ${third.name.first}`];
    for (const flags of [[], ['--whole']]) assert.deepEqual(of(await desk.verify(...flags)), again);
    // One that has read nothing before gets every record.
    const fresh = openDesk(t, { folder: '/nowhere' }, { gate1: trusted }, { ...settings, name: 'verifier' });
    const read = await fresh.verify();
    assert.deepEqual(
      [of(read).filter((each) => each.startsWith('gate1')), read.records],
      [expected, lines.length],
      read.text,
    );
    await ends(0, fresh.read('verify'));
    await fresh.verify('--accept');
  });

  await t.test('a name that is none, told again when another one comes after it was accepted', async () => {
    const junk = (name: string): Promise<unknown> =>
      gate.put(`${journalFolder('gate1', blocks[0]?.name.journal ?? '')}${name}`, Buffer.from('x'), once);
    await junk('one');
    assert.deepEqual(kindsOf(await desk.verify()), ['gate1 changed', 'gate1 malformed']);
    await desk.verify('--accept');
    for (const flags of [[], ['--whole']]) assert.deepEqual(kindsOf(await desk.verify(...flags)), []);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await junk('two');
    assert.deepEqual(kindsOf(await desk.verify()), ['gate1 malformed']);
    await desk.verify('--accept');
  });

  await t.test('delete markers over everything: of the host, and of the lines of a verifier', async () => {
    const all = async (below: string): Promise<readonly string[]> => {
      const names: string[] = [];
      for await (const page of owner.list(below)) names.push(...page);
      return names;
    };
    const hidden = async (below: string): Promise<void> => {
      for (const name of await all(below)) await gateway.ask('DELETE', `${bucket}/${prefix}/${name}`);
      assert.deepEqual(await all(below), []);
    };
    const [last = ''] = (await all('_verifiers/verifier/')).slice(-1);
    await owner.put(last, Buffer.from('junk'), { ifAbsent: false });
    assert.deepEqual(kindsOf(await desk.verify()), ['- changed']);
    await desk.verify('--accept');
    await hidden('gate1/');
    await hidden('_verifiers/');
    const fresh = openDesk(t, { folder: '/nowhere' }, { gate1: trusted }, { ...settings, name: 'verifier' });
    const read = await fresh.verify();
    assert.equal(read.records, lines.length, read.text);
    assert.deepEqual(
      kindsOf(read).filter((each) => each.endsWith('changed')),
      ['- changed', 'gate1 changed'],
      read.text,
    );
    const known = await desk.verify();
    assert.deepEqual(kindsOf(known), ['- changed', 'gate1 changed'], known.text);
  });
});

test('junk that was first under the right name, and a store that keeps no versions', {
  timeout: 300_000,
}, async (t) => {
  const gateway = await openGateway(t);
  if ('skip' in gateway) return t.skip(gateway.skip);
  const url = await gateway.openBucket({ lock: false });
  const { credentialsFile } = gateway;
  const store = openBucket({ url, prefix, credentialsFile, clock: systemClock });
  t.after(() => store.close());
  const { lines, blocks } = await blocksOf(t, 'gate1');
  const [first, second] = blocks;
  assert.ok(first && second);
  await store.put(formatName(second.name), Buffer.from('junk'), { ifAbsent: true });
  for (const { name, lines: some } of blocks) {
    const copy = name === second.name ? { ...name, isCopy: true } : name;
    await store.put(formatName(copy), await packed(some), { ifAbsent: true });
  }
  const settings = { store: url, credentials: credentialsFile };
  const desk = openDesk(t, { folder: '/nowhere' }, { gate1: trusted }, settings);
  const done = await desk.verify();
  assert.deepEqual([kindsOf(done), done.records], [['gate1 changed'], lines.length], done.text);
  await ends(0, desk.read('verify'));
  // Nothing of it is left: what was read is in the mirror.
  await gateway.ask('DELETE', `${new URL(url).pathname}/${prefix}/${formatName(first.name)}`);
  const later = await desk.verify();
  assert.deepEqual(kindsOf(later), ['gate1 changed', 'gate1 cut-in-store'], later.text);
});
