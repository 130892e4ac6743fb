// Goal: the journal tells which policies were in force, since when, who brought them, and which files were changed for it. Phases: a first
// start; reloads by an operator and by a signal; a crash, an edit, and a start; a list that cannot be kept. What must not happen: a record
// whose `was` is not the `policies` of the one before, an admission whose version is in no list, a list that is not the one of its hash, a
// reload that is not recorded because a text is not kept.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parsePolicyList, policyListOf } from '../../../src/rules/config/policy-list.js';
import { loadConfiguration } from '../../../src/rules/setup/configuration.js';
import { type Daemon, startDaemon } from '../../kit/gate/daemon.js';
import { auditRecords, openGateway } from '../../kit/gate/gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openRawClient } from '../../kit/plain/raw-client.js';

type Stored = Readonly<Record<string, unknown>>;

const of = (allow: string): string => `\n    users: ["*@example.org"]\n    allow: [${allow}]`;
const more = 'admin: { unix: admin.sock }';
const quota = { user: 'alice@example.org', fields: ['quota get'] };

/** The records of starts and reloads; an error, if one does not follow the one before. */
function changesOf(daemon: Daemon): readonly Stored[] {
  const changes = auditRecords(daemon).filter(({ event }) => event === 'start' || event === 'reload');
  for (const [at, { was }] of changes.entries())
    assert.equal(was, changes[at - 1]?.['policies'], `record ${at}`);
  return changes;
}

function listOf(daemon: Daemon, { policies }: Stored) {
  const text = readFileSync(daemon.path(`audit/policies/${String(policies)}.yaml`), 'utf8');
  assert.equal(createHash('sha256').update(text).digest('hex'), policies);
  return parsePolicyList(text);
}

void test('starts and reloads name the policies, who asked, and the changed files; a crash forgets nothing', async (t) => {
  const { daemon, client, configuration } = await openGateway(t, { more, policy: of('quota get') });
  const { folder, configFile: file } = daemon;
  const uid = process.getuid?.();
  const named = (path: string): RegExp =>
    new RegExp(`^${path}: of uid ${uid}, changed 20\\d\\d-\\d\\d-\\d\\dT[\\d:.]+Z$`);

  assert.equal((await (await client()).ask(quota)).status, '+');
  const [start, ...none] = changesOf(daemon);
  assert.deepEqual([start?.['event'], start?.['was'], none.length], ['start', undefined, 0]);
  assert.match(String(start?.['args']), named(file));
  const admission = auditRecords(daemon).find(({ event }) => event === 'admission');
  const first = listOf(daemon, start ?? {});
  assert.equal(first?.policies['support']?.version, admission?.['version']);
  assert.deepEqual(first?.listeners['support']?.policies, [{ policy: 'support' }]);

  daemon.write('dovegate.yaml', configuration({ policy: of('quota get, expunge') }));
  const asked = await runWarm(['reload', '--config', file], { cwd: folder });
  assert.equal(asked.exit, 0, asked.text);
  const byOperator = changesOf(daemon)[1] ?? {};
  const deeds = auditRecords(daemon).filter(({ event }) => event === 'operator');
  assert.deepEqual(
    deeds.map(({ deed, by, peer }) => [deed, by, peer]),
    deeds.map(() => [byOperator['deed'], byOperator['by'], byOperator['peer']]),
  );
  assert.equal(deeds.length, 2);
  assert.match(JSON.stringify(byOperator['peer']), new RegExp(`"uid":${uid}\\b`));
  assert.match(String(byOperator['args']), named(file));
  assert.notEqual(byOperator['policies'], byOperator['was']);

  // The same once more: nothing was changed, and that is said, too.
  await daemon.reload();
  const status = async (): Promise<string> =>
    (await runWarm(['status', '--config', file], { cwd: folder })).text;
  const byAsker = `the change before: loaded \\S+ by a reload by ${String(byOperator['by'])}; changed: ${file}: of uid ${uid}, changed `;
  assert.match(
    await status(),
    new RegExp(`, loaded \\S+ by a reload by SIGHUP; no file had changed; ${byAsker}`),
  );
  const bySignal = changesOf(daemon)[2] ?? {};
  assert.deepEqual([bySignal['by'], bySignal['args']], ['SIGHUP', undefined]);
  assert.equal(bySignal['policies'], bySignal['was']);

  // A start is not who changed the configuration, nor is the one after it.
  let run: Daemon = daemon;
  for (let starts = 0; starts < 2; starts += 1) {
    await run.kill();
    run = await startDaemon(t, { folder });
    assert.match(await status(), new RegExp(`, loaded \\S+ by the start; no file had changed; ${byAsker}`));
  }

  await run.kill();
  daemon.write('dovegate.yaml', configuration({ policy: of('quota get, mailbox list') }));
  const again = await startDaemon(t, { folder });
  const client2 = await openRawClient({ path: again.path('support.sock'), minor: 2, owner: t });
  assert.equal((await client2.ask(quota)).status, '+');
  const restarted = changesOf(again)[5] ?? {};
  assert.equal(restarted['event'], 'start');
  assert.notEqual(restarted['policies'], restarted['was']);
  assert.match(String(restarted['args']), named(file));
  const last = auditRecords(again).findLast(({ event }) => event === 'admission');
  assert.equal(listOf(again, restarted)?.policies['support']?.version, last?.['version']);

  // Where the text of a list should be, is a folder: the reload is recorded all the same, with the right hash.
  again.write('dovegate.yaml', configuration({ policy: of('mailbox list') }));
  const { settings } = loadConfiguration(file, { asksForFiles: false });
  assert.ok(settings !== undefined);
  const next = policyListOf(settings);
  mkdirSync(again.path(`audit/policies/${next.hash}.yaml`));
  await again.reload();
  const unkept = changesOf(again)[6] ?? {};
  assert.deepEqual([unkept['policies'], unkept['was']], [next.hash, restarted['policies']]);
  assert.ok(
    again.logs.some(
      ({ event, text }) => event === 'reload-unfinished' && /the list of policies/.test(String(text)),
    ),
  );
});
