// Owns what a policy is: rules with their places, users, and what else holds for a team.
// It does not know YAML; config builds these values, and nobody changes them afterwards.
// The rule: a policy is immutable. A changed configuration makes a new one, with another version.
import { createGlobList, type GlobList } from './glob.js';

/** Where a rule was written, for every answer that names it. Lines and columns count from 1. */
export interface RulePlace {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One line of `allow` or `deny`. */
export interface Rule {
  readonly place: RulePlace;
  /** Full name of the command. */
  readonly command: string;
}

/** What config hands over to {@link createPolicy}. Lists keep the order of the file. */
export interface PolicyText {
  readonly name: string;
  readonly place: RulePlace;
  /** Patterns on users in normal form (so: lower case). */
  readonly users: readonly string[];
  readonly usersPlace: RulePlace;
  readonly except: readonly string[];
  readonly exceptPlace: RulePlace;
  readonly allow: readonly Rule[];
  readonly deny: readonly Rule[];
  /** The policy with everything that it takes from elsewhere written out; what its version is the hash of. */
  readonly effectiveText: string;
}

/** What one team may do. Made by {@link createPolicy}. */
export interface Policy {
  readonly name: string;
  readonly place: RulePlace;
  readonly users: GlobList;
  readonly usersPlace: RulePlace;
  readonly except: GlobList;
  readonly exceptPlace: RulePlace;
  readonly allow: readonly Rule[];
  readonly deny: readonly Rule[];
  /** The same rules by command, each list in the order of the file. */
  readonly allowByCommand: ReadonlyMap<string, readonly Rule[]>;
  readonly denyByCommand: ReadonlyMap<string, readonly Rule[]>;
  readonly effectiveText: string;
  /** Names the effective text: equal texts have equal versions. */
  readonly version: string;
}

/** `hash` names a text, as SHA-256 in hex does; policy itself takes no part in cryptography. */
export function createPolicy(text: PolicyText, hash: (text: string) => string): Policy {
  return Object.freeze({
    name: text.name,
    place: text.place,
    users: createGlobList(text.users),
    usersPlace: text.usersPlace,
    except: createGlobList(text.except),
    exceptPlace: text.exceptPlace,
    allow: text.allow,
    deny: text.deny,
    allowByCommand: byCommand(text.allow),
    denyByCommand: byCommand(text.deny),
    effectiveText: text.effectiveText,
    version: hash(text.effectiveText),
  });
}

function byCommand(rules: readonly Rule[]): ReadonlyMap<string, readonly Rule[]> {
  const map = new Map<string, Rule[]>();
  for (const rule of rules) {
    const list = map.get(rule.command);
    if (list === undefined) map.set(rule.command, [rule]);
    else list.push(rule);
  }
  return map;
}
