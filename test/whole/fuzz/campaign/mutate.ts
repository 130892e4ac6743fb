// Makes new inputs from known ones.

import { pick, type Random, randomInteger } from '../../../kit/plain/chunkings.js';

const numbers =
  '0 1 2 7 8 127 128 255 256 4095 4096 65535 65536 2147483647 2147483648 4294967295 4294967296 9007199254740991 9007199254740993 18446744073709551616 -1 1e9 00'
    .split(' ')
    .map((text) => Buffer.from(text));
const bytes = [0, 1, 3, 9, 10, 13, 32, 34, 45, 46, 58, 92, 127, 128, 254, 255];
const lengths = [0, 1, 2, 127, 128, 255, 256, 65_535, 65_536, 0x7fffffff, 0x80000000, 0xffffffff];

type Change = (input: Buffer, random: Random, from: Sources) => Buffer;

export interface Sources {
  readonly tokens: readonly Buffer[];
  readonly other: (random: Random) => Buffer;
}

function replaced(input: Buffer, at: number, until: number, ...by: readonly Buffer[]): Buffer {
  return Buffer.concat([input.subarray(0, at), ...by, input.subarray(until)]);
}

/** A place, and one behind it, mostly near. */
function range(input: Buffer, random: Random): [at: number, until: number] {
  const at = randomInteger(random, 0, input.length);
  const most = random() < 0.9 ? Math.min(input.length, at + 32) : input.length;
  return [at, randomInteger(random, at, most)];
}

function changedByte(input: Buffer, random: Random, change: (byte: number) => number): Buffer {
  if (input.length === 0) return input;
  const at = randomInteger(random, 0, input.length - 1);
  const copy = Buffer.from(input);
  copy[at] = change(copy[at] ?? 0);
  return copy;
}

const changes: readonly Change[] = [
  (input, random) => changedByte(input, random, (byte) => byte ^ (1 << randomInteger(random, 0, 7))),
  (input, random) => changedByte(input, random, () => randomInteger(random, 0, 255)),
  (input, random) => changedByte(input, random, () => pick(random, bytes)),
  (input, random) => changedByte(input, random, (byte) => byte + (random() < 0.5 ? 1 : -1)),
  // Left out.
  (input, random) => replaced(input, ...range(input, random)),
  // Truncated, at the end or at the beginning.
  (input, random) => input.subarray(0, randomInteger(random, 0, input.length)),
  (input, random) => (random() < 0.8 ? input : input.subarray(randomInteger(random, 0, input.length))),
  // Repeated.
  (input, random) => {
    const [at, until] = range(input, random);
    const piece = input.subarray(at, until);
    const times = random() < 0.9 ? randomInteger(random, 1, 4) : randomInteger(random, 5, 300);
    return replaced(input, at, at, ...Array.from({ length: times }, () => piece));
  },
  // Two pieces change places.
  (input, random) => {
    const [at, until] = range(input, random);
    const end = randomInteger(random, until, Math.min(input.length, until + 64));
    return replaced(input, at, end, input.subarray(until, end), input.subarray(at, until));
  },
  inserted,
  inserted,
  (input, random, { tokens }) => {
    const [at, until] = range(input, random);
    return tokens.length === 0 ? input : replaced(input, at, until, pick(random, tokens));
  },
  // Spliced with another one.
  (input, random, { other }) => {
    const its = other(random);
    const [at, until] = range(its, random);
    return replaced(input, ...range(input, random), its.subarray(at, until));
  },
  (input, random, { other }) => {
    const its = other(random);
    return Buffer.concat([
      input.subarray(0, randomInteger(random, 0, input.length)),
      its.subarray(randomInteger(random, 0, its.length)),
    ]);
  },
  editedNumber,
  editedLength,
  editedValue,
];

function inserted(input: Buffer, random: Random, { tokens }: Sources): Buffer {
  const at = randomInteger(random, 0, input.length);
  return tokens.length === 0 ? input : replaced(input, at, at, pick(random, tokens));
}

/** A number in digits becomes another one. */
function editedNumber(input: Buffer, random: Random): Buffer {
  const isDigit = (at: number): boolean => {
    const byte = input[at] ?? 0;
    return byte >= 0x30 && byte <= 0x39;
  };
  let at = randomInteger(random, 0, input.length);
  while (at < input.length && !isDigit(at)) at += 1;
  let until = at;
  while (isDigit(until) && until - at < 20) until += 1;
  if (until === at) return input;
  const value = Number(input.toString('latin1', at, until));
  const other =
    random() < 0.5 ? Buffer.from(String(value + (random() < 0.5 ? 1 : -1))) : pick(random, numbers);
  return replaced(input, at, until, other);
}

/** A value of JSON, or of YAML in brackets, becomes a token, or a value from elsewhere. */
function editedValue(input: Buffer, random: Random, { tokens, other }: Sources): Buffer {
  const [at, until] = valueIn(input, random);
  if (until === at) return input;
  if (random() < 0.6 && tokens.length > 0) return replaced(input, at, until, pick(random, tokens));
  const its = other(random);
  return replaced(input, at, until, its.subarray(...valueIn(its, random)));
}

/** Of some value behind a colon, a comma or a bracket; brackets in strings are counted, too. */
function valueIn(input: Buffer, random: Random): [at: number, until: number] {
  const text = input.toString('latin1');
  const from = randomInteger(random, 0, text.length);
  const found = /[:,[]/.exec(text.slice(from));
  if (found === null) return [0, 0];
  const at = from + found.index + 1;
  let depth = 0;
  for (let end = at; end < text.length; end += 1) {
    const char = text[end] ?? '';
    if (depth === 0 && ',]}\n'.includes(char)) return [at, end];
    if ('[{'.includes(char)) depth += 1;
    else if (']}'.includes(char)) depth -= 1;
  }
  return [at, text.length];
}

/** Two or four bytes become a length that may not be true. */
function editedLength(input: Buffer, random: Random): Buffer {
  const size = random() < 0.5 ? 2 : 4;
  if (input.length < size) return input;
  const at = randomInteger(random, 0, input.length - size);
  const copy = Buffer.from(input);
  const old = copy.readUIntBE(at, size);
  const value = random() < 0.4 ? pick(random, lengths) : random() < 0.5 ? old + 1 : input.length - at - size;
  if (random() < 0.6) copy.writeUIntBE(Math.max(0, value) % 2 ** (8 * size), at, size);
  else copy.writeUIntLE(Math.max(0, value) % 2 ** (8 * size), at, size);
  return copy;
}

/** One to six changes, one after the other. */
export function mutated(input: Buffer, random: Random, from: Sources, bytesMax: number): Buffer {
  let result = input;
  const count = random() < 0.5 ? 1 : randomInteger(random, 2, 6);
  for (let each = 0; each < count; each += 1)
    result = pick(random, changes)(result, random, from).subarray(0, bytesMax);
  return result;
}
