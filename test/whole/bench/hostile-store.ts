// `npm run bench -- hostile-store [HOSTS] [NAME]`: what a store that is hostile for one host costs a verifier of HOSTS (default 1,000; 20
// records each) in a bucket of Ceph's gateway (root). For each misdeed (`NAME`: only those whose name has it) `audit fleet verify` of a new
// verifier: its end, when all other hosts were mirrored, and its memory.

import { readdirSync, writeFileSync } from 'node:fs';
import { createServer, request, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { packBlock } from '../../../src/evidence/store/block.js';
import { formatName, journalFolder } from '../../../src/evidence/store/names.js';
import { systemClock } from '../../../src/host/machine/clock.js';
import { openBucket } from '../../../src/host/store/bucket.js';
import { openGateway, serve } from '../../kit/plain/bucket.js';
import { openFolder, withOwner } from '../../kit/plain/folder.js';
import { runAudit } from './load/audit-run.js';
import { say } from './load/report.js';
import { simulateHost } from './load/simulated-host.js';

const hosts = Number(process.argv[2] ?? 1_000);
const wanted = process.argv[3] ?? '';
const endMs = 1_200_000;
const journal = 'ef'.repeat(16);
const below = `dovegate/${journalFolder('evil', journal)}`;
const bomb = gzipSync(Buffer.alloc(256 << 20));

const list = (entries: string, next: string): string =>
  `<ListBucketResult><IsTruncated>true</IsTruncated><NextKeyMarker>${next}</NextKeyMarker><NextContinuationToken>${next}</NextContinuationToken>${entries}</ListBucketResult>`;
const entry = (key: string): string => `<Version><Key>${key}</Key><VersionId>v</VersionId></Version>`;
const blockAt = (first: number): string =>
  `dovegate/${formatName({ kind: 'block', host: 'evil', journal, first, last: first, hash: 'ab'.repeat(32), isCopy: false })}`;

/** A page of names behind `after`. */
function page(after: string, count: number, nameAt: (at: number) => string): string {
  const from = 1 + Number(/(\d+)$/.exec(after)?.[1] ?? 0);
  const names = Array.from({ length: count }, (_, at) => nameAt(from + at));
  return list(names.map(entry).join(''), `${from + count - 1}`);
}

type Misdeed = (answer: ServerResponse, list: { readonly after: string } | undefined) => void;

const junkAt = (at: number): string => `${below}${String(at).padStart(9, '0')}`;
const head = { 'last-modified': new Date().toUTCString() };
const send = (answer: ServerResponse, body: string | Buffer): void =>
  void answer.writeHead(200, head).end(body);
const misdeeds: Readonly<Record<string, Misdeed>> = {
  'names without an end': (answer, listed) => send(answer, page(listed?.after ?? '', 1000, junkAt)),
  'blocks without an end': (answer, listed) =>
    send(answer, listed ? page(listed.after, 1000, blockAt) : 'junk'),
  bombs: (answer, listed) => send(answer, listed ? page(listed.after, 1000, blockAt) : bomb),
  'pages of 30 MiB': (answer, listed) => send(answer, page(listed?.after ?? '', 300_000, junkAt)),
  cut: (answer) => void answer.destroy(),
  silent: () => undefined,
  slow(answer) {
    answer.writeHead(200, head).write(' ');
    const timer = setInterval(() => answer.write(' '), 5_000);
    answer.once('close', () => clearInterval(timer));
  },
};

await withOwner(async (owner) => {
  const gateway = await openGateway(owner);
  if ('skip' in gateway) throw new Error(gateway.skip);
  const url = await gateway.openBucket({ lock: true });
  const { origin, credentialsFile: credentials } = gateway;
  const store = openBucket({ url, prefix: 'dovegate', credentialsFile: credentials, clock: systemClock });
  const keys = new Map([['evil', simulateHost('evil', 1).key]]);
  for (let at = 1; at < hosts; at += 1) {
    const host = simulateHost(`gate-${at}`, 20);
    const block = host.nextBlock();
    if (block !== undefined)
      await store.put(formatName(block.name), await packBlock(block.text), { ifAbsent: true });
    keys.set(host.host, host.key);
  }
  store.close();
  let misdeed: Misdeed | undefined;
  const server = createServer((asked, answer) => {
    const address = new URL(asked.url ?? '', origin);
    const { searchParams: params, pathname } = address;
    const isOfEvil = `${pathname} /${params.get('prefix') ?? ''}`.includes('/dovegate/evil/');
    if (isOfEvil && misdeed !== undefined) {
      if (params.has('delimiter') && misdeed !== misdeeds['cut'])
        return send(
          answer,
          list(`<CommonPrefixes><Prefix>${below}</Prefix></CommonPrefixes>`, '').replace('true', 'false'),
        );
      const after = params.get('key-marker') ?? params.get('continuation-token') ?? '';
      return misdeed(answer, params.has('prefix') ? { after } : undefined);
    }
    const on = request(
      origin + (asked.url ?? ''),
      { method: asked.method, headers: asked.headers },
      (back) => {
        answer.writeHead(back.statusCode ?? 502, back.headers);
        back.pipe(answer);
      },
    );
    on.on('error', () => answer.destroy());
    asked.pipe(on);
  });
  const proxy = await serve(owner, server);
  const listed = Object.fromEntries([...keys].map(([host, key]) => [host, { key }]));
  for (const [what, doing] of Object.entries({ nothing: undefined, ...misdeeds })) {
    if (!what.includes(wanted)) continue;
    misdeed = doing;
    const folder = openFolder(owner);
    const config = join(folder, 'fleet.yaml');
    const settings = {
      store: url.replace(origin, proxy),
      credentials,
      state: 'state',
      metrics: 'off',
      hosts: listed,
    };
    writeFileSync(config, JSON.stringify(settings), { mode: 0o600 });
    let [othersS, mirrored] = [Number.NaN, 0];
    const look = (passed: number): void => {
      if (mirrored >= hosts - 1) return;
      try {
        mirrored = readdirSync(join(folder, 'state', 'journals')).filter((name) => name !== 'evil').length;
      } catch {}
      if (mirrored >= hosts - 1) othersS = passed;
    };
    const ran = await runAudit(['fleet', 'verify', '--config', config], look, endMs);
    say(
      what,
      `exit ${ran.exit} after ${ran.seconds.toFixed(1)} s (${ran.used.toFixed(1)} s of processor), the ${mirrored} others after ${othersS.toFixed(1)} s, ${ran.peakMiB.toFixed(0)} MiB at most`,
    );
  }
});
