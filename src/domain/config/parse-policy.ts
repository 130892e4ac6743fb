// Reads `policies` into immutable policies with a version. The effective text holds everything that changes a judgement, in one order and
// one spelling, so that the same meaning has the same version whatever the file looks like.
import { stringify } from 'yaml';
import { GlobList } from '../commands/glob.js';
import { sha256Hex } from '../identity/credentials.js';
import { usersPerLine } from '../identity/user-name.js';
import { createPolicy, type Policy, type PolicyTraits, type Rate, type Rule } from '../policy/rule.js';
import { type Cursor, createCursor, validate } from './cursor.js';
import { checkReach, parseRules, type RuleReading } from './parse-rule.js';
import type { MapNode } from './parse-yaml.js';
import { policy as policySchema, preset as presetSchema, type RawPolicy } from './policy-schema.js';
import type { ProblemList } from './problem.js';
import { fillIn, type Sources } from './read-files.js';
import type { MailUserSettings } from './settings.js';
import { userPatterns } from './spellings.js';

/** What the reading of policies needs besides their text. */
export interface PolicyReading extends RuleReading {
  readonly mailUsers: MailUserSettings;
  readonly sources: Sources;
  readonly problems: ProblemList;
}

/** Every policy, by name, each with those of its rules that could be read; what is wrong is told. */
export function parsePolicies(
  raw: Readonly<Record<string, RawPolicy>>,
  cursor: Cursor,
  reading: PolicyReading,
): ReadonlyMap<string, Policy> {
  return new Map(
    Object.entries(raw).map(([name, each]) => [name, parsePolicy(name, each, cursor.down(name), reading)]),
  );
}

function parsePolicy(name: string, raw: RawPolicy, cursor: Cursor, reading: PolicyReading): Policy {
  const users = userPatterns(cursor, 'users');
  const except = userPatterns(cursor, 'except');
  const presets = (raw.use ?? []).flatMap(
    (_, index) => parsePreset(cursor.down('use', index), reading) ?? [],
  );
  const allow = parseRules(raw.allow ?? [], cursor.down('allow'), 'allow', reading);
  const deny = parseRules(raw.deny ?? [], cursor.down('deny'), 'deny', reading);
  const rules = {
    allow: [...allow, ...presets.flatMap((preset) => preset.allow)],
    deny: [...deny, ...presets.flatMap((preset) => preset.deny)],
  };
  const { mode, logs, debug, weight, limits } = raw;
  const traits = { mode, logs, debug, weight, limits };
  const shadow = parseShadow(name, cursor, reading);
  const text = effectiveText(name, reading.mailUsers, { ...traits, users, except, ...rules });
  const policy = createPolicy({
    name,
    place: cursor.place(),
    users: new GlobList(users),
    usersPlace: cursor.place('users'),
    except: new GlobList(except),
    exceptPlace: cursor.place('except'),
    ...traits,
    ...rules,
    ...(shadow === undefined ? {} : { shadow }),
    effectiveText: text,
    version: sha256Hex(text),
  });
  checkReach(policy, cursor);
  return policy;
}

/** The rules of a shipped preset, with its parameters filled in. `cursor` stands at an item of `use`. */
function parsePreset(
  cursor: Cursor,
  reading: PolicyReading,
): { allow: readonly Rule[]; deny: readonly Rule[] } | undefined {
  const { problems, sources } = reading;
  const name = cursor.source() ?? cursor.source('preset') ?? '';
  const written = sources.preset(name, { place: cursor.place(), path: cursor.path() });
  if (written === undefined) return undefined;
  const filled = fillIn(written, presetValues(written, cursor, problems), problems);
  const valid = filled.kind === 'map' ? validate(presetSchema, filled, problems) : undefined;
  if (valid === undefined) return undefined;
  const at = createCursor(valid.root, problems);
  return {
    allow: parseRules(valid.value.allow ?? [], at.down('allow'), 'allow', reading),
    deny: parseRules(valid.value.deny ?? [], at.down('deny'), 'deny', reading),
  };
}

/** What `with` gives, else what the preset says by itself; a parameter with neither must be given. */
function presetValues(preset: MapNode, cursor: Cursor, problems: ProblemList): Map<string, string[]> {
  const at = createCursor(preset, problems);
  const declared = keysOf(at, 'parameters');
  const given = keysOf(cursor, 'with');
  for (const name of given.filter((each) => !declared.includes(each))) {
    const known = declared.length === 0 ? 'it has none' : `it has: ${declared.join(', ')}`;
    cursor.error(['with', name], `is no parameter of this preset; ${known}`, 'unknown-name');
  }
  const values = new Map<string, string[]>();
  for (const name of declared) {
    const own = given.includes(name) ? cursor.words('with', name) : at.words('parameters', name, 'default');
    if (own.length === 0) {
      const about = at.source('parameters', name, 'about') ?? '';
      cursor.error(
        given.includes(name) ? ['with', name] : [],
        `needs with: { ${name}: ... } (${about})`,
        'missing-key',
      );
    }
    values.set(name, own.length === 0 ? ['missing'] : own.map(({ text }) => text));
  }
  return values;
}

function keysOf(cursor: Cursor, key: string): string[] {
  const node = cursor.node(key);
  return node?.kind === 'map' ? [...node.entries.keys()] : [];
}

/** A candidate for the policy: a file that holds what stands below the policy's name, or what `suggest` prints. */
function parseShadow(name: string, cursor: Cursor, reading: PolicyReading): Policy | undefined {
  const file = cursor.file('shadow');
  if (file === undefined) return undefined;
  const tree = reading.sources.load(file, { place: cursor.place('shadow'), path: cursor.path('shadow') });
  const valid =
    tree === undefined ? undefined : validate(policySchema, candidateIn(tree, name), reading.problems);
  if (valid === undefined) return undefined;
  if (valid.value.shadow !== undefined) {
    createCursor(valid.root, reading.problems).error(['shadow'], 'a shadow has no shadow of its own');
    return undefined;
  }
  return parsePolicy(name, valid.value, createCursor(valid.root, reading.problems), reading);
}

/** The policy of that name where the file has nothing else; else the whole file. */
function candidateIn(tree: MapNode, name: string): MapNode {
  const policies = tree.entries.size === 1 ? tree.entries.get('policies')?.node : undefined;
  const only =
    policies?.kind === 'map' && policies.entries.size === 1 ? policies.entries.get(name) : undefined;
  return only?.node.kind === 'map' ? only.node : tree;
}

function effectiveText(
  name: string,
  mailUsers: MailUserSettings,
  policy: PolicyTraits & {
    readonly users: readonly string[];
    readonly except: readonly string[];
    readonly allow: readonly Rule[];
    readonly deny: readonly Rule[];
  },
): string {
  const { rate, distinctUsers, atOnce } = policy.limits;
  return stringify(
    {
      version: 1,
      mail_users: {
        ...(mailUsers.defaultRealm === undefined ? {} : { default_realm: mailUsers.defaultRealm }),
        characters: mailUsers.characters,
        ...(mailUsers.resolve === undefined ? {} : { resolve: mailUsers.resolve }),
      },
      ...(mailUsers.perLineMax === usersPerLine ? {} : { limits: { users: mailUsers.perLineMax } }),
      policies: {
        [name]: {
          mode: policy.mode,
          users: policy.users,
          except: policy.except,
          logs: policy.logs,
          debug: policy.debug,
          ...(policy.weight === 1 ? {} : { weight: policy.weight }),
          limits: {
            ...(rate === undefined ? {} : { rate: formatRate(rate) }),
            ...(distinctUsers === undefined ? {} : { distinct_users: formatRate(distinctUsers) }),
            ...(atOnce === undefined ? {} : { at_once: atOnce }),
          },
          allow: policy.allow.map((rule) => rule.meaning),
          deny: policy.deny.map((rule) => rule.meaning),
        },
      },
    },
    { lineWidth: 0, aliasDuplicateObjects: false },
  );
}

function formatRate({ count, windowMs }: Rate): string {
  const periods: Readonly<Record<number, string>> = { 1000: 'second', 60_000: 'minute', 3_600_000: 'hour' };
  return `${count}/${periods[windowMs] ?? 'day'}`;
}
