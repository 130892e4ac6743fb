// What a long run without faults says about growth (`npm run lab -- soak`, scripts/soak.mjs):
//   node build/test/whole/chaos/soak.js SVG FOLDER [FOLDER...]      the evidence of the long run, then of the baselines
// Resident memory is a saw: so the time is cut into parts, and the line goes through the medians of the parts.
import { createReadStream, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fitLine, type Line, median, percentile } from './fit.js';

interface Point {
  /** Minutes since the beginning. */
  readonly at: number;
  readonly value: number;
}

interface Run {
  readonly folder: string;
  readonly minutes: number;
  /** MiB, by process. */
  readonly rss: ReadonlyMap<string, readonly Point[]>;
  readonly descriptors: readonly Point[];
  /** MiB. */
  readonly journal: readonly Point[];
  /** Milliseconds of native clients that got `+`, each minute. */
  readonly p50: readonly Point[];
  readonly p99: readonly Point[];
  readonly commands: number;
}

const processes = ['gate', 'page', 'watch'] as const;
/** The first third is warming up. */
const warmShare = 1 / 3;
const parts = 12;

async function* linesOf(path: string): AsyncGenerator<Readonly<Record<string, unknown>>> {
  for await (const line of createInterface({ input: createReadStream(path) })) {
    try {
      const found: unknown = JSON.parse(line);
      if (typeof found === 'object' && found !== null) yield { ...found };
    } catch {
      // The last line of a run that was ended.
    }
  }
}

async function readRun(folder: string): Promise<Run> {
  const rss = new Map<string, Point[]>(processes.map((name) => [name, []]));
  const descriptors: Point[] = [];
  const journal: Point[] = [];
  let first: number | undefined;
  let last = 0;
  for await (const sample of linesOf(join(folder, 'samples.jsonl'))) {
    if (sample['quiet'] === true) continue;
    const time = Number(sample['at']);
    first ??= time;
    last = time;
    const at = (time - first) / 60_000;
    rss.get(String(sample['process']))?.push({ at, value: Number(sample['rss']) / 2 ** 20 });
    if (sample['process'] !== 'gate') continue;
    descriptors.push({ at, value: Number(sample['fds']) });
    journal.push({ at, value: Number(sample['journal']) / 2 ** 20 });
  }
  if (first === undefined) throw new Error(`${folder}: no samples`);
  const byMinute = new Map<number, number[]>();
  let commands = 0;
  for await (const { kind, status, begun, ended } of linesOf(join(folder, 'clients.jsonl'))) {
    const minute = Math.floor((Number(begun) - first) / 60_000);
    if (minute < 0) continue;
    commands += 1;
    if (kind !== 'unix' || status !== '+') continue;
    byMinute.set(minute, [...(byMinute.get(minute) ?? []), Number(ended) - Number(begun)]);
  }
  const shareOf = (share: number): Point[] =>
    [...byMinute]
      .map(([at, all]) => ({ at, value: percentile(all, share) }))
      .toSorted((one, other) => one.at - other.at);
  const minutes = (last - first) / 60_000;
  return { folder, minutes, rss, descriptors, journal, p50: shareOf(0.5), p99: shareOf(0.99), commands };
}

/** MiB an hour, after the warming up. */
function growthOf(points: readonly Point[], minutes: number): Line {
  const from = minutes * warmShare;
  const length = (minutes - from) / parts;
  const medians = Array.from({ length: parts }, (_, part) => {
    const begin = from + part * length;
    const inside = points.filter(({ at }) => at >= begin && at < begin + length).map(({ value }) => value);
    return inside.length === 0 ? undefined : { x: (begin + length / 2) / 60, y: median(inside) };
  });
  return fitLine(medians.flatMap((each) => (each === undefined ? [] : [each])));
}

const show = ({ slope, halfWidth }: Line): string => `${slope.toFixed(2)} ± ${halfWidth.toFixed(2)} MiB/h`;

function chart(
  title: string,
  unit: string,
  lines: readonly (readonly [name: string, points: readonly Point[]])[],
  top: number,
): string {
  const [width, height, left] = [880, 150, 70];
  const all = lines.flatMap(([, points]) => points);
  const xMax = Math.max(...all.map(({ at }) => at), 1);
  const yMax = Math.max(...all.map(({ value }) => value), 1) * 1.1;
  const x = (at: number): number => left + (at / xMax) * (width - left - 130);
  const y = (value: number): number => top + height - (value / yMax) * (height - 30);
  const drawn = lines.map(([name, points], index) => {
    // The most of each pixel's width: more cannot be seen.
    const most = new Map<number, number>();
    for (const { at, value } of points) {
      const place = Math.round(x(at));
      most.set(place, Math.max(value, most.get(place) ?? 0));
    }
    const path = [...most].map(([place, value]) => `${place},${y(value).toFixed(1)}`).join(' ');
    const color = ['#0b5fa5', '#b3541e', '#2f7d32'][index] ?? '#555';
    const end = points.at(-1) ?? { at: 0, value: 0 };
    return `<polyline fill="none" stroke="${color}" stroke-width="1.5" points="${path}"/>
<text x="${x(end.at) + 6}" y="${y(end.value) + 4 + index * 12}" fill="${color}">${name} ${end.value.toFixed(0)} ${unit}</text>`;
  });
  return `<text x="${left}" y="${top + 14}" font-weight="bold">${title}</text>
<line x1="${left}" y1="${top + height}" x2="${width - 130}" y2="${top + height}" stroke="#999"/>
<text x="${left - 8}" y="${y(yMax / 1.1) + 4}" text-anchor="end">${(yMax / 1.1).toFixed(0)} ${unit}</text>
<text x="${left - 8}" y="${top + height}" text-anchor="end">0</text>
<text x="${width - 130}" y="${top + height + 14}" text-anchor="end">${xMax.toFixed(0)} minutes</text>
${drawn.join('\n')}`;
}

function picture(run: Run): string {
  const rows = [
    chart(
      'Resident memory',
      'MiB',
      processes.map((name) => [name, run.rss.get(name) ?? []] as const),
      10,
    ),
    chart(
      'Latency at the client',
      'ms',
      [
        ['p99', run.p99],
        ['p50', run.p50],
      ],
      190,
    ),
    chart('Descriptors of the gate', '', [['open', run.descriptors]], 370),
    chart('Journal', 'MiB', [['written', run.journal]], 550),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 880 730" font-family="sans-serif" font-size="12">
<rect width="880" height="730" fill="#fff"/>
${rows.join('\n')}
</svg>
`;
}

const [svg = '', ...folders] = process.argv.slice(2);
if (folders.length === 0 || !folders.every((folder) => existsSync(folder))) {
  console.error('usage: soak.js SVG FOLDER [FOLDER...]');
  process.exit(64);
}
const [long, ...baselines] = await Promise.all(folders.map(readRun));
if (long === undefined) throw new Error('no run');
writeFileSync(svg, picture(long));
console.log(`${long.minutes.toFixed(0)} minutes, ${long.commands} commands`);
let isOver = false;
for (const name of processes) {
  const growth = growthOf(long.rss.get(name) ?? [], long.minutes);
  const others = baselines.map((run) => growthOf(run.rss.get(name) ?? [], run.minutes));
  const slopes = others.map(({ slope }) => slope);
  const spread =
    slopes.length === 0 ? '' : `; baselines ${slopes.map((slope) => slope.toFixed(1)).join(', ')}`;
  console.log(`${name}: ${show(growth)}${spread}`);
  // Memory that shrinks is no leak.
  if (slopes.length > 0 && growth.slope - growth.halfWidth > Math.max(...slopes, 0)) {
    console.log(`${name} grows more than every baseline`);
    isOver = true;
  }
}
const range = (points: readonly Point[]): string => {
  const values = points.slice(Math.floor(points.length * warmShare)).map(({ value }) => value);
  return `${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)}`;
};
console.log(`descriptors of the gate ${range(long.descriptors)}`);
console.log(`p50 ${range(long.p50)} ms, p99 ${range(long.p99)} ms of each minute`);
const grown = (long.journal.at(-1)?.value ?? 0) - (long.journal[0]?.value ?? 0);
console.log(
  `journal ${(((grown / long.commands) * 1_000_000) / 1024).toFixed(2)} GiB for a million commands`,
);
process.exit(isOver ? 1 : 0);
