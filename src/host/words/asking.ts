// Words of a shell that ask for rights and access: one form for denials, `can` and the page. Readers replace words in capitals.

/** `socket`: undefined: only the unit of systemd that hands it over knows its path. */
export function canWords(socket: string | undefined): string[] {
  return ['dovegate', 'can', '--socket', socket ?? 'SOCKET'];
}

/** `reason`: the pattern that the reason must match, written in its place, so that nobody sends it unread. */
export function requestWords(
  user: string | undefined,
  reason: string | undefined,
  socket?: string,
): string[] {
  const at = socket === undefined ? [] : ['--socket', socket];
  const whose = user === undefined ? [] : ['--user', user];
  return ['dovegate', 'request', ...at, ...whose, '--reason', reason ?? 'WHY', '--'];
}

/** Stands for the n-th hidden word: a shell does not run the line until the word is put in. */
export function hiddenWord(number: number): string {
  return `"\${SECRET${number === 1 ? '' : number}:?put the hidden word in here}"`;
}
