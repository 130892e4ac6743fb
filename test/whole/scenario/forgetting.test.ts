// Goal: the journal does not forget because of somebody who may do nothing. Phases: a victim's command; a flood of questions by a
// peer without rights; a journal above `max_size` whose records are all young; then a `keep_min` that has passed.
// What must not happen: a record that is retired before `audit.keep_min`, a long question that is written down whole, a journal without
// room that serves more than emergencies, a retirement by size that `audit verify` does not report.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Daemon, startDaemon } from '../../kit/gate/daemon.js';
import { openGateway, recordsOf } from '../../kit/gate/gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openRawClient, type RawClient } from '../../kit/plain/raw-client.js';

const listeners = `
  support: { unix: support.sock, mode: "0600", policy: support }
  strangers: { unix: strangers.sock, mode: "0600", policy: nothing }`;
const policy = `
    users: ["*@example.org"]
    allow: [quota get, { command: mailbox list, where: { mailbox-mask: any }, emergency: true }]
  nothing: { users: ["*"], allow: [] }`;
const small =
  '{ directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 64KiB, segment: 64KiB, max_size: 128KiB }';
const victim = { user: 'victim@example.org', fields: ['quota get'] };
const questions = 300;

async function ask(client: RawClient, command: { user: string; fields: string[] }): Promise<string> {
  return (await client.ask(command)).status;
}

/** Patterns that are short enough to be read; no two are alike, and none can be compressed to nothing. */
function masks(at: number, chars: number): string[] {
  let text = `w${at}`;
  while (text.length < chars) text += Math.random().toString(36).slice(2);
  return text.slice(0, chars).match(/.{1,200}/g) ?? [];
}

async function searched(daemon: Daemon): Promise<string> {
  const found = await runWarm(['audit', 'search', daemon.path('audit'), '--user', victim.user, '--json']);
  return found.stdout.toString();
}

test('above max_size nothing young is retired: emergencies are served, and then what is old goes, which verify reports', async (t) => {
  const { client, daemon, backend, configuration } = await openGateway(t, {
    policy,
    listeners,
    // Not full yet: a slow machine would notice it in the middle.
    audit: small.replace('128KiB', '64MiB'),
  });
  const knock = (listener = 'support'): Promise<RawClient> =>
    openRawClient({ path: daemon.path(`${listener}.sock`), minor: 2 });
  assert.equal(await ask(await client(), victim), '+');
  const stranger = await knock('strangers');
  const refused = { user: 'x@example.org', fields: ['fetch', 'text', 'subject', masks(0, 60_000).join('')] };
  assert.equal(await ask(stranger, refused), '-NOPERM');
  for (let at = 0; at < questions; at += 1) {
    const fields = ['dovegate explain', '-u', 'x@example.org', '--', 'mailbox list', ...masks(at, 3000)];
    await ask(stranger, { user: '', fields });
  }
  stranger.close();
  // Somebody with rights does the rest.
  const one = await client();
  for (let at = 0; at < 100; at += 1) {
    const fields = ['mailbox list', ...masks(at, 4000)];
    assert.equal(await ask(one, { user: 'other@example.org', fields }), '+');
  }
  await daemon.stop();
  const asked = recordsOf(daemon, 'admission').filter(({ principal }) =>
    String(principal).endsWith('@strangers'),
  );
  assert.ok(
    asked.some(({ command }) => command === 'fetch') && asked.some(({ command }) => command !== 'fetch'),
  );
  const longest = Math.max(...asked.map((record) => JSON.stringify(record).length));
  assert.ok(longest <= 2304, `a record of ${longest} bytes`);
  const restart = (audit: string) =>
    startDaemon(t, { folder: daemon.folder, config: configuration({ audit }) });
  const list = { user: 'victim@example.org', fields: ['mailbox list'] };

  const full = await restart(small);
  await full.waitForLog(
    ({ event }) => event === 'audit-retired' || event === 'audit-reserve',
    'a look at the size',
  );
  const kept = await searched(daemon);
  assert.match(kept, /"quota get"/, "the victim's record is still there");
  const reserve = full.logs.find(({ event }) => event === 'audit-reserve');
  assert.match(String(reserve?.['text']), /audit\.max_size.*audit\.keep_min/);
  const two = await knock();
  assert.equal(await ask(two, victim), '-TEMPFAIL');
  assert.equal(await ask(two, list), '+');
  // What is left of the reserve ends, too: then nothing is served, as on a full disk.
  let served = 0;
  while ((await ask(two, list)) === '+') served += 1;
  assert.ok(served > 10 && served < 400, `${served} more were served`);
  two.close();
  const sent = backend.commands.length;
  await full.stop();

  const patient = await restart(small.replace('}', ', keep_min: 1ms }'));
  await patient.waitForLog(({ event }) => event === 'audit-retired', 'what is old goes');
  const three = await knock();
  assert.equal(await ask(three, victim), '+');
  three.close();
  await patient.stop();
  assert.equal(backend.commands.length, sent + 1);
  const verified = await runWarm(['audit', 'verify', daemon.path('audit'), '--unsigned']);
  assert.equal(verified.exit, 0, verified.text);
  assert.match(verified.text, /records before \d{4}-\d\d-\d\dT[\d:.]+Z were retired by size/);
});
