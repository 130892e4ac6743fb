// Owns the shape of a configuration file: which keys there are, what their values look like, and the sentence for
// each that tells what is expected. The JSON Schema for editors is generated from here.
// It does not know what keys mean together; that is the reading (parse-settings) and the checks after it.
// The rule: a key that is promised but not done yet stands here as notYet, so that nobody believes it holds.
import { z } from 'zod';
import { allEffects } from '../catalog/catalog.js';
import { nearestName } from './problem.js';
import { logLevels } from './settings.js';
import { durationPattern, sizePattern } from './units.js';

/** A map that takes these keys and no others. Unknown keys are told one a line, with the nearest known one. */
function strict<Shape extends z.core.$ZodLooseShape>(what: string, shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => unknownKey(key, Object.keys(shape))).join('\n')
        : `must be ${what}: a map of keys`,
  });
}

/** The sentence for a key that is not known here. */
export function unknownKey(key: string, known: readonly string[]): string {
  const nearest = nearestName(key, known);
  const shown = JSON.stringify(key);
  return nearest === undefined
    ? `${shown} is not a key here; known are: ${known.toSorted().join(', ')}`
    : `${shown} is not a key here; did you mean ${nearest}?`;
}

/** What is said of a key that this version knows and cannot do. */
export const notYetMessage = 'not supported by this version yet; take it out';

function notYet() {
  return z.never({ error: notYetMessage }).optional();
}

function text(what: string) {
  return z.string({ error: `must be ${what}` }).min(1, { error: `must be ${what}, not empty` });
}

function file(what: string) {
  return text(what).meta({ description: `${what}; relative to the file that names it` });
}

const durationText = z
  .string({ error: 'must be a duration with its unit, as 500ms, 5s, 10m or 7d' })
  .regex(durationPattern, { error: 'must be a duration with its unit, as 500ms, 5s, 10m or 7d' })
  .meta({ description: 'a duration: 500ms, 5s, 10m, 2h, 7d, 2w' });

const sizeText = z
  .string({ error: 'must be a size with its unit, as 64KiB or 1GiB' })
  .regex(sizePattern, { error: 'must be a size with its unit, as 64KiB or 1GiB' })
  .meta({ description: 'a size: 512B, 64KiB, 1MiB, 2GiB' });

function count(low: number, high: number) {
  const error = `must be a whole number from ${low} to ${high}`;
  return z.int({ error }).min(low, { error }).max(high, { error });
}

function oneOf<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words, { error: `must be one of: ${words.join(', ')}` });
}

const flag = z.boolean({ error: 'must be true or false' });

function listOf<Item extends z.ZodType>(item: Item, what: string) {
  return z.array(item, { error: `must be a list of ${what}` });
}

/** Scalars of a text-valued list may look like numbers to YAML; their source is what counts. */
const word = z.union([z.string(), z.number(), z.boolean()], { error: 'must be plain text' });

function named<Value extends z.ZodType>(value: Value, what: string) {
  return z.record(
    z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
      error:
        'a name is 1 to 64 letters, digits, dots, dashes and underscores, and begins with a letter or digit',
    }),
    value,
    { error: `must be a map from names to ${what}` },
  );
}

const listener = strict('a listener', {
  unix: file('the path of a UNIX socket').optional(),
  mode: z
    .string({ error: 'must be written in quotes, as "0660": unquoted it is another number' })
    .regex(/^0?[0-7]{3}$/, { error: 'must be three or four octal digits, as "0660"' })
    .optional(),
  owner: word.optional(),
  group: word.optional(),
  policy: text('the name of a policy').optional(),
  sessions: count(1, 100_000).optional(),
  sessions_per_peer: count(1, 100_000).optional(),
  systemd: notYet(),
  policies: notYet(),
  peers: notYet(),
  tcp: notYet(),
  from: notYet(),
  tls: notYet(),
  accounts: notYet(),
}).meta({ description: 'a socket for one team' });

const backend = strict('a backend', {
  address: text('HOST:PORT or unix:PATH'),
  tls: oneOf(['starttls', 'implicit', 'off']).optional(),
  ca: file('a file of CA certificates (PEM)').optional(),
  server_name: text("the name in the backend's certificate").optional(),
  key_pins: listOf(text('a pin, as "sha256:..."'), 'pins').optional(),
  allow_plaintext: flag.optional(),
  username: text('a user name').optional(),
  password_file: z
    .union(
      [
        file('a file that holds the password'),
        listOf(file('a file that holds the password'), 'files').min(1, {
          error: 'must name at least one file',
        }),
      ],
      {
        error: 'must be a file or a list of files',
      },
    )
    .optional(),
  series: z
    .union([z.enum(['auto', '2.3', '2.4']), z.literal(2.3), z.literal(2.4)], {
      error: 'must be one of: auto, "2.3", "2.4"',
    })
    .optional(),
  shared_namespaces: listOf(word, 'prefixes, as ["shared/"]').optional(),
  connections: count(1, 1000).optional(),
  idle: count(0, 1000).optional(),
  idle_timeout: durationText.optional(),
  max_lifetime: durationText.optional(),
  connect_timeout: durationText.optional(),
  greeting_timeout: durationText.optional(),
  drained: flag.optional(),
}).meta({ description: 'a Dovecot that commands go to' });

const route = strict('a route', {
  users: listOf(word, 'patterns, as ["*@example.com"]').min(1, { error: 'must hold at least one pattern' }),
  backend: text('the name of a backend').optional(),
  spread: notYet(),
  passdb: notYet(),
  cache_ttl: notYet(),
});

const rule = z.union(
  [
    text('the full name of a command'),
    strict('a rule', {
      command: text('the full name of a command'),
      where: notYet(),
      reason: notYet(),
      limit: notYet(),
      max_matches: notYet(),
      expires: notYet(),
      emergency: notYet(),
      root_equivalent: notYet(),
      masks: notYet(),
      shared: notYet(),
      all_users: notYet(),
      content: notYet(),
    }),
  ],
  { error: 'must be the name of a command, or a map with the key command' },
);

const policy = strict('a policy', {
  mode: z
    .literal('enforce', {
      error: (issue) => (issue.input === 'observe' ? `observe is ${notYetMessage}` : 'must be enforce'),
    })
    .optional(),
  users: listOf(word, 'patterns, as ["*@example.com"]'),
  except: listOf(word, 'patterns, as ["ceo@example.com"]').optional(),
  allow: listOf(rule, 'rules').optional(),
  deny: listOf(rule, 'rules').optional(),
  use: notYet(),
  shadow: notYet(),
  limits: notYet(),
  logs: notYet(),
  debug: notYet(),
}).meta({ description: 'what a team may do; what no rule allows is denied' });

const audit = strict('the audit settings', {
  directory: file('a directory').optional(),
  group: word.optional(),
  strict: listOf(oneOf(allEffects), 'effects').optional(),
  segment: sizeText.optional(),
  deadline: durationText.optional(),
  keep: notYet(),
  max_size: notYet(),
  unshipped_max: notYet(),
  reserve: notYet(),
  sign_key: notYet(),
  checkpoint_interval: notYet(),
  hmac_key: notYet(),
  ship: notYet(),
});

const limits = strict('the limits', {
  line: sizeText.optional(),
  queue: count(0, 100_000).optional(),
  queue_timeout: durationText.optional(),
  reply_idle: durationText.optional(),
  client_stall: durationText.optional(),
  handshake: durationText.optional(),
  drain: durationText.optional(),
  input: sizeText.optional(),
  input_time: durationText.optional(),
  buffered: sizeText.optional(),
  deadline: strict('deadlines by effect', {
    read: durationText.optional(),
    session: durationText.optional(),
    write: durationText.optional(),
    admin: durationText.optional(),
    destroy: durationText.optional(),
  }).optional(),
});

/** The whole file. Settings from several files are merged before they meet it. */
export const configurationSchema = strict('a configuration', {
  version: z.literal(1, { error: 'must be 1; a newer configuration needs a newer dovegate' }).optional(),
  include: listOf(text('a path or a pattern of paths'), 'paths, as [conf.d/*.yaml]').optional(),
  listeners: named(listener, 'listeners').optional(),
  mail_users: strict('the settings of user names', {
    default_realm: text('a domain').optional(),
    characters: text('a class of characters, as "A-Za-z0-9._+=@-"').optional(),
    resolve: notYet(),
  }).optional(),
  backends: named(backend, 'backends').optional(),
  routes: listOf(route, 'routes').optional(),
  policies: named(policy, 'policies').optional(),
  server_commands: notYet(),
  tests: notYet(),
  state: file('a directory').optional(),
  audit: audit.optional(),
  limits: limits.optional(),
  admin: notYet(),
  log: strict('the log settings', { level: oneOf(logLevels).optional() }).optional(),
});

/** A configuration that has the shape; `Raw...` are its parts, with the values as they were written. */
export type RawConfiguration = z.infer<typeof configurationSchema>;
/** A part of {@link RawConfiguration}. */
export type RawBackend = z.infer<typeof backend>;
/** A part of {@link RawConfiguration}. */
export type RawPolicy = z.infer<typeof policy>;
/** A part of {@link RawConfiguration}. */
export type RawAudit = z.infer<typeof audit>;
/** A part of {@link RawConfiguration}. */
export type RawLimits = z.infer<typeof limits>;
