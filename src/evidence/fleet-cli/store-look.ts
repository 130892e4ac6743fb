// What `dovegate doctor` checks of the stores of a gate's receivers: may it write and read, who could remove objects, what is kept.

import { listOf, textOf, type Values } from '../../gate/health/daemon-look.js';
import { bad, type Look, ok, warning } from '../../gate/health/look.js';
import { bounds } from '../../host/bounds/bounds.js';
import { hostName } from '../../host/machine/process.js';
import type { Clock } from '../../host/ports/machine.js';
import { type ObjectStore, type StoreFacts, StoreFault } from '../../host/ports/store.js';
import { openStore } from '../../host/store/open-store.js';
import { plural } from '../../host/words/words.js';
import { hostWordOf } from '../../rules/config/fleet-names.js';
import { isSinkOf, type SinkSettings, type StoreSinkSettings } from '../../rules/config/sinks.js';
import { parseBlockName, recordsOfShard, shardFolder } from '../store/names.js';

const lookMs = 20_000;
const dayMs = 86_400_000;
/** A store that has lost the beginning of a journal, and whose oldest block is younger than this, keeps too little for an investigation. */
const youngMs = 7 * dayMs;
const listedMax = 5_000;
const lostTodo = 'look whether the right disk is mounted there, and who may delete there';

export interface StoreLookOptions {
  readonly clock: Clock;
  /** The daemon's report about its receivers; undefined: there is no daemon to ask. */
  readonly told: Values | undefined;
}

/** For each receiver of the kind store. */
export async function lookAtStores(
  { audit }: { readonly audit: { readonly ship: readonly SinkSettings[] } },
  options: StoreLookOptions,
): Promise<readonly Look[]> {
  const sinks = audit.ship.filter((sink) => isSinkOf(sink, 'store'));
  return (await Promise.all(sinks.map((sink) => lookAtSink(sink, options)))).flat();
}

async function lookAtSink(
  sink: StoreSinkSettings,
  { clock, told }: StoreLookOptions,
): Promise<readonly Look[]> {
  const stop = new AbortController();
  const late = new StoreFault('away', `no answer within ${lookMs / 1000} s`);
  const timer = clock.setTimer(lookMs, () => stop.abort(late));
  const store = openStore(sink, clock);
  const name = `store ${sink.name}`;
  const { hostWord: host = hostWordOf(hostName()) } = sink;
  try {
    const kept = await lookAtKept(name, host, store, clock, stop.signal);
    const way = listOf(told?.['shipping']).find((each) => textOf(each['name']) === sink.name);
    const lost = await lookAtStored(name, host, Number(way?.['safe_seq'] ?? 0), store, stop.signal);
    return [
      ...kept,
      ...lost,
      lookAtLock(name, await store.describe(stop.signal)),
      ...lookAtWay(name, sink, way),
    ];
  } catch (fault) {
    if (!(fault instanceof StoreFault)) throw fault;
    const [todo, command] = adviceFor(fault, host);
    return [bad(name, fault.message, todo, command)];
  } finally {
    timer.cancel();
    store.close();
  }
}

/** What it has of this host. Rejects with a StoreFault. */
async function lookAtKept(
  name: string,
  host: string,
  store: ObjectStore,
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly Look[]> {
  let objects = 0;
  let isMore = false;
  const firsts = new Map<string, string>();
  for await (const page of store.list(`${host}/`, { signal })) {
    for (const each of page) {
      const block = parseBlockName(each);
      if (block !== undefined && !firsts.has(block.journal)) firsts.set(block.journal, each);
    }
    objects += page.length;
    isMore = objects >= listedMax;
    if (isMore) break;
  }
  if (firsts.size === 0) return [ok(name, `it has nothing of ${host} yet`)];
  const looks = [ok(name, `it has ${isMore ? 'more than ' : ''}${plural(objects, 'object')} of ${host}`)];
  for (const first of firsts.values()) {
    if (parseBlockName(first)?.first === 1) continue;
    const { storedMs } = await store.read(first, { bytesMax: bounds.storeBlockBytes, signal });
    const ageMs = clock.wallMs() - storedMs;
    if (ageMs < youngMs)
      looks.push(
        warning(
          name,
          `what was stored more than ${plural(Math.max(1, Math.round(ageMs / dayMs)), 'day')} ago is gone`,
          'look at the lifecycle rules of the bucket, and who may delete there',
        ),
      );
  }
  return looks;
}

/** Whether the store has record `safeSeq`, the last one that the gate says it has stored, and those before. Rejects with a StoreFault. */
async function lookAtStored(
  name: string,
  host: string,
  safeSeq: number,
  store: ObjectStore,
  signal: AbortSignal,
): Promise<readonly Look[]> {
  if (safeSeq === 0) return [];
  for await (const page of store.list(`${host}/`, { isLevel: true, signal })) {
    for (const folder of page) {
      // A block is in the shard of its first record.
      const after = shardFolder(host, folder.split('/')[1] ?? '', Math.max(0, safeSeq - recordsOfShard));
      const gaps: string[] = [];
      let next: number | undefined;
      for await (const names of store.list(folder, { after, signal })) {
        for (const each of names) {
          const { first = Infinity, last = 0 } = parseBlockName(each) ?? {};
          if (first > safeSeq) continue;
          if (next !== undefined && first > next) gaps.push(`${next} to ${first - 1}`);
          next = Math.max(next ?? 0, last + 1);
        }
      }
      if (next === undefined || next <= safeSeq) continue;
      if (gaps.length === 0) return [];
      return [bad(name, `records ${gaps.slice(0, 5).join(', ')} are not there, and were stored`, lostTodo)];
    }
  }
  return [bad(name, `record ${safeSeq} is not there, and was stored`, lostTodo)];
}

function lookAtLock(name: string, { kind, versions, lock }: StoreFacts): Look {
  const what = `${name}, lock`;
  if (kind === 'folder')
    return ok(what, 'it is a folder: nothing but its server keeps anybody from changing what is there');
  if (lock === undefined || versions === undefined)
    return ok(what, 'it does not tell this credential whether objects are locked');
  if (versions !== 'on')
    return warning(
      what,
      `versions are ${versions}: who overwrites an object takes it away`,
      'turn versions on; with an object lock they are',
    );
  if (lock.mode === 'off' || lock.mode === 'none')
    return warning(
      what,
      lock.mode === 'off' ? 'the bucket has no object lock' : 'the bucket locks no object by itself',
      'a default retention in COMPLIANCE, or GOVERNANCE where somebody must be able to erase',
    );
  const days = lock.days === undefined ? '' : ` for ${plural(lock.days, 'day')}`;
  return ok(what, `${lock.mode}${days}`);
}

function lookAtWay(name: string, sink: StoreSinkSettings, way: Values | undefined): readonly Look[] {
  if (way === undefined || way['state'] !== 'connected') return [];
  const lag = Number(way['lag_records']);
  const { objectsPerDay } = sink;
  const minutes = Math.ceil(1440 / objectsPerDay);
  const most = `with ${objectsPerDay} objects a day a record waits ${minutes} min at most`;
  return [ok(`${name}, records`, lag === 0 ? `none waits; ${most}` : `${lag} wait; ${most}`)];
}

/** The remedy, and its command. */
function adviceFor({ code }: StoreFault, host: string): readonly [string, string?] {
  switch (code) {
    case 'refused':
      return [
        'compare what the credential of this host may do, where the settings of the fleet are',
        `dovegate audit fleet policy ${host}`,
      ];
    case 'gone':
      return ['make the bucket or the folder, or correct `store` in audit.ship'];
    case 'away':
      return ['look whether the store runs, or is mounted, and at the firewall'];
    case 'too-large':
    case 'bad-answer':
      return ['look whether `store` in audit.ship is a bucket, and what writes there'];
    default:
      return code satisfies never;
  }
}
