// Where subcommands write: text for people and pipes on stdout, complaints on stderr.

/** One line, or several. */
export function stdout(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** One line or several, for complaints: a pipe behind stdout never gets them. */
export function stderr(text: string): void {
  process.stderr.write(`${text}\n`);
}
