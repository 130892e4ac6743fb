// The objects of a fleet are changed as somebody can who may do anything to the store, and has neither a gate's key nor a verifier's:
// blocks and lines, their names, the verifier's checkpoints, and its file of them. Verifiers with and without memory read the result.
// While one finds nothing, the records up to the last signature are those that a gate wrote, the beginning is there, and so is every head
// that the verifier knows or finds signed. What no signature covers yet is believed for `silent_after` (docs/audit-fleet.md).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ReadCheckpoint,
  readCheckpoint,
  type SignedHead,
  signCheckpoint,
} from '../../../src/evidence/fleet/checkpoint.js';
import { Fleet } from '../../../src/evidence/fleet/fleet.js';
import type { ExpectedHead } from '../../../src/evidence/fleet/saved.js';
import { isBlockName, isVerifierName } from '../../../src/evidence/store/names.js';
import { logged } from '../../evidence/fleet/desk.js';
import {
  block,
  blocks,
  mark,
  optionsOf,
  PaperGate,
  type PaperObject,
  renamed,
  started,
  takeAll,
} from '../../evidence/fleet/paper-store.js';
import { fixedKey, signKey } from '../../journal/files/forged-run.js';
import { pick, type Random, randomInteger, seededRandom } from '../../kit/plain/chunkings.js';
import { editLines, forgedLines, partsOf, pickEdits, play, type Round, strange } from './forge-kit.js';

const nowMs = started + 60_000;
const gateKeys = { gate1: signKey, gate2: fixedKey(3) } as const;
type Host = keyof typeof gateKeys;
const hosts: readonly Host[] = ['gate1', 'gate2'];
/** The verifier's; the first names the second. */
const own = [fixedKey(4), fixedKey(5)] as const;

/** In the order in which they are read. */
const streamNames = ['checkpoints', ...hosts] as const;
type StreamName = (typeof streamNames)[number];
type Streams = Record<StreamName, PaperObject[]>;

/** What a verifier knew after one of its runs. */
interface Memory {
  readonly saved: unknown;
  readonly heads: readonly SignedHead[];
  readonly read: Readonly<Record<StreamName, number>>;
  readonly signed: ReadCheckpoint;
}

interface World {
  readonly streams: Streams;
  /** All lines that a key of a gate signed, or will sign, with LFs: its journal, and the one that it had before. */
  readonly journals: Readonly<Record<Host, readonly PaperGate[]>>;
  readonly memories: readonly Memory[];
  /** The verifier's file. */
  readonly file: readonly string[];
}

const options = optionsOf([], {
  hosts: new Map(hosts.map((host) => [host, { key: gateKeys[host].key, silentMs: 300_000 }])),
  verifier: { name: undefined, keys: own.map(({ key }) => key) },
});

function read(fleet: Fleet, streams: Streams): void {
  for (const name of streamNames) takeAll(fleet, streams[name]);
}

function makeWorld(random: Random): World {
  const makeGate = (host: Host, id: string): PaperGate => new PaperGate(gateKeys[host].secretPem, id);
  const journals = {
    gate1: [makeGate('gate1', '1a'.repeat(16)), makeGate('gate1', '1b'.repeat(16))],
    gate2: [makeGate('gate2', '2a'.repeat(16)), makeGate('gate2', '2b'.repeat(16))],
  };
  const streams: Streams = { checkpoints: [], gate1: [], gate2: [] };
  const fleet = new Fleet(options);
  const memories: Memory[] = [];
  const file: string[] = [];
  const sent = { gate1: 0, gate2: 0 };
  const write = (): void => {
    for (const host of hosts) {
      const [gate, former] = journals[host];
      for (const one of [gate, former]) {
        one?.exchanges(randomInteger(random, 1, 6));
        if (random() < 0.7) one?.checkpoint(random() < 0.2 ? { next_key: own[1].key } : {});
        if (random() < 0.4) one?.exchanges(1);
      }
      const lines = gate?.lines ?? [];
      streams[host].push(
        ...blocks(lines.slice(sent[host]), randomInteger(random, 1, 9), host, gate?.id ?? ''),
      );
      sent[host] = lines.length;
    }
  };
  for (let count = randomInteger(random, 1, 3); count > 0; count -= 1) {
    write();
    read(fleet, streams);
    assert.deepEqual(fleet.judge(nowMs), [], 'a store that nobody changed');
    const heads = fleet.heads();
    const isReplaced = memories.length > 1;
    const { secretPem } = own[isReplaced ? 1 : 0];
    const nextKey = memories.length === 1 ? own[1].key : undefined;
    const { line } = signCheckpoint(
      { heads, findings: {}, nextKey },
      memories.at(-1)?.signed,
      secretPem,
      started,
    );
    const signed = readCheckpoint(line) ?? assert.fail(line);
    const seen = {
      checkpoints: streams.checkpoints.length,
      gate1: streams.gate1.length,
      gate2: streams.gate2.length,
    };
    memories.push({ saved: JSON.parse(JSON.stringify(fleet.save())), heads, read: seen, signed });
    streams.checkpoints.push(logged(line));
    file.push(line);
  }
  if (random() < 0.5) write();
  return { streams, journals, memories, file };
}

const roundsPerWorld = 8;
let made: { readonly group: number; readonly world: World } | undefined;
function worldFor(seed: number): World {
  const group = Math.floor(seed / roundsPerWorld);
  if (made?.group !== group) made = { group, world: makeWorld(seededRandom(group)) };
  return made.world;
}

interface Scene {
  readonly random: Random;
  readonly world: World;
  readonly streams: Streams;
  /** What the verifier of this round has read already, and does not read again. */
  readonly read: Readonly<Record<StreamName, number>>;
  file: readonly string[];
  readonly note: (what: string) => void;
}

const linesOf = (messages: readonly PaperObject[]): string[] =>
  messages.flatMap(({ body }) => body.toString().split('\n')).filter((line) => line !== '');

/** Changes the part of a stream that is still to be read. */
function inStream(
  { random, streams, read: done }: Scene,
  change: (messages: PaperObject[], at: number, name: StreamName) => readonly PaperObject[],
): void {
  const name = pick(random, streamNames);
  const left = streams[name].slice(done[name]);
  const at = randomInteger(random, 0, Math.max(0, left.length - 1));
  streams[name] = [...streams[name].slice(0, done[name]), ...change(left, at, name)];
}

function inBlock(scene: Scene, change: (one: PaperObject, name: StreamName) => PaperObject): void {
  inStream(scene, (messages, at, name) =>
    messages.map((one, place) => (place === at ? change(one, name) : one)),
  );
}

/** Lines as messages: in blocks with right headers, or checkpoints. */
function asMessages(name: StreamName, lines: readonly string[], { random, world }: Scene): PaperObject[] {
  if (name === 'checkpoints') return lines.map((line) => logged(line));
  const ended = lines.map((line) => `${line}\n`);
  return blocks(ended, randomInteger(random, 1, 9), name, world.journals[name][0]?.id);
}

const other = (name: StreamName): StreamName => (name === 'gate1' ? 'gate2' : 'gate1');

const edits: Readonly<Record<string, (scene: Scene) => void>> = {
  lines: (scene) =>
    inStream(scene, (messages, _, name) =>
      asMessages(name, editLines(scene.random, linesOf(messages), scene.note), scene),
    ),
  'lines of a message': (scene) =>
    inBlock(scene, (one, name) => {
      const lines = editLines(scene.random, linesOf([one]), scene.note);
      const body = Buffer.from(
        name === 'checkpoints' ? lines.join('\n') : lines.map((line) => `${line}\n`).join(''),
      );
      return { ...one, body };
    }),
  'message removed': (scene) => inStream(scene, (messages, at) => messages.toSpliced(at, 1)),
  'end of the stream removed': (scene) => inStream(scene, (messages, at) => messages.slice(0, at)),
  'beginning of the stream removed': (scene) => inStream(scene, (messages, at) => messages.slice(at)),
  'stream emptied': (scene) => inStream(scene, () => []),
  'message twice': (scene) =>
    inStream(scene, (messages, at) => messages.toSpliced(at, 0, ...messages.slice(at, at + 1))),
  'messages swapped': (scene) =>
    inStream(scene, (messages, at) => messages.toSpliced(at, 2, ...messages.slice(at, at + 2).toReversed())),
  'name of the other gate': (scene) =>
    inBlock(scene, (one, name) =>
      isBlockName(one.name)
        ? renamed(one, { host: other(name), journal: scene.world.journals.gate1[0]?.id ?? '' })
        : one,
    ),
  'name of another journal': (scene) =>
    inBlock(scene, (one) => (isBlockName(one.name) ? renamed(one, { journal: 'cd'.repeat(16) }) : one)),
  'message in another stream': (scene) => {
    let moved: PaperObject | undefined;
    inStream(scene, (messages, at) => {
      moved = messages[at];
      return messages.toSpliced(at, 1);
    });
    const one = moved;
    if (one !== undefined) inStream(scene, (messages, at) => messages.toSpliced(at, 0, one));
  },
  'name of another object': (scene) =>
    inStream(scene, (messages, at) =>
      messages.map((one, place) =>
        place === at ? { ...one, name: pick(scene.random, messages).name } : one,
      ),
    ),
  // Swaps only unread messages: a verifier that goes on never reads the others again.
  'streams of the gates swapped': ({ streams, read: done }) => {
    const { gate1, gate2 } = streams;
    streams.gate1 = [...gate1.slice(0, done.gate1), ...gate2.slice(done.gate2)];
    streams.gate2 = [...gate2.slice(0, done.gate2), ...gate1.slice(done.gate1)];
  },
  'journal from before in its place': ({ random, streams, world, read: done }) => {
    const host = pick(random, hosts);
    const former = world.journals[host][1];
    const messages = blocks(former?.lines ?? [], 5, host, former?.id);
    streams[host] = [...streams[host].slice(0, done[host]), ...messages];
  },
  'lines of the journal from before': (scene) =>
    inStream(scene, (messages, at, name) => {
      if (name === 'checkpoints') return messages;
      const [gate, former] = scene.world.journals[name];
      const last = partsOf(linesOf(messages.slice(0, at)).at(-1))?.seq ?? 0;
      const ends = former?.lines.slice(last) ?? [];
      return [...messages.slice(0, at), ...blocks(ends, 5, name, gate?.id)];
    }),
  'forged lines at the end': (scene) =>
    inStream(scene, (messages, _, name) => {
      const before = partsOf(linesOf(messages).at(-1));
      if (name === 'checkpoints' || before === undefined) return messages;
      const lines = forgedLines(scene.random, before, scene.random() < 0.5);
      return [...messages, block(lines, name, scene.world.journals[name][0]?.id)];
    }),
  'checkpoint signed by another key': (scene) => {
    const { streams, world, random } = scene;
    const before = readCheckpoint(streams.checkpoints.at(-1)?.body ?? '');
    const { heads } = pick(random, world.memories);
    const nextKey = random() < 0.3 ? strange.key : undefined;
    const { line } = signCheckpoint({ heads, findings: {}, nextKey }, before, strange.secretPem, started);
    streams.checkpoints.push(logged(line));
    if (random() < 0.5) scene.file = [...scene.file, line];
  },
  'mark of another gate': (scene) =>
    inStream(scene, (messages, at, name) =>
      name === 'checkpoints'
        ? messages
        : messages.toSpliced(at, 0, mark(1, 'e'.repeat(64), name, scene.world.journals[name][0]?.id)),
    ),
  'file of checkpoints': (scene) => {
    scene.file = editLines(scene.random, scene.file, scene.note);
  },
};

/** What is wrong with streams in which a verifier found nothing. */
function wrongIn(
  scene: Scene,
  fleet: Fleet,
  needed: readonly ExpectedHead[],
  kept: ReadCheckpoint | undefined,
  isFileRead: boolean,
): string | undefined {
  const { streams, world } = scene;
  const all = streamNames.flatMap((name) => streams[name]);
  const isSigned = (line: string): boolean => world.file.includes(line);
  const checkpoints = all.filter(({ name }) => isVerifierName(name));
  // Trailing white space is not part of a line, as in readCheckpoint.
  const logs = checkpoints.map(({ body }) => body.toString().trimEnd());
  const strangeLine = [...logs, ...(isFileRead ? scene.file : [])].find((line) => !isSigned(line.trimEnd()));
  if (strangeLine !== undefined) return `no checkpoint of the verifier: ${strangeLine}`;
  if (kept !== undefined && !logs.some((line) => (partsOf(line)?.seq ?? 0) >= kept.seq))
    return `checkpoint ${kept.seq} is gone`;
  const rows = new Map(fleet.status(nowMs).gates.map((row) => [row.host, row]));
  // Every head that a signed line in the stream names.
  const named = logs.flatMap((line) => readCheckpoint(line)?.heads ?? []);
  for (const host of hosts) {
    const { journal = '', signedSeq = 0 } = rows.get(host) ?? {};
    const isOf = ({ name }: PaperObject): boolean =>
      isBlockName(name) && name.host === host && name.journal === journal;
    const lines = linesOf(all.filter(isOf));
    const bySeq = new Map(lines.map((line) => [partsOf(line)?.seq ?? 0, line]));
    const firstSeq = Math.min(...bySeq.keys());
    if (firstSeq !== 1) return `${host} begins with record ${firstSeq}`;
    const truth = world.journals[host].find(({ id }) => id === journal)?.lines ?? [];
    for (let seq = firstSeq; seq <= signedSeq; seq += 1) {
      if (`${bySeq.get(seq)}\n` !== truth[seq - 1])
        return `signed record ${seq} of ${host} is gone or another one`;
    }
    for (const head of [...needed, ...named].filter((one) => one.host === host)) {
      const { hash } = partsOf(bySeq.get(head.seq)) ?? {};
      const isThere = head.journal === journal && hash === head.hash;
      if (!isThere) return `record ${head.seq} of ${host}, which is known, is gone or another one`;
    }
  }
  return undefined;
}

/** Of another object below a verifier's name, the reader of the store tells that it is malformed. */
function isLine({ name, body }: PaperObject): boolean {
  return isVerifierName(name) && readCheckpoint(body)?.hash === name.hash;
}

const nothingRead = { checkpoints: 0, gate1: 0, gate2: 0 };
/** Half of the edits are of lines. */
const names = Object.keys(edits).flatMap((name) => [name, 'lines']);

function attack({ seed, random, edits: done }: Round): string {
  const world = worldFor(seed);
  const memory = pick(random, world.memories);
  const how = pick(random, ['no memory', 'no memory, a kept line', 'goes on', 'reads all again']);
  const streams: Streams = {
    checkpoints: [...world.streams.checkpoints],
    gate1: [...world.streams.gate1],
    gate2: [...world.streams.gate2],
  };
  const note = (what: string): void => void done.push(what);
  const scene: Scene = {
    random,
    world,
    streams,
    read: how === 'goes on' ? memory.read : nothingRead,
    file: world.file,
    note,
  };
  for (const name of pickEdits(random, names)) {
    if (name !== 'lines') note(name);
    edits[name]?.(scene);
  }
  const hasMemory = how === 'goes on' || how === 'reads all again';
  const fleet = new Fleet(options, hasMemory ? structuredClone(memory.saved) : undefined);
  const kept = how === 'no memory, a kept line' || (how === 'reads all again' && random() < 0.5);
  if (kept) fleet.rewind(memory.signed.heads, memory.signed);
  else if (how === 'reads all again') fleet.rewind([]);
  read(fleet, streams);
  if (hasMemory) fleet.takeLog(scene.file);
  const needed = [...(hasMemory ? memory.heads : []), ...(kept ? memory.signed.heads : [])];
  const found = fleet.judge(nowMs);
  if (found.length > 0 || !streams.checkpoints.every(isLine)) return 'found';
  const wrong = wrongIn(scene, fleet, needed, kept ? memory.signed : undefined, hasMemory);
  assert.equal(wrong, undefined, `a verifier that ${how} finds nothing: ${wrong}`);
  return 'passed, rightly';
}

void test('no verifier of a fleet passes a store of which what is signed was changed', (t) =>
  play(t, 'fleet', 100, attack));
