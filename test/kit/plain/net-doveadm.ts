/** The status of an answer of which the second line did not come. */
export const stillWaiting = 'still waiting';

/**
 * Answers of a session, after its greeting, as Net::Doveadm 0.01 (lib/Net/Doveadm.pm at d01f531) reads them: two lines each,
 * where an empty line counts as none yet.
 */
export function readAsNetDoveadm(text: string): (readonly [first: string, status: string])[] {
  const lines = text.split('\n').filter((line) => line !== '');
  const answers: [string, string][] = [];
  for (let at = 0; at < lines.length; at += 2) answers.push([lines[at] ?? '', lines[at + 1] ?? stillWaiting]);
  return answers;
}
