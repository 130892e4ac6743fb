// Owns the warnings about backends that do not say which namespaces they have, or which of them are shared.
// It does not know which these are: nothing asks a backend. The rule: what is not said is read with care when commands are judged, and
// whoever writes rules is told beforehand what that refuses.
import { commandNamed, parameterNamed } from '../commands/catalog.js';
import { allSeries } from '../commands/series.js';
import type { Rule } from '../policy/rule.js';
import type { Settings } from './settings.js';
import type { Cursor } from './written.js';

/**
 * Warns at each backend that does not say its shared namespaces, where a rule allows a command that reaches all mailboxes when it
 * names none; `valid` stands at the whole configuration.
 */
export function checkNamespaces(settings: Settings, valid: Cursor): void {
  const { backends, policies } = settings;
  checkDenied(settings, valid);
  const rule = [...policies.values()].flatMap(({ allow }) => allow).find(leavesMailboxOut);
  if (rule === undefined) return;
  const hurt = `"${rule.command}" without a mailbox is refused (${rule.place.file}:${rule.place.line})`;
  for (const { name, sharedNamespaces } of backends) {
    if (sharedNamespaces !== undefined) continue;
    valid.warning(
      ['backends', name],
      `does not say its shared_namespaces ([] for none), so ${hurt}`,
      'namespaces-unsaid',
    );
  }
}

/** Warns at each backend that does not list its namespaces, where a rule denies mailboxes, which may have more names than we know. */
function checkDenied({ backends, policies }: Settings, valid: Cursor): void {
  const rule = [...policies.values()].flatMap(({ deny }) => deny).find(deniesMailboxes);
  if (rule === undefined) return;
  for (const { name, namespaces } of backends) {
    if (namespaces !== undefined) continue;
    valid.warning(
      ['backends', name],
      `does not list its namespaces, so a mailbox that is denied may have names that pass (${rule.place.file}:${rule.place.line})`,
      'namespaces-unsaid',
    );
  }
}

function deniesMailboxes({ command, where, query }: Rule): boolean {
  if (query?.kind === 'keys') return true;
  const commands = allSeries.flatMap((series) => commandNamed(series, command) ?? []);
  return (where ?? []).some(({ parameter, test }) => {
    const roles = commands.map((each) => parameterNamed(each, parameter)?.role);
    return 'globs' in test || 'values' in test || 'regex' in test
      ? roles.some((role) => role === 'mailbox' || role === 'mailbox-mask')
      : false;
  });
}

/** Whether the rule lets the mailbox be left out, where that means all of them. */
function leavesMailboxOut({ command, shared, where, query }: Rule): boolean {
  if (shared) return false;
  if (command === 'mailbox list') {
    const test = where?.find(({ parameter }) => parameter === 'mailbox-mask')?.test;
    return test === undefined || test.kind === 'any';
  }
  const isSearch = allSeries.some((series) =>
    commandNamed(series, command)?.params.some(({ role }) => role === 'search-query'),
  );
  return isSearch && !(query?.kind === 'keys' && query.conditions.some(({ key }) => key === 'mailbox'));
}
