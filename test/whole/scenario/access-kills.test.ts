// Goal: whatever instant the daemon is killed at, no access exists without its record, none that was answered is lost, and none gets longer
// or more uses. Rounds of: start on what the last one left, clients that request, approve, use and revoke as fast as they are answered,
// kill -9. Two of three kills are aimed: at the moment when a record of a chosen kind appears in the memory of the journal, before its
// effect is answered. What must not happen: a command at the backend without a live grant before it in the journal; an answered grant or
// request that is gone after the start without a record of its end; an `until` that grew; more commands than uses.
// DOVEGATE_ROUNDS=40 makes the 200 rounds of the published figure.
import assert from 'node:assert/strict';
import { closeSync, openSync, readSync } from 'node:fs';
import { test } from 'node:test';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { readWhole } from '../../journal/files/reading.js';
import { type Daemon, startDaemon } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { authority, filesOf, hash, openAccount } from '../../kit/gate/tcp-gate.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { openRawClient, type RawClient } from '../../kit/plain/raw-client.js';
import { until } from '../../kit/plain/until.js';

const rounds = 5 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const policy = `
    users: ["*@example.org"]
    allow: [quota get]
    on_request:
      - { command: mailbox status, approvals: 1, for: 1h, scope: user, uses: 4 }
      - { command: mailbox list, approvals: 2, for: 2h, scope: user, uses: 9 }
    requests: { open: 10, wait: 1h }
  leads:
    users: ["*@example.org"]
    allow: [quota get]
    approve: [support]`;
const more = 'persons: { carol: { accounts: [carol] }, dave: { accounts: [dave] } }';
const audit =
  '{ directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, segment: 64KiB, sign_key: sign.pem }';
/** What a kill is aimed at, and what it must come before. */
const aims = [
  ['"action":"granted"', 'between a grant and its answer'],
  ['"action":"approved"', 'between an approval and its effect'],
  ['"action":"requested"', 'between a request and its answer'],
  ['"action":"revoked"', 'after a revocation'],
  ['"event":"admission"', 'between an admission and its command'],
] as const;

interface Item {
  readonly id: string;
  readonly state: string;
  readonly until: string;
  readonly uses?: number;
  readonly used: number;
  readonly may: readonly string[];
}

/** What was answered, over all rounds. */
interface Answered {
  /** The last answer about each id. */
  readonly items: Map<string, Item>;
  readonly ended: Set<string>;
  commands: number;
}

function itemsIn(body: Buffer): Item[] {
  return [...body.toString().matchAll(/access\t(\{.*?\})\t/g)].map(([, json = '']): Item => JSON.parse(json));
}

async function ask(client: RawClient, ...fields: string[]): Promise<Item[]> {
  const reply = await client.ask({ user: '', fields });
  return reply.status === '+' ? itemsIn(reply.body) : [];
}

void test('kill -9 at chosen and random instants of access on request', async (t) => {
  const [port = 0] = await freePorts(1);
  const accounts = ['carol', 'dave'].map((name) => `${name}: { password_hash: "${hash}", policy: leads }`);
  const { daemon: first, backend } = await openGateway(t, {
    policy,
    audit,
    more,
    listeners: `
  support: { unix: support.sock, mode: "0600", policy: support }
  leads:
    tcp: "127.0.0.1:${port}"
    tls: { mode: implicit, certificate: gate.crt, key: gate.key }
    accounts: { ${accounts.join(', ')} }`,
    files: { ...filesOf(authority), 'sign.pem': (await runWarm(['audit', 'keygen'])).stdout.toString() },
  });
  const answered: Answered = { items: new Map(), ended: new Set(), commands: 0 };
  const between = new Map<string, number>();
  let daemon: Daemon = first;
  let serial = 0;

  const opened = (name?: string): Promise<RawClient> =>
    name === undefined
      ? openRawClient({ path: first.path('support.sock'), minor: 2 })
      : openAccount(port, name);
  const keep = (items: readonly Item[]): void => {
    for (const item of items) answered.items.set(item.id, item);
  };
  /** Runs until the daemon is gone. */
  const loop = async (
    name: string | undefined,
    step: (client: RawClient) => Promise<void>,
  ): Promise<void> => {
    const client = await opened(name).catch(() => undefined);
    if (client === undefined) return;
    try {
      for (;;) await step(client);
    } catch {
      // It was killed.
    }
    client.close();
  };
  const request = async (client: RawClient): Promise<void> => {
    serial += 1;
    const [name, ...args] = serial % 3 === 0 ? ['mailbox list'] : ['mailbox status', 'messages', 'INBOX'];
    keep(
      await ask(
        client,
        'dovegate request',
        '-u',
        'bob@example.org',
        '--reason',
        'x',
        '--',
        name ?? '',
        ...args,
      ),
    );
    await pause(20);
  };
  const approve = async (client: RawClient): Promise<void> => {
    for (const { id, may } of await ask(client, 'dovegate requests'))
      if (may.includes('approve')) keep(await ask(client, 'dovegate approve', id));
    await pause(5);
  };
  const use = async (client: RawClient): Promise<void> => {
    serial += 1;
    const isList = serial % 2 === 0;
    const fields = isList ? ['mailbox list', `L${serial}`] : ['mailbox status', 'messages', `S${serial}`];
    const reply = await client.ask({ user: 'bob@example.org', fields });
    if (reply.status === '+') answered.commands += 1;
    else await pause(10);
  };
  /** Until then nothing is revoked: on a busy machine each grant would be gone before its first use. */
  const isUsed = (round: number): boolean => 5 * backend.commands.length > round;
  const revoke = async (client: RawClient, round: number): Promise<void> => {
    await pause(150);
    if (!isUsed(round)) return;
    const [item] = (await ask(client, 'dovegate requests')).filter(({ may }) => may.includes('revoke'));
    if (item === undefined) return;
    answered.ended.add(item.id);
    keep(await ask(client, 'dovegate revoke', item.id));
  };

  for (let round = 0; round < rounds; round += 1) {
    const work = [
      loop(undefined, request),
      loop(undefined, use),
      loop(undefined, use),
      loop('carol', approve),
      loop('dave', approve),
      loop(undefined, (client) => revoke(client, round)),
    ];
    await pause(200);
    // A busy machine needs longer for a request, its approvals and a use.
    await until(() => isUsed(round), `${Math.ceil(rounds / 5)} commands`);
    const [text, place] = aims[round % aims.length] ?? aims[0];
    const isAimed = round % 6 < 4;
    const isHit = isAimed && (await appears(first.path('shm/audit.ring'), text, 1_500));
    if (!isHit) await pause(Math.random() * 300);
    else between.set(place, (between.get(place) ?? 0) + 1);
    await daemon.kill();
    await Promise.all(work);
    daemon = await startDaemon(t, { folder: first.folder });
    await checkAfterStart(round);
  }
  await daemon.stop();

  async function checkAfterStart(round: number): Promise<void> {
    const client = await opened();
    const now = new Map((await ask(client, 'dovegate requests')).map((item) => [item.id, item]));
    client.close();
    const ends = endsIn(readRunning(first.path('audit')));
    for (const [id, before] of answered.items) {
      const after = now.get(id);
      if (before.state !== 'requested' && before.state !== 'granted') {
        assert.equal(after, undefined, `round ${round}: ${id} was ${before.state}, and lives`);
        continue;
      }
      if (after === undefined) {
        assert.ok(ends.has(id), `round ${round}: ${id} (${before.state}) is lost`);
        continue;
      }
      if (before.state === 'granted') {
        assert.equal(after.state, 'granted', `round ${round}: ${id}`);
        assert.ok(after.until <= before.until, `round ${round}: ${id} got longer`);
      }
    }
    for (const after of now.values()) {
      const before = answered.items.get(after.id);
      // A known one keeps what was answered; a request that was not answered may live.
      if (before?.state === 'granted') assert.ok(after.until <= before.until, after.id);
    }
    keep([...now.values()]);
  }

  const records = readWhole(first.path('audit'));
  const granted = new Map<string, { readonly until: unknown; readonly uses: number; used: number }>();
  const over = new Set<unknown>();
  const admitted = new Map<string, unknown>();
  for (const record of records) {
    const { event, action, grant, time, args } = record;
    if (event === 'access' && record['carried'] !== true) {
      const id = record['grant'] ?? record['request'];
      if (action === 'granted' && typeof grant === 'string')
        granted.set(grant, { until: record['until'], uses: Number(record['uses']), used: 0 });
      if (['revoked', 'expired', 'ended'].includes(String(action))) over.add(id);
    }
    if (event === 'admission' && typeof grant === 'string' && Array.isArray(args)) {
      const live = granted.get(grant);
      assert.ok(live !== undefined, `an admission under ${grant}, which was never granted`);
      live.used += 1;
      assert.ok(String(time) < String(live.until), 'an admission after the end of its grant');
      admitted.set(String(args.at(-1)), grant);
    }
    if (event === 'completion' && typeof grant === 'string' && record['sent'] === false) {
      const live = granted.get(grant);
      if (live !== undefined) live.used -= 1;
    }
  }
  for (const [id, { uses, used }] of granted) assert.ok(used <= uses, `${id}: ${used} of ${uses} uses`);
  const named = backend.commands.map(({ fields }) => fields.at(-1) ?? '');
  for (const name of named) assert.ok(admitted.has(name), `${name} has no admission under a grant`);

  const verified = await runWarm(['audit', 'verify', first.path('audit'), '--key', first.path('sign.pem')]);
  assert.equal(verified.exit, 0, verified.text);
  const hit = [...between].map(([place, count]) => `${count} ${place}`).join(', ');
  t.diagnostic(
    `${rounds} kills, aimed ones: ${hit}; ${answered.items.size} requests, ${granted.size} grants, ` +
      `${named.length} commands under them, ${over.size} ended early`,
  );
});

/** All records of a journal that is written: a closed segment may be compressed between its listing and its reading. */
function readRunning(directory: string): ReturnType<typeof readWhole> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return readWhole(directory);
    } catch (error) {
      if (attempt === 20) throw error;
    }
  }
}

/** The ids of what ended, by its records. */
function endsIn(records: readonly Readonly<Record<string, unknown>>[]): ReadonlySet<unknown> {
  const ends = ['refused', 'revoked', 'expired', 'used-up', 'ended'];
  return new Set(
    records.flatMap((record) =>
      record['event'] === 'access' && ends.includes(String(record['action']))
        ? [record['grant'] ?? record['request']]
        : [],
    ),
  );
}

/** Whether more of that text appears in a file within a time; looks as often as it can. */
async function appears(path: string, text: string, ms: number): Promise<boolean> {
  const file = openSync(path, 'r');
  const bytes = Buffer.alloc(4 << 20);
  const count = (): number => {
    readSync(file, bytes, 0, bytes.length, 0);
    let found = 0;
    for (let at = bytes.indexOf(text); at !== -1; at = bytes.indexOf(text, at + 1)) found += 1;
    return found;
  };
  try {
    const before = count();
    for (const endMs = Date.now() + ms; Date.now() < endMs; ) {
      if (count() > before) return true;
      await nextTurn();
    }
    return false;
  } finally {
    closeSync(file);
  }
}
