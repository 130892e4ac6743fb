// The people of the page as the daemon told them last, found by name and by the kernel's number.

import type { PagePerson, PageSettings } from '../rules/config/settings.js';
import type { Human } from '../rules/identity/human.js';
import type { Daemon } from './daemon.js';

export class People {
  readonly #daemon: Pick<Daemon, 'told' | 'whyLocked'>;

  constructor(daemon: Pick<Daemon, 'told' | 'whyLocked'>) {
    this.#daemon = daemon;
  }

  get page(): PageSettings | undefined {
    return this.#daemon.told?.settings.admin?.page;
  }

  byName(name: string): PagePerson | undefined {
    return this.page?.people.find((each) => each.name === name);
  }

  /** Undefined: no lock stops them. */
  whyLocked(human: Human): string | undefined {
    return this.#daemon.whyLocked(human);
  }

  /** Unique: the daemon refuses settings in which two names have one uid. */
  byUid(uid: number): PagePerson | undefined {
    const { numbers } = this.#daemon.told ?? {};
    return this.page?.people.find(({ user }) => user !== undefined && numbers?.uidOf(user) === uid);
  }
}
