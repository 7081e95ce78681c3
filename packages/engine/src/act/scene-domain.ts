// The domain a step works on, where the step cannot be decided without one.
import type { Definitions } from '../observe/definitions.ts';
import type { Seen } from '../observe/seen.ts';
import type { Scene } from './act.ts';

/** @throws Error when the domain is gone, which `decide` rules out for the steps that call this. */
export function definitionsOf(scene: Scene<Seen>): Definitions {
  const { definitions } = scene.observation;
  if (definitions === undefined) throw new Error(`the domain ${scene.move.domain.name} is gone`);
  return definitions;
}
