// The families of Dovecot releases that read command lines alike, how they fold case, and the form in which the command tables
// of one are kept. Which series a backend is of is learnt elsewhere.

/** `2.3`: 2.3.0 to 2.3.21.1. `2.4`: 2.4.0 and newer. A command line means something only together with its series. */
export type Series = '2.3' | '2.4';

/** Every series, oldest first. */
export const allSeries: readonly Series[] = ['2.3', '2.4'];

/** Folds case as doveadm-server does: ASCII letters only, in no locale (a Kelvin sign is no k). */
export function toLowerAscii(text: string): string {
  if (!/[A-Z]/.test(text)) return text;
  // The usual way is much faster; where there is more than ASCII, it would fold that too.
  return /[^\0-\x7f]/.test(text)
    ? text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
    : text.toLowerCase();
}

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
