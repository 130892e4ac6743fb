// Reads `persons`: which identities are the same human. An identity belongs to one person: otherwise a person could approve his own request
// under another name.
import { identitiesOf } from '../identity/person.js';
import type { Cursor } from './cursor.js';
import type { RawHuman } from './policy-schema.js';
import type { Settings } from './settings.js';

export function parsePersons(raw: Readonly<Record<string, RawHuman>>, cursor: Cursor): Settings['persons'] {
  const owners = new Map<string, string>();
  const persons = Object.entries(raw).map(([name, each]) => {
    const person = { ...each, oidc: each.oidc };
    const identities = identitiesOf(person);
    if (identities.length === 0)
      cursor.error([name], 'has no identity; add users, accounts, keys, page or oidc', 'missing-key');
    for (const identity of identities) {
      const other = owners.get(identity);
      if (other === name) cursor.error([name], `has ${identity} twice`, 'defined-twice');
      else if (other !== undefined)
        cursor.error([name], `${identity} is "${other}" already; an identity is one person`, 'defined-twice');
      owners.set(identity, name);
    }
    return [name, person] as const;
  });
  return new Map(persons);
}
