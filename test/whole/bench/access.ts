// `npm run bench -- access [ROUNDS] [SECONDS] [commands | starts] [--quick] [--json] [--check FILE]`: what live grants cost.
// First repeated commands: daemons without grants (two, so that the report shows how much two alike differ), one with 1,000 grants of other
// principals, and one whose client has ten itself. Each round starts new ones and loads them in turns. Then starts on a journal of 40 GiB
// without live grants and with 1,000 of them. A start reads the newest segment, which is nearly full; the others are holes behind their
// first records, so the journal takes little space (load/grants.ts).

import {
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import type { Place } from '../../journal/files/forged-run.js';
import { startDaemon } from '../../kit/gate/daemon.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { withOwner } from '../../kit/plain/folder.js';
import { me } from '../../kit/plain/me.js';
import { until } from '../../kit/plain/until.js';
import { sampleOf } from '../chaos/processes.js';
import { type Bench, withBench } from './load/bench-processes.js';
import {
  accessPolicies,
  grantsOf,
  makeHollow,
  segmentBytes,
  writeAll,
  writeExchanges,
  writeRun,
} from './load/grants.js';
import { type Kind, kinds } from './load/kinds.js';
import { openReport } from './load/report.js';
import { differenceOf, type Measured, measureRounds, type Round, ratioOf } from './load/rounds.js';
import { daemonProbe, type Usage } from './load/usage.js';

const grants = 1000;
const ownGrants = 10;
const segments = 640;
const warmingSeconds = 2;
/** Less than a segment by what a start writes, so that it opens no new one. */
const fullBytes = segmentBytes - (4 << 20);
const owner = `${me}@desk`;
const kept: Kind = { ...kinds.kept, name: '64 clients' };
const short: Kind = { ...kinds.short, name: '16 clients, new connections' };
const search: Kind = {
  ...kinds.kept,
  name: '64 clients that search',
  load: { clients: 64, line: '\tuser1@example.org\tsearch\tmailbox\tINBOX\tall' },
};

const report = openReport('access', { rounds: 5, seconds: 1 });
const { rounds, seconds, operand } = report;
const { secretPem } = makeSignKey();

/** What a daemon has when it starts. */
const gates = {
  none: { others: 0, own: 0, synced: false },
  control: { others: 0, own: 0, synced: false },
  others: { others: grants, own: 0, synced: false },
  own: { others: grants - ownGrants, own: ownGrants, synced: false },
  synced: { others: 0, own: 0, synced: true },
} as const;
type Name = keyof typeof gates;

function placeOf(bench: Bench, name: string): Place {
  const at = (part: string): string => bench.path(`${name}-${part}`);
  return { directory: at('audit'), state: at('state'), ring: at('ring'), elsewhere: at('elsewhere') };
}

async function assertGrants(adminSocket: string, wanted: number): Promise<void> {
  // A daemon opens this socket last.
  await until(() => existsSync(adminSocket), 'the admin socket');
  const { body } = await askHttp({ socketPath: adminSocket }, '/status.json');
  const told: { readonly access?: { readonly grants: number } } = JSON.parse(body);
  if (told.access?.grants !== wanted)
    throw new Error(`${wanted} grants wanted: ${JSON.stringify(told.access)}`);
}

async function startGate(bench: Bench, tls: number, gate: Name, round: number) {
  const { others, own, synced } = gates[gate];
  const name = `${gate}${round}`;
  writeRun(placeOf(bench, name), secretPem, (run) =>
    writeAll(run, grantsOf(others + own, Date.now(), { owner, own })),
  );
  const listener = (of: string): string =>
    `  ${of}: { unix: ${name}-${of}.sock, mode: "0600", policy: ${of}, sessions: 1000, sessions_per_peer: 1000 }`;
  const daemon = await bench.startDaemon({
    name,
    backend: `    address: localhost:${tls}\n    tls: implicit\n    ca: ca.pem`,
    password: 'secret',
    synced,
    listeners: `${listener('desk')}\n${listener('leads')}`,
    policies: accessPolicies(synced ? 'quota get, { command: search, content: true }' : 'quota get'),
    audit: ', sign_key: sign.pem',
  });
  await assertGrants(bench.path(`${name}-admin.sock`), others + own);
  return { pid: daemon.pid, socket: bench.path(`${name}-desk.sock`), stop: () => daemon.stop() };
}
type Gate = Awaited<ReturnType<typeof startGate>>;

/** Processor time of a command in all threads of the daemon. */
function processorTime(all: readonly Round[]): readonly Round[] {
  const isUsage = (cost: number | Usage): cost is Usage => typeof cost === 'object';
  const sum = ({ costs }: Measured): Measured => ({
    figure: Object.values(costs)
      .filter(isUsage)
      .reduce((total, { us }) => total + us, 0),
    costs,
  });
  return all.map((round) =>
    Object.fromEntries(Object.entries(round).map(([name, measured]) => [name, sum(measured)])),
  );
}

async function measureCommands(bench: Bench): Promise<void> {
  const { tls } = await bench.startBackend();
  const found = new Map<Kind, Round[]>();
  // The last one is the number of turns: two daemons alike differ by several percent within one.
  const tasks: readonly (readonly [Kind, readonly Name[], number])[] = [
    [kept, ['none', 'others', 'control', 'own'], 6],
    [short, ['none', 'others', 'control', 'own'], 3],
    [search, ['synced', 'own'], 1],
  ];
  for (let round = 0; round < rounds; round += 1) {
    const started = new Map<Name, Gate>();
    const measure = (kind: Kind, name: Name, time: number) => async (): Promise<Measured> => {
      const { socket, pid } = started.get(name) ?? never();
      const load = await bench.load({ ...kind.load, target: socket, seconds: time }, daemonProbe(pid));
      return { figure: kind.figure(load), costs: load.costs };
    };
    for (const name of ['none', 'control', 'others', 'own', 'synced'] as const)
      started.set(name, await startGate(bench, tls, name, round));
    for (const [kind, names] of tasks) for (const name of names) await measure(kind, name, warmingSeconds)();
    for (const [kind, names, turns] of tasks)
      for (let turn = 0; turn < turns; turn += 1) {
        const order = turn % 2 === 0 ? names : names.toReversed();
        const candidates = Object.fromEntries(order.map((name) => [name, measure(kind, name, seconds)]));
        found.set(kind, [...(found.get(kind) ?? []), ...(await measureRounds(1, 0, candidates))]);
      }
    for (const { stop } of started.values()) await stop();
  }
  for (const [kind, all] of found) {
    const [base, others] =
      kind === search ? (['synced', ['own']] as const) : (['none', ['others', 'control', 'own']] as const);
    const times = processorTime(all);
    for (const name of others) {
      const what = `${kind.name}: ${kind === search ? 'under a grant, to synced by a rule' : titles[name]}`;
      const isAsked = name === 'others';
      report.row(`${what}, rate`, ratioOf(all, name, base), isAsked ? { floor: 0.97 } : {});
      report.row(`${what}, processor time`, ratioOf(times, name, base), {
        isMost: true,
        ...(isAsked && { floor: 1.03 }),
      });
    }
    report.table(`${kind.name}: us of processor time of a command (context switches)`, kind.unit, all);
  }
}

const titles = {
  others: `${grants} grants of others`,
  control: 'no grants either',
  own: `${ownGrants} own grants`,
};

/** A start's journal, put together anew each time: linked or copied from what was made once. */
interface Template {
  readonly folder: string;
  readonly grants: number;
}

async function measureStarts(bench: Bench): Promise<void> {
  const place = placeOf(bench, 'start');
  const hollow = bench.path('hollow');
  makeHollow(hollow, segments - 1, secretPem);
  const make = (name: string, count: number): Template => {
    link(hollow, place.directory);
    writeRun(place, secretPem, (run) => {
      writeAll(run, grantsOf(count, Date.now(), { owner, own: 0 }));
      writeExchanges(run, count, () => sizeOf(place, segments) >= fullBytes);
    });
    const folder = bench.path(name);
    mkdirSync(folder);
    renameSync(place.directory, join(folder, 'audit'));
    renameSync(place.state, join(folder, 'state'));
    return { folder, grants: count };
  };
  const none = make('start-none', 0);
  const granted = make('start-granted', grants);
  const start =
    ({ folder, grants: wanted }: Template) =>
    async (): Promise<Measured> => {
      link(join(folder, 'audit'), place.directory);
      cpSync(join(folder, 'state'), place.state, { recursive: true });
      const [figure, processor] = await withOwner(async (during) => {
        const began = performance.now();
        const options = { config: startConfiguration(place), folder: bench.folder };
        const daemon = await startDaemon(during, options);
        const took = performance.now() - began;
        const cpu = sampleOf(daemon.pid)?.cpu ?? Number.NaN;
        await assertGrants(daemon.path('start-admin.sock'), wanted);
        await daemon.stop();
        return [took, cpu];
      });
      for (const path of [place.directory, place.state, place.ring])
        rmSync(path, { recursive: true, force: true });
      return { figure, costs: { processor } };
    };
  const measured = await measureRounds(rounds * 2, 1, {
    'without grants': start(none),
    [`with ${grants} grants`]: start(granted),
  });
  report.row(
    `start, ${segments / 16} GiB of journal: what ${grants} live grants add`,
    differenceOf(measured, `with ${grants} grants`, 'without grants'),
    { unit: 'ms', isMost: true, floor: 2000 },
  );
  report.table('from the command to the record `started`; processor time in ms', 'ms', measured);
}

/** The two newest segments and the small files are copied, since a start appends to them; the older ones are linked. */
function link(from: string, to: string): void {
  mkdirSync(to, { mode: 0o700 });
  for (const file of readdirSync(from)) {
    const isOld = /^\d+\.jsonl$/.test(file) && Number.parseInt(file, 10) < segments - 1;
    if (isOld) linkSync(join(from, file), join(to, file));
    else cpSync(join(from, file), join(to, file), { recursive: true });
  }
}

/** Of a segment, in bytes; 0: it is not there. */
function sizeOf({ directory }: Place, number: number): number {
  const path = join(directory, `${String(number).padStart(8, '0')}.jsonl`);
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function startConfiguration({ ring }: Place): string {
  return `version: 1
listeners:
  desk: { unix: start-desk.sock, mode: "0600", policy: desk }
  leads: { unix: start-leads.sock, mode: "0600", policy: leads }
backends: { mail1: { address: "unix:nobody.sock", shared_namespaces: [] } }
routes: [{ users: ["*"], backend: mail1 }]
policies:
${accessPolicies()}
state: start-state
audit: { directory: start-audit, memory: ${ring}, sign_key: sign.pem }
admin: { unix: start-admin.sock }
`;
}

function never(): never {
  throw new Error('a daemon was not started');
}

await withBench(async (bench) => {
  writeFileSync(bench.path('sign.pem'), secretPem, { mode: 0o600 });
  if (operand !== 'starts') await measureCommands(bench);
  if (operand !== 'commands') await measureStarts(bench);
});
report.finish();
