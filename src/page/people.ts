// The people of the page as the daemon told them last, found by name and by the kernel's number.

import { lookUpNumbers } from '../adapters/host/accounts.js';
import type { PagePerson, PageSettings } from '../domain/config/settings.js';
import { createPersonFinder } from '../setup/peers.js';
import type { Daemon } from './daemon.js';

export class People {
  readonly #daemon: Pick<Daemon, 'told'>;
  #byUid: (uid: number) => PagePerson | undefined = () => undefined;

  constructor(daemon: Pick<Daemon, 'told'>) {
    this.#daemon = daemon;
  }

  get page(): PageSettings | undefined {
    return this.#daemon.told?.settings.admin?.page;
  }

  byName(name: string): PagePerson | undefined {
    return this.page?.people.find((each) => each.name === name);
  }

  byUid(uid: number): PagePerson | undefined {
    const found = this.#byUid(uid);
    // Between the settings and the numbers of their names.
    return found === undefined ? undefined : this.page?.people.find((each) => each === found);
  }

  /** After new settings: asks the system for the numbers of their names. */
  async review(): Promise<void> {
    const { page } = this;
    const users = (page?.people ?? []).flatMap(({ user }) => (user === undefined ? [] : [user]));
    const numbers = await lookUpNumbers({ users, groups: [] });
    this.#byUid = createPersonFinder(page, numbers);
  }
}
