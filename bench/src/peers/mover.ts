// Something that moves a domain's disk when its command is run.

import type { Line } from '../measure/timed-command.ts';
import type { Told } from './told.ts';

export interface MoveRequest {
  readonly domain: string;
  /** Empty, for this run alone. */
  readonly directory: string;
  readonly scope: 'chain' | 'shallow';
  /** The guest writes as fast as it can: use what makes the copy end nevertheless, if there is such a thing. */
  readonly mustConverge: boolean;
}

export interface Mover {
  /** As the table calls it. */
  readonly name: string;
  readonly command: (request: MoveRequest) => {
    readonly argv: readonly string[];
    readonly env: Readonly<Record<string, string>>;
  };
  /** It makes an image, and the domain stays where it is. */
  readonly stays?: true;
  /** What it tells of itself, if it does. */
  readonly told?: (lines: readonly Line[], endedAt: number) => Told;
}
