// Owns the warning about backends that do not say which of their namespaces are shared.
// It does not know which these are: nothing asks a backend. The rule: what is not said is read with care when commands are judged, and
// whoever writes rules is told beforehand what that refuses.
import { commandNamed } from '../catalog/catalog.js';
import { allSeries } from '../catalog/series.js';
import type { Rule } from '../policy/rule.js';
import type { Cursor } from '../source/written.js';
import type { Settings } from './settings.js';

/**
 * Warns at each backend that does not say its shared namespaces, where a rule allows a command that reaches all mailboxes when it
 * names none; `valid` stands at the whole configuration.
 */
export function checkNamespaces({ backends, policies }: Settings, valid: Cursor): void {
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
