// What somebody may do in a mailbox, and in which way: the words of an answer about who reaches it.

/** `facts` are folders, sizes, flags, and whatever else is read that is no mail. */
export const mailboxDeeds = ['mail', 'search', 'facts', 'change', 'destroy'] as const;
export type MailboxDeed = (typeof mailboxDeeds)[number];

/** `at-once` needs nobody else, `break-glass` is reviewed later, `on-request` is approved before. What needs fewest others first. */
export const reachWays = ['at-once', 'break-glass', 'on-request'] as const;
export type ReachWay = (typeof reachWays)[number];
