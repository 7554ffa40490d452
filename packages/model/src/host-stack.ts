/** The stack that every machine has: its own read-only /usr (foundations.md 12). No other can have its name. */
export const HOST_STACK = 'host';
