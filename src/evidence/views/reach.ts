// The words for what somebody may do in a mailbox, and how.

/** `facts` are folders, sizes, flags, and anything else that is read and is not mail. */
export const mailboxDeeds = ['mail', 'search', 'facts', 'change', 'destroy'] as const;
export type MailboxDeed = (typeof mailboxDeeds)[number];

/** `at-once` needs nobody else, `break-glass` a later review, `on-request` an approval. What needs the fewest others comes first. */
export const reachWays = ['at-once', 'break-glass', 'on-request'] as const;
export type ReachWay = (typeof reachWays)[number];
