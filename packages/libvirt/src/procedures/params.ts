// Typed parameters as plain records.

import type { TypedParam } from './types.ts';

export type ParamValue = number | bigint | boolean | string;
/** int, uint and double are numbers; llong and ullong bigint. */
export type ParamRecord = Readonly<Record<string, ParamValue>>;

/** A later parameter of the same name replaces an earlier one; the names that libvirt sends are unique. */
export function paramsToRecord(params: readonly TypedParam[]): ParamRecord {
  return Object.fromEntries(params.map(({ field, value }) => [field, scalar(value)]));
}

function scalar(value: TypedParam['value']): ParamValue {
  return value.type === 'boolean' ? value.value !== 0 : value.value;
}
