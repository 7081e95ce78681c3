// One thing that a host needs, whether it has it, and what to do if not.

/** `warning`: works, but with less; `missing`: moves cannot be done so. */
export type CheckStatus = 'ok' | 'warning' | 'missing';

export interface Check {
  /** Stable, in kebab case. */
  readonly id: string;
  readonly title: string;
  readonly status: CheckStatus;
  /** What was found. */
  readonly found: string;
  /** What to do; undefined when nothing need be done. */
  readonly remedy: string | undefined;
}

export function ok(id: string, title: string, found: string): Check {
  return { id, title, status: 'ok', found, remedy: undefined };
}

export function warning(id: string, title: string, found: string, remedy: string): Check {
  return { id, title, status: 'warning', found, remedy };
}

export function missing(id: string, title: string, found: string, remedy: string): Check {
  return { id, title, status: 'missing', found, remedy };
}
