// `npm run bench -- page [GIB] [ROUNDS]`: what the page costs beside commands. A daemon goes on with a signed journal of 5 GiB. Printed:
// the time of a page of 50 rows that somebody searches in the trail; p99 of commands, of 16 clients that never pause and of 1,000 a second,
// beside searches that never stop, and beside 20 people who watch, search and follow, against p99 without, taken in turns in one run; p99
// while the page is killed; the processor time that 20 people who watch cost the daemon and the page's process, with 100 commands a second
// and without any. Needs so much room below the temporary folder, and gives it back.

import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { hashPassword } from '../../../src/rules/identity/credentials.js';
import { askPageAt, signIn, watchNow } from '../../kit/gate/page-client.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { until } from '../../kit/plain/until.js';
import { sampleOf } from '../chaos/processes.js';
import { type LoadOptions, withBench } from './load/bench-processes.js';
import type { Crowd } from './load/crowd.js';
import { journalStartedMs, makeJournal } from './load/journal.js';
import { spreadOf } from './load/rounds.js';

const [gib = 5, rounds = 5] = process.argv.slice(2).map(Number);
const peopleMax = 20;
const password = 'bench';

const say = (what: string, figures: string): void => console.log(`${what.padEnd(58)} ${figures}`);
const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;

interface Asked {
  readonly status: number;
  /** Undefined: there was none. */
  readonly firstRowMs: number | undefined;
  readonly endMs: number;
  readonly rows: number;
}

/** A page of the newest 50, as the browser asks for it. */
function search(port: number, token: string, filter: object): Promise<Asked> {
  const startMs = performance.now();
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, method: 'POST', path: '/api/trail/search', agent: false };
    const asked = request({ ...options, headers: { Authorization: `Bearer ${token}` } }, (response) => {
      let firstRowMs: number | undefined;
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
        if (text.startsWith('{"row"')) firstRowMs ??= performance.now() - startMs;
      });
      response.on('end', () => {
        const endMs = performance.now() - startMs;
        const rows = text.split('\n').filter((line) => line.startsWith('{"row"')).length;
        resolve({ status: response.statusCode ?? 0, firstRowMs, endMs, rows });
      });
    });
    asked.on('error', reject);
    asked.end(JSON.stringify({ filter, newest: { rows: 50 } }));
  });
}

const user = 'user4321@example.org';
const middle = journalStartedMs + 3_600_000;
const searches: readonly (readonly [string, object])[] = [
  ['everything', {}],
  ['one user', { user }],
  ['users of a pattern', { user: 'user432*@example.org' }],
  ['one person and a command', { principal: 'agent7@support', command: 'mailbox' }],
  ['refused', { outcome: 'denied' }],
  ['an hour in the middle', { sinceMs: middle - 3_600_000, untilMs: middle }],
  ['nobody, all of it', { user: 'nobody@example.net' }],
];

await withBench(async (bench) => {
  const directory = bench.path('page-audit');
  mkdirSync(directory, { mode: 0o700 });
  const began = performance.now();
  const made = makeJournal(directory, { bytes: gib * 2 ** 30 });
  writeFileSync(bench.path('sign.pem'), made.key.secretPem, { mode: 0o600 });
  const size = `${(made.bytes / 2 ** 30).toFixed(2)} GiB, ${made.records} records, ${made.segments} segments`;
  say('journal', `${size}, made in ${((performance.now() - began) / 1000).toFixed(0)} s`);
  const backend = await bench.startBackend();
  const [port = 0] = await freePorts(1);
  const hash = await hashPassword(Buffer.from(password), 12);
  const names = Array.from({ length: peopleMax }, (_, at) => `person${at}`);
  const people = names.map((name) => `${name}: { role: audit, password_hash: "${hash}" }`).join(', ');
  const daemon = await bench.startDaemon({
    name: 'page',
    backend: `    address: localhost:${backend.tls}\n    tls: implicit\n    ca: ca.pem`,
    password: 'secret',
    audit: ', sign_key: sign.pem',
    admin: `, page: { tcp: "127.0.0.1:${port}", people: { ${people} } }`,
  });
  // The page's process is started after the daemon.
  await until(() => signIn(port, 'person0', password).then(Boolean, () => false), 'the page');
  const token = await signIn(port, 'person0', password);
  // A journal of this size is compressed but for its newest segment; the daemon does so, and takes a processor for it meanwhile.
  const plainLeft = (): number => readdirSync(directory).filter((file) => file.endsWith('.jsonl')).length;
  await until(() => plainLeft() === 1, 'the segments to be compressed', 20 * 60_000);

  for (const [name, filter] of searches) {
    const asked: Asked[] = [];
    for (let n = 0; n < rounds; n += 1) asked.push(await search(port, token, filter));
    const wrong = asked.find(({ status }) => status !== 200);
    if (wrong !== undefined) throw new Error(`${name}: status ${wrong.status}`);
    const first = spreadOf(asked.map(({ firstRowMs }) => firstRowMs ?? Number.NaN));
    const row = `first row ${ms(first.median)} (${ms(first.from)} to ${ms(first.to)})`;
    const end = spreadOf(asked.map(({ endMs }) => endMs)).median;
    const had = Number.isNaN(first.median) ? 'no row' : row;
    say(`search: ${name}`, `${had}, end ${ms(end)}, ${asked[0]?.rows ?? 0} rows`);
  }

  // As many commands as the machine can, and as many as a busy site has: with the first both processors are taken without any page.
  const load = { clients: 16, line: '\talice@example.org\tquota get', seconds: 3, target: daemon.socket };
  const paced = { ...load, perSecond: 1000 };
  await bench.load({ ...load, seconds: 8 });
  const owner = { after: (end: () => void | Promise<void>) => bench.after(end) };
  /** In cores: of the whole process, since threads that read the journal come and go. */
  const measureUsage = (): (() => { readonly daemon: number; readonly page: number }) => {
    // The page is started again in between.
    const pids = [daemon.pid, daemon.pagePid] as const;
    const msOf = (pid: number): number => sampleOf(pid)?.cpu ?? Number.NaN;
    const [before, startMs] = [pids.map(msOf), performance.now()];
    return () => {
      const spanMs = performance.now() - startMs;
      const [ofDaemon = 0, ofPage = 0] = pids.map((pid, at) => (msOf(pid) - (before[at] ?? 0)) / spanMs);
      return { daemon: ofDaemon, page: ofPage };
    };
  };
  /** Beside a load, in a thread of the lowest priority: the browsers of people are on other machines. */
  const besideCrowd = async (
    crowd: Crowd,
    beside: LoadOptions,
  ): Promise<{ readonly p99: number; readonly page: number }> => {
    const thread = new Worker(new URL('load/crowd.js', import.meta.url), { workerData: crowd });
    try {
      await once(thread, 'message');
      const usage = measureUsage();
      const { p99 } = await bench.load(beside);
      return { p99, page: usage().page };
    } finally {
      await thread.terminate();
    }
  };
  /** p99 of commands without and beside a crowd, in turns, since a machine may get slower by the minute. */
  const compareAt = async (what: string, crowd: Crowd, own: LoadOptions): Promise<void> => {
    const p99: { readonly without: number; readonly beside: number; readonly page: number }[] = [];
    for (let n = 0; n < rounds; n += 1) {
      const first = n % 2 === 0 ? await bench.load(own) : undefined;
      const { p99: beside, page } = await besideCrowd(crowd, own);
      const { p99: without } = first ?? (await bench.load(own));
      p99.push({ without, beside, page });
    }
    const ratio = spreadOf(p99.map(({ without, beside }) => beside / without));
    const without = spreadOf(p99.map((each) => each.without));
    const beside = spreadOf(p99.map((each) => each.beside));
    const page = spreadOf(p99.map((each) => each.page));
    say(
      `p99 of ${own.perSecond === undefined ? '16 clients' : `${own.perSecond} commands a second`} without, and beside ${what}`,
      `${without.median} us (${without.from} to ${without.to}), ${beside.median} us (${beside.from} to ${beside.to}): ${ratio.median.toFixed(2)} x; the page takes ${page.median.toFixed(2)} processors`,
    );
  };
  const compare = async (what: string, crowd: Crowd): Promise<void> => {
    for (const own of [load, paced]) await compareAt(what, crowd, own);
  };
  const filters = searches.map(([, filter]) => ({ filter }));
  const alone = { port, tokens: [token], searches: filters, isWatching: false, isFollowing: false };
  await compare('one who searches', alone);
  const tokens: string[] = [];
  // One after the other: a password takes the processor a while.
  for (const name of names) tokens.push(await signIn(port, name, password));
  const all = { port, tokens, searches: [], isWatching: true, isFollowing: false };
  await compare(`${peopleMax} who watch`, all);
  await compare(`${peopleMax} who watch, search and follow`, {
    ...all,
    searches: filters,
    isFollowing: true,
  });

  // 20 watchers and a report of all of it; the page is killed in the middle of each load.
  const killed: number[] = [];
  const undisturbed: number[] = [];
  for (let n = 0; n < rounds; n += 1) {
    undisturbed.push((await bench.load(load)).p99);
    const watching = [];
    for (const name of names) watching.push(await watchNow(owner, port, await signIn(port, name, password)));
    const asking = { token: await signIn(port, 'person0', password), body: { mailbox: user, form: 'page' } };
    // The page ends meanwhile.
    const reported = askPageAt(port, 'POST', '/api/trail/report', asking).catch(() => undefined);
    const loaded = bench.load(load);
    await sleep((load.seconds * 1000) / 2);
    process.kill(daemon.pagePid, 'SIGKILL');
    killed.push((await loaded).p99);
    await reported;
    for (const watcher of watching) watcher.close();
    daemon.startPage();
    await until(() => signIn(port, 'person0', password).then(Boolean, () => false), 'the page');
  }
  const [calm, kills] = [spreadOf(undisturbed), spreadOf(killed)];
  say(
    'p99 of 16 clients, and while the page is killed with 20 watchers',
    `${calm.median} us (${calm.from} to ${calm.to}), ${kills.median} us (${kills.from} to ${kills.to})`,
  );

  const usage = async (seconds: number): Promise<{ readonly daemon: number; readonly page: number }> => {
    const measured = measureUsage();
    await sleep(seconds * 1000);
    return measured();
  };
  // The segments of the load are compressed meanwhile.
  await until(() => plainLeft() === 1, 'the segments to be compressed', 20 * 60_000);
  const idle = await usage(10);
  const client = await openRawClient({ path: daemon.socket, minor: 2 });
  const over = new AbortController();
  const asking = (async () => {
    while (!over.signal.aborted) {
      client.sendCommand({ user: 'alice@example.org', fields: ['quota get'] });
      await client.readReply();
      await sleep(9);
    }
  })();
  const busy = await usage(10);
  const watchers = [];
  for (const name of names) watchers.push(await watchNow(owner, port, await signIn(port, name, password)));
  const busyWatched = await usage(10);
  over.abort();
  await asking;
  client.close();
  const idleWatched = await usage(10);
  const changes = watchers.reduce((sum, watcher) => sum + watcher.changes, 0) / 20;
  if (watchers.some(({ hasEnded }) => hasEnded)) throw new Error('a stream ended');
  for (const watcher of watchers) watcher.close();
  for (const name of ['daemon', 'page'] as const) {
    const cost = (watched: typeof idle, before: typeof idle): string =>
      (watched[name] - before[name]).toFixed(3);
    say(
      `${peopleMax} people watch: processors that they cost the ${name}`,
      `${cost(idleWatched, idle)} with nothing to do, ${cost(busyWatched, busy)} beside 100 commands a second; ${Math.round(changes / peopleMax)} changes a second each`,
    );
  }
});
