// What asks for rights and for access, as words of a shell: the one form of denials, of `can` and of the page. Words in capitals are for
// their reader to replace.

/** `socket`: undefined: only the unit of systemd that hands it over knows its path. */
export function canWords(socket: string | undefined): string[] {
  return ['dovegate', 'can', '--socket', socket ?? 'SOCKET'];
}

/** `reason`: the pattern that it must match, so that nobody sends it unread. */
export function requestWords(
  user: string | undefined,
  reason: string | undefined,
  socket?: string,
): string[] {
  const at = socket === undefined ? [] : ['--socket', socket];
  const whose = user === undefined ? [] : ['--user', user];
  return ['dovegate', 'request', ...at, ...whose, '--reason', reason ?? 'WHY', '--'];
}

/** In the place of the n-th hidden word: a shell runs nothing before it is put in again. */
export function hiddenWord(number: number): string {
  return `"\${SECRET${number === 1 ? '' : number}:?put the hidden word in here}"`;
}
