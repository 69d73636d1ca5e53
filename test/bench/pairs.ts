// Two ways of the same, measured in turn: what others do on the machine takes from both.

import { type Figure, figure, quantile } from './figure.ts'

export type Way = () => Promise<number>

/** The figure is the reference times the median of the ratios within each round; the two take turns at being first. */
export const compared = async (
  name: string,
  unit: string,
  { way, reference, referenceName, rounds }: { way: Way; reference: Way; referenceName: string; rounds: number },
): Promise<Figure> => {
  const references: number[] = []
  const ratios: number[] = []
  for (let round = 0; round < rounds; round++) {
    const first = await (round % 2 ? way : reference)()
    const second = await (round % 2 ? reference : way)()
    const [ours, theirs] = round % 2 ? [first, second] : [second, first]
    references.push(theirs)
    ratios.push(ours / theirs)
  }
  const middle = quantile(references, 0.5)
  return figure(name, middle * quantile(ratios, 0.5), unit, { name: referenceName, value: middle })
}
