// The parts of the schema. Each has the sentence for values that do not fit, the conversion of quantities (durations, sizes, rates) and its
// default. A number without a unit is never guessed.

import * as z from 'zod';
import { allSeries } from '../../doveadm/commands/catalog.js';
import { whyNoUserPattern } from '../../doveadm/names/glob.js';
import { bounds } from '../../host/bounds/bounds.js';
import { isOfThisMachine } from '../../host/ports/peer.js';
import { durationForm, durationPattern, formatDuration, parseDuration } from '../../host/words/durations.js';
import { parseHostAndPort } from '../../host/words/host-port.js';
import { parseInstant } from '../../host/words/instants.js';
import { foldAscii } from '../../host/words/text.js';
import { whyNoUser } from '../../host/words/user-word.js';
import { parsePasswordHash } from '../identity/credentials.js';
import { formatRate, type Rate } from '../policy/rate.js';
import { createRegex, type Regex } from '../policy/regex.js';
import type { Cursor } from './cursor.js';
import { expectedBy, type Spelling, spellings } from './expected.js';
import { knownCodes, meantBy, type ProblemCode } from './problem.js';

const sizeUnits: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

const ratePeriods: Readonly<Record<string, number>> = {
  second: 1000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
};

export const sizeForm = 'a whole number and B, KiB, MiB, GiB or TiB';
const sizePattern = /^(\d{1,9})(B|KiB|MiB|GiB|TiB)$/;
const ratePattern = /^(\d{1,6})\/(second|minute|hour|day)$/;

/** `512B`, `64KiB`, `1GiB` in bytes; undefined for anything else. */
export function parseSize(written: string): number | undefined {
  const match = sizePattern.exec(written);
  const value = Number(match?.[1]) * (sizeUnits[match?.[2] ?? ''] ?? Number.NaN);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** `20/hour`; undefined for anything else, and for a count of 0. */
function parseRate(written: string): Rate | undefined {
  const match = ratePattern.exec(written);
  const number = Number(match?.[1] ?? 0);
  const windowMs = ratePeriods[match?.[2] ?? ''];
  return windowMs === undefined || number === 0 ? undefined : { count: number, windowMs };
}

/** A map with these keys and no others. Unknown keys are reported one a line, with the nearest known one. */
export function strict<Shape extends z.core.$ZodLooseShape>(what: string, shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => unknownKey(key, Object.keys(shape))).join('\n')
        : `must be ${what}: a map of keys`,
  });
}

const names = z.registry<{ readonly of: (key: string) => string }>();

/** A setting whose name is not its key in camel case. */
export function as<const Name extends string, Schema extends z.ZodType>(name: Name, schema: Schema) {
  names.add(schema, { of: () => name });
  return Object.assign(schema, { settingName: name });
}

/** A time: its name ends in Ms. */
function inMs<Schema extends z.ZodType>(schema: Schema) {
  names.add(schema, { of: (key) => `${camelCase(key)}Ms` });
  return Object.assign(schema, { unit: 'Ms' as const });
}

function camelCase(key: string): string {
  return key.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

type CamelCase<Key> = Key extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Key;
type NameOf<Schema, Key> = Schema extends { readonly settingName: infer Name extends string }
  ? Name
  : Schema extends { readonly unit: 'Ms' }
    ? `${CamelCase<Key> & string}Ms`
    : CamelCase<Key>;
/** The values of a section by their names; keys that were not given are absent. */
type Section<Shape> = {
  readonly [Key in keyof Shape as undefined extends z.output<Shape[Key]>
    ? never
    : NameOf<Shape[Key], Key> & PropertyKey]: Fixed<z.output<Shape[Key]>>;
} & {
  readonly [Key in keyof Shape as undefined extends z.output<Shape[Key]>
    ? NameOf<Shape[Key], Key> & PropertyKey
    : never]?: Fixed<Exclude<z.output<Shape[Key]>, undefined>>;
};
type Fixed<Value> = Value extends readonly (infer Item)[] ? readonly Item[] : Value;

/**
 * Which keys of a section exclude or need one another: sentences by the code of their problem, with a test for each. `KEY: SENTENCE` is
 * reported at that key, if it is written; several keys have a blank between, and `.` is the section itself.
 */
type Conflicts<Values> = {
  readonly [Code in ProblemCode]?: Readonly<
    Record<string, (values: Values, at: Cursor, key: string) => boolean>
  >;
};

/** As {@link Conflicts}, for checks that do not fit into the table. `at` stands at the section. */
type Check<Values> = (values: Values, at: Cursor) => void;

/** The checks of a section, by its values. */
const duties = new WeakMap<object, (at: Cursor) => void>();

/** Runs the checks of all sections of a tree that fits its schema. `at` stands at the value. */
export function runChecks(schema: z.core.$ZodType, value: unknown, at: Cursor): void {
  if (typeof value !== 'object' || value === null) return;
  duties.get(value)?.(at);
  const expected = expectedBy(schema);
  for (const step of at.steps()) {
    const child = typeof step === 'number' ? expected.item : expected.at(String(step));
    if (child === undefined) continue;
    const name = Object.hasOwn(value, step) ? step : nameOf(child, String(step));
    const below: unknown = Reflect.get(value, name);
    if (typeof below === 'object') runChecks(child, below, at.down(step));
  }
}

function reportConflicts<Values>(conflicts: Conflicts<Values>, values: Values, at: Cursor): void {
  for (const code of knownCodes)
    for (const [written, isTrue] of Object.entries(conflicts[code] ?? {})) {
      const [, keys = '', sentence = ''] = /^(.*?): (.*)$/s.exec(written) ?? [];
      for (const key of keys.split(' ')) {
        const path = key.split('.').filter((each) => each !== '');
        if (at.has(...path) && isTrue(values, at, key)) at.problem(path, sentence, code);
      }
    }
}

/** For keys of which a section has one: true where an earlier one of them is written. */
export function isSecondOf(keys: readonly string[]) {
  return (_: object, at: Cursor, key: string): boolean =>
    keys.slice(0, keys.indexOf(key)).some((each) => at.isWritten(each));
}

export function hasNone(...keys: readonly string[]) {
  return (_: object, at: Cursor): boolean => !keys.some((key) => at.isWritten(key));
}

function nameOf(schema: z.core.$ZodType, key: string): string {
  return names.get(schema)?.of(key) ?? camelCase(key);
}

/**
 * The values of a section in the order of its keys and in one spelling, so that equal values are equal texts. Lists, maps and numbers with
 * their default value are left out.
 */
export function writtenOf(schema: z.core.$ZodType, values: object): Readonly<Record<string, unknown>> {
  const { keys, at } = expectedBy(schema);
  const written: Record<string, unknown> = {};
  for (const key of keys) {
    const below = at(key);
    if (below === undefined) continue;
    const name = nameOf(below, key);
    const value: unknown = Reflect.get(values, name);
    if (value === undefined || isUsual(below, value)) continue;
    if (typeof value === 'number' && name.endsWith('Ms')) written[key] = formatDuration(value);
    else if (isRate(value)) written[key] = formatRate(value);
    else if (typeof value !== 'object' || value === null || expectedBy(below).keys.length === 0)
      written[key] = value;
    else written[key] = writtenOf(below, value);
  }
  return written;
}

/** Paths of the settings that differ and that are read at a start only (`restart` in the schema, for the setting or a section above it). */
export function changedAtStart(
  schema: z.core.$ZodType,
  [before, now]: readonly [object, object],
  { path = '', restart = false } = {},
): string[] {
  const { keys, at } = expectedBy(schema);
  return keys.flatMap((key) => {
    const below = at(key) ?? schema;
    const [old, fresh]: readonly unknown[] = [before, now].map((each) =>
      Reflect.get(each, nameOf(below, key)),
    );
    const isMap = expectedBy(below).keys.length > 0;
    const here = { path: `${path}${key}`, restart: expectedBy(below).restart ?? restart };
    if (isMap) return changedAtStart(below, [Object(old), Object(fresh)], { ...here, path: `${here.path}.` });
    return here.restart && JSON.stringify(old) !== JSON.stringify(fresh) ? [here.path] : [];
  });
}

function isUsual(schema: z.core.$ZodType, value: unknown): boolean {
  const isLeft = typeof value === 'object' || typeof value === 'number';
  return isLeft && JSON.stringify(z.safeParse(schema, undefined).data) === JSON.stringify(value);
}

function isRate(value: unknown): value is Rate {
  return typeof value === 'object' && value !== null && 'windowMs' in value;
}

/** As {@link strict}, with values under the names of settings: camel case, `Ms` after times, or the name given by {@link as}. */
export function section<Shape extends z.core.$ZodLooseShape>(
  what: string,
  shape: Shape,
  description?: string,
  conflicts: Conflicts<Section<Shape>> = {},
  check?: Check<Section<Shape>>,
) {
  const written = strict(what, shape).meta(description === undefined ? {} : { description });
  return written.transform((raw): Section<Shape> => {
    const values: Section<Shape> = Object.create(Object.prototype);
    duties.set(values, (at) => {
      reportConflicts(conflicts, values, at);
      check?.(values, at);
    });
    for (const [key, value] of Object.entries(raw)) {
      const schema = shape[key];
      if (value !== undefined && schema !== undefined) Reflect.set(values, nameOf(schema, key), value);
    }
    return values;
  });
}

export function without<Values extends object, Name extends keyof Values>(
  values: Values,
  ...omitted: Name[]
): Omit<Values, Name> {
  const rest: Omit<Values, Name> = { ...values };
  for (const name of omitted) Reflect.deleteProperty(rest, name);
  return rest;
}

function unknownKey(key: string, known: readonly string[]): string {
  // A common mistake for a shipped preset.
  if (/^presets?$/.test(key) && known.includes('use'))
    return `${JSON.stringify(key)} is not a key here; write use: [presets/NAME]`;
  const others = `; the keys here are: ${known.toSorted().join(', ')}`;
  return `${JSON.stringify(key)} is not a key here${meantBy(key, known, others)}`;
}

export function text(what: string) {
  return z
    .string({ error: `must be ${what}` })
    .min(1, { error: `must be ${what}, not empty` })
    .describe(what);
}

/** A public key as text; 32 bytes in base64 are not a plausible path. */
export const publicKeyText = /^[A-Za-z0-9+/]{43}=$/;

/** A path, made absolute in the settings. `unless`: texts that are not paths. */
export function file(what: string, unless?: RegExp) {
  return text(what)
    .meta({ form: 'a path, relative to the file that names it' })
    .register(spellings, {
      spelling: ({ value, absolute }) =>
        typeof value !== 'string' || value === '' || unless?.test(value) === true ? value : absolute(value),
    });
}

export const ca = as('caFile', file('a file of CA certificates (PEM)').optional()).describe(
  "file with the accepted authorities (PEM); default: the system's",
);

/** Text that `parse` converts; a string from `parse` is the error, `undefined` means `error`. */
export function parsed<Value extends object | number>(
  what: string,
  parse: (written: string) => Value | string | undefined,
  error = '',
) {
  return text(what).transform((written, context) => {
    const value = parse(written);
    if (value !== undefined && typeof value !== 'string') return value;
    context.addIssue(value ?? error);
    return z.NEVER;
  });
}

/**
 * A URL without a user and a password, over TLS beyond this machine; or the error. `instead`: what to use instead of a password in the URL.
 */
export function urlOf(written: string, example: string, instead: string): URL | string {
  const url = URL.canParse(written) ? new URL(written) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '')
    return `must be a URL, as ${example}`;
  if (url.username !== '' || url.password !== '') return `a URL holds no user and no password; ${instead}`;
  const host = hostOf(url);
  if (url.protocol === 'https:' || isOfThisMachine(host)) return url;
  return `http: is not encrypted, and ${host} is another machine; use https:, with ca if its authority is your own`;
}

/** An IPv6 address without its brackets. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

export function hostAndPort(what: string, error: string) {
  return parsed(what, parseHostAndPort, error);
}

/** Bytes of a UNIX socket's path without its NUL: what sockaddr_un holds on Linux. */
const socketPathBytesMax = 107;

export function socketFile(what: string) {
  return file(what).refine((path) => Buffer.byteLength(path) <= socketPathBytesMax, {
    error: ({ input }) =>
      `the path has ${Buffer.byteLength(String(input))} bytes; a socket's path can have ${socketPathBytesMax}`,
  });
}

export function passwordHash(what: string) {
  return text(what).superRefine((written, context) => {
    const hash = parsePasswordHash(written);
    if (typeof hash === 'string') context.addIssue(hash);
  });
}

/** Work below which guesses against a stolen file are cheap, in units of N * r * p. */
const workMin = 2 ** 14 * 8;

export function isCheap({ passwordHash: written = '' }: { readonly passwordHash?: string }): boolean {
  const hash = parsePasswordHash(written);
  return typeof hash !== 'string' && hash.cost.n * hash.cost.r * hash.cost.p < workMin;
}

/** A name in a client certificate, folded. */
export function certificateName(what: string) {
  return text(what)
    .refine((name) => !/[\s\p{Cc}*]/u.test(name), {
      error: 'must be one name as it stands in the certificate, as backup.example.com',
    })
    .transform(foldAscii);
}

/** The proofs of people and accounts that connect by TCP. */
export const logins = {
  certificate_name: certificateName('a name in the certificate')
    .optional()
    .describe('a name in their client certificate; needs `tls.client_ca`'),
  password_hash: passwordHash('a hash, as dovegate hash-password prints it')
    .optional()
    .describe('hash of their password, as `dovegate hash-password` prints it'),
};

/** TLS of a TCP socket that clients connect to. */
export const tlsFiles = {
  certificate: file('a file with the certificate and its chain (PEM)'),
  key: file('a file with the private key of the certificate (PEM)').describe(
    'its private key, PEM without a passphrase',
  ),
  client_ca: file('a file with the authorities whose client certificates count (PEM)').optional(),
};

/** Text that matches a pattern; `error` also covers values that are no text. */
export function matching(pattern: RegExp, error: string) {
  return z.string({ error }).regex(pattern, { error });
}

const durationMs = matching(durationPattern, `must be a duration: ${durationForm}, as 500ms, 10m, 30d or 52w`)
  .meta({ form: 'a duration: 500ms, 5s, 10m, 2h, 7d, 2w' })
  .transform((written) => parseDuration(written) ?? 0);

/** A duration in milliseconds; `unless`: its default. */
export function duration(unless: string) {
  return inMs(durationMs.prefault(unless));
}

/** Longest time a timer can be set to: beyond 2^31 - 1 ms Node's timers fire at once. */
export const timerMsMax = 2 ** 31 - 1;

function timerText(usual = '') {
  return durationMs.refine((ms) => ms >= 1 && ms <= timerMsMax, { error: `must be from 1ms to 24d${usual}` });
}

/** As `timer`, for a key without a default. */
export function optionalTimer() {
  return inMs(timerText().optional());
}

/** How long access may be kept from the owner of a mailbox. */
export function quietTime() {
  const most = bounds.accessQuietMs;
  return inMs(
    durationMs
      .refine((ms) => ms >= 1 && ms <= most, { error: `must be from 1ms to ${formatDuration(most)}` })
      .optional(),
  );
}

/** A duration for a timer, in milliseconds. `unless`: its default; `below`: an upper bound. */
export function timer(unless: string, below?: { readonly ms: number; readonly error: string }) {
  const usual = formatDuration(parseDuration(unless) ?? 0);
  return inMs(
    timerText(` (the default is ${usual})`)
      .refine((ms) => below === undefined || ms < below.ms, { error: below?.error ?? '' })
      .prefault(unless),
  );
}

const anySize = { least: 1, most: Number.MAX_SAFE_INTEGER, error: 'must be a size of at least one byte' };

export function size(unless: string, within: { least: number; most: number; error: string } = anySize) {
  return matching(sizePattern, `must be a size: ${sizeForm}, as 512B, 1536KiB or 1GiB`)
    .meta({ form: 'a size: 512B, 64KiB, 1MiB, 2GiB' })
    .transform((written) => parseSize(written) ?? 0)
    .refine((bytes) => bytes >= 1, { error: anySize.error })
    .refine((bytes) => within === anySize || (bytes >= within.least && bytes <= within.most), {
      error: within.error,
    })
    .prefault(unless);
}

/** A rate; undefined for a count of 0. */
export const rate = z
  .string({ error: 'must be a rate, as 20/hour' })
  .regex(ratePattern, { error: 'must be a rate: a number and second, minute, hour or day, as 20/hour' })
  .meta({ form: 'a rate: 60/minute, 20/hour' })
  .transform(parseRate);

/** A day, or a time: in Unix milliseconds. */
export function instant(example: string) {
  const form = `a day as ${example}, or a time as ${example}T18:00:00Z`;
  return inMs(
    parsed(
      form,
      parseInstant,
      `must be a day as ${example} (its end, in UTC), or a time as ${example}T18:00:00Z`,
    ).optional(),
  );
}

export const expression = text('a regular expression').transform((written, context): Regex => {
  const result = createRegex(written);
  if (result.kind === 'regex') return result.regex;
  context.addIssue(result.message);
  return z.NEVER;
});

export function fileMode(unless: string) {
  return z
    .string({ error: `must be written in quotes, as "${unless}": unquoted it is another number` })
    .regex(/^0?[0-7]{3}$/, { error: `must be three or four octal digits, as "${unless}"` })
    .transform((digits) => Number.parseInt(digits, 8))
    .prefault(unless);
}

export function count(low: number, high: number) {
  const error = `must be a whole number from ${low} to ${high}`;
  return z.int({ error }).min(low, { error }).max(high, { error });
}

export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words, { error: `must be one of: ${words.join(', ')}` });
}

export function flag(unless = false) {
  return z.boolean({ error: 'must be true or false' }).prefault(unless);
}

/** One such item, or a list of at least one, which `what` names; a list in the settings. */
export function oneOrMore<Item extends z.ZodType>(item: Item, one: string, what: string) {
  return z.union(
    [
      item.transform((value) => [value]),
      listOf(item, what).min(1, { error: `must name at least one ${one}` }),
    ],
    { error: `must be a ${one} or a list of ${what}` },
  );
}

/** A series of Dovecot, quoted or not; or another of these words. */
export function seriesOr<const Words extends readonly string[]>(...words: Words) {
  const quoted = allSeries.map((series) => JSON.stringify(series));
  return z
    .union([z.enum([...words, ...allSeries]), z.literal(2.3), z.literal(2.4)], {
      error: `must be one of: ${[...words, ...quoted].join(', ')}`,
    })
    .transform((series) => `${series}` as const);
}

/** A list of such items; `what` names them in the plural. */
export function listOf<Item extends z.ZodType>(item: Item, what: string) {
  return z.array(item, { error: `must be a list of ${what}` });
}

/** An address, whose `unix:PATH` is an absolute path in the settings. */
export function address(what: string) {
  return text(what)
    .register(spellings, {
      spelling: ({ value, absolute }) =>
        typeof value === 'string' && value.startsWith('unix:')
          ? `unix:${absolute(value.slice('unix:'.length))}`
          : value,
    })
    .transform((written, context) => {
      const path = written.startsWith('unix:') ? written.slice('unix:'.length) : undefined;
      if (path !== undefined && Buffer.byteLength(path) <= socketPathBytesMax)
        return { kind: 'unix', path } as const;
      const place = path === undefined ? parseHostAndPort(written) : undefined;
      if (place !== undefined) return { kind: 'tcp', ...place } as const;
      context.addIssue(
        path === undefined
          ? 'must be HOST:PORT, [IPV6]:PORT or unix:PATH, as mail1.example.com:24245'
          : `a socket's path can have ${socketPathBytesMax} bytes`,
      );
      return z.NEVER;
    });
}

/** Keeps the spelling of a scalar, so that `007` stays `007`. */
const asWritten: Spelling = ({ value, source }) => (isScalar(value) ? source : value);

/** A text that may look like a number to YAML; it is taken as written. */
export const word = z
  .union([z.string(), z.number(), z.boolean()], { error: 'must be plain text' })
  .transform(String)
  .register(spellings, { spelling: asWritten });

export function userPatterns(example: string) {
  return listOf(
    word.superRefine((pattern, context) => {
      const why = whyNoUserPattern(pattern);
      if (why !== undefined) context.addIssue(why);
    }),
    `patterns, as ${example}`,
  );
}

/** A user or group of this host, by name or number. */
export const hostName = word
  .superRefine((written, context) => {
    const message = whyNoUser(written);
    if (message !== undefined) context.addIssue(message);
  })
  .register(spellings, { spelling: asWritten });

function isScalar(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
}

/** Pins of keys, in hex or base64 (with or without padding), as lower-case hex. */
export const pins = listOf(
  text('a pin, as "sha256:..."').transform((written, context) => {
    const digits = /^sha256:([0-9A-Fa-f]{64})$/.exec(written)?.[1];
    if (digits !== undefined) return digits.toLowerCase();
    const base64 = /^sha256:([A-Za-z0-9+/]{43}=?)$/.exec(written)?.[1];
    const bytes = base64 === undefined ? undefined : Buffer.from(base64, 'base64');
    if (bytes?.length === 32) return bytes.toString('hex');
    context.addIssue(
      'must be "sha256:" and the SHA-256 of the SubjectPublicKeyInfo in base64 or 64 hex digits',
    );
    return z.NEVER;
  }),
  'pins',
);

/** A certificate for servers needs its key, and excludes credentials. */
export const certificateConflicts = {
  'key: needs certificate as well': hasNone('certificate'),
  'certificate: needs key as well': hasNone('key'),
  'credentials: a server knows us by credentials or by a certificate; take one of them out': (
    _: object,
    at: Cursor,
  ) => at.has('certificate'),
};

/** Both files, or none. */
export function clientOf(files: { readonly certificateFile?: string; readonly keyFile?: string }) {
  const { certificateFile, keyFile } = files;
  return certificateFile === undefined || keyFile === undefined ? undefined : { certificateFile, keyFile };
}

/** A map from names that its author chooses. */
export function named<Value extends z.ZodType>(value: Value, what: string) {
  return z.record(
    z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
      error:
        'a name is 1 to 64 letters, digits, dots, dashes and underscores, and begins with a letter or digit',
    }),
    value,
    { error: `must be a map from names to ${what}` },
  );
}
