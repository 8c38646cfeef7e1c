/** What whoever waits for an approval is told, where the protocol can tell them anything. */

export const holdNotice = (approval: string): string =>
  `waiting for another person to approve this: ${approval} (counterfoil approve ${approval})`
