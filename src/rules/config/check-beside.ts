// What only a person is told who checks a configuration: `check`, `test`, `doctor`, `init`. It stops no gate, so a start and a reload do
// not look at it.

import { isStatement, readStatement } from '../answers/statement.js';
import { policyOfAnybody } from '../identity/principal.js';
import type { Cursor } from './cursor.js';
import { meantBy, unknownName } from './problem.js';
import { isStatementTest, type ListenerSettings, loginsOf, type Person, type Settings } from './settings.js';

/** Reports problems. `written` is the whole configuration, `valid` its valid part, from which the settings were made. */
export function checkBeside(settings: Settings, written: Cursor, valid: Cursor): void {
  checkTests(settings, valid, written.keys('listeners'));
}

/** No gate runs them. Names in a test must exist, and it must name the client where it matters. `listeners`: the written names. */
function checkTests(settings: Settings, valid: Cursor, listeners: readonly string[]): void {
  for (const [index, written] of settings.tests.entries()) {
    const at = valid.down('tests', index);
    if (isStatementTest(written)) {
      const statement = readStatement(written.prove, settings);
      if (isStatement(statement, 'bad')) at.error(['prove'], statement.message);
      if (isStatement(statement, 'more'))
        at.error(['prove'], 'needs two configurations: dovegate prove --against FILE decides it');
      continue;
    }
    const { listener: name, as } = written;
    if (!listeners.includes(name))
      at.error(['listener'], unknownName('listener', name, listeners), 'unknown-name');
    const listener = settings.listeners.find((each) => each.name === name);
    const message = listener && whyNobody(listener, as);
    if (message !== undefined) at.error([], message);
  }
}

/** Why a test's `as` can match no client at this listener; undefined: it can. */
function whyNobody(listener: ListenerSettings, as: Person | undefined): string | undefined {
  const { name } = listener;
  const names = loginsOf(listener).map((each) => each.name);
  if (names.length > 0) {
    if (as?.account === undefined)
      return `does not say which account asks (as: { account: NAME }); listener ${name} has: ${names.join(', ')}`;
    if (names.includes(as.account)) return undefined;
    const hint = meantBy(as.account, names, `; there are: ${names.join(', ')}`);
    return `listener ${name} has no account ${JSON.stringify(as.account)}${hint}`;
  }
  if (as?.account !== undefined)
    return `names an account, and listener ${name} has none: the kernel says who asks there`;
  if (as !== undefined || policyOfAnybody(listener) !== undefined) return undefined;
  return `does not say who asks (as), and listener ${name} has no policy for everybody`;
}
