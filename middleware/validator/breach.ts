/** Who broke a rule. Middleware is an application to what is above it, and a server to what is below. */
export type Party = 'application' | 'server';

/** A rule of PEP 3333 was broken. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  /** Who broke it. */
  readonly party: Party;
  /** The section of PEP 3333 that has the rule. */
  readonly section: string;

  constructor(party: Party, section: string, message: string) {
    super(message);
    this.party = party;
    this.section = section;
  }
}

/** An error that says who did what, which rule of PEP 3333 that breaks, and what to write instead. */
export function breach(party: Party, section: string, deed: string, instead: string): ProtocolError {
  return new ProtocolError(party, section, `the ${party} ${deed}: ${instead} (PEP 3333, "${section}")`);
}

/** What kind of value stands where another was wanted. */
export function describe(value: unknown): string {
  return typeof value === 'object' && value !== null
    ? `a ${String(value.constructor?.name ?? 'object')}`
    : String(value);
}

/** A value as it would be written in the source, or where it has no JSON what kind it is. */
export function show(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return typeof value === 'bigint' ? `${value}n` : describe(value);
  }
}
