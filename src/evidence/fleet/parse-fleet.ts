// fleet.yaml, the settings of `dovegate audit fleet`: the store, the required gates, and the place of the state.
// The rule: all problems at once, each with its place, including those of the files that it names.

import * as z from 'zod';
import { asWritten, bounds } from '../../host/bounds/bounds.js';
import { messageOf } from '../../host/ports/faults.js';
import { isOfThisMachine } from '../../host/ports/peer.js';
import type { StorePlace } from '../../host/store/open-store.js';
import { type HostAndPort, parseHostAndPort } from '../../host/words/host-port.js';
import { type Cursor } from '../../rules/config/cursor.js';
import { isHostWord } from '../../rules/config/fleet-names.js';
import { parseYaml } from '../../rules/config/parse-yaml.js';
import { type Problem, ProblemList } from '../../rules/config/problem.js';
import {
  as,
  duration,
  file,
  publicKeyText,
  section,
  size,
  strict,
  text,
  timer,
  without,
} from '../../rules/config/schema-parts.js';
import {
  dailyObjects,
  isFolderUrl,
  storeExample,
  storePlaceOf,
  storePrefix,
  storeUrl,
} from '../../rules/config/store-place.js';
import { validate } from '../../rules/config/validate.js';
import { parsePublicKey } from '../../rules/keys/sign-key.js';
import { verifierKeysIn } from './checkpoint.js';
import { type ExpectedHost, noKeyYet } from './shapes.js';

const host = section('a host', {
  key: file('a public key in base64, or the file that holds it', publicKeyText).optional(),
  silent_after: as('silentMs', timer('15m')),
});

const verifier = strict('a verifier', {
  key: file(
    'a public key in base64, or the file that holds its keys, as checkpoint.pub of its state',
    publicKeyText,
  ),
});

/** Room for a few blocks at least. */
const mirrorRange = { least: 4 << 20, most: Number.MAX_SAFE_INTEGER, error: 'must be at least 4MiB' };

const fleetSchema = section(
  'the settings of a fleet',
  {
    // Without it, the rest is still checked.
    store: storeUrl.optional(),
    prefix: storePrefix,
    credentials: as(
      'credentialsFile',
      file('a file with the keys of the bucket, in the form of AWS').optional(),
    ),
    ca: as('caFile', file('a file of CA certificates (PEM)').optional()),
    name: text('a word for this verifier').prefault('verifier'),
    keep: duration('0s'),
    hosts: z.record(z.string(), z.union([host, z.null().transform(() => host.parse({}))]), {
      error: 'must be a map from hosts to what is known of them, as { mail-gate-3: { silent_after: 5m } }',
    }),
    verifiers: z
      .record(z.string(), verifier, {
        error: 'must be a map from verifiers to their keys, as { audit-2: { key: keys/audit-2.pub } }',
      })
      .default({}),
    state: file('a directory').prefault('/var/lib/dovegate-fleet'),
    open_after: as('openMs', duration('2h')),
    drift: duration('5s'),
    policy_changes: as('tellsPolicies', z.boolean({ error: 'must be true or false' }).default(false)),
    checkpoint_key: as('checkpointKeyFile', file('a file with an Ed25519 key in PEM (PKCS#8)').optional()),
    metrics: text('an address of this machine and a port, as 127.0.0.1:9148, or off').prefault(
      '127.0.0.1:9148',
    ),
    mirror_keep: as('mirrorKeepMs', duration('400d')),
    mirror_share: as('mirrorBytes', size(asWritten.fleetMirrorBytes, mirrorRange)),
    objects_per_day: dailyObjects,
    bytes_per_day: size('10GiB'),
  },
  undefined,
  {
    'missing-key': {
      'store: needs credentials, a file with the keys of the bucket': ({ store, credentialsFile }) =>
        store !== undefined && !isFolderUrl(store) && credentialsFile === undefined,
    },
    'key-conflict': {
      'ca credentials: is not for a folder; take it out': ({ store }) =>
        store !== undefined && isFolderUrl(store),
    },
  },
  (_, at) => {
    if (!at.isWritten('store'))
      at.error(['store'], `is missing; it must be a URL, as ${storeExample}`, 'missing-key');
  },
);

type RawFleet = z.infer<typeof fleetSchema>;
const decided = ['store', 'hosts', 'verifiers', 'metrics'] as const;

/** Files are absolute paths. Without a checkpoint key, one is made in `state`. */
export interface FleetSettings extends Omit<RawFleet, (typeof decided)[number]> {
  readonly place: StorePlace;
  /** By the word of the host, in the order of the file. */
  readonly hosts: ReadonlyMap<string, ExpectedHost>;
  /** Public keys in base64, oldest first, by the word of the verifier; this one's too, if it is listed. */
  readonly verifiers: ReadonlyMap<string, readonly string[]>;
  /** An address of loopback; undefined: none. */
  readonly metrics: HostAndPort | undefined;
}

export type FleetReader = 'state' | 'journals';

export interface FleetFiles {
  /** Throws the system's error. */
  readText(path: string): string;
  /** Undefined: it is readable. */
  whyUnreadable(path: string): string | undefined;
  /** There is no such file; false if that is not visible. */
  isMissing(path: string): boolean;
  /** Undefined: no other user can change it, or, if it is secret, read it. */
  whyUnsafe(
    path: string,
    isSecret: boolean,
  ): { readonly text: string; readonly isDoubtful: boolean } | undefined;
}

/**
 * Parses the text of `path`; with an error among the problems, there are no settings. `reader`: `state` reads no other file, `journals`
 * only the keys of hosts and verifiers. `filesOf`: the files as the owner of the state sees them, used once the text is known to be safe
 * and valid.
 */
export function parseFleetSettings(
  path: string,
  content: string,
  files: FleetFiles,
  reader?: FleetReader,
  filesOf: (state: string) => FleetFiles = () => files,
): { readonly settings: FleetSettings | undefined; readonly problems: readonly Problem[] } {
  const list = new ProblemList();
  const own = files.whyUnsafe(path, false);
  if (own !== undefined) list.error({ file: path, line: 1, column: 1 }, '', own.text, 'unsafe-file');
  const root = parseYaml(path, content, list);
  const valid = root && validate(fleetSchema, root, list);
  const settings =
    valid &&
    settingsOf(valid.value, valid.cursor, list.hasErrors ? files : filesOf(valid.value.state), reader);
  return { settings: list.hasErrors ? undefined : settings, problems: list.sorted() };
}

function settingsOf(
  raw: RawFleet,
  cursor: Cursor,
  all: FleetFiles,
  reader: FleetReader | undefined,
): FleetSettings | undefined {
  const files = reader === undefined ? all : undefined;
  const keyFiles = reader === 'state' ? undefined : all;
  for (const [key, path, isSecret] of [
    ['ca', raw.caFile, false],
    ['credentials', raw.credentialsFile, true],
    ['checkpoint_key', raw.checkpointKeyFile, true],
  ] as const)
    checkFile(cursor.down(key), path, files, isSecret);
  if (Object.keys(raw.hosts).length > bounds.fleetHosts)
    cursor.error(
      ['hosts'],
      `must list at most ${bounds.fleetHosts} hosts: make another fleet, with a prefix or a store, a verifier and a fleet.yaml of its own`,
    );
  const hosts = new Map<string, ExpectedHost>();
  for (const [name, value] of Object.entries(raw.hosts)) {
    if (!isHostWord(name))
      cursor.error(
        ['hosts', name],
        'a host is one word: letters, digits, dashes and underscores, at most 63, no underscore first',
      );
    hosts.set(name, {
      key: keyAt(value.key, cursor.down('hosts', name), keyFiles),
      silentMs: value.silentMs,
    });
  }
  if (raw.keepMs > 0 && raw.keepMs < keepMsLeast)
    cursor.error(
      ['keep'],
      'must be 0s, for ever, or at least 1d: where a journal begins with a block of half that age, what is before it counts as removed by the store',
    );
  if (hosts.size === 0)
    cursor.error(['hosts'], 'must list at least one host; its gates send under this name');
  if (!isHostWord(raw.name))
    cursor.error(['name'], 'must be letters, digits, dashes and underscores, at most 63, as audit-1');
  const settings = {
    ...without(raw, ...decided),
    hosts,
    verifiers: verifiersAt(raw.verifiers, cursor, keyFiles),
    metrics: metricsAt(raw.metrics, cursor),
  };
  return raw.store && { ...settings, place: storePlaceOf(raw.store, raw.prefix).place };
}

/** Reports a file that is unreadable or unsafe; false: it cannot be read here. `at` stands at its key. */
function checkFile(
  at: Cursor,
  path: string | undefined,
  files: FleetFiles | undefined,
  isSecret: boolean,
): boolean {
  if (path === undefined || files === undefined) return false;
  const why = files.whyUnreadable(path);
  const unsafe = why === undefined ? files.whyUnsafe(path, isSecret) : undefined;
  if (why !== undefined) at.error([], `${path} cannot be read: ${why}`, 'unreadable-file');
  else if (unsafe?.isDoubtful === true) at.warning([], unsafe.text, 'unsafe-file');
  else if (unsafe !== undefined) at.error([], unsafe.text, 'unsafe-file');
  return why === undefined;
}

/**
 * `path`: the key itself, or a file with it; `cursor` is at the host. A host may be listed before its gate exists, so a missing or empty
 * file is only a warning, and no key is valid until then.
 */
function keyAt(path: string | undefined, cursor: Cursor, files: FleetFiles | undefined): string | undefined {
  if (path === undefined) return undefined;
  if (publicKeyText.test(path)) return parsePublicKey(path);
  if (files?.isMissing(path) === true) return withoutKey(cursor, path);
  const content = keyTextOf(path, cursor, files);
  if (content === undefined) return undefined;
  if (content.trim() === '') return withoutKey(cursor, path);
  const key = parsePublicKey(content);
  if (key === undefined)
    cursor.error(
      ['key'],
      `${path} holds no Ed25519 key; write the base64 of a public key, or name such a file`,
    );
  return key;
}

/** Undefined: it cannot be read here, or that is an error. */
function keyTextOf(path: string, cursor: Cursor, files: FleetFiles | undefined): string | undefined {
  if (!checkFile(cursor.down('key'), path, files, false) || files === undefined) return undefined;
  try {
    const content = files.readText(path);
    if (!content.includes('PRIVATE KEY')) return content;
    cursor.error(
      ['key'],
      `${path} is a private key, which stays with its owner; name a file with the public one`,
    );
  } catch (cause) {
    cursor.error(['key'], `${path} cannot be read: ${messageOf(cause)}`, 'unreadable-file');
  }
  return undefined;
}

function withoutKey(cursor: Cursor, path: string): string {
  const said = `${path} holds no key yet, so every signature of this host is untrusted; it is key.pub in the directory of its journal`;
  cursor.warning(['key'], said, 'unreadable-file');
  return noKeyYet;
}

const keepMsLeast = 86_400_000;

function verifiersAt(
  raw: RawFleet['verifiers'],
  cursor: Cursor,
  files: FleetFiles | undefined,
): FleetSettings['verifiers'] {
  const verifiers = new Map<string, readonly string[]>();
  const owners = new Map<string, string>();
  for (const [name, { key: written }] of Object.entries(raw)) {
    const at = cursor.down('verifiers', name);
    if (!isHostWord(name))
      cursor.error(
        ['verifiers', name],
        'a verifier is one word: letters, digits, dashes and underscores, at most 63, no underscore first',
      );
    const keys = verifierKeysAt(written, at, files);
    for (const key of keys) {
      const owner = owners.get(key);
      if (owner !== undefined) at.error(['key'], `is a key of ${owner} too: each verifier has its own`);
      owners.set(key, name);
    }
    verifiers.set(name, keys);
  }
  if (verifiers.size > bounds.fleetVerifiers)
    cursor.error(['verifiers'], `must list at most ${bounds.fleetVerifiers} verifiers`);
  return verifiers;
}

/** `cursor`: at a verifier. The key itself, or those of a file: a PEM text, or base64 with a line for each, oldest first. */
function verifierKeysAt(path: string, cursor: Cursor, files: FleetFiles | undefined): readonly string[] {
  if (publicKeyText.test(path)) return verifierKeysIn(path) ?? [];
  const content = keyTextOf(path, cursor, files);
  if (content === undefined) return [];
  const keys = verifierKeysIn(content);
  if (keys !== undefined) return keys;
  cursor.error(
    ['key'],
    `${path} must hold Ed25519 public keys in base64, one a line, at most ${bounds.fleetVerifierKeys}; copy checkpoint.pub of that verifier`,
  );
  return [];
}

function metricsAt(written: string, cursor: Cursor): FleetSettings['metrics'] {
  if (written === 'off') return undefined;
  const at = parseHostAndPort(written);
  if (at === undefined || !isOfThisMachine(at.host))
    cursor.error(['metrics'], 'must be off, or an address of this machine with a port, as 127.0.0.1:9148');
  return at;
}
