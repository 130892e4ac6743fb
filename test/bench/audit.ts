// `npm run bench -- audit [SECONDS]`: what an audit record before every command costs. The built daemon with a scripted backend behind
// STARTTLS, asked directly, through a daemon that waits for the disk (`strict`), and through one that does not: the time of one
// command of one client, commands a second of 64, and how many fdatasync 1,000 commands of those cost. All of it shares this machine's
// processors, so the ratios say more than the figures.
import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { request } from 'node:http';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { backendPassword, type Gateway, openGateway } from '../kit/gateway.js';
import { openRawClient, type RawClient } from '../kit/raw-client.js';

const seconds = Number(process.argv[2] ?? 5);
const clientsMany = 64;
const quota = { user: 'alice@example.org', fields: ['quota get'] };

interface Measured {
  /** Milliseconds of one command of one client: the middle one, and one in a hundred. */
  readonly middleMs: number;
  readonly worstMs: number;
  /** Commands a second of 64 clients. */
  readonly perSecond: number;
  /** Synced for 1,000 of those commands; undefined: there is no journal. */
  readonly syncs: number | undefined;
}

async function ask(client: RawClient): Promise<void> {
  client.sendCommand(quota);
  const { status } = await client.readReply();
  if (status !== '+') throw new Error(`a command was answered with ${status}`);
}

async function measure(
  open: () => Promise<RawClient>,
  syncsSoFar?: () => Promise<number>,
): Promise<Measured> {
  const one = await open();
  const times: number[] = [];
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    const began = performance.now();
    await ask(one);
    times.push(performance.now() - began);
  }
  // What came before the backend and the compiler were warm says nothing.
  const sorted = times.slice(times.length >> 2).toSorted((a, b) => a - b);
  const many = await Promise.all(Array.from({ length: clientsMany }, open));
  await Promise.all(many.map(ask));
  const syncsBefore = await syncsSoFar?.();
  let commands = 0;
  const began = performance.now();
  await Promise.all(
    many.map(async (client) => {
      while (performance.now() - began < seconds * 1000) {
        await ask(client);
        commands += 1;
      }
    }),
  );
  const tookMs = performance.now() - began;
  const syncs = await syncsSoFar?.();
  for (const client of [one, ...many]) client.close();
  return {
    middleMs: sorted[sorted.length >> 1] ?? Number.NaN,
    worstMs: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN,
    perSecond: (commands / tookMs) * 1000,
    syncs: syncs === undefined ? undefined : ((syncs - (syncsBefore ?? 0)) / commands) * 1000,
  };
}

/** How often the daemon's journal was synced so far, by its own metrics. */
function syncsOf(gateway: Gateway): Promise<number> {
  return new Promise((resolve, reject) => {
    const target = { socketPath: gateway.daemon.path('admin.sock'), path: '/metrics', agent: false };
    request(target, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () =>
        resolve(Number(/^dovegate_audit_sync_seconds_count (\d+)$/m.exec(body)?.[1] ?? Number.NaN)),
      );
    })
      .on('error', reject)
      .end();
  });
}

function say(what: string, figures: string): void {
  console.log(`${what.padEnd(44)} ${figures}`);
}

function tell(what: string, measured: Measured, base: Measured | undefined): void {
  const { middleMs, worstMs, perSecond, syncs } = measured;
  const added = base === undefined ? '' : ` (added: ${(middleMs - base.middleMs).toFixed(3)})`;
  say(`${what}, one client`, `${middleMs.toFixed(3)} ms${added}, 99 of 100 within ${worstMs.toFixed(3)} ms`);
  const share = base === undefined ? '' : ` (${((perSecond / base.perSecond) * 100).toFixed(0)} %)`;
  const synced = syncs === undefined ? '' : `, ${syncs.toFixed(1)} fdatasync for 1,000 commands`;
  say(`${what}, ${clientsMany} clients`, `${Math.round(perSecond)} commands/s${share}${synced}`);
}

const ends: (() => void | Promise<void>)[] = [];
const owner = { after: (end: () => void | Promise<void>) => void ends.push(end) };
const folder = mkdtempSync(join(tmpdir(), 'dovegate-bench-'));
try {
  say('Node, processors', `${process.version}, ${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}`);
  say('file system of the journal', `type 0x${statfsSync(folder).type.toString(16)}, ${folder}`);
  let direct: Measured | undefined;
  const daemons: Measured[] = [];
  for (const [what, strict] of [
    ['strict: all effects', '[read, write, destroy, session, admin]'],
    ['strict: none', '[]'],
  ] as const) {
    const gateway = await openGateway(owner, {
      mail1: { connections: '16' },
      audit: `{ directory: ${join(folder, what.replaceAll(/\W/g, ''))}, reserve: 4KiB, strict: ${strict} }`,
      more: 'admin: { unix: admin.sock }',
    });
    if (direct === undefined) {
      const { authority, backend } = gateway;
      const straight = { port: backend.port, minor: 2, tls: 'starttls', serverName: 'localhost' } as const;
      const auth = { password: backendPassword };
      direct = await measure(() => openRawClient({ ...straight, ca: authority.certificatePem, auth }));
      tell('the backend itself', direct, undefined);
    }
    const measured = await measure(
      () => gateway.client({ minor: 2 }),
      () => syncsOf(gateway),
    );
    tell(what, measured, direct);
    daemons.push(measured);
    await gateway.daemon.stop();
  }
  const [strict, lax] = daemons;
  if (strict === undefined || lax === undefined) throw new Error('nothing was measured');
  const share = ((strict.perSecond / lax.perSecond) * 100).toFixed(0);
  const addedMs = (strict.middleMs - lax.middleMs).toFixed(3);
  say(
    'waiting for the disk',
    `${addedMs} ms for one client; ${share} % of the throughput of ${clientsMany} is left`,
  );
} finally {
  for (const end of ends) await end();
  rmSync(folder, { recursive: true, force: true });
}
