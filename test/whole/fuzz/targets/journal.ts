// The journal as it is read by verifiers and searches, proofs, what a store of a fleet holds, and the ring of a process that ended.

import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32, gzipSync } from 'node:zlib';
import { readCheckpoint, signCheckpoint } from '../../../../src/evidence/fleet/checkpoint.js';
import { Fleet } from '../../../../src/evidence/fleet/fleet.js';
import { readToDamage } from '../../../../src/evidence/reading/search-trail.js';
import {
  createProofChecker,
  createProofWriter,
  createSeqSet,
  proofKindOf,
} from '../../../../src/evidence/report/proof.js';
import { formatName, parseName } from '../../../../src/evidence/store/names.js';
import { formatCsvRow, formatJsonRow } from '../../../../src/evidence/trail/export.js';
import { createSearch } from '../../../../src/evidence/trail/search.js';
import { createVerifier } from '../../../../src/evidence/trail/verify.js';
import { JournalFault } from '../../../../src/host/ports/faults.js';
import { inflate } from '../../../../src/journal/files/compressed.js';
import { findTail } from '../../../../src/journal/files/recover.js';
import {
  formatRing,
  frameBytes,
  makeWord,
  RingReader,
  RingWriter,
  ringBytesMin,
  ringHeaderBytes,
} from '../../../../src/journal/files/ring.js';
import { cutPieces, eachLine, findTrail, firstSeqOf } from '../../../../src/journal/files/trail.js';
import { genesisHash, readLink, sealLine } from '../../../../src/journal/records/ledger.js';
import { parseSignKey } from '../../../../src/rules/keys/sign-key.js';
import { logged } from '../../../evidence/fleet/desk.js';
import {
  blocks,
  journal,
  mark,
  optionsOf,
  PaperGate,
  type PaperObject,
  takeAll,
} from '../../../evidence/fleet/paper-store.js';
import { makeTrail, nameOf } from '../../../evidence/trail/paper-trail.js';
import { pick, seededRandom } from '../../../kit/plain/chunkings.js';
import { memoryPlace } from '../../../kit/plain/folder.js';
import { listed } from '../../../kit/plain/listed.js';
import { bytesOf, type Target } from '../campaign/target.js';

/** Always the same key, so that saved inputs keep their signatures. */
const secretPem = createPrivateKey({
  key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, 7)]),
  format: 'der',
  type: 'pkcs8',
})
  .export({ type: 'pkcs8', format: 'pem' })
  .toString();
const { key } = parseSignKey(secretPem);

const trail = makeTrail(secretPem, 1);
const segmentsText = trail.segments.map(({ lines }) => `${lines.join('\n')}\n`);
/** Nothing else may be proved. */
const trueLines = new Set(trail.segments.flatMap(({ lines }) => lines));
const between = '=====\n';
const recordTokens = bytesOf([
  ...listed('{"seq":|,"prev":"|","hash":"|"}\n|\n|,"time":"2026-11-20T08:01:00.000Z","event":"'),
  genesisHash,
  between,
  ...listed(
    'start|checkpoint|retire|clock|admission|completion|arguments|stop|policy|"event":"arguments"',
    ',"id":"E1-0"|,"journal":"|,"segment":"00000001.jsonl"|,"key":"|,"signature":"|,"args":["-m"]',
    ',"argument_records":2|\\u0000|\\n|"|\\|\xff|[|]|{|}|9007199254740993|"decision":"allow"',
    '"user":"alice@example.com"',
  ),
]);

/**
 * Gives each line of the right form the hash that it needs, and the link to the one before, in checkpoints, too: what somebody without the
 * key can do.
 */
function sealed(text: string): string {
  let prev = genesisHash;
  return text
    .split('\n')
    .map((line) => {
      const [, seq = '', body] =
        /^\{"seq":(\d{1,15}),(.*?)(?:,"prev":"[0-9a-f]*"(?:,"hash":"[0-9a-f]*")?\}?)?$/.exec(line) ?? [];
      if (body === undefined) return line;
      const named = body.replace(/"head":"[0-9a-f]{64}"/, `"head":"${prev}"`);
      const made = sealLine(Number(seq), named, prev);
      prev = made.hash;
      return made.line.trimEnd();
    })
    .join('\n');
}

async function* streamOf(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks;
}

/** The lines of all of the chunks. */
function linesOf(chunks: readonly Buffer[], take: (line: Buffer, isWhole: boolean) => void): void {
  eachLine({ bytes: Buffer.concat(chunks), endsInLine: false }, take);
}

const lines: Target = {
  name: 'journal-lines',
  what: 'somebody who writes to the audit directory: the lines of a segment, wherever its reading is cut',
  bytesMax: 2048,
  seeds: () => bytesOf(segmentsText),
  tokens: recordTokens,
  async run(chunks) {
    const told: string[] = [];
    const whole: string[] = [];
    for await (const piece of cutPieces(streamOf(chunks)))
      eachLine(piece, (line, isWhole) => told.push(`${line.toString('latin1')}${isWhole ? '' : '...'}`));
    linesOf(chunks, (line, isWhole) => whole.push(`${line.toString('latin1')}${isWhole ? '' : '...'}`));
    assert.deepEqual(told, whole);
    return told.join('\n');
  },
};

const verifier: Target = {
  name: 'verify-journal',
  // Verifiers are handed lines: `journal-lines` has the cuts.
  isWhole: true,
  isSlow: true,
  what: 'somebody who writes to the audit directory: the lines of segments, verified',
  bytesMax: 8192,
  seeds: () =>
    bytesOf([
      `\x00${segmentsText.join(between)}`,
      `\x01${segmentsText.join(between)}`,
      ...segmentsText.map((text) => `\x02${text}`),
      ...segmentsText.map((text) => `\x05${text}`),
      // Sealed again, by somebody without the key that is trusted.
      `\x07${segmentsText[0]}`,
    ]),
  tokens: recordTokens,
  hasOptions: true,
  run: (chunks, random) => {
    const options = {
      trustedKeys: random() < 0.5 ? [key] : [],
      ownKey: random() < 0.3 ? key : undefined,
      kept: random() < 0.5 ? trail.kept : [],
      isPart: random() < 0.3,
      isShipped: random() < 0.3,
      faultsMax: 10,
    };
    const isSealed = random() < 0.6;
    const given = isSealed
      ? [Buffer.from(sealed(Buffer.concat(chunks).toString('latin1')), 'latin1')]
      : chunks;
    const verify = createVerifier(options);
    let number = 1;
    verify.beginSegment(nameOf(number));
    const untrueSeqs: number[] = [];
    linesOf(given, (line, isWhole) => {
      if (!trueLines.has(line.toString('utf8'))) untrueSeqs.push(readLink(Buffer.from(line))?.seq ?? 0);
      if (line.toString('latin1', 0, 5) === '=====') {
        number += 1;
        verify.beginSegment(nameOf(number));
      } else verify.takeLine(Buffer.from(line), isWhole);
    });
    const verdict = verify.finish();
    assert.ok(verdict.faults.length <= options.faultsMax && verdict.faultCount >= verdict.faults.length);
    const { signedSeq } = verdict;
    if (options.trustedKeys.length > 0 && signedSeq !== undefined) {
      assert.equal(verdict.signedBy, key);
      // Nobody without the key can write a line that it covers.
      const isProved = verdict.faultCount === 0;
      for (const seq of isProved ? untrueSeqs : [])
        assert.ok(seq === 0 || seq > signedSeq, `record ${seq} is not true`);
    }
    return JSON.stringify(verdict);
  },
  kind: (answer) => [...new Set(answer.match(/"kind":"[^"]*"/g) ?? [])].toSorted().join(),
};

const search: Target = {
  name: 'search-journal',
  what: 'somebody who writes to the audit directory: a search, and its rows as CSV and JSON',
  bytesMax: 4096,
  seeds: () => bytesOf(segmentsText.map((text) => `\x00${text}`)),
  tokens: recordTokens,
  hasOptions: true,
  run: async (chunks, random) => {
    const filter = pick(random, [
      {},
      { user: 'alice@example.com' },
      { user: '*@example.com' },
      { id: 'E1-0' },
      { text: 'INBOX', policy: 'p' },
      { outcome: 'ok', sinceMs: 0 },
    ]);
    const looking = createSearch(filter);
    const told: string[] = [];
    const show = (rows: ReturnType<typeof looking.finish>): void => {
      for (const row of rows) told.push(formatCsvRow(row), formatJsonRow(row));
    };
    // Whole lines, as readers hand them over; a line that is not whole is not searched.
    let text = '';
    for (const chunk of chunks) {
      text += chunk.toString('latin1');
      const end = text.lastIndexOf('\n') + 1;
      if (end > 0) show(looking.take(Buffer.from(text.slice(0, end), 'latin1')));
      text = text.slice(end);
    }
    show(looking.finish());
    for (const line of told) {
      assert.doesNotMatch(line.slice(0, -1), /[\0-\x08\x0b-\x1f]/);
      // A cell that begins like a formula would be run by a spreadsheet.
      if (!line.startsWith('{')) assert.doesNotMatch(line, /(?:^|,)"?[=+@]/);
    }
    // Two admissions of one id are a forgery: which of them a search shows depends on the pieces in which it is read.
    return '';
  },
};

/** Bytes of options that say: compressed. */
const gzipOption = Array.from({ length: 256 }, (_, at) => at).find((at) => seededRandom(at)() < 0.2) ?? 0;

/** Made at the first use. */
let scratch: string | undefined;

function directoryOf(): string {
  if (scratch !== undefined) return scratch;
  // In memory where that is possible: a file for each input.
  const made = mkdtempSync(join(memoryPlace(), 'dovegate-fuzz-'));
  process.on('exit', () => rmSync(made, { recursive: true, force: true }));
  scratch = made;
  return made;
}

/** Reads a segment as from a file, which would take most of the time. */
async function readInMemory(bytes: Buffer, isCompressed: boolean): Promise<string> {
  const open = {
    read: async (into: Buffer, offset: number, length: number, position: number) => ({
      bytesRead: bytes.copy(into, offset, position, position + length),
    }),
  };
  const text = isCompressed ? inflate(open, 'segment', Infinity, 1 << 14) : streamOf([bytes]);
  const told: string[] = [];
  for await (const piece of readToDamage({ path: '', name: '', isCompressed, chunks: text })) {
    if (piece === undefined) return `fault damaged after ${told.length === 0 ? 'nothing' : 'lines'}`;
    eachLine(piece, (line, isWhole) => told.push(`${readLink(Buffer.from(line))?.seq} ${isWhole}`));
  }
  return told.join();
}

const segments: Target = {
  name: 'segments',
  isWhole: true,
  isSlow: true,
  what: 'somebody who writes to the audit directory: files of segments, plain and compressed, read and recovered',
  bytesMax: 4096,
  seeds: () => [
    ...segmentsText.map((text) => Buffer.from(`\x00${text}`)),
    ...segmentsText.map((text) => Buffer.from(`\x00${text.slice(0, -9)}`)),
    ...segmentsText.map((text) => Buffer.concat([Buffer.of(gzipOption), gzipSync(text)])),
  ],
  tokens: [
    ...recordTokens,
    Buffer.from('1f8b08040000000000030000', 'hex'),
    Buffer.from('030000000000', 'hex'),
  ],
  hasOptions: true,
  run: async (chunks, random) => {
    // Of a compressed one nearly all changes are noticed by the decoder of gzip, which is not ours.
    const isCompressed = random() < 0.2;
    if (random() < 0.9) return readInMemory(Buffer.concat(chunks), isCompressed);
    const directory = directoryOf();
    const file = join(directory, `00000001.jsonl${isCompressed ? '.gz' : ''}`);
    writeFileSync(file, Buffer.concat(chunks));
    try {
      const { files } = findTrail([directory]);
      const told: string[] = [];
      for (const one of files) {
        for await (const piece of readToDamage(one)) {
          if (piece === undefined) told.push('damaged');
          else
            eachLine(piece, (line, isWhole) => told.push(`${readLink(Buffer.from(line))?.seq} ${isWhole}`));
        }
        told.push(`${await firstSeqOf(one)}`);
      }
      const { seq, segment } = findTail(directory);
      return `${told.join()} ${seq} ${segment?.name}`;
    } catch (error) {
      if (error instanceof JournalFault) return `fault ${error.code}`;
      throw error;
    } finally {
      rmSync(file, { force: true });
    }
  },
};

function proofText(): string {
  const all = trail.segments.flatMap((segment) => segment.lines);
  const chosen = createSeqSet();
  chosen.add(2);
  chosen.add(6);
  const writer = createProofWriter({ chosen, keys: [key], signedSeq: 30 });
  const proved = all.map((line) => writer.take(Buffer.from(line))).filter((line) => line !== undefined);
  return `${['# dovegate audit proof 1', ...proved, writer.finish()].join('\n')}\n`;
}

const proof: Target = {
  name: 'proof',
  isWhole: true,
  isSlow: true,
  what: 'a stranger: a file that is said to be a proof; one that passes has true lines only',
  bytesMax: 8192,
  seeds: () => bytesOf([proofText()]),
  tokens: [
    ...recordTokens,
    ...bytesOf(['* ', '- ', '= ', '% ', '# ', '% 1 records, 4 lines, 1 runs\n', '@ {"extract":']),
  ],
  run: (chunks) => {
    const checker = createProofChecker([key]);
    const read: string[] = [];
    linesOf(chunks, (line, isWhole) => {
      read.push(line.toString('utf8'));
      checker.take(Buffer.from(line), isWhole);
    });
    const verdict = checker.finish();
    if (verdict.fault === undefined)
      for (const line of read)
        assert.ok(
          /^[%#]/.test(line) || trueLines.has(line.slice(2)),
          `a line that is not true is proved: ${line}`,
        );
    return `${proofKindOf(read[0] ?? '')} ${JSON.stringify(verdict)}`;
  },
  kind: (answer) => answer.replaceAll(/\d+/g, '0').slice(0, 90),
};

const gate = new PaperGate(secretPem);
gate.exchanges(2);
gate.checkpoint();
const stream = blocks(gate.lines, 3);
const head = {
  host: 'gate1',
  journal,
  from: 1,
  seq: 3,
  hash: readLink(Buffer.from(gate.lines[2]?.trimEnd() ?? ''))?.hash ?? '',
  storedMs: 0,
};
const fleetLine = signCheckpoint({ heads: [head], findings: {} }, undefined, secretPem, 0).line;

/** The name of the object, an empty line, the body. */
function written({ name, body }: PaperObject): string {
  return `${formatName(name)}\n\n${body.toString('latin1')}${between}`;
}

/** Those whose names are names of ours. */
function readObjects(text: string): PaperObject[] {
  return text.split(between).flatMap((each) => {
    const end = each.indexOf('\n\n');
    const name = parseName(each.slice(0, end < 0 ? undefined : end));
    const body = Buffer.from(end < 0 ? '' : each.slice(end + 2), 'latin1');
    return name === undefined ? [] : [{ name, body, storedMs: 1_763_625_600_000 }];
  });
}

const fleet: Target = {
  name: 'fleet',
  isWhole: true,
  isSlow: true,
  what: 'anybody who may write there: blocks, marks and checkpoints in the store of a fleet; the state is read back as it was',
  bytesMax: 6144,
  seeds: () =>
    bytesOf([
      stream.map((one) => written(one)).join(''),
      [...stream, mark(3, head.hash)].map((one) => written(one)).join(''),
      [mark(9, 'e'.repeat(64)), ...blocks(gate.lines, 20, 'gate2')].map((one) => written(one)).join(''),
      [logged(fleetLine), ...stream].map((one) => written(one)).join(''),
    ]),
  tokens: [
    ...recordTokens,
    ...bytesOf([
      'gate1/',
      'other/',
      journal,
      ...listed(
        '/00000000000/|0000000000000001-|_verifiers/audit-1/|.jsonl.gz|.2|.forked|\n\n|"hosts":[',
        '"event":"fleet"|"root":"|1-2|-',
      ),
    ]),
  ],
  run(chunks) {
    const options = optionsOf(['gate1', 'gate2'], {
      hosts: new Map(['gate1', 'gate2'].map((host) => [host, { key, silentMs: 300_000 }])),
      verifier: { name: 'v', keys: [key] },
    });
    const one = new Fleet(options);
    takeAll(one, readObjects(Buffer.concat(chunks).toString('latin1')));
    const found = one.judge(1_763_629_200_000);
    const saved = JSON.stringify(one.save());
    const again = new Fleet(options, JSON.parse(saved));
    assert.deepEqual(JSON.parse(JSON.stringify(again.save())), JSON.parse(saved));
    return found.map(({ kind, host, seq }) => `${kind} ${host} ${seq}`).join();
  },
  kind: (answer) => [...new Set(answer.match(/[a-z-]{5,}/g) ?? [])].toSorted().join(),
};

const savedState = (() => {
  const one = new Fleet(optionsOf(['gate1']));
  takeAll(one, [...stream, mark(3, head.hash)]);
  one.judge(1_763_629_200_000);
  return JSON.stringify(one.save());
})();

const fleetFiles: Target = {
  name: 'fleet-files',
  isWhole: true,
  what: "somebody who writes to the verifier's files: its state, and a line of its checkpoints",
  bytesMax: 8192,
  seeds: () => bytesOf([savedState, fleetLine, `${fleetLine}\n`]),
  tokens: recordTokens,
  run(chunks) {
    const text = Buffer.concat(chunks).toString('latin1');
    const line = readCheckpoint(text);
    if (line !== undefined) assert.equal(line.line, text.trimEnd());
    let state: unknown;
    try {
      state = JSON.parse(text);
    } catch {
      return `fault ${line === undefined ? 'no JSON' : 'a line'}`;
    }
    try {
      const one = new Fleet(optionsOf(['gate1']), state);
      takeAll(one, stream);
      return `state ${one.judge(1_763_629_200_000).length} ${line !== undefined}`;
    } catch (error) {
      if (error instanceof TypeError && error.message.startsWith('the state '))
        return `fault ${error.message.slice(0, 40)}`;
      throw error;
    }
  },
};

/** The words, and the data of a small ring. */
const dataBytes = 1024;
const generation = 5n;

function ringSeed(bodies: readonly string[], consumed: number): Buffer {
  const memory = new SharedArrayBuffer(ringBytesMin);
  formatRing(new Uint8Array(memory), { bytes: ringBytesMin, journal, generation });
  const writer = new RingWriter(memory, generation);
  for (const body of bodies) assert.ok(writer.publish([body], writer.dataBytes));
  const reader = new RingReader(memory, generation);
  let position = 0;
  for (const [at, body] of bodies.entries()) {
    reader.stamp(position, at + 1);
    position += frameBytes + Math.ceil(body.length / 8) * 8;
    if (at + 1 === consumed) reader.tail = position;
  }
  const bytes = Buffer.from(memory);
  return Buffer.concat([
    Buffer.of(0),
    bytes.subarray(64, 72),
    bytes.subarray(128, 136),
    bytes.subarray(ringHeaderBytes, ringHeaderBytes + dataBytes),
  ]);
}

/** Frames whose position is that of their place get the CRC that they need: a process that died, and somebody with its rights. */
function repairFrames(memory: Buffer): void {
  const seed = Buffer.alloc(8);
  seed.writeBigUInt64LE(generation);
  for (let at = ringHeaderBytes; at + frameBytes <= memory.length; at += 8) {
    const position = Number(memory.readBigUInt64LE(at));
    const bytes = memory.readUInt32LE(at + 8);
    if (ringHeaderBytes + (position % dataBytes) !== at) continue;
    const first = crc32(memory.subarray(at, at + 12), crc32(seed));
    const end = bytes === 0xffffffff ? 0 : bytes;
    memory.writeUInt32LE(
      end === 0 ? first : crc32(memory.subarray(at + frameBytes, at + frameBytes + end), first),
      at + 12,
    );
  }
}

const ring: Target = {
  name: 'ring',
  isWhole: true,
  what: 'a process that died, and whoever may write its memory: the records that it left',
  bytesMax: 1 + 16 + dataBytes,
  seeds: () => [
    ringSeed(['"a":1', '"b":22222', 'x'.repeat(100)], 0),
    ringSeed(['"a":1', '"b":22222', 'x'.repeat(300), 'y'], 2),
    ringSeed([], 0),
  ],
  tokens: [0, 8, 32, 1024, 1032, 2 ** 40].flatMap((value) => {
    const word = Buffer.alloc(8);
    word.writeBigUInt64LE(makeWord(value));
    const plain = Buffer.alloc(8);
    plain.writeBigUInt64LE(BigInt(value));
    return [word, plain];
  }),
  hasOptions: true,
  run(chunks, random) {
    const input = Buffer.concat(chunks);
    const memory = new ArrayBuffer(ringHeaderBytes + dataBytes);
    formatRing(new Uint8Array(memory), { bytes: memory.byteLength, journal, generation });
    const bytes = Buffer.from(memory);
    bytes.set(input.subarray(0, 8), 64);
    bytes.set(input.subarray(8, 16), 128);
    bytes.set(input.subarray(16), ringHeaderBytes);
    if (random() < 0.7) repairFrames(bytes);
    const reader = new RingReader(memory, generation);
    const { frames, isDamaged, lost } = reader.readAll();
    let held = 0;
    let before = -1;
    for (const { position, body } of frames) {
      assert.ok(position > before, 'frames come in their order, each once');
      before = position;
      // Between the words, if they are believed.
      if (lost !== 'unknown')
        assert.ok(
          position >= (reader.tail ?? 0) && position + frameBytes + body.length <= (reader.head ?? Infinity),
        );
      held += frameBytes + body.length;
      assert.ok(body.byteOffset >= ringHeaderBytes && body.byteOffset + body.length <= memory.byteLength);
    }
    assert.ok(held <= dataBytes, 'what is read is no more than there is');
    return `${frames.map(({ position, body, seq }) => `${position} ${body.length} ${seq}`).join()} ${isDamaged} ${lost}`;
  },
  kind: (answer) => answer.replaceAll(/\d+/g, '0').slice(-60),
};

export const journalTargets: readonly Target[] = [
  lines,
  verifier,
  search,
  segments,
  proof,
  fleet,
  fleetFiles,
  ring,
];
