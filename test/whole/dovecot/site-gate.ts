// A gate before a Dovecot of the site: one listener for each job, its clients as the users that they are, and its records as they are
// read by `suggest` and `test --replay`.

import { chmodSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { readRows } from '../../../src/evidence/cli/journal-rows.js';
import { recordedLine } from '../../../src/evidence/review/recorded.js';
import type { ExchangeRow } from '../../../src/evidence/trail/search.js';
import { textIn } from '../../../src/journal/records/stored.js';
import { hashPassword } from '../../../src/rules/identity/credentials.js';
import { type Daemon, startDaemon } from '../../kit/gate/daemon.js';
import type { Lab } from '../../kit/plain/dovecot-lab.js';
import type { Owner } from '../../kit/plain/folder.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { openRawClient, type RawClient, type RawReply } from '../../kit/plain/raw-client.js';
import { until } from '../../kit/plain/until.js';
import { backendPassword } from './real-gateway.js';
import { jobs, type Lane, type Line, lanes } from './site.js';
import type { Site } from './site-world.js';

const webPassword = 'Plover/9 orchid';

export interface SiteGate {
  readonly daemon: Daemon;
  /** The configuration with other policies (`policies: ...`), for a reload. */
  configuration(policies: string): string;
  /** `isHasty`: refusals of a client that are more than ten in a second get no record. */
  ask(line: Line, isHasty?: boolean): Promise<RawReply>;
  /** Those of lines, for each lane in their order, from the `from`th of the gate on; waits until there are `count`. */
  rows(count: number, from?: number): Promise<Rows>;
}

export type Rows = readonly ExchangeRow[];

/** More than ten refusals of one client in a second get no record: each waits so long before its next line. */
const afterRefusalMs = 110;

/** Everything ends with the test that asked for it. `files`: of its folder. */
export async function openSiteGate(
  owner: Owner,
  { client }: Site,
  lab: Lab,
  policies: string,
  files: Readonly<Record<string, string>> = {},
): Promise<SiteGate> {
  const [port = 0] = await freePorts(1);
  const hash = await hashPassword(Buffer.from(webPassword), 10);
  const configuration = (of: string): string => `version: 1
listeners:
${jobs.map((job) => `  ${job}: { unix: ${job}.sock, mode: "0666", policy: ${job} }`).join('\n')}
  panel-web:
    tcp: 127.0.0.1:${port}
    tls: { mode: "off" }
    accounts: { webpanel: { policy: panel, password_hash: "${hash}" } }
backends:
  mail1:
    address: unix:${lab.unixAuth}
    tls: off
    password_file: mail1.password
    shared_namespaces: []
    connections: 12
    idle: 12
routes: [{ users: ["*"], backend: mail1 }]
${of}
state: state
audit: { directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB }
log: { level: info }
`;
  const daemon = await startDaemon(owner, {
    config: configuration(policies),
    files: { 'mail1.password': `${backendPassword}\n`, ...files },
  });
  chmodSync(daemon.folder, 0o711);
  const open = (lane: Lane): Promise<RawClient> => {
    const web = { port, auth: { user: lane.name, password: webPassword } };
    const place =
      lane.uid === undefined ? web : { path: daemon.path(`${lane.listener}.sock`), uid: lane.uid };
    return openRawClient({ ...place, ...client, owner, timeoutMs: 120_000 });
  };
  const clients = new Map<Lane, RawClient>();
  for (const lane of lanes) clients.set(lane, await open(lane));
  const refusedMs = new Map<Lane, number>();
  return {
    daemon,
    configuration,
    async ask({ lane, user, words, reason }, isHasty = false) {
      const connection = clients.get(lane);
      if (connection === undefined) throw new Error(`${lane.name} has no connection`);
      const waitMs = (refusedMs.get(lane) ?? 0) + afterRefusalMs - performance.now();
      if (waitMs > 0 && !isHasty) await pause(waitMs);
      if (reason !== undefined) connection.send(`\t\tOPTION\tdovegate-reason=${reason}`);
      const reply = await connection.ask({ user, fields: words });
      if (reply.status !== '+') refusedMs.set(lane, performance.now());
      return reply;
    },
    async rows(count, from = 0) {
      let rows: ExchangeRow[] = [];
      const read = async (): Promise<boolean> => {
        rows = [];
        await readRows(daemon.path('audit'), (row) => {
          if (textIn(row.fields, 'for') === '') rows.push(row);
        });
        return rows.length >= from + count;
      };
      await until(read, () => `the gate has ${rows.length} of ${from + count} records`);
      return rows.slice(from);
    },
  };
}

/**
 * What became of the line of a row by policy; `unparsable`: it was not read. What policy allowed and this series cannot carry out (`-A` on
 * Dovecot 2.3) is served.
 */
export function doneIn(row: ExchangeRow): string {
  const line = recordedLine(row);
  if (line?.kind !== 'line') return 'unparsable';
  return textIn(row.fields, 'outcome') === 'unparsable' && !line.isObstructed ? 'unparsable' : line.done;
}

/** The lines, each with its row: a lane asks one after the other. */
export function withRows(lines: readonly Line[], rows: Rows): ReadonlyMap<Line, ExchangeRow> {
  const keyOf = (principal: string, listener: string): string => `${principal.split('@')[0]}@${listener}`;
  const queues = new Map<string, ExchangeRow[]>();
  for (const row of rows) {
    const key = keyOf(textIn(row.fields, 'principal'), textIn(row.fields, 'listener'));
    queues.set(key, [...(queues.get(key) ?? []), row]);
  }
  const pairs = lines.map((line): [Line, ExchangeRow] => {
    const key = keyOf(String(line.lane.uid ?? line.lane.name), line.lane.listener);
    const row = queues.get(key)?.shift();
    if (row === undefined) throw new Error(`no record of ${line.words.join(' ')} by ${key}`);
    return [line, row];
  });
  const left = [...queues].filter(([, queue]) => queue.length > 0);
  if (left.length > 0)
    throw new Error(
      `more records than lines: ${left.map(([key, queue]) => `${key} ${queue.length}`).join(', ')}`,
    );
  return new Map(pairs);
}
