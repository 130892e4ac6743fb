// Owns the reading of `policies` into immutable policies with a version.
// It does not judge anything.
// The rule: the effective text holds everything that changes a judgement, in one order and one spelling, so that the
// same meaning has the same version whatever the file looked like.

import { stringify } from 'yaml';
import { commandsOf } from '../catalog/catalog.js';
import { allSeries } from '../catalog/series.js';
import { sha256Hex } from '../identity/digest.js';
import { createPolicy, type Policy, type Rule } from '../policy/rule.js';
import type { Cursor } from './cursor.js';
import { userPatterns } from './parse-backends.js';
import { nearestName } from './problem.js';
import type { RawConfiguration, RawPolicy } from './schema.js';
import type { MailUserSettings } from './settings.js';

const commandNames: ReadonlySet<string> = new Set(
  allSeries.flatMap((series) => commandsOf(series).map((command) => command.name)),
);

/** Every policy, by name, each with those of its rules that could be read; what is wrong is told. */
export function parsePolicies(
  raw: NonNullable<RawConfiguration['policies']>,
  cursor: Cursor,
  mailUsers: MailUserSettings,
): ReadonlyMap<string, Policy> {
  return new Map(
    Object.entries(raw).map(([name, each]) => [name, parsePolicy(name, each, cursor.down(name), mailUsers)]),
  );
}

function parsePolicy(name: string, raw: RawPolicy, cursor: Cursor, mailUsers: MailUserSettings): Policy {
  const users = userPatterns(cursor, 'users');
  const except = userPatterns(cursor, 'except');
  const allow = parseRules(raw.allow ?? [], cursor.down('allow'));
  const deny = parseRules(raw.deny ?? [], cursor.down('deny'));
  return createPolicy(
    {
      name,
      place: cursor.place(),
      users,
      usersPlace: cursor.place('users'),
      except,
      exceptPlace: cursor.place('except'),
      allow,
      deny,
      effectiveText: effectiveText(name, mailUsers, { users, except, allow, deny }),
    },
    sha256Hex,
  );
}

function parseRules(raw: NonNullable<RawPolicy['allow']>, cursor: Cursor): Rule[] {
  return raw.flatMap((each, index) => {
    const path = typeof each === 'string' ? [index] : [index, 'command'];
    const command = typeof each === 'string' ? each : each.command;
    if (!commandNames.has(command)) {
      cursor.error(path, unknownCommand(command));
      return [];
    }
    return [{ place: cursor.place(index), command }];
  });
}

function unknownCommand(command: string): string {
  const nearest = nearestName(command, commandNames);
  const shown = JSON.stringify(command);
  return nearest === undefined
    ? `no Dovecot has a command ${shown} that can be sent to it; names are full and separated by one blank`
    : `no Dovecot has a command ${shown} that can be sent to it; did you mean ${nearest}?`;
}

function effectiveText(
  name: string,
  mailUsers: MailUserSettings,
  rules: { users: string[]; except: string[]; allow: Rule[]; deny: Rule[] },
): string {
  const { users, except, allow, deny } = rules;
  const commands = (list: Rule[]): string[] => list.map((rule) => rule.command);
  return stringify(
    {
      version: 1,
      mail_users: {
        ...(mailUsers.defaultRealm === undefined ? {} : { default_realm: mailUsers.defaultRealm }),
        characters: mailUsers.characters,
      },
      policies: { [name]: { mode: 'enforce', users, except, allow: commands(allow), deny: commands(deny) } },
    },
    { lineWidth: 0, aliasDuplicateObjects: false },
  );
}
