// What preflight says although it refuses nothing.

export interface Warning {
  readonly code: string;
  readonly message: string;
}
