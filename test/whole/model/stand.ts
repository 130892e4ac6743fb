// Real code of the journal beside a model: the code runs in a watched process, and at each change that it makes, a choice says what else
// happens first. A step of the code that the model does not have there is an error.

import { Beside, type Choose, type Model } from './explore.js';
import { type Change, Killed, Watched } from './stores.js';

const end = new Error('the run is long enough');

export abstract class Stand<S> {
  readonly beside: Beside<S>;
  protected process = new Watched((change) => this.#watch(change));
  /** Before that, changes are not looked at. */
  protected isReady = false;
  readonly #choose: Choose;
  readonly #random: (() => number) | undefined;

  constructor(model: Model<S>, choose: Choose, random: (() => number) | undefined) {
    this.beside = new Beside(model);
    this.#choose = choose;
    this.#random = random;
  }

  /** Until the choices end. */
  async run(): Promise<void> {
    try {
      for (;;) {
        const choice = this.#choose(this.beside.options.filter((name) => !this.isOwn(name)));
        if (choice === undefined) break;
        try {
          this.act(choice);
        } catch (error) {
          if (error === end) break;
          if (!(error instanceof Killed)) throw error;
          this.process.end();
          this.die();
        }
        await this.compare();
      }
    } finally {
      this.process.end();
    }
  }

  /** Steps of the code; all others are of the world. */
  protected abstract isOwn(name: string): boolean;
  /** The step that the code makes by a change; undefined: none of the model. */
  protected abstract nameOf(change: Change): string | undefined;
  /** Whether a kill before a change that is no step of the model leaves the state of the model. */
  protected isBetween(_change: Change): boolean {
    return true;
  }
  /** A step of the world. */
  protected abstract act(name: string): void;
  /** Makes the files those that the end of the process left. */
  protected abstract die(): void;
  protected abstract compare(): void | Promise<void>;

  protected newProcess(): void {
    this.process = new Watched((change) => this.#watch(change));
  }

  /** The process ends by a step of the model. */
  protected kill(name: string): never {
    this.beside.go(name);
    throw new Killed();
  }

  #watch(change: Change): void {
    if (!this.isReady) return;
    const name = this.nameOf(change);
    if (name !== undefined) return this.#before(name);
    // In long runs it may also be killed between the steps of the model.
    const mayEnd = this.#random !== undefined && this.#random() < 0.005 && this.isBetween(change);
    if (mayEnd && this.beside.options.includes('kill')) this.kill('kill');
  }

  /** What else happens before a step of the code. */
  #before(name: string): void {
    for (;;) {
      const options = this.beside.options.filter((option) => !this.isOwn(option) || option === name);
      // The model says so.
      if (!options.includes(name)) return this.beside.go(name);
      const choice = this.#choose(options);
      if (choice === undefined) throw end;
      if (choice === name) return this.beside.go(name);
      this.act(choice);
    }
  }
}
