// Whether Dovecot folds or keeps the case of user names as the file says: its auth service is asked for a user in another case, by the
// daemon's own lookup code.

import type { NameCase } from '../../doveadm/names/user-name.js';
import { createConnect } from '../../host/net/dial.js';
import type { Clock } from '../../host/ports/machine.js';
import { foldAscii } from '../../host/words/text.js';
import type { Settings } from '../../rules/config/settings.js';
import { whyOtherCase } from '../../rules/setup/inspect-beside.js';
import { Lookup, type LookupAnswer, lookupLimits } from '../lookup/lookup.js';
import { lookupCodes } from '../telemetry/codes.js';
import { bad, type Look, ok, warning } from './look.js';

/** Empty: there is no socket to ask at. */
export async function lookAtNames(
  { resolve, case: ofFile }: Settings['mailUsers'],
  users: readonly string[],
  clock: Clock,
): Promise<readonly Look[]> {
  if (resolve === undefined) return [];
  const address = { kind: 'unix', path: resolve } as const;
  const connect = createConnect(clock);
  const lookup = new Lookup({ address, connect, clock, limits: lookupLimits, tell: () => undefined });
  try {
    for (const user of users.length === 0 ? [nobody] : users) {
      const ofDovecot = await caseOf(lookup, user);
      if (ofDovecot === undefined) continue;
      if (typeof ofDovecot === 'object') {
        const [means, todo] = lookupCodes[ofDovecot.code];
        return [bad(name, `${resolve} (mail_users.resolve): ${means}`, todo)];
      }
      const why = whyOtherCase(ofDovecot, ofFile);
      return [
        why === undefined ? ok(name, `the auth service ${told[ofFile]}`) : warning(name, `Dovecot ${why}`),
      ];
    }
    return [];
  } finally {
    await lookup.close();
  }
}

const name = 'mail users';
/** Any answer shows that the service works. */
const nobody = 'dovegate-doctor';

const told: Readonly<Record<NameCase, string>> = {
  fold: 'takes names in any case',
  keep: 'keeps the case of names',
};

/** Undefined: neither spelling is known, or the answer is a different name. */
async function caseOf(
  lookup: Lookup,
  user: string,
): Promise<NameCase | Extract<LookupAnswer, { kind: 'failed' }> | undefined> {
  const other = user.replace(/^[^@]*/, swapCase);
  const asOther = await lookup.user(other);
  switch (asOther.kind) {
    case 'failed':
      return asOther;
    case 'not-found': {
      const asGiven = await lookup.user(user);
      return 'user' in asGiven ? 'keep' : undefined;
    }
    case 'found': {
      // A different name comes from a mapping in the userdb. Only local parts are compared, as Dovecot may add or drop the domain.
      const [found, written] = [localPart(asOther.user), localPart(other)];
      return found === written ? 'keep' : foldAscii(found) === foldAscii(written) ? 'fold' : undefined;
    }
    default:
      return asOther satisfies never;
  }
}

const localPart = (user: string): string => user.replace(/@.*/, '');

function swapCase(text: string): string {
  return text.replace(/[a-z]|[A-Z]/gi, (one) => (one < 'a' ? one.toLowerCase() : one.toUpperCase()));
}
