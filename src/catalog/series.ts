// The families of Dovecot releases that read command lines alike. Which one a backend belongs to is learnt elsewhere.

/** `2.3`: 2.3.0 to 2.3.21.1. `2.4`: 2.4.0 and newer. A command line means something only together with its series. */
export type Series = '2.3' | '2.4';

/** Every series, oldest first. */
export const allSeries: readonly Series[] = ['2.3', '2.4'];
