// Which domain a call is about, told from its arguments.

/** The uuid in the argument `dom`, or in the `domain` of a snapshot or checkpoint; undefined for other calls. */
export function domainOf(args: unknown): string | undefined {
  const holder =
    member(args, 'dom') ?? member(member(args, 'snapshot') ?? member(args, 'checkpoint'), 'domain');
  const uuid = member(holder, 'uuid');
  return typeof uuid === 'string' ? uuid : undefined;
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
