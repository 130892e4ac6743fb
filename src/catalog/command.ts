// What the catalog knows of a command and its parameters, as types. Data, never behaviour.
import type { Series } from './series.js';

/** What a command does, weakest first: reads; ends sessions; changes; changes the server or rights; destroys. */
export const allEffects = ['read', 'session', 'write', 'admin', 'destroy'] as const;

export type Effect = (typeof allEffects)[number];

/** The stronger of two effects. */
export function strongerEffect(one: Effect, other: Effect): Effect {
  return allEffects.indexOf(one) >= allEffects.indexOf(other) ? one : other;
}

/** What a value of a parameter can name; what a rule, a redaction and a route look at. A role is never renamed. */
export const allRoles = [
  'acl-id',
  'acl-right',
  'all-users',
  'args',
  'auth-info',
  'cache-fields',
  'config-filter',
  'content-file',
  'dict-key',
  'dict-uri',
  'director-tag',
  'file-path',
  'file-path-write',
  'flag-remote',
  'fs-args',
  'fs-driver',
  'fs-path',
  'guid',
  'host',
  'instance-name',
  'internal',
  'ip',
  'keyword',
  'language',
  'mail-flags',
  'mail-location',
  'mailbox',
  'mailbox-guid',
  'mailbox-mask',
  'metadata-key',
  'metadata-value',
  'metric-name',
  'name',
  'namespace',
  'net-mask',
  'output-fields',
  'port',
  'remote-destination',
  'search-query',
  'secret',
  'service-name',
  'setting-override',
  'sieve-script',
  'socket',
  'source-user',
  'stats-exporter',
  'stats-fields',
  'stats-filter',
  'sub-commands',
  'sync-state',
  'text',
  'user',
  'user-file',
  'user-mask',
  'user-mask-or-ip',
  'userdb-field',
  'value',
  'var-expansion',
] as const;

export type Role = (typeof allRoles)[number];

export const allParameterTypes = ['bool', 'str', 'int', 'array', 'istream'] as const;

export type ParameterType = (typeof allParameterTypes)[number];

export interface Parameter {
  /** The long name. Also a positional may be given as `--name=value`. */
  readonly name: string;
  /** One character, without the dash. */
  readonly short: string | undefined;
  /** `istream` opens a file of the server, as its root or as the mail user. */
  readonly type: ParameterType;
  readonly isPositional: boolean;
  readonly isOptional: boolean;
  readonly isUnsigned: boolean;
  /** 2.4: the word that stands before the value among the positionals, `copy DEST user WHO ...`. */
  readonly key: string | undefined;
  readonly role: Role | undefined;
}

/** `dot`: reads a dot-stream after the line unless a file is named; `duplex`: the rest of the connection is its own. */
export const allInputKinds = ['none', 'dot', 'duplex'] as const;

export type InputKind = (typeof allInputKinds)[number];

/** Whether a rule may allow it by a mask, only by name, or only by name and saying that it amounts to root. */
export const allGrants = ['normal', 'explicit', 'never'] as const;

export type Grant = (typeof allGrants)[number];

export interface Command {
  /** Its words joined by one blank; what goes upstream as one field. */
  readonly name: string;
  readonly words: readonly string[];
  /** `user`: acts for the user field of the command line. `server`: ignores that field. */
  readonly scope: 'user' | 'server';
  /** Of the command alone; parameters can raise it. */
  readonly effect: Effect;
  readonly grant: Grant;
  readonly input: InputKind;
  /** In the order of Dovecot's own table, which is the order of the canonical form. */
  readonly params: readonly Parameter[];
  /** Options may follow positionals. False: the first positional ends the options. */
  readonly permutes: boolean;
}

/** The generated form: a command is its name, its traits in words, its parameters one word each. */
export interface CatalogData {
  readonly series: Series;
  /** The releases whose sources and running servers the tables were read from. */
  readonly dovecot: string;
  /** SHA-256 of the checked-in source, lower-case hex. */
  readonly hash: string;
  /** In front of the parameters of every command of scope user. */
  readonly mailParams: string;
  readonly commands: readonly (readonly [name: string, traits: string, params: string])[];
}
