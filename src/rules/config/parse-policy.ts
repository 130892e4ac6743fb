// Reads `policies` into immutable policies with a version. The effective text holds everything that changes a judgement, in one order and
// one spelling, so that the same meaning has the same version whatever the file looks like.

import { isMap, isScalar, isSeq, type Scalar, stringify } from 'yaml';
import { noneAdded } from '../../doveadm/commands/catalog.js';
import { GlobList } from '../../doveadm/names/glob.js';
import { foldFor, usersPerLine } from '../../doveadm/names/user-name.js';
import { sha256Hex } from '../../host/values/digest.js';
import { foldAscii } from '../../host/words/text.js';
import { createPolicy, type Policy, type Rule, type WrittenList } from '../policy/policy.js';
import { type Cursor, createCursor } from './cursor.js';
import type { CatalogSettings } from './parse-catalog.js';
import { parseRequestRules, parseRules, type RuleReading } from './parse-rule.js';
import { entryOf, listLike, type MapNode, type Node, placeOf, sourceOf } from './parse-yaml.js';
import { policy as policySchema, preset as presetSchema, type RawPolicy } from './policy-schema.js';
import type { ProblemList } from './problem.js';
import type { Sources } from './read-files.js';
import { mailUsersSection, type RawConfiguration } from './schema.js';
import { without, writtenOf } from './schema-parts.js';
import type { MailUserSettings } from './settings.js';
import { validate } from './validate.js';

export interface PolicyReading {
  readonly mailUsers: MailUserSettings;
  readonly sources: Sources;
  readonly problems: ProblemList;
  /** For warnings about rules that are over; undefined: none. */
  readonly nowMs: number | undefined;
  readonly catalog: CatalogSettings | undefined;
}

/** Every policy, by name, with its valid rules; faults are reported. `cursor` stands above `policies`. */
export function parsePolicies(
  { policies, shadow: file }: Pick<RawConfiguration, 'policies' | 'shadow'>,
  cursor: Cursor,
  reading: PolicyReading,
): ReadonlyMap<string, Policy> {
  const shadow = parseShadows(file, Object.keys(policies), cursor, reading);
  return new Map(
    Object.entries(policies).map(([name, each]) => [
      name,
      parsePolicy(name, each, cursor.down('policies', name), { ...reading, candidate: shadow(name) }),
    ]),
  );
}

/** The candidates of one file for several policies, by the name of each. */
function parseShadows(
  file: string | undefined,
  names: readonly string[],
  cursor: Cursor,
  { sources }: PolicyReading,
): (name: string) => MapNode | undefined {
  const tree = file === undefined ? undefined : loadShadow(file, cursor, sources);
  const policies = tree && policiesIn(tree);
  if (tree !== undefined && policies === undefined)
    cursor.error(['shadow'], `${file} holds no policies: NAME: ..., as suggest --all prints it`);
  const unknown = policies?.items.map(({ key }) => key.source ?? '').filter((name) => !names.includes(name));
  for (const name of unknown ?? [])
    cursor.error(
      ['shadow'],
      `${file} has a candidate for ${name}, and there is no such policy`,
      'unknown-name',
    );
  return (name) => policies && policyIn(policies, name);
}

function loadShadow(file: string, cursor: Cursor, sources: Sources): MapNode | undefined {
  return sources.load(file, { place: cursor.place('shadow'), path: cursor.path('shadow') });
}

/** `candidate`: of the file for several policies; a `shadow` of its own wins. */
function parsePolicy(
  name: string,
  raw: RawPolicy,
  cursor: Cursor,
  { candidate, ...reading }: PolicyReading & { readonly candidate?: MapNode | undefined },
): Policy {
  const presets = raw.use.flatMap((_, index) => parsePreset(cursor.down('use', index), reading) ?? []);
  const own = rulesOf(raw, cursor, reading);
  const text = {
    ...without(raw, 'use', 'shadow'),
    name,
    users: raw.users.map(foldFor(reading.mailUsers.case)),
    except: raw.except.map(foldAscii),
    allow: [own, ...presets].flatMap(({ allow }) => allow),
    deny: [own, ...presets].flatMap(({ deny }) => deny),
    onRequest: parseRequestRules(raw.onRequest, cursor.down('on_request'), rulesReading(reading)),
  };
  const named = raw.shadow === undefined ? undefined : loadShadow(raw.shadow, cursor, reading.sources);
  const beside = raw.shadow === undefined ? candidate : named && candidateIn(named, name);
  const shadow = beside && parseShadow(name, beside, reading);
  const effective = effectiveText(reading, text);
  return createPolicy({
    ...text,
    place: cursor.place(),
    users: new GlobList(text.users),
    usersPlace: cursor.place('users'),
    except: new GlobList(text.except, { isAnyCase: true }),
    exceptPlace: cursor.place('except'),
    written: { allow: writtenAt(cursor, 'allow'), users: writtenAt(cursor, 'users') },
    ...(raw.use.length > 0 && { use: raw.use }),
    ...(shadow && { shadow }),
    ...(reading.catalog && { added: reading.catalog.added }),
    effectiveText: effective,
    version: sha256Hex(effective),
  });
}

function writtenAt(cursor: Cursor, key: string): WrittenList | undefined {
  const form = cursor.listForm(key);
  return form && { place: cursor.place(key), form };
}

function rulesOf(
  { allow, deny }: Pick<RawPolicy, 'allow' | 'deny'>,
  cursor: Cursor,
  reading: PolicyReading,
): { allow: readonly Rule[]; deny: readonly Rule[] } {
  return {
    allow: parseRules(allow, cursor.down('allow'), 'allow', rulesReading(reading)),
    deny: parseRules(deny, cursor.down('deny'), 'deny', rulesReading(reading)),
  };
}

function rulesReading({ mailUsers, nowMs, catalog }: PolicyReading): RuleReading {
  return { mailUsers, nowMs, added: catalog?.added ?? noneAdded };
}

/** The rules of a shipped preset, with its parameters filled in. `cursor` stands at an item of `use`. */
function parsePreset(cursor: Cursor, reading: PolicyReading): ReturnType<typeof rulesOf> | undefined {
  const { problems, sources } = reading;
  const name = cursor.source() ?? cursor.source('preset') ?? '';
  const written = sources.preset(name, { place: cursor.place(), path: cursor.path() });
  if (written === undefined) return undefined;
  const filled = fillIn(written, presetValues(createCursor(written, problems), cursor), problems);
  const valid = isMap<Scalar, Node>(filled) ? validate(presetSchema, filled, problems) : undefined;
  return valid && rulesOf(valid.value, valid.cursor, reading);
}

/** The values of `with`, else the preset's defaults; a parameter without either must be given. */
function presetValues(preset: Cursor, cursor: Cursor): Map<string, string[]> {
  const declared = preset.keys('parameters');
  const given = cursor.keys('with');
  for (const name of given.filter((each) => !declared.includes(each))) {
    const known = declared.length === 0 ? 'it has none' : `it has: ${declared.join(', ')}`;
    cursor.error(['with', name], `is no parameter of this preset; ${known}`, 'unknown-name');
  }
  const values = new Map<string, string[]>();
  for (const name of declared) {
    const isGiven = given.includes(name);
    const own = isGiven ? cursor.words('with', name) : preset.words('parameters', name, 'default');
    if (own.length === 0) {
      const about = preset.source('parameters', name, 'about') ?? '';
      const message = `needs with: { ${name}: ... } (${about})`;
      cursor.error(isGiven ? ['with', name] : [], message, 'missing-key');
    }
    values.set(name, own.length === 0 ? ['missing'] : own);
  }
  return values;
}

/**
 * Replaces `$(NAME)` in a tree: a scalar that is nothing else becomes the value, or the list of values (joined into its surrounding list);
 * within a longer text it must be one value. Places stay those of the preset.
 */
function fillIn(node: Node, values: ReadonlyMap<string, readonly string[]>, problems: ProblemList): Node {
  if (isMap<Scalar, Node>(node)) {
    for (const entry of node.items) if (entry.value) entry.value = fillIn(entry.value, values, problems);
  } else if (isSeq<Node>(node)) {
    node.items = node.items.flatMap((item) => {
      const filled = fillIn(item, values, problems);
      return isScalar(item) && isSeq<Node>(filled) ? filled.items : [filled];
    });
  } else {
    const written = sourceOf(node) ?? '';
    const list = values.get(/^\$\(([^()]*)\)$/.exec(written)?.[1] ?? '');
    if (list !== undefined && list.length !== 1)
      return listLike(
        node,
        list.map((value) => [value, valueOf(value)]),
      );
    if (!written.includes('$(')) return node;
    node.source = written.replace(/\$\(([^()]*)\)/g, (whole, name: string) => {
      const [value, ...more] = values.get(name) ?? [];
      if (value !== undefined && more.length === 0) return value;
      const why = value === undefined ? 'is no parameter of this preset' : 'must be one value here';
      problems.error(placeOf(node), '', `${whole} ${why}`);
      return '';
    });
    node.value = valueOf(node.source);
  }
  return node;
}

/** A parameter may be in the place of a number or a boolean. */
function valueOf(source: string): string | number | boolean {
  if (/^\d{1,15}$/.test(source)) return Number(source);
  return source === 'true' || source === 'false' ? source === 'true' : source;
}

/** The candidate for the policy, from its file. */
function parseShadow(name: string, tree: MapNode, reading: PolicyReading): Policy | undefined {
  const valid = validate(policySchema, tree, reading.problems);
  if (valid?.value.shadow !== undefined) {
    valid.cursor.error(['shadow'], 'a shadow has no shadow of its own');
    return undefined;
  }
  return valid && parsePolicy(name, valid.value, valid.cursor, reading);
}

/** The policy of that name, if the file has it and nothing but policies; else the whole file. */
function candidateIn(tree: MapNode, name: string): MapNode {
  const policies = policiesIn(tree);
  return (policies && policyIn(policies, name)) ?? tree;
}

function policiesIn(tree: MapNode): MapNode | undefined {
  const policies = tree.items.length === 1 ? entryOf(tree, 'policies')?.value : undefined;
  return isMap<Scalar, Node>(policies) ? policies : undefined;
}

function policyIn(policies: MapNode, name: string): MapNode | undefined {
  const only = entryOf(policies, name)?.value;
  return isMap<Scalar, Node>(only) ? only : undefined;
}

function effectiveText(
  { mailUsers, catalog }: Pick<PolicyReading, 'mailUsers' | 'catalog'>,
  { name, ...policy }: Pick<Policy, 'name' | 'allow' | 'deny' | 'onRequest'>,
): string {
  const meaningOf = ({ meaning }: Rule): unknown => meaning;
  const [allow, deny, onRequest] = [policy.allow, policy.deny, policy.onRequest].map((rules) =>
    rules.map(meaningOf),
  );
  const text = {
    version: 1,
    mail_users: mailUsersSection(mailUsers),
    // The meaning of a rule for an added command depends on the file.
    catalog: catalog?.files.map(({ hash }) => hash),
    limits: mailUsers.perLineMax === usersPerLine ? undefined : { users: mailUsers.perLineMax },
    policies: { [name]: writtenOf(policySchema, { ...policy, allow, deny, onRequest }) },
  };
  return stringify(text, { lineWidth: 0, aliasDuplicateObjects: false });
}
