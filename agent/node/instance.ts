// Which machine a node's name belongs to: the last that joined under it. Each has an id of its own, and writes it on
// the Node once, when it takes the name. One that took it and finds another's id there has been replaced, and must
// not run what the other runs.

import type { Node } from '#api/types/core-v1.gen.ts'

export interface Instance {
  readonly id: string
  /** It has taken the name before. */
  readonly taken: boolean
  /** It has taken it just now. */
  took(): void
}

const annotation = 'coracle/instance'

export const annotationsOf = ({ id }: Instance): Record<string, string> => ({ [annotation]: id })

/** Throws ReplacedError where the name is another machine's by now. */
export function checkHolder({ id, taken }: Instance, { metadata }: Node): void {
  const holder = metadata.annotations?.[annotation]
  if (taken && holder !== undefined && holder !== id) throw new ReplacedError(metadata.name)
}

export class ReplacedError extends Error {
  constructor(node: string) {
    super(`another machine has joined the cluster as ${node} since this one did`)
    this.name = 'ReplacedError'
  }
}
