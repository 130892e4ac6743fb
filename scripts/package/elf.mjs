// Reads ELF files of any 64-bit little-endian architecture (elf(5)): what a program needs to be loaded, and the program without its symbol
// table and debug information. No tool of the system is used, so that packages for another architecture have the same bytes everywhere.
const load = 1;
const dynamic = 2;
const interpreter = 3;
const needed = 1;
const stringTable = 5;
/** Of a section: it is part of the process's memory. */
const allocated = 2n;

const machines = new Map([
  [62, 'x64'],
  [183, 'arm64'],
]);

const number = (bytes, offset) => Number(bytes.readBigUInt64LE(offset));

export const isElf = (bytes) => bytes.subarray(0, 4).equals(Buffer.from('\x7fELF'));

function segmentsOf(bytes) {
  if (!isElf(bytes) || bytes[4] !== 2 || bytes[5] !== 1)
    throw new Error('not a 64-bit little-endian ELF file');
  const start = number(bytes, 32);
  return Array.from({ length: bytes.readUInt16LE(56) }, (_, index) => {
    const at = start + index * bytes.readUInt16LE(54);
    const [offset, address, size] = [8, 16, 32].map((field) => number(bytes, at + field));
    return { type: bytes.readUInt32LE(at), offset, address, size };
  });
}

/**
 * `machine`: as Node names it. `needed`: the shared libraries that it names itself. `interpreter`: path of its loader; undefined for a
 * library.
 */
export function readElf(bytes) {
  const segments = segmentsOf(bytes);
  const find = (type) => segments.find((segment) => segment.type === type);
  const textAt = (offset) => bytes.toString('latin1', offset, bytes.indexOf(0, offset));
  const { offset: start = 0, size = 0 } = find(dynamic) ?? {};
  const entries = Array.from({ length: size / 16 }, (_, index) => ({
    tag: number(bytes, start + index * 16),
    value: number(bytes, start + index * 16 + 8),
  }));
  const table = entries.find(({ tag }) => tag === stringTable)?.value ?? 0;
  const home = segments.find(
    ({ type, address, size: length }) => type === load && address <= table && table < address + length,
  );
  const names = table - (home?.address ?? 0) + (home?.offset ?? 0);
  const loader = find(interpreter);
  return {
    machine: machines.get(bytes.readUInt16LE(18)),
    needed: entries.filter(({ tag }) => tag === needed).map(({ value }) => textAt(names + value)),
    interpreter: loader && textAt(loader.offset),
  };
}

/**
 * The file with those sections only that are loaded, and the table of their names. Throws if it has another order of sections than linkers
 * make.
 */
export function strip(bytes) {
  const loaded = segmentsOf(bytes).filter(({ type }) => type === load);
  const end = Math.max(...loaded.map(({ offset, size }) => offset + size));
  const headerSize = bytes.readUInt16LE(58);
  const headers = Array.from({ length: bytes.readUInt16LE(60) }, (_, index) => {
    const at = number(bytes, 40) + index * headerSize;
    return Buffer.from(bytes.subarray(at, at + headerSize));
  });
  const isLoaded = (header) => (header.readBigUInt64LE(8) & allocated) !== 0n;
  const count = headers.findLastIndex(isLoaded) + 1;
  // Sections name one another by their place: the first ones keep it. Section 0 is empty.
  if (!headers.slice(1, count).every(isLoaded))
    throw new Error('a section that is not loaded stands before one that is');
  const names = headers[bytes.readUInt16LE(62)];
  const text = bytes.subarray(number(names, 24), number(names, 24) + number(names, 32));
  const start = Math.ceil((end + text.length) / 8) * 8;
  names.writeBigUInt64LE(BigInt(end), 24);
  const head = Buffer.from(bytes.subarray(0, 64));
  head.writeBigUInt64LE(BigInt(start), 40);
  head.writeUInt16LE(count + 1, 60);
  head.writeUInt16LE(count, 62);
  const gap = Buffer.alloc(start - end - text.length);
  return Buffer.concat([head, bytes.subarray(64, end), text, gap, ...headers.slice(0, count), names]);
}
