// The access rights in the settings: a row for each listener, account and key, and their policies with the rules in words. Pure.

import { allEffects, commandNames, type Effect } from '../doveadm/commands/catalog.js';
import { contentAtMost } from '../evidence/story/content.js';
import {
  describeDeny,
  describeRequestable,
  describeRule,
  effectOfName,
  isForAllUsers,
  rightsOf,
  sayRequestable,
} from '../rules/answers/rights.js';
import type { PeersSettings, Settings } from '../rules/config/settings.js';
import { strikesAlways } from '../rules/policy/match.js';
import type { Policy, Rule } from '../rules/policy/policy.js';
import { formatPeers } from '../rules/setup/asker.js';
import type { AccessCell, AccessPolicy, AccessTable, RuleOfPolicy } from './answers/api.js';

type Row = AccessTable['rows'][number];

/** `nowMs`: rules that have ended by then are left out; `nameOf`: the name of a uid. */
export function accessTable(
  { listeners, policies, admin }: Settings,
  nowMs: number,
  nameOf: (uid: number) => string | undefined,
): AccessTable {
  const named = (shown: PeersSettings | undefined): PeersSettings | undefined =>
    shown && { ...shown, users: shown.users.map((user) => nameOfUser(user, nameOf)) };
  return {
    effects: allEffects.map((name) => ({ name, commands: commandsByEffect.get(name) ?? 0 })),
    rows: listeners.flatMap((listener): Row[] => {
      const { name, peers, accounts, keys } = listener;
      return [
        ...listener.policies.map((choice): Row => {
          const people = formatPeers(named(choice.peers ?? peers)).trim();
          const row = { kind: 'listener', listener: name, name, policy: choice.policy } as const;
          return people === '' ? row : { ...row, people };
        }),
        ...accounts.map((each): Row => {
          return { kind: 'account', listener: name, name: each.name, policy: each.policy };
        }),
        ...keys.map((each): Row => {
          return { kind: 'key', listener: name, name: each.name, policy: each.policy };
        }),
      ];
    }),
    policies: [...policies.values()].map((policy, _, all) => ({
      ...policyShown(policy, nowMs),
      approvers: all.filter(({ approve }) => approve.includes(policy.name)).map(({ name }) => name),
    })),
    approvesOnPage: admin?.page?.approve === true,
  };
}

/** `alice (1001)` for a uid, if it has a name. */
function nameOfUser(user: string, nameOf: (uid: number) => string | undefined): string {
  const name = /^\d{1,10}$/.test(user) ? nameOf(Number(user)) : undefined;
  return name === undefined ? user : `${name} (${user})`;
}

const commandsByEffect: ReadonlyMap<Effect, number> = countCommands();

function countCommands(): Map<Effect, number> {
  const counts = new Map<Effect, number>();
  for (const name of commandNames()) {
    const effect = effectOfName(name);
    counts.set(effect, (counts.get(effect) ?? 0) + 1);
  }
  return counts;
}

function policyShown(policy: Policy, nowMs: number): Omit<AccessPolicy, 'approvers'> {
  const { users, except, limits, isObserving, approve } = rightsOf(policy, '', undefined);
  const shown = (rule: Rule, says: readonly string[]): RuleOfPolicy => {
    const content = contentAtMost(rule.command, rule.content ? ['field'] : []);
    return {
      command: rule.command,
      effect: effectOfName(rule.command, policy.added),
      ...(content !== undefined && { content }),
      says,
      place: placeOf(rule),
    };
  };
  const isDenied = (command: string): boolean =>
    policy.denyByCommand.get(command)?.some(strikesAlways) === true;
  const isHolding = ({ command, expiresMs }: Rule): boolean =>
    (expiresMs === undefined || nowMs < expiresMs) && !isDenied(command);
  const cellOf = (isMeant: (rule: Rule) => boolean): AccessCell => {
    const rules = policy.allow.filter((rule) => isHolding(rule) && isMeant(rule));
    const offered = policy.onRequest.filter((rule) => !isObserving && isHolding(rule) && isMeant(rule));
    const namesOf = (of: readonly Rule[]): string[] => [...new Set(of.map(({ command }) => command))];
    const mayAll = rules.some((rule) => isForAllUsers(rule, policy));
    return { commands: namesOf(rules), onRequest: namesOf(offered), mayAll };
  };
  return {
    name: policy.name,
    place: placeOf(policy),
    isObserving,
    ...(policy.shadow === undefined ? {} : { shadow: placeOf(policy.shadow) }),
    users,
    except,
    limits,
    cells: allEffects.map((effect) =>
      cellOf(({ command }) => effectOfName(command, policy.added) === effect),
    ),
    content: cellOf(({ content, rootEquivalent }) => content || rootEquivalent),
    allow: policy.allow.map((rule) => shown(rule, describeRule(rule, policy))),
    deny: policy.deny.map((rule) => shown(rule, describeDeny(rule, policy))),
    onRequest: policy.onRequest.map((rule) => shown(rule, sayRequestable(describeRequestable(rule, policy)))),
    approve,
  };
}

function placeOf({ place: { file, line } }: Pick<Policy | Rule, 'place'>): string {
  return `${file}:${line}`;
}
