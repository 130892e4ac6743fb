// The families of Dovecot releases that read command lines alike, and the form in which the command tables
// of one are kept. Which series a backend is of is learnt elsewhere.

/** `2.3`: 2.3.0 to 2.3.21.1. `2.4`: 2.4.0 and newer. A command line means something only together with its series. */
export type Series = '2.3' | '2.4';

/** Every series, oldest first. */
export const allSeries: readonly Series[] = ['2.3', '2.4'];

/** The generated form: a command is its name, its traits in words, its parameters one word each. */
export interface CatalogData {
  readonly series: Series;
  /** The releases whose sources and running servers the tables were read from. */
  readonly dovecot: string;
  /** SHA-256 of the checked-in source, lower-case hex. */
  readonly hash: string;
  /** In front of the parameters of every command of scope user. */
  readonly mailParams: string;
  readonly commands: readonly (readonly [name: string, traits: string, params: string])[];
}
