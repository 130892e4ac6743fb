// Which policies somebody has looked at, and who has changed them since then. Whoever changes policies, however often, hides nothing: until
// another operator has looked, the page compares what is served with what was seen last.

import * as z from 'zod';
import { bounds } from '../../host/bounds/bounds.js';
import { readIfThere, writeAtomically } from '../../host/machine/files.js';
import { text } from '../../host/values/shape.js';
import { parseLine } from '../../host/values/values.js';
import type { Settings } from '../../rules/config/settings.js';
import { humanOnPage } from '../../rules/identity/human.js';
import type { Persons } from '../../rules/identity/person.js';
import { widerKey } from '../now/operator.js';

const makersMax = 64;
const seenFile = z.object({
  /** The hash of the list of policies. */
  policies: text(bounds.doorNameChars),
  /** Identities of operators. */
  makers: z.array(text(bounds.besideFileBytes)).max(makersMax),
});

interface Rules {
  readonly settings: Pick<Settings, 'admin'>;
  readonly persons: Pick<Persons, 'sharesHuman' | 'personOf'>;
}

export class SeenPolicies {
  readonly #path: string;
  #seen: Readonly<z.infer<typeof seenFile>>;
  #served: string;

  /** `served`: the hash of what a start serves; a gate that has no file begins with it. Throws for an unreadable file. */
  constructor(stateDirectory: string, served: string) {
    this.#path = `${stateDirectory}/seen-policies.json`;
    this.#served = served;
    const known = readIfThere(this.#path, bounds.besideFileBytes);
    const found =
      known === undefined ? { policies: served, makers: [] } : seenFile.safeParse(parseLine(known)).data;
    if (found === undefined) throw new Error(`${this.#path}: does not say which policies were seen`);
    this.#seen = found;
    if (known === undefined) this.#put(found);
  }

  /** Hashes of lists of policies. */
  get now(): { readonly seen: string; readonly served: string } {
    return { seen: this.#seen.policies, served: this.#served };
  }

  /** Call when other policies are served. */
  turnTo(served: string): void {
    this.#served = served;
  }

  /** Call for the operator whose reload that was. */
  changedBy(identities: readonly string[]): void {
    const { policies, makers } = this.#seen;
    if (this.#served === policies) return;
    this.#seen = { policies, makers: [...new Set([...makers, ...identities])].slice(-makersMax) };
    try {
      this.#put(this.#seen);
    } catch {
      // The reload is done. Without room on the disk, the next start does not know who it was.
    }
  }

  /** Why an operator with these identities cannot acknowledge that; undefined: they can, or it is another problem. */
  whyNot(key: string, identities: readonly string[], { settings, persons }: Rules): string | undefined {
    if (!key.startsWith(widerKey(''))) return undefined;
    const { makers } = this.#seen;
    if (key !== widerKey(this.#seen.policies, this.#served))
      return 'other policies are served by now: look again';
    const isMaker = (words: readonly string[]): boolean => persons.sharesHuman(makers, words);
    const others = (settings.admin?.page?.people ?? []).filter(
      (each) => each.roles.includes('operate') && !isMaker(humanOnPage(each, undefined, persons).identities),
    );
    if (others.length === 0 || !isMaker(identities)) return undefined;
    return `you changed the policies: ${others.map(({ name }) => name).join(' or ')} must look at it`;
  }

  /** Takes an acknowledgement that `whyNot` has nothing against. False: it is of another problem. */
  take(key: string): boolean {
    if (key !== widerKey(this.#seen.policies, this.#served)) return false;
    this.#put({ policies: this.#served, makers: [] });
    return true;
  }

  /** On disk when it returns; throws the system's error. */
  #put(next: Readonly<z.infer<typeof seenFile>>): void {
    writeAtomically(this.#path, `${JSON.stringify(next)}\n`);
    this.#seen = next;
  }
}
