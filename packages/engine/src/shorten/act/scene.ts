// What a step of a commit or a pull works on.
import type { Scene } from '../../act/act.ts';
import type { ShortenObservation } from '../observe.ts';

export type ShortenScene = Scene<ShortenObservation>;
