// What a step of strategy `layered` works on.
import type { Scene } from '../../act/act.ts';
import type { LayeredObservation } from '../observe.ts';

export type LayeredScene = Scene<LayeredObservation>;
