// Goal: what people really send is accepted, and means the same after we have rewritten it.
//
// The real doveadm of each release is run against a recording socket; what it writes, and what scripts write by hand, goes to the server of
// its release as it is and in our canonical form, with the same effect. Then each doveadm asks each server through the smallest gate that
// can be made of the catalog, and must print what it prints when it asks the server of its own release directly: the username
// column is right for every pair of client and backend.
//
// DOVEGATE_RELEASES="native trixie" makes all four pairs.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { allSeries, commandsOf, type Series } from '../../../src/doveadm/commands/catalog.js';
import { isForRealDoveadm } from '../../../src/rules/answers/read-answer.js';
import type { Release } from '../../kit/plain/dovecot-lab.js';
import type { ProgramResult } from '../../kit/plain/program.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { type Accepted, claimOf, withUsername } from './claim.js';
import { typedForms, writtenForms } from './cli-forms.js';
import { compareOne, describeLine, differenceOfFiles } from './compare.js';
import { presetCommands } from './preset-policies.js';
import { labTestMs, onDovecot, releasesAsked } from './real-gateway.js';
import { emptyReply, openRecorder, type RecordedLine } from './recorder.js';
import {
  openTwinWorlds,
  openWorlds,
  realm,
  type TwinWorlds,
  type World,
  type WorldFacts,
} from './twin-worlds.js';

const alice = `alice@${realm}`;
const lastMinor: Record<Series, number> = { '2.3': 2, '2.4': 4 };

void test('every command that a shipped role allows has a form', () => {
  const known = allSeries.flatMap((series) => commandsOf(series).map(({ name }) => name));
  const written = writtenForms.map((words) => `${words.join(' ')} `);
  const formed = (name: string): boolean =>
    typedForms.some((form) => form.name === name) || written.some((line) => line.startsWith(`${name} `));
  assert.ok(presetCommands.size >= 45, String(presetCommands.size));
  for (const name of presetCommands) {
    assert.ok(known.includes(name), name);
    assert.ok(formed(name), `${name} has no form`);
  }
});

onDovecot('what is sent means the same after rewriting', openTwinWorlds, async (t, twins) => {
  const [{ lab }] = twins.worlds;
  let recorded: RecordedLine[] = [];
  const socket = join(lab.folder, 'run', 'recorder');
  await openRecorder(t, socket, async (line) => {
    recorded.push(line);
    return emptyReply;
  });
  let count = 0;
  for (const { name, args, flags = [], stdin, isOnlyRead } of typedForms) {
    recorded = [];
    const where = ['-S', lab.inRoot(socket), '-u', alice];
    const result = await lab.doveadm([...flags, ...name.split(' '), ...where, ...args], {
      stdin: stdin ?? '',
    });
    const title = `doveadm ${name} ${args.join(' ')}`;
    if (isOnlyRead !== true) assert.equal(result.exit, 0, `${title}: ${result.text}`);
    assert.equal(recorded.length, 1, `${title}: ${result.text}`);
    assert.ok(isForRealDoveadm({ command: name, says: [] }), title);
    for (const one of recorded) await checkForm(twins, one, { isOnlyRead: isOnlyRead === true, title });
    count += 1;
  }
  for (const words of writtenForms) {
    const line = Buffer.from(['', alice, ...words].join('\t'));
    const found = commandsOf(twins.series).some(({ name }) => `${words.join(' ')} `.startsWith(`${name} `));
    if (!found) continue;
    const one = { line, clientMinor: 0, input: undefined };
    await checkForm(twins, one, { isOnlyRead: false, title: words.join(' | ') });
    count += 1;
  }
  t.diagnostic(`Dovecot ${twins.version}: ${count} forms accepted, and the same after rewriting`);
});

/** Accepted for every series that has the command; and run on the one that is here. */
async function checkForm(
  twins: TwinWorlds,
  { line, clientMinor, input }: RecordedLine,
  { isOnlyRead, title }: { isOnlyRead: boolean; title: string },
): Promise<void> {
  const own = claimOf(twins.series, twins.serverMinor, clientMinor, line);
  if (own.kind !== 'accepted') assert.fail(`${title}: refused for ${own.code}`);
  for (const series of allSeries) {
    const other = claimOf(series, lastMinor[series], clientMinor, line);
    if (!commandsOf(series).some(({ name }) => name === own.command.name)) continue;
    if (other.kind !== 'accepted') assert.fail(`${title}: refused for ${series}: ${other.code}`);
    // What one series would write is what the other would: a form means one thing.
    assert.deepEqual(other.args, own.args, title);
  }
  if (isOnlyRead) return;
  const one = { line, claim: own, ...(input !== undefined && { input }) };
  const { raw, problem } = await compareOne(twins, one);
  assert.equal(problem ?? differenceOfFiles(twins), undefined, `${title}: ${describeLine(one)}`);
  // Their services are not part of these instances, and servers die of that.
  if (!/^(?:replicator|director) /.test(own.command.name)) assert.notEqual(raw.status, 'EOF', title);
  const strangers = twins.worlds
    .flatMap((world) => [...world.changed().keys()])
    .filter((user) => own.users?.has(user) === false);
  assert.deepEqual(strangers, [], title);
  for (const world of twins.worlds) world.restore();
}

/** Commands whose rows do not tell which instance answered. */
const asked: readonly (readonly string[])[] = [
  ['quota get'],
  ['mailbox list', 'A*', 'W*'],
  ['mailbox status', 'messages vsize', '*'],
  ['mailbox status', '-t', 'messages', '*'],
  ['fetch', 'uid hdr.subject', 'mailbox', 'INBOX', 'seen'],
  ['fetch', 'hdr.to', 'mailbox', 'Archive', 'all'],
  ['sieve list'],
  ['expunge', 'mailbox', 'Nope*', 'all'],
];
const whom: readonly (readonly string[])[] = [['-u', alice], ['-A'], ['-u', `*@${realm}`], ['-u', 'vic*']];

void test('every doveadm prints the same table through the catalog, whatever the backend', {
  timeout: labTestMs,
}, async (t) => {
  const worlds = new Map<Release, OneWorld>();
  for (const release of releasesAsked()) {
    const opened = await openWorlds(t, release, { count: 1 });
    if ('skip' in opened) return t.skip(opened.skip);
    const [world] = opened.worlds;
    assert.ok(world);
    worlds.set(release, { ...opened, world });
  }
  let count = 0;
  for (const [clientRelease, client] of worlds) {
    const { lab } = client.world;
    const forms = asked.flatMap(([name = '', ...args]) => whom.map((who) => ({ name, args, who })));
    const run = async (path: string): Promise<ProgramResult[]> => {
      const results: ProgramResult[] = [];
      for (const { name, args, who } of forms) {
        results.push(await lab.doveadm(['-f', 'tab', ...name.split(' '), '-S', path, ...who, ...args]));
      }
      return results;
    };
    const wanted = await run(lab.inRoot(lab.unixPreauth));
    for (const [backendRelease, backend] of worlds) {
      backend.world.restore();
      const socket = join(lab.folder, 'run', `gate-${backendRelease}`);
      const refusals: string[] = [];
      await openRecorder(t, socket, (recorded) => passOn(backend, recorded, refusals));
      for (const [at, got] of (await run(lab.inRoot(socket))).entries()) {
        const { name = '', args = [], who = [] } = forms[at] ?? {};
        const title = `${clientRelease} asks ${backendRelease}: ${name} ${who.join(' ')} ${args.join(' ')}`;
        const { stdout, stderr, exit } = wanted[at] ?? got;
        assert.deepEqual(tableOf(got.stdout), tableOf(stdout), `${title}\n${got.stderr}\n${stderr}`);
        assert.equal(got.exit, exit, title);
        count += 1;
      }
      assert.deepEqual(refusals, []);
    }
  }
  t.diagnostic(`${count} tables of ${worlds.size ** 2} pairs of client and backend are right`);
});

/**
 * The header, and the rows of users who have mail in any order: each series has its own order of mailboxes, `-A` of users, and
 * idea of the INBOX of who has none.
 */
function tableOf(stdout: Buffer): string[] {
  const [header = '', ...rows] = stdout.toString().replace(/\n$/, '').split('\n');
  return [header, ...rows.filter((row) => !/^(?:small|moved|proxied)@/.test(row)).toSorted()];
}

interface OneWorld extends WorldFacts {
  readonly world: World;
}

/** Sends our line instead of the client's, and puts the username where the client wants it. */
async function passOn(
  backend: OneWorld,
  { line, clientMinor }: RecordedLine,
  refusals: string[],
): Promise<Buffer> {
  const claim = claimOf(backend.series, backend.serverMinor, clientMinor, line);
  if (claim.kind !== 'accepted') {
    refusals.push(`${claim.code}: ${line.toString()}`);
    return Buffer.from('\n-NOPERM\n');
  }
  const client = await openRawClient({ path: backend.world.lab.unixPreauth, minor: 2 });
  try {
    client.send(claim.line);
    const { body, status } = await client.readReply();
    return Buffer.concat([bodyWithUsername(claim, body), Buffer.from(`\n${status}\n`)]);
  } finally {
    client.close();
  }
}

function bodyWithUsername(claim: Accepted, body: Buffer): Buffer {
  const cells = body.toString('latin1').split('\t').slice(0, -1);
  const named = withUsername(claim, cells).map((cell) => `${cell}\t`);
  return claim.wantsUsernameCell ? Buffer.from(named.join(''), 'latin1') : body;
}
