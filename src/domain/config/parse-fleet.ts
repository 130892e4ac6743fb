// fleet.yaml, the settings of `dovegate audit fleet`: the stream, the required gates, and the place of the state.
// The rule: all problems at once, each with its place, including those of the files that it names.

import { z } from 'zod';
import { bounds } from '../../bounds/bounds.js';
import { parsePublicKey } from '../audit/ledger.js';
import { administratorName, defaultStream, isHostWord, verifierName } from '../fleet/block.js';
import { type ExpectedHost, noKeyYet } from '../fleet/shapes.js';
import { isOfThisMachine } from '../identity/peer.js';
import { type Cursor, validate } from './cursor.js';
import { parseServers } from './parse-sinks.js';
import { parseYaml } from './parse-yaml.js';
import { type Problem, ProblemList } from './problem.js';
import {
  count,
  duration,
  file,
  matching,
  parseHostAndPort,
  parseSize,
  strict,
  text,
  timer,
} from './schema-parts.js';

const host = strict('a host', {
  key: text('a public key in base64, or the file that holds it').optional(),
  silent_after: timer('5m'),
  share: text('a size, as 20GiB').optional(),
});

const verifier = strict('a verifier', {
  key: text('a public key in base64, or the file that holds its keys, as checkpoint.pub of its state'),
});

const fleetSchema = strict('the settings of a fleet', {
  nats: text('servers, as tls://nats1.example.com:4222,tls://nats2.example.com:4222'),
  stream: matching(
    /^[A-Za-z0-9_-]{1,64}$/,
    'must be the name of a stream: letters, digits, dashes and underscores',
  ).prefault(defaultStream),
  ca: file('a file of CA certificates (PEM)').optional(),
  credentials: file('a .creds file').optional(),
  certificate: file('a file with the certificate that is shown to the servers (PEM)').optional(),
  key: file('a file with the private key of that certificate (PEM)').optional(),
  hosts: z.record(z.string(), z.union([host, z.null()]), {
    error: 'must be a map from hosts to what is known of them, as { mail-gate-3: { silent_after: 5m } }',
  }),
  verifiers: z
    .record(z.string(), verifier, {
      error: 'must be a map from verifiers to their keys, as { audit-2: { key: keys/audit-2.pub } }',
    })
    .optional(),
  state: file('a directory').prefault('/var/lib/dovegate-fleet'),
  open_after: duration('2h'),
  drift: duration('5s'),
  checkpoint_key: file('a file with an Ed25519 key in PEM (PKCS#8)').optional(),
  metrics: text('an address of this machine and a port, as 127.0.0.1:9148, or off').prefault(
    '127.0.0.1:9148',
  ),
  replicas: count(1, 5).prefault(1),
  keep: duration('400d'),
  share: text('a size, as 20GiB').optional(),
  max_size: text('a size, as 100GiB').optional(),
});

/** Files are absolute paths. */
export interface FleetSettings {
  readonly servers: readonly { readonly host: string; readonly port: number }[];
  readonly caFile: string | undefined;
  readonly credentialsFile: string | undefined;
  readonly client: { readonly certificateFile: string; readonly keyFile: string } | undefined;
  readonly stream: string;
  /** By the token of the host, in the order of the file. */
  readonly hosts: ReadonlyMap<string, ExpectedHost>;
  /** Public keys in base64, oldest first, by the token of the verifier; this one's too, if it is listed. */
  readonly verifiers: ReadonlyMap<string, readonly string[]>;
  /** The directory of the state. */
  readonly state: string;
  readonly openMs: number;
  readonly driftMs: number;
  /** Undefined: one is made in `state`. */
  readonly checkpointKeyFile: string | undefined;
  /** An address of loopback; undefined: none. */
  readonly metrics: { readonly host: string; readonly port: number } | undefined;
  readonly replicas: number;
  readonly keepMs: number;
  /** For the streams of all hosts together. */
  readonly maxBytes: number | undefined;
  /** The size of each host's stream, by the token of the host. */
  readonly shares: ReadonlyMap<string, number>;
}

/** Access to files. */
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
 * Reads the text of `path`; with an error among the problems, there are no settings. `isReader`: for readers of the state only: other files
 * are not checked, and keys of hosts in files are left out.
 */
export function parseFleetSettings(
  path: string,
  content: string,
  files: FleetFiles,
  isReader = false,
): { readonly settings: FleetSettings | undefined; readonly problems: readonly Problem[] } {
  const list = new ProblemList();
  const own = files.whyUnsafe(path, false);
  if (own !== undefined) list.error({ file: path, line: 1, column: 1 }, '', own.text, 'unsafe-file');
  const root = parseYaml(path, content, list);
  const valid = root && validate(fleetSchema, root, list);
  const settings = valid && settingsOf(valid.value, valid.cursor, isReader ? undefined : files);
  return { settings: list.hasErrors ? undefined : settings, problems: list.sorted() };
}

function settingsOf(
  raw: z.infer<typeof fleetSchema>,
  cursor: Cursor,
  files: FleetFiles | undefined,
): FleetSettings | undefined {
  const named = (key: 'ca' | 'credentials' | 'certificate' | 'key' | 'checkpoint_key', isSecret: boolean) =>
    fileAt(cursor, [key], cursor.file(key), files, isSecret);
  const caFile = named('ca', false);
  const credentialsFile = named('credentials', true);
  const certificateFile = named('certificate', false);
  const keyFile = named('key', true);
  if ((certificateFile === undefined) !== (keyFile === undefined)) {
    const [is, lacks] =
      keyFile === undefined ? (['certificate', 'key'] as const) : (['key', 'certificate'] as const);
    cursor.error([is], `needs ${lacks} too`, 'key-conflict');
  }
  if (credentialsFile !== undefined && certificateFile !== undefined)
    cursor.error(['credentials'], 'there is a certificate too; take one of them out', 'key-conflict');
  const hosts = new Map<string, ExpectedHost>();
  for (const [name, value] of Object.entries(raw.hosts)) {
    if (!isHostWord(name))
      cursor.error(
        ['hosts', name],
        'a host is one word: letters, digits, dashes and underscores, at most 63',
      );
    if (name === verifierName || name === administratorName)
      cursor.error(
        ['hosts', name],
        `"${name}" is another user of the server; give the host another name, there and at its gate`,
      );
    const { silent_after: silentMs } = value ?? host.parse({});
    hosts.set(name, { key: keyAt(cursor.down('hosts', name), files), silentMs });
  }
  if (hosts.size === 0)
    cursor.error(['hosts'], 'must list at least one host; its gates send under this name');
  const maxBytes = sizeAt(raw.max_size, cursor, 'max_size');
  return {
    servers: parseServers(raw.nats, cursor),
    caFile,
    credentialsFile,
    client: certificateFile && keyFile ? { certificateFile, keyFile } : undefined,
    stream: raw.stream,
    hosts,
    verifiers: verifiersAt(raw.verifiers ?? {}, cursor, files),
    state: cursor.file('state') ?? raw.state,
    openMs: raw.open_after,
    driftMs: raw.drift,
    checkpointKeyFile: named('checkpoint_key', true),
    metrics: metricsAt(raw.metrics, cursor),
    replicas: raw.replicas,
    keepMs: raw.keep,
    maxBytes,
    shares: sharesAt(raw, maxBytes, cursor),
  };
}

/** A named file, with a problem if it is unreadable or unsafe. */
function fileAt(
  cursor: Cursor,
  at: readonly string[],
  path: string | undefined,
  files: FleetFiles | undefined,
  isSecret: boolean,
): string | undefined {
  if (path === undefined || files === undefined) return path;
  const why = files.whyUnreadable(path);
  const unsafe = why === undefined ? files.whyUnsafe(path, isSecret) : undefined;
  if (why !== undefined) cursor.error(at, `${path} cannot be read: ${why}`, 'unreadable-file');
  else if (unsafe?.isDoubtful === true) cursor.warning(at, unsafe.text, 'unsafe-file');
  else if (unsafe !== undefined) cursor.error(at, unsafe.text, 'unsafe-file');
  return path;
}

/**
 * `cursor`: at a host. The key itself, or a file with it. A host is listed before its gate joins: a missing file, or an empty one that a
 * shell made for the output of `join`, is a warning, and no key is valid until then.
 */
function keyAt(cursor: Cursor, files: FleetFiles | undefined): string | undefined {
  const written = cursor.source('key');
  if (written === undefined) return undefined;
  // 32 bytes in base64 are not a plausible path.
  if (/^[A-Za-z0-9+/]{43}=$/.test(written)) return parsePublicKey(written);
  const named = cursor.file('key');
  if (named !== undefined && files?.isMissing(named) === true) return withoutKey(cursor, named);
  const path = fileAt(cursor, ['key'], named, files, false);
  if (path === undefined || files === undefined || files.whyUnreadable(path) !== undefined) return undefined;
  const content = files.readText(path);
  if (content.trim() === '') return withoutKey(cursor, path);
  const key = parsePublicKey(content);
  if (key === undefined)
    cursor.error(
      ['key'],
      `${path} holds no Ed25519 key; write the base64 of a public key, or name such a file`,
    );
  return key;
}

function withoutKey(cursor: Cursor, path: string): string {
  const said = `${path} holds no key yet, so every signature of this host is untrusted; "dovegate audit fleet join" at its gate prints the key`;
  cursor.warning(['key'], said, 'unreadable-file');
  return noKeyYet;
}

const verifiersMax = bounds.fleetVerifiers;
const verifierKeysMax = bounds.fleetVerifierKeys;

function verifiersAt(
  raw: NonNullable<z.infer<typeof fleetSchema>['verifiers']>,
  cursor: Cursor,
  files: FleetFiles | undefined,
): FleetSettings['verifiers'] {
  const verifiers = new Map<string, readonly string[]>();
  const owners = new Map<string, string>();
  for (const name of Object.keys(raw)) {
    const at = cursor.down('verifiers', name);
    if (!isHostWord(name))
      cursor.error(
        ['verifiers', name],
        'a verifier is one word: letters, digits, dashes and underscores, at most 63',
      );
    const keys = verifierKeysAt(at, files);
    for (const key of keys) {
      const owner = owners.get(key);
      if (owner !== undefined) at.error(['key'], `is a key of ${owner} too: each verifier has its own`);
      owners.set(key, name);
    }
    verifiers.set(name, keys);
  }
  if (verifiers.size > verifiersMax)
    cursor.error(['verifiers'], `must list at most ${verifiersMax} verifiers`);
  return verifiers;
}

/** `cursor`: at a verifier. The key itself, or those of a file: a PEM text, or base64 with a line for each, oldest first. */
function verifierKeysAt(cursor: Cursor, files: FleetFiles | undefined): readonly string[] {
  const written = cursor.source('key') ?? '';
  if (/^[A-Za-z0-9+/]{43}=$/.test(written)) return keysIn(written) ?? [];
  const path = fileAt(cursor, ['key'], cursor.file('key'), files, false);
  if (path === undefined || files === undefined || files.whyUnreadable(path) !== undefined) return [];
  const keys = keysIn(files.readText(path));
  if (keys !== undefined) return keys;
  cursor.error(
    ['key'],
    `${path} must hold Ed25519 public keys in base64, one a line, at most ${verifierKeysMax}; copy checkpoint.pub of that verifier`,
  );
  return [];
}

/** Undefined: there is none, or there are too many. */
function keysIn(content: string): readonly string[] | undefined {
  const whole = parsePublicKey(content);
  if (whole !== undefined) return [whole];
  const keys = content
    .trim()
    .split(/\s*\n\s*/)
    .map((line) => parsePublicKey(line));
  const valid = keys.filter((key) => key !== undefined);
  return valid.length === keys.length && keys.length <= verifierKeysMax ? valid : undefined;
}

function metricsAt(written: string, cursor: Cursor): FleetSettings['metrics'] {
  if (written === 'off') return undefined;
  const at = parseHostAndPort(written);
  if (at === undefined || !isOfThisMachine(at.host))
    cursor.error(['metrics'], 'must be off, or an address of this machine with a port, as 127.0.0.1:9148');
  return at;
}

function sizeAt(
  written: string | undefined,
  cursor: Cursor,
  key: string,
  leastBytes = 1,
): number | undefined {
  if (written === undefined) return undefined;
  const bytes = parseSize(written);
  const least = leastBytes > 1 ? ', and at least 1MiB' : '';
  if (bytes === undefined || bytes < leastBytes)
    cursor.error([key], `must be a size with its unit, as 100GiB${least}`);
  return bytes;
}

/** A host with less could not keep a day. */
const shareBytesMin = 1 << 20;

/** For each host: its own `share`, that of all hosts, an equal part of the rest of `max_size`, or the default. */
function sharesAt(
  raw: z.infer<typeof fleetSchema>,
  maxBytes: number | undefined,
  cursor: Cursor,
): ReadonlyMap<string, number> {
  const ofAll = sizeAt(raw.share, cursor, 'share', shareBytesMin);
  const own = new Map<string, number>();
  for (const [name, value] of Object.entries(raw.hosts)) {
    const bytes =
      sizeAt(value?.share, cursor.down('hosts', name), 'share', shareBytesMin) ??
      (value?.share === undefined ? ofAll : undefined);
    if (bytes !== undefined) own.set(name, bytes);
  }
  const names = Object.keys(raw.hosts);
  const given = [...own.values()].reduce((sum, bytes) => sum + bytes, 0);
  const others = names.length - own.size;
  const left = maxBytes === undefined ? undefined : maxBytes - given;
  const part = left === undefined ? bounds.fleetShareBytes : Math.floor(left / Math.max(1, others));
  if (left !== undefined && (left < 0 || (others > 0 && part < shareBytesMin)))
    cursor.error(
      ['max_size'],
      `is less than the shares of ${names.length} hosts need together; raise it, or lower "share"`,
    );
  return new Map(names.map((name) => [name, own.get(name) ?? part]));
}
