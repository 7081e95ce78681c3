// The end of every exhaustive switch.

/** Never returns; the parameter's type makes the compiler prove that every case was handled. */
export function unreachable(value: never): never {
  throw new TypeError(`unexpected value: ${String(value)}`);
}
